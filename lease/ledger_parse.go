// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// ParseInput reads the one-line form of an input. Bulk bytes stand in it by
// digest, and blob finds them; it may be nil where there are none.
func ParseInput(line string, blob func(Digest) ([]byte, bool)) (Input, error) {
	name, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	p := fieldReader{blob: blob}
	if p.read(rest); p.err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, p.err)
	}
	var in Input
	switch name {
	case "wish":
		in = Wish{Ref: p.number("ref", 64), Caller: p.principal("caller"), Chain: p.blobs("chain"), Authority: p.maybe("authority"), Source: p.source(), Decided: p.decision()}
	case "commit":
		in = Commit{Ref: p.number("ref", 64), Caller: p.principal("caller"), Hold: p.id("hold")}
	case "activate":
		in = Activate{Ref: p.number("ref", 64), Caller: p.principal("caller"), Lease: p.id("lease"), Program: p.bytes("program")}
	case "end":
		in = End{Ref: p.number("ref", 64), Caller: p.principal("caller"), Close: p.bytes("close"), Authority: p.maybe("authority")}
	case "issue":
		in = Issue{Ref: p.number("ref", 64), Holder: p.principal("holder"), RSet: p.rset("rset"),
			Term: Term{int64(p.number("from", 63)), int64(p.number("until", 63))}, Degree: uint16(p.number("degree", 16)), FanOut: uint16(p.optional("fanout", 16)), Request: p.request("request")}
	case "recall":
		in = Recall{Ref: p.number("ref", 64), Lease: p.id("lease"), Reason: p.take("reason")}
	case "rules":
		in = p.rules()
	case "accuse":
		in = Accuse{Ref: p.number("ref", 64), Proof: p.bytes("proof")}
	case "bar":
		in = Bar{Reason: Reason(p.number("reason", 8))}
	case "gone":
		in = Gone{Lease: p.id("lease")}
	case "recover":
		in = Recover{}
	case "tick":
		in = Tick{}
	default:
		return nil, fmt.Errorf("input %q: %w", name, ErrSyntax)
	}
	if p.err == nil && len(p.fields) > 0 {
		p.err = fmt.Errorf("%d fields too many: %w", len(p.fields), ErrSyntax)
	}
	if p.err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, p.err)
	}
	return in, nil
}

// fieldReader takes key=value fields apart; the first error stays.
type fieldReader struct {
	fields map[string]string
	blob   func(Digest) ([]byte, bool)
	err    error
}

func (p *fieldReader) read(s string) {
	p.fields = make(map[string]string)
	for s = strings.TrimLeft(s, " "); s != ""; s = strings.TrimLeft(s, " ") {
		key, rest, ok := strings.Cut(s, "=")
		value := ""
		if quoted, err := strconv.QuotedPrefix(rest); err == nil {
			value, _ = strconv.Unquote(quoted)
			s = rest[len(quoted):]
		} else {
			value, s, _ = strings.Cut(rest, " ")
			ok = ok && !strings.HasPrefix(value, `"`)
		}
		if _, twice := p.fields[key]; !ok || twice {
			p.fail(fmt.Errorf("field %q: %w", key, ErrSyntax))
			return
		}
		p.fields[key] = value
	}
}

func (p *fieldReader) fail(err error) {
	if p.err == nil && err != nil {
		p.err = err
	}
}

func (p *fieldReader) take(key string) string {
	v, ok := p.fields[key]
	if !ok {
		p.fail(fmt.Errorf("no %s: %w", key, ErrSyntax))
	}
	delete(p.fields, key)
	return v
}

func (p *fieldReader) number(key string, bits int) uint64 {
	v, err := strconv.ParseUint(p.take(key), 10, bits)
	p.fail(err)
	return v
}

// optional is 0 where the field is not there.
func (p *fieldReader) optional(key string, bits int) uint64 {
	if _, ok := p.fields[key]; !ok {
		return 0
	}
	return p.number(key, bits)
}

func (p *fieldReader) principal(key string) Principal {
	v, err := ParsePrincipal(p.take(key))
	p.fail(err)
	return v
}

func (p *fieldReader) id(key string) ID {
	v, err := ParseID(p.take(key))
	p.fail(err)
	return v
}

// decision is absent where nobody outside was asked.
func (p *fieldReader) decision() *Decision {
	if _, ok := p.fields["refusal"]; !ok {
		return nil
	}
	return &Decision{Refusal: p.take("refusal"), Said: p.take("said")}
}

// source is absent where a wish came through others.
func (p *fieldReader) source() (v netip.Prefix) {
	if _, ok := p.fields["source"]; !ok {
		return v
	}
	v, err := netip.ParsePrefix(p.take("source"))
	p.fail(err)
	return v
}

func (p *fieldReader) rset(key string) RSet {
	v, err := ParseRSet(p.take(key))
	p.fail(err)
	return v
}

func (p *fieldReader) request(key string) (r Request) {
	b, err := hex.DecodeString(p.take(key))
	if err == nil && len(b) != len(r) {
		err = fmt.Errorf("%s of %d bytes: %w", key, len(b), ErrSyntax)
	}
	p.fail(err)
	copy(r[:], b)
	return r
}

func (p *fieldReader) bytes(key string) []byte { return p.find(p.take(key)) }

// maybe is bytes where they need not be.
func (p *fieldReader) maybe(key string) []byte {
	if _, ok := p.fields[key]; !ok {
		return nil
	}
	return p.bytes(key)
}

func (p *fieldReader) blobs(key string) (list [][]byte) {
	for _, d := range strings.Split(p.take(key), ",") {
		if d != "" {
			list = append(list, p.find(d))
		}
	}
	return list
}

func (p *fieldReader) find(digest string) []byte {
	d, err := ParseDigest(digest)
	if err != nil || p.blob == nil {
		p.fail(err)
		return nil
	}
	b, ok := p.blob(d)
	if !ok {
		p.fail(fmt.Errorf("bytes of %s are not at hand: %w", d, ErrSyntax))
	}
	return b
}
