// SPDX-License-Identifier: Apache-2.0

package purse_test

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"croft/lease"
	"croft/lease/leasetest"
	"croft/lease/purse"
)

func (s *scene) gift(slot int, holder string, cpu uint64, from, until int64, degree uint16) purse.Give {
	w := s.wish(slot, cpu, from, until)
	return purse.Give{Ticket: s.id, Slot: slot, Holder: leasetest.Who(holder), RSet: w.RSet, Term: w.Term, Degree: degree, Request: w.Request}
}

// One line a gift or wish under a ticket of cpu=10 at degree 150 for a day.
func TestGive(t *testing.T) {
	s := newScene(t, "cap(n1 cpu=10 @150) -> t0(alice)")
	for i, c := range []struct {
		in   purse.Input
		want error
		slot uint8
	}{
		{s.gift(purse.AnySlot, "bob", 4, 0, hour, 150), nil, 0}, // 6 of 15
		{s.wish(0, 1, 0, hour), purse.ErrSlot, 0},               // never both
		{s.gift(0, "bob", 4, 0, hour, 150), purse.ErrSlot, 0},   // nor two tickets
		{s.gift(0, "bob", 4, hour, 2*hour, 150), nil, 0},        // but one after the other
		{s.wish(1, 4, 0, hour), nil, 1},                         // 10 of 15
		{s.gift(1, "bob", 1, 0, hour, 100), purse.ErrSlot, 0},   // a redeem stands there
		{s.gift(purse.AnySlot, "bob", 6, 0, hour, 100), purse.ErrSpent, 0},
		{s.gift(purse.AnySlot, "bob", 4, 0, hour, 126), purse.ErrSpent, 0}, // nothing is rounded
		{s.gift(purse.AnySlot, "bob", 4, 0, hour, 125), nil, 2},
		{s.gift(purse.AnySlot, "bob", 1, 0, hour, 100), purse.ErrSpent, 0},
		{s.gift(purse.AnySlot, "bob", 1, 3*hour, 4*hour, 99), lease.ErrField, 0},
		{s.gift(purse.AnySlot, "bob", 1, 3*hour, 4*hour, 0), lease.ErrField, 0},
		{s.gift(purse.AnySlot, "bob", 1, 3*hour, 4*hour, 151), lease.ErrExceeds, 0},
		{s.gift(purse.AnySlot, "bob", 11, 3*hour, 4*hour, 100), lease.ErrExceeds, 0},
		{s.gift(purse.AnySlot, "bob", 0, 3*hour, 4*hour, 100), lease.ErrField, 0},
		{s.gift(purse.AnySlot, "bob", 1, 3*hour, 3*hour, 100), lease.ErrField, 0},
		{s.gift(purse.AnySlot, "bob", 1, 3*hour, 1<<50, 100), lease.ErrExceeds, 0},
		{s.gift(purse.AnySlot, "bob", 1, -1, hour, 100), lease.ErrExceeds, 0},
		{s.gift(64, "bob", 1, 3*hour, 4*hour, 100), purse.ErrSlot, 0},
		{purse.Give{Ticket: lease.ID{1}}, purse.ErrUnknown, 0},
		{purse.Give{Ticket: s.id, Degree: 100, RSet: lease.RSet{1}, Term: s.gift(0, "bob", 1, 3*hour, 4*hour, 1).Term, Request: lease.Request{99}}, lease.ErrField, 0},
	} {
		out, err := s.step(c.in)
		if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) || err == nil && out.Slot != c.slot {
			t.Errorf("line %d: %s\ngot %v, %v, want %v in slot %d", i, c.in, out, err, c.want, c.slot)
		}
		if out != nil {
			if _, err := lease.VerifyChain(out.Chain, leasetest.Who("n1")); err != nil {
				t.Errorf("line %d: %v", i, err)
			}
		}
	}
	h := s.p.Held()[0]
	first := lease.Term{From: leasetest.Epoch, Until: leasetest.Epoch + hour}
	if left := h.Left(first); left[lease.CPU] != 0 || h.Free(first) != 61 || len(h.Issued) != 4 {
		t.Errorf("left %s in %d slots with %d issued", left, h.Free(first), len(h.Issued))
	}
	second := lease.Term{From: leasetest.Epoch + hour, Until: leasetest.Epoch + 2*hour}
	if left := h.Left(second); left[lease.CPU] != 9 || h.Free(second) != 63 { // 15 − 6
		t.Errorf("left %s in %d slots", left, h.Free(second))
	}
	if left := h.Left(lease.Term{From: leasetest.Epoch + 2*hour, Until: h.Until}); left[lease.CPU] != 10 { // of 15, and no child has more than its parent
		t.Errorf("left %s", left)
	}
}

