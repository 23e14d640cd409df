// SPDX-License-Identifier: Apache-2.0

package purse_test

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"croft/lease"
	"croft/lease/leasetest"
	"croft/lease/purse"
)

const hour = 3600

// scene is a purse, what it wrote down, and a short way to wish.
type scene struct {
	t     testing.TB
	p     *purse.Purse
	now   int64
	facts []purse.Fact
	next  byte
	path  [][]byte
	id    lease.ID
}

func newScene(t testing.TB, drawing string) *scene {
	d := leasetest.Draw(t, drawing).Last()
	s := &scene{t: t, p: purse.New(leasetest.Key("alice")), now: leasetest.Epoch, path: d.Chain(), id: d.ID}
	if _, err := s.step(purse.Keep{Chain: s.path}); err != nil {
		t.Fatal(err)
	}
	return s
}

// step holds the contract of every batch: facts first, then one answer at most.
func (s *scene) step(in purse.Input) (*purse.Release, error) {
	var out *purse.Release
	var err error
	for _, e := range s.p.Step(time.Unix(s.now, 0), in) {
		switch e := e.(type) {
		case purse.Fact:
			if out != nil || err != nil {
				s.t.Fatalf("fact %s after the answer", e)
			}
			back, perr := purse.ParseFact(e.Record())
			if perr != nil || !reflect.DeepEqual(back, e) {
				s.t.Fatalf("fact %s reads back as %s, %v", e, back, perr)
			}
			s.facts = append(s.facts, e)
		case purse.Release:
			out = &e
		case purse.Refuse:
			err = e.Err
		}
	}
	return out, err
}

func (s *scene) wish(slot int, cpu uint64, from, until int64) purse.Redeem {
	s.next++
	in := purse.Redeem{Ticket: s.id, Slot: slot, Slice: "web", Request: lease.Request{s.next},
		Term: lease.Term{From: leasetest.Epoch + from, Until: leasetest.Epoch + until}}
	in.RSet[lease.CPU] = cpu
	return in
}

func TestRedeemIsAChainThatVerifies(t *testing.T) {
	s := newScene(t, "cap(n1 cpu=10) -> t0(alice)")
	out, err := s.step(s.wish(purse.AnySlot, 4, 0, hour))
	if err != nil {
		t.Fatal(err)
	}
	chain, err := lease.VerifyChain(out.Chain, leasetest.Who("n1"))
	if err != nil {
		t.Fatal(err)
	}
	if wish, _, ok := chain.Redeem(); !ok || wish.RSet[lease.CPU] != 4 || wish.Issuer != leasetest.Who("alice") {
		t.Errorf("got %+v", wish)
	}
}

// One line a wish under a ticket of cpu=10 for a day: what it asks, what it gets.
func TestBook(t *testing.T) {
	s := newScene(t, "cap(n1 cpu=10) -> t0(alice)")
	for i, c := range []struct {
		slot        int
		cpu         uint64
		from, until int64
		want        error
		in          uint8 // the slot that it gets
	}{
		{purse.AnySlot, 4, 0, hour, nil, 0},
		{purse.AnySlot, 4, 0, hour, nil, 1}, // two at once need two slots
		{purse.AnySlot, 3, 0, hour, purse.ErrSpent, 0},
		{purse.AnySlot, 2, 0, hour, nil, 2},
		{0, 4, 0, hour, nil, 0}, // the same again in the slot costs nothing
		{0, 5, 0, hour, purse.ErrSpent, 0},
		{purse.AnySlot, 10, hour, 2 * hour, nil, 0}, // the first hour is over by then
		{purse.AnySlot, 1, hour - 1, hour + 1, purse.ErrSpent, 0},
		{purse.AnySlot, 1, hour, hour + 1, purse.ErrSpent, 0},
		{purse.AnySlot, 11, 3 * hour, 4 * hour, lease.ErrExceeds, 0},
		{purse.AnySlot, 1, 0, 25 * hour, lease.ErrExceeds, 0},
		{purse.AnySlot, 1, -1, hour, lease.ErrExceeds, 0},
		{purse.AnySlot, 0, 3 * hour, 4 * hour, lease.ErrField, 0},
		{64, 1, 3 * hour, 4 * hour, purse.ErrSlot, 0},
		{-2, 1, 3 * hour, 4 * hour, purse.ErrSlot, 0},
	} {
		out, err := s.step(s.wish(c.slot, c.cpu, c.from, c.until))
		if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) || err == nil && out.Slot != c.in {
			t.Errorf("wish %d: got %v, %v, want %v in slot %d", i, out, err, c.want, c.in)
		}
	}
}

