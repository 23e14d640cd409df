// SPDX-License-Identifier: Apache-2.0

package optout

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"croft/lease"
	"croft/lease/judge"
)

// Input is what a Set takes: Received, Local, Kept, Known or Tick.
type Input interface {
	fmt.Stringer
	input()
}

// Received is an entry from a neighbour. Pulled ones were asked for, and no rate
// applies to them.
type Received struct {
	Bytes  []byte
	From   lease.Principal
	Pulled bool
}

// Local is an entry that was brought to this node.
type Local struct{ Bytes []byte }

// Kept is an entry that this node accepted before, from its own disk: its
// signatures were checked then, and who attested may be gone by now.
type Kept struct{ Bytes []byte }

// Known are the live nodes as they are known from now on, each once. In the order of
// their principals they are kept as they are, and must not be changed.
type Known struct{ Nodes []Node }

// Tick lets time pass.
type Tick struct{}

func (Received) input() {}
func (Local) input()    {}
func (Kept) input()     {}
func (Known) input()    {}
func (Tick) input()     {}

// blob is the name under which a transcript keeps bulk bytes.
func blob(b []byte) lease.Digest { return sha256.Sum256(b) }

func (i Received) String() string {
	word := "received"
	if i.Pulled {
		word = "pulled"
	}
	return fmt.Sprintf("%s %s %s", word, i.From, blob(i.Bytes))
}
func (i Local) String() string { return fmt.Sprintf("local %s", blob(i.Bytes)) }
func (i Kept) String() string  { return fmt.Sprintf("kept %s", blob(i.Bytes)) }
func (Tick) String() string    { return "tick" }

func (i Known) String() string {
	var b strings.Builder
	b.WriteString("known")
	for _, n := range i.Nodes {
		fmt.Fprintf(&b, " %s,%s,%d", n.Principal, n.Site, n.Port)
		for _, a := range n.Addrs {
			fmt.Fprintf(&b, ",%s", a)
		}
	}
	return b.String()
}

// ParseInput reads what String printed; fetch returns the bytes of a digest.
func ParseInput(s string, fetch func(lease.Digest) ([]byte, bool)) (Input, error) {
	words := strings.Fields(s)
	bad := fmt.Errorf("input %q: want received, pulled, local, kept, known or tick: %w", s, lease.ErrSyntax)
	if len(words) == 0 {
		return nil, bad
	}
	bulk := func(word string) ([]byte, error) {
		d, err := lease.ParseDigest(word)
		if err != nil {
			return nil, err
		}
		if b, ok := fetch(d); ok {
			return b, nil
		}
		return nil, fmt.Errorf("input %q: its bytes are not at hand: %w", s, lease.ErrSyntax)
	}
	switch verb, n := words[0], len(words); {
	case verb == "tick" && n == 1:
		return Tick{}, nil
	case verb == "local" && n == 2:
		b, err := bulk(words[1])
		return Local{b}, err
	case verb == "kept" && n == 2:
		b, err := bulk(words[1])
		return Kept{b}, err
	case (verb == "received" || verb == "pulled") && n == 3:
		from, err := lease.ParsePrincipal(words[1])
		if err != nil {
			return nil, err
		}
		b, err := bulk(words[2])
		return Received{b, from, verb == "pulled"}, err
	case verb == "known":
		return parseKnown(words[1:])
	}
	return nil, bad
}

func parseKnown(words []string) (in Known, err error) {
	for _, w := range words {
		parts := strings.Split(w, ",")
		if len(parts) < 3 {
			return in, fmt.Errorf("node %q: want principal, site, port and addresses: %w", w, lease.ErrSyntax)
		}
		var n Node
		if n.Principal, err = lease.ParsePrincipal(parts[0]); err != nil {
			return in, err
		}
		if n.Site, err = lease.ParsePrincipal(parts[1]); err != nil {
			return in, err
		}
		port, err := strconv.ParseUint(parts[2], 10, 16)
		if err != nil {
			return in, fmt.Errorf("%w: %w", lease.ErrSyntax, err)
		}
		n.Port = uint16(port)
		for _, p := range parts[3:] {
			a, err := netip.ParseAddr(p)
			if err != nil {
				return in, fmt.Errorf("%w: %w", lease.ErrSyntax, err)
			}
			n.Addrs = append(n.Addrs, a)
		}
		in.Nodes = append(in.Nodes, n)
	}
	return in, nil
}

// Effect is what a Set wants done or known: Verdict, Entered, Left, Changed.
type Effect interface {
	fmt.Stringer
	effect()
}

// Verdict answers each Received, Local and Kept, always as the first effect.
type Verdict struct {
	Judgement judge.Judgement
	Reason    judge.Reason
}

// Entered says that the set has a new entry, which is to be kept on disk.
type Entered struct{ Entry Entry }

// Left says that an entry is no longer in the set.
type Left struct {
	Addr   netip.Addr
	ID     lease.ID
	Reason judge.Reason // Expired, Crowded or Superseded
}

// Changed says that Addrs is not what it was. It is the last effect.
type Changed struct{}

func (Verdict) effect() {}
func (Entered) effect() {}
func (Left) effect()    {}
func (Changed) effect() {}

func (e Verdict) String() string {
	return strings.TrimSpace("verdict " + string(e.Judgement) + " " + string(e.Reason))
}
func (e Entered) String() string {
	return fmt.Sprintf("entered %s %s until %d", e.Entry.Addr, e.Entry.ID, e.Entry.Until)
}
func (e Left) String() string  { return fmt.Sprintf("left %s %s %s", e.Addr, e.ID, e.Reason) }
func (Changed) String() string { return "changed" }