// A ticket passed to one's own key is in the purse, down to the last claim.
func TestGiveToOneself(t *testing.T) {
	s := newScene(t, "cap(n1 cpu=10) -> t0(alice)")
	for depth := 3; depth <= lease.MaxDepth; depth++ {
		out, err := s.step(s.gift(purse.AnySlot, "alice", 2, 0, hour, 100))
		if err != nil || len(out.Chain) != depth {
			t.Fatalf("depth %d: got %d statements, %v", depth, len(out.Chain), err)
		}
		held := s.p.Held()
		s.id = held[len(held)-1].ID
	}
	if _, err := s.step(s.gift(purse.AnySlot, "alice", 2, 0, hour, 100)); !errors.Is(err, lease.ErrDepth) {
		t.Errorf("one too deep: got %v", err)
	}
	out, err := s.step(s.wish(purse.AnySlot, 2, 0, hour))
	if err != nil || len(out.Chain) != lease.MaxDepth+1 {
		t.Errorf("a redeem of the deepest: %v", err)
	}
	for _, facts := range [][]purse.Fact{s.facts, s.p.Facts()} {
		if p := rebuilt(t, facts); len(p.Held()) != lease.MaxDepth-1 || !reflect.DeepEqual(p.Facts(), s.p.Facts()) {
			t.Errorf("%d tickets after %d facts", len(p.Held()), len(facts))
		}
	}
}

func TestGiftAgain(t *testing.T) {
	s := newScene(t, "cap(n1 cpu=10) -> t0(alice)")
	in := s.gift(purse.AnySlot, "bob", 4, 0, hour, 100)
	first, err := s.step(in)
	if err != nil {
		t.Fatal(err)
	}
	s.p = rebuilt(t, s.facts) // the request is remembered, though the ticket does not name it
	again, err := s.step(in)
	if err != nil || !slices.EqualFunc(first.Chain, again.Chain, bytes.Equal) {
		t.Errorf("got other bytes, %v", err)
	}
	in.Degree, in.Slot = 101, 0
	if _, err := s.step(in); !errors.Is(err, purse.ErrRequest) {
		t.Errorf("another gift under the same request: got %v", err)
	}
	w := s.wish(purse.AnySlot, 1, 0, hour)
	w.Request = in.Request
	if _, err := s.step(w); err != nil {
		t.Errorf("a redeem is another operation: got %v", err)
	}
}

// A copy that was put back signs what adds no weight, and nothing else.
func TestRestoredPurse(t *testing.T) {
	s := newScene(t, "cap(n1 cpu=10) -> t0(alice)")
	first := s.wish(3, 4, 0, 2*hour)
	for _, in := range []purse.Input{first, s.gift(5, "bob", 1, 0, hour, 100)} {
		if _, err := s.step(in); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.step(purse.Restored{}); err != nil || !s.p.Restored() {
		t.Fatal(err)
	}
	for restart := range 2 {
		for _, c := range []struct {
			in   purse.Input
			want error
		}{
			{first, nil},
			{s.wish(3, 4, 0, 2*hour), nil},
			{s.wish(purse.AnySlot, 3, hour, 2*hour), nil},
			{s.wish(3, 5, 0, hour), purse.ErrRestored},
			{s.wish(3, 4, 0, 3*hour), purse.ErrRestored},
			{s.wish(4, 4, 0, hour), purse.ErrRestored},
			{s.wish(5, 1, 0, hour), purse.ErrRestored},
			{s.gift(purse.AnySlot, "bob", 1, 0, hour, 100), purse.ErrRestored},
			{s.gift(3, "bob", 1, 0, hour, 100), purse.ErrRestored},
		} {
			out, err := s.step(c.in)
			if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) || err == nil && out.Slot != 3 {
				t.Errorf("%s: got %v, %v, want %v", c.in, out, err, c.want)
			}
		}
		s.p = rebuilt(t, [][]purse.Fact{s.p.Facts(), s.facts}[restart])
	}
	if _, err := s.step(purse.Moved{}); err != nil || s.p.Restored() {
		t.Fatalf("its owner's word is not taken: %v", err)
	}
	if _, err := s.step(s.wish(purse.AnySlot, 2, 0, hour)); err != nil {
		t.Errorf("a purse that was only moved: %v", err)
	}
}