func TestDegreeWidensTheBudget(t *testing.T) {
	s := newScene(t, "cap(n1 cpu=10 @155) -> t0(alice)")
	for _, c := range []struct {
		cpu  uint64
		want error
	}{{10, nil}, {6, purse.ErrSpent}, {5, nil}, {1, purse.ErrSpent}} { // 15 of 15.5
		if _, err := s.step(s.wish(purse.AnySlot, c.cpu, 0, hour)); !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("cpu=%d: got %v, want %v", c.cpu, err, c.want)
		}
	}
}

func TestSlotsRunOut(t *testing.T) {
	s := newScene(t, "cap(n1 cpu=100) -> t0(alice)")
	for range lease.Slots {
		if _, err := s.step(s.wish(purse.AnySlot, 1, 0, hour)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.step(s.wish(purse.AnySlot, 1, 0, hour)); !errors.Is(err, purse.ErrSlot) {
		t.Errorf("got %v", err)
	}
}

func TestRedeemsAreBounded(t *testing.T) {
	s := newScene(t, "cap(n1 cpu=10) -> t0(alice)")
	wish := func(i int) purse.Redeem {
		in := s.wish(0, 1, int64(i), int64(i+1))
		in.Request = lease.Request{1, byte(i), byte(i >> 8)}
		return in
	}
	for i := range purse.MaxChildren {
		if _, err := s.step(wish(i)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.step(wish(purse.MaxChildren)); !errors.Is(err, purse.ErrFull) {
		t.Errorf("got %v", err)
	}
}

func TestRequestAgain(t *testing.T) {
	s := newScene(t, "cap(n1 cpu=10) -> t0(alice)")
	in := s.wish(purse.AnySlot, 4, 0, hour)
	first, err := s.step(in)
	if err != nil {
		t.Fatal(err)
	}
	kept := len(s.facts)
	again, err := s.step(in)
	if err != nil || !slices.EqualFunc(first.Chain, again.Chain, bytes.Equal) {
		t.Errorf("got other bytes, %v", err)
	}
	in.RSet[lease.CPU]++
	if _, err := s.step(in); !errors.Is(err, purse.ErrRequest) {
		t.Errorf("another wish under the same request: got %v", err)
	}
	if len(s.facts) != kept {
		t.Errorf("%d facts for nothing new", len(s.facts)-kept)
	}
}

func TestKeepRefuses(t *testing.T) {
	s := newScene(t, "cap(n1 cpu=10) -> t0(alice)")
	for drawing, want := range map[string]error{
		"cap(n1 cpu=1) -> t0(bob)":                 lease.ErrNotHolder,
		"cap(n1 cpu=1)":                            lease.ErrKind,
		"cap(n1 cpu=1) -> t0(alice) -> r0()":       lease.ErrKind,
		"cap(n1 cpu=1) -> t0(alice cpu=2)":         lease.ErrExceeds,
		"cap(n1 cpu=1 -2h..0h) -> t0(alice)":       purse.ErrEnded,
		"cap(n1 cpu=1) -> t0(alice sig=mallory)":   lease.ErrSignature,
		"cap(n1 cpu=1) -> t1(alice node=n2 cpu=1)": lease.ErrWrongNode,
	} {
		if _, err := s.step(purse.Keep{Chain: leasetest.Draw(t, drawing).Last().Chain()}); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", drawing, err, want)
		}
	}
	if _, err := s.step(purse.Keep{}); !errors.Is(err, lease.ErrChain) {
		t.Errorf("nothing: got %v", err)
	}
	if out, err := s.step(purse.Keep{Chain: s.path}); err != nil || len(out.Chain) != 2 || len(s.p.Held()) != 1 {
		t.Errorf("kept twice: got %v, %v", out, err)
	}
	in := s.wish(purse.AnySlot, 1, 0, hour)
	in.Ticket = lease.ID{1}
	if _, err := s.step(in); !errors.Is(err, purse.ErrUnknown) {
		t.Errorf("ticket that is not there: got %v", err)
	}
}

// The book forgets what ended, and from then on signs nothing that begins before.
func TestFloor(t *testing.T) {
	s := newScene(t, "cap(n1 cpu=10) -> t0(alice)")
	first := s.wish(0, 10, 0, hour)
	if _, err := s.step(first); err != nil {
		t.Fatal(err)
	}
	wake, ok := s.p.NextWake()
	if want := leasetest.Epoch + hour + purse.Slack; !ok || wake.Unix() != want {
		t.Fatalf("wakes at %v, %v, want %d", wake, ok, want)
	}
	s.now = wake.Unix() - 1
	if s.step(purse.Tick{}); len(s.facts) != 2 {
		t.Fatalf("forgets too early: %v", s.facts)
	}
	s.now = wake.Unix()
	if s.step(purse.Tick{}); len(s.facts) != 3 || s.facts[2].K != purse.FactFloor {
		t.Fatalf("does not forget: %v", s.facts)
	}
	if _, err := s.step(s.wish(1, 10, hour-1, 4*hour)); !errors.Is(err, purse.ErrFloor) {
		t.Errorf("begins before the floor: got %v", err)
	}
	if _, err := s.step(s.wish(1, 10, hour, 4*hour)); err != nil {
		t.Errorf("begins at the floor: got %v", err)
	}
	first.Slot, first.Term.From, first.Term.Until = 2, first.Term.From+5*hour, first.Term.Until+5*hour
	if _, err := s.step(first); err != nil {
		t.Errorf("a request that is forgotten: got %v", err)
	}
	s.now = leasetest.Epoch + 25*hour + purse.Slack
	s.step(purse.Tick{})
	if n := len(s.p.Held()); n != 0 {
		t.Errorf("%d tickets are left", n)
	}
	if at, ok := s.p.NextWake(); ok {
		t.Errorf("an empty purse wakes at %v", at)
	}
}

func TestRestoreRefusesWhatDoesNotFit(t *testing.T) {
	s := newScene(t, "cap(n1 cpu=10) -> t0(alice)")
	if _, err := s.step(s.wish(0, 10, 0, hour)); err != nil {
		t.Fatal(err)
	}
	kept, signed := s.facts[0], s.facts[1]
	for name, facts := range map[string][]purse.Fact{
		"a redeem without its ticket": {signed},
		"a ticket twice":              {kept, kept},
		"a redeem twice":              {kept, signed, signed},
		"a ticket as a redeem":        {kept, {K: purse.FactSigned, Statements: kept.Statements[1:]}},
		"no kind":                     {{}},
		"an empty redeem":             {{K: purse.FactSigned}},
	} {
		p := purse.New(leasetest.Key("alice"))
		var err error
		for _, f := range facts {
			if err = p.Restore(f); err != nil {
				break
			}
		}
		if !errors.Is(err, purse.ErrFact) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func rebuilt(t testing.TB, facts []purse.Fact) *purse.Purse {
	p := purse.New(alice)
	for _, f := range facts {
		if err := p.Restore(f); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

func FuzzParseFact(f *testing.F) {
	s := newScene(f, "cap(n1 cpu=10) -> t0(alice)")
	if _, err := s.step(s.wish(0, 10, 0, hour)); err != nil {
		f.Fatal(err)
	}
	for _, fact := range s.facts {
		f.Add(fact.Record())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		fact, err := purse.ParseFact(b)
		if err != nil {
			return
		}
		if !bytes.Equal(fact.Record(), b) {
			t.Error("reads from bytes that it is not written as")
		}
		p := purse.New(leasetest.Key("alice"))
		if p.Restore(fact) == nil && len(p.Facts()) == 0 {
			t.Error("restored to nothing")
		}
	})
}
