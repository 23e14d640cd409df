// SPDX-License-Identifier: Apache-2.0

package slice

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"croft/lease"
)

// Bulk finds the bytes of a digest: lines name signed statements and programs
// by theirs.
type Bulk func(lease.Digest) ([]byte, bool)

// line is one printed input or effect: a verb and fields name=value, values
// quoted where they may hold anything.
type line struct {
	verb   string
	fields map[string]string
	bulk   Bulk
	err    error // the first thing that was wrong
}

func readLine(s string, bulk Bulk) *line {
	verb, rest, _ := strings.Cut(s, " ")
	l := &line{verb: verb, fields: map[string]string{}, bulk: bulk}
	for rest != "" {
		name, value, ok := strings.Cut(rest, "=")
		if !ok {
			l.fail("%q is no field", rest)
			break
		}
		if strings.HasPrefix(value, `"`) {
			quoted, err := strconv.QuotedPrefix(value)
			if err != nil {
				l.fail("quotes of %s", name)
				break
			}
			rest = strings.TrimPrefix(value[len(quoted):], " ")
			value, _ = strconv.Unquote(quoted) // QuotedPrefix has checked it
		} else {
			value, rest, _ = strings.Cut(value, " ")
		}
		l.fields[name] = value
	}
	return l
}

func (l *line) fail(format string, args ...any) {
	if l.err == nil {
		l.err = fmt.Errorf("%s: "+format+": %w", append(append([]any{l.verb}, args...), ErrLine)...)
	}
}

func (l *line) text(name string) string {
	v, ok := l.fields[name]
	if !ok {
		l.fail("no %s", name)
	}
	return v
}

func (l *line) has(name string) bool {
	_, ok := l.fields[name]
	return ok
}

func (l *line) number(name string, most int) int {
	n, err := strconv.Atoi(l.text(name))
	if err != nil || n < 0 || n > most {
		l.fail("%s=%s", name, l.fields[name])
	}
	return n
}

func (l *line) node() (p lease.Principal) {
	if err := p.UnmarshalText([]byte(l.text("node"))); err != nil {
		l.fail("node: %v", err)
	}
	return p
}

func (l *line) id(name string) (id lease.ID) {
	if err := id.UnmarshalText([]byte(l.text(name))); err != nil {
		l.fail("%s: %v", name, err)
	}
	return id
}

func (l *line) chain(name string) (chain [][]byte) {
	for text := range strings.SplitSeq(l.text(name), ",") {
		if len(chain) > lease.MaxDepth {
			l.fail("%s: more than %d statements", name, lease.MaxDepth+1)
			break
		}
		chain = append(chain, l.digest(name, text))
	}
	return chain
}

func (l *line) bytes(name string) []byte { return l.digest(name, l.text(name)) }

func (l *line) digest(name, text string) []byte {
	d, err := lease.ParseDigest(text)
	if err != nil {
		l.fail("%s: %v", name, err)
		return nil
	}
	b, ok := l.bulk(d)
	if !ok {
		l.fail("%s: bytes of %s are not at hand", name, d)
	}
	return b
}

func (l *line) duration(name string) time.Duration {
	d, err := time.ParseDuration(l.text(name))
	if err != nil {
		l.fail("%s: %v", name, err)
	}
	return d
}

func (l *line) refusal() lease.Refusal {
	r := lease.Refusal{Sort: lease.Sort(l.number("sort", 255)), Reason: lease.Reason(l.number("reason", 255)), Text: l.text("text")}
	if l.has("about") {
		r.About, r.Resource = l.id("about"), lease.Resource(l.number("resource", lease.NumResources-1))
		r.Instant = int64(l.number("instant", math.MaxInt))
		if r.About.IsZero() {
			l.fail("about nothing")
		}
	}
	if l.has("attachment") {
		if r.Attachment = l.bytes("attachment"); len(r.Attachment) == 0 {
			l.fail("nothing is attached")
		}
	}
	return r
}

func (l *line) object(name string, into any) {
	if err := json.Unmarshal([]byte(l.text(name)), into); err != nil {
		l.fail("%s: %v", name, err)
	}
}

// ParseInput reads what Input.String printed. The error is ErrLine.
func ParseInput(s string, bulk Bulk) (Input, error) {
	l := readLine(s, bulk)
	var in Input
	switch l.verb {
	case "start":
		in = Start{}
	case "abort":
		in = Abort{}
	case "tick":
		in = Tick{}
	case "drawn":
		in = Drawn{l.node(), l.chain("chain")}
	case "held":
		in = Held{l.node(), l.bytes("hold"), l.duration("left")}
	case "withheld":
		in = Withheld{l.node(), l.text("text")}
	case "refused":
		in = Refused{l.node(), l.refusal()}
	case "failed":
		in = Failed{l.node(), Trouble(l.text("trouble")), l.text("text")}
	case "committed":
		in = Committed{l.node(), l.bytes("lease")}
	case "commit-refused":
		in = CommitRefused{l.node(), l.refusal()}
	case "activated":
		in = Activated{l.node()}
	case "activate-failed":
		in = ActivateFailed{l.node(), l.text("text")}
	case "progress":
		in = Progress{l.node(), l.text("text")}
	case "running":
		in = Running{l.node(), l.text("public")}
	case "sliver-failed":
		in = SliverFailed{l.node(), l.text("text")}
	case "closed":
		in = Closed{l.node(), l.id("claim")}
	default:
		l.fail("unknown input")
	}
	if l.err != nil {
		return nil, l.err
	}
	return in, nil
}

// ParseEffect reads what Effect.String printed. The error is ErrLine.
func ParseEffect(s string, bulk Bulk) (Effect, error) {
	l := readLine(s, bulk)
	var e Effect
	switch l.verb {
	case "ask-hold":
		e = AskHold{l.node(), l.chain("chain")}
	case "draw-ticket":
		d := DrawTicket{Node: l.node()}
		l.object("wish", &d.Wish)
		e = d
	case "commit-hold":
		e = CommitHold{l.node(), l.id("hold")}
	case "activate-lease":
		e = ActivateLease{l.node(), l.id("lease"), l.bytes("program")}
	case "close-claim":
		e = CloseClaim{l.node(), l.id("claim"), l.bytes("statement")}
	case "stage":
		e = Stage{l.text("name"), l.number("got", 1<<30), l.number("want", 1<<30), l.text("text")}
	case "keep":
		var k Keep
		l.object("record", &k.Record)
		e = k
	case "done":
		d := Done{Outcome: Outcome(l.number("outcome", 255))}
		l.object("why", &d.Why)
		l.object("record", &d.Record)
		e = d
	default:
		l.fail("unknown effect")
	}
	if l.err != nil {
		return nil, l.err
	}
	return e, nil
}
