// SPDX-License-Identifier: Apache-2.0

package slice

import (
	"errors"
	"reflect"
	"testing"

	"croft/lease"
	"croft/lease/leasetest"
	"croft/lease/purse"
)

// samples are all inputs and effects, and a store of their bulk bytes.
func samples() (ins []Input, effects []Effect, bulk Bulk) {
	n, id := leasetest.Who("a"), lease.ID{7}
	store := map[lease.Digest][]byte{}
	put := func(s string) []byte { store[digest([]byte(s))] = []byte(s); return []byte(s) }
	odd := "quotes \" = and\nlines"
	r := lease.Refusal{Sort: lease.Local, Reason: lease.ReasonPort, Text: odd}
	full := lease.Refusal{Sort: lease.Oversubscribed, Text: odd, About: id, Resource: lease.Memory, Instant: 1 << 40, Attachment: put("filling")}
	rec := Record{Slice: "probe", Owner: n, Slivers: []Sliver{{Node: n, Name: "a", Lease: id, Sliver: "x", From: 1, Until: 2,
		RSet: lease.RSet{lease.CPU: 100}, Ports: []lease.Port{{Proto: lease.TCP, Number: 1, Inside: 2}}, Signed: []byte("s")}}}
	ins = []Input{Start{}, Abort{}, Tick{}, Drawn{n, [][]byte{put("ticket"), put("redeem")}}, Held{n, put("hold"), fuse}, Withheld{n, odd}, Refused{n, r}, Refused{n, full}, Failed{n, NoPath, odd},
		Committed{n, put("lease")}, CommitRefused{n, r}, Activated{n}, ActivateFailed{n, odd}, Progress{n, odd},
		Running{n, "192.0.2.1"}, SliverFailed{n, odd}, Closed{n, id}}
	wish := purse.Redeem{Ticket: id, Slot: purse.AnySlot, RSet: lease.RSet{lease.CPU: 1}, Term: lease.Term{From: 1, Until: 2},
		Slice: "probe", Request: lease.Request{1}, Replaces: id, Ports: []lease.Port{{Proto: lease.TCP, Inside: 2}}}
	effects = []Effect{DrawTicket{n, wish}, AskHold{n, [][]byte{put("ask")}}, CommitHold{n, id}, Keep{rec}, ActivateLease{n, id, put("program")},
		CloseClaim{n, id, put("close")}, Stage{"hold", 1, 2, odd}, Done{Partial, []string{odd, "b"}, rec}}
	return ins, effects, func(d lease.Digest) ([]byte, bool) { b, ok := store[d]; return b, ok }
}

func TestLinesParseAgain(t *testing.T) {
	ins, effects, bulk := samples()
	for _, in := range ins {
		got, err := ParseInput(in.String(), bulk)
		if err != nil || !reflect.DeepEqual(got, in) {
			t.Errorf("%s: got %v, %v", in, got, err)
		}
	}
	for _, e := range effects {
		got, err := ParseEffect(e.String(), bulk)
		if err != nil || !reflect.DeepEqual(got, e) {
			t.Errorf("%s: got %v, %v", e, got, err)
		}
	}
}

func FuzzLines(f *testing.F) {
	ins, effects, bulk := samples()
	for _, in := range ins {
		f.Add(in.String())
	}
	for _, e := range effects {
		f.Add(e.String())
	}
	f.Fuzz(func(t *testing.T, s string) {
		if in, err := ParseInput(s, bulk); err == nil {
			if again, err := ParseInput(in.String(), bulk); err != nil || !reflect.DeepEqual(again, in) {
				t.Errorf("%q reads as %s, then as %v, %v", s, in, again, err)
			}
		} else if !errors.Is(err, ErrLine) {
			t.Errorf("%q: %v", s, err)
		}
		if _, err := ParseEffect(s, bulk); err != nil && !errors.Is(err, ErrLine) {
			t.Errorf("%q: %v", s, err)
		}
	})
}

func TestRecord(t *testing.T) {
	n := newNode("a")
	run, err := New(testPlan(1, false, "a"), leasetest.Key("alice"), new(counter))
	if err != nil {
		t.Fatal(err)
	}
	ask := run.Step(epoch, Start{})[1].(AskHold)
	in, err := n.take(epoch, ask.Chain)
	if err != nil {
		t.Fatal(err)
	}
	commit := run.Step(epoch, in)[1].(CommitHold)
	rec := run.Step(epoch, n.commit(epoch, commit.Hold))[1].(Keep).Record
	if got, err := ParseRecord(rec.Encode()); err != nil || !reflect.DeepEqual(got, rec) {
		t.Fatalf("got %+v, %v", got, err)
	}
	for name, spoil := range map[string]func(*Record){
		"label":  func(r *Record) { r.Slice = "other" },
		"owner":  func(r *Record) { r.Owner = n.who() },
		"term":   func(r *Record) { r.Slivers[0].Until++ },
		"twice":  func(r *Record) { r.Slivers = append(r.Slivers, r.Slivers[0]) },
		"sliver": func(r *Record) { r.Slivers[0].Sliver = "x" },
		"signed": func(r *Record) { r.Slivers[0].Signed = []byte("x") },
	} {
		bad := rec
		bad.Slivers = append([]Sliver{}, rec.Slivers...)
		spoil(&bad)
		if _, err := ParseRecord(bad.Encode()); !errors.Is(err, ErrRecord) {
			t.Errorf("%s spoilt: %v", name, err)
		}
	}
	if _, err := ParseRecord([]byte("{")); !errors.Is(err, ErrRecord) {
		t.Errorf("half a record: %v", err)
	}
}

func TestImpossiblePlans(t *testing.T) {
	for name, spoil := range map[string]func(*Plan){
		"no nodes":   func(p *Plan) { p.Want = 0 },
		"too many":   func(p *Plan) { p.Want = MaxNodes + 1 },
		"twice":      func(p *Plan) { p.Candidates = append(p.Candidates, p.Candidates[0]) },
		"no program": func(p *Plan) { p.Program = nil },
		"label":      func(p *Plan) { p.Label = "No Label" },
		"no rset":    func(p *Plan) { p.Wish.RSet = lease.RSet{} },
		"past term":  func(p *Plan) { p.Wish.Term.Until = p.Wish.Term.From },
	} {
		p := testPlan(1, false, "a")
		spoil(&p)
		if _, err := New(p, leasetest.Key("alice"), new(counter)); !errors.Is(err, ErrPlan) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