// What has ended is not taken back, not even by a clock that stepped back.
func TestKeepBelowTheFloor(t *testing.T) {
	s := newScene(t, "cap(n1 cpu=10) -> t0(alice 0h..1h)")
	s.now += hour + purse.Slack
	s.step(purse.Tick{})
	s.p, s.now = rebuilt(t, s.facts), leasetest.Epoch
	if _, err := s.step(purse.Keep{Chain: s.path}); !errors.Is(err, purse.ErrEnded) {
		t.Errorf("got %v", err)
	}
}

func inputs(t testing.TB) []purse.Input {
	s := newScene(t, "cap(n1 cpu=10) -> t0(alice)")
	w := s.wish(purse.AnySlot, 4, 0, hour)
	w.Ports = []lease.Port{{Proto: lease.TCP, Number: 80, Inside: 8080}, {Proto: 99, Inside: 1}}
	w.Replaces, w.Owner, w.Slice = lease.ID{7}, leasetest.Who("carol"), `a "b`
	return []purse.Input{purse.Keep{Ref: 1, Chain: s.path}, purse.Keep{}, s.wish(2, 0, -99, 0), w,
		s.gift(63, "bob", 1, 0, hour, 65535), purse.Restored{Ref: 3}, purse.Moved{Ref: 4}, purse.Tick{}}
}

func TestInputsReadBack(t *testing.T) {
	blobs := map[string][]byte{}
	for _, b := range newScene(t, "cap(n1 cpu=10) -> t0(alice)").path {
		blobs[purse.Keep{Chain: [][]byte{b}}.String()[len("keep ref=0 chain="):]] = b
	}
	find := func(d lease.Digest) ([]byte, bool) { b, ok := blobs[d.String()]; return b, ok }
	for _, in := range inputs(t) {
		if back, err := purse.ParseInput(in.String(), find); err != nil || !reflect.DeepEqual(back, in) {
			t.Errorf("%s\nreads back as\n%v, %v", in, back, err)
		}
	}
	for _, line := range []string{"", "keep", "tick ref=1", "restored ref=-1", "keep ref=1 chain=x", "give ref=1",
		fmt.Sprintf("keep ref=1 chain=%s", lease.Digest{1}), `moved ref="1`, "moved ref=1 ref=1", "moved 1"} {
		if in, err := purse.ParseInput(line, nil); !errors.Is(err, lease.ErrSyntax) {
			t.Errorf("%q: got %v, %v", line, in, err)
		}
	}
}

func FuzzParseInput(f *testing.F) {
	for _, in := range inputs(f) {
		f.Add(in.String())
	}
	find := func(d lease.Digest) ([]byte, bool) { return d[:], true }
	f.Fuzz(func(t *testing.T, line string) {
		in, err := purse.ParseInput(line, find)
		if err != nil {
			return
		}
		if _, ok := in.(purse.Keep); ok {
			return // its bytes are not those that its digests are of
		}
		if back, err := purse.ParseInput(in.String(), find); err != nil || !reflect.DeepEqual(back, in) {
			t.Errorf("%q\nreads back as\n%v, %v", in, back, err)
		}
	})
}

// What a ticket says of an attribute its children say too, or less.
func TestFanOutIsPassedOn(t *testing.T) {
	s := newScene(t, "cap(n1 cpu=10) -> t0(alice fanout=50)")
	for i, want := range []uint16{50, 50, 1, 50} { // where nothing is wished, the ticket's
		w, g := s.wish(purse.AnySlot, 1, 0, hour), s.gift(purse.AnySlot, "bob", 1, 0, hour, 100)
		if i > 0 {
			w.FanOut, g.FanOut = want, want
		}
		for _, in := range []purse.Input{w, g} {
			for range 2 { // the same answer to the same wish
				out, err := s.step(in)
				if err != nil {
					t.Fatalf("%s: %v", in, err)
				}
				chain, err := lease.VerifyChain(out.Chain, leasetest.Who("n1"))
				if err != nil {
					t.Fatal(err)
				}
				var got uint16
				switch st := chain.Leaf().Statement.(type) {
				case *lease.Redeem:
					got = st.FanOut
				case *lease.Ticket:
					got = st.FanOut
				}
				if got != want {
					t.Errorf("%s has a fan-out of %d, want %d", in, got, want)
				}
			}
			read, err := purse.ParseInput(in.String(), nil)
			if err != nil || !reflect.DeepEqual(read, in) {
				t.Errorf("%s is read as %s, %v", in, read, err)
			}
		}
		w.FanOut, g.FanOut = 51, 51
		w.Request, g.Request = lease.Request{9, byte(i)}, lease.Request{9, byte(i)}
		for _, in := range []purse.Input{w, g} {
			if _, err := s.step(in); !errors.Is(err, lease.ErrExceeds) {
				t.Errorf("%s: %v", in, err)
			}
		}
	}
}
