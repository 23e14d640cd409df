// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"slices"
	"time"

	"croft/lease"
)

// Lifecycle is the machine that minds every sliver of one node: from the lease
// that begins it to the moment when nothing of it is left. It decides; Launch,
// Adjust and Teardown are carried out by the node's adapters, which report back.
//
// It never looks at a clock and is not safe for concurrent use.
type Lifecycle struct {
	places  int
	slivers map[string]*sliver
	rest    map[int]time.Time // place → when it may be used again
}

// sliver is one row of the machine.
type sliver struct {
	name      string
	place     int
	state     State
	lease     lease.ID
	statement []byte // the signed lease in force
	program   []byte
	share     lease.RSet // what of the lease is in force; zero: all of it
	reason    string     // of the state it is in
	ended     lease.ID   // the lease whose end tears it down; zero while none has ended
	begun     bool       // the ledger has named it since the last start
	began     int64      // Unix seconds
}

// NewLifecycle makes the machine of a node with that many places.
func NewLifecycle(places int) *Lifecycle {
	return &Lifecycle{places: places, slivers: map[string]*sliver{}, rest: map[int]time.Time{}}
}

// Restore takes back one fact of an earlier run. A place that was freed rests
// from then on as if no time had passed between.
func (m *Lifecycle) Restore(f Fact) error {
	switch f.Kind {
	case FactPlaced:
		if f.Place < 0 || f.Place >= m.places {
			return errPlace(f.Sliver, f.Place, m.places)
		}
		m.slivers[f.Sliver] = &sliver{name: f.Sliver, place: f.Place, state: Created, began: f.At}
	case FactFreed:
		delete(m.slivers, f.Sliver)
		m.rest[f.Place] = time.Unix(f.Until, 0)
	default:
		return errFact(f)
	}
	return nil
}

// Facts returns the shortest history that [Lifecycle.Restore] makes today's
// state of, for a snapshot.
func (m *Lifecycle) Facts() []Fact {
	var facts []Fact
	for place := range m.places {
		if until, ok := m.rest[place]; ok {
			facts = append(facts, Fact{Kind: FactFreed, Place: place, Until: until.Unix()})
		}
	}
	for _, s := range m.sorted() {
		facts = append(facts, Fact{Kind: FactPlaced, Sliver: s.name, Place: s.place, At: s.began})
	}
	return facts
}

// Step applies one input at the instant now and returns what the node must do,
// facts first.
func (m *Lifecycle) Step(now time.Time, in Input) []Effect {
	switch in := in.(type) {
	case Begin:
		return m.begin(now, in)
	case Continue:
		return m.proceed(in)
	case Share:
		return m.shared(in)
	case Finish:
		return m.finish(in)
	case Launched:
		return m.launched(in)
	case LaunchFailed:
		return m.launchFailed(in)
	case Exited:
		return m.exited(in)
	case Removed:
		return m.removed(now, in.Sliver)
	case Retime:
		return m.retime()
	case Recover:
		return m.recover()
	}
	return nil
}

// NextWake reports that the machine waits for nothing: it acts when told.
func (m *Lifecycle) NextWake() (time.Time, bool) { return time.Time{}, false }

// begin gives a new sliver a place, or, after a restart, takes up one that has a
// place already: Launch adopts what still runs.
func (m *Lifecycle) begin(now time.Time, in Begin) []Effect {
	s := m.slivers[in.Sliver]
	var out []Effect
	if s == nil {
		place, ok := m.freePlace(now)
		if !ok {
			return []Effect{Changed{Sliver: in.Sliver, State: Failed, Reason: "every place for a sliver is taken or resting"}}
		}
		delete(m.rest, place)
		s = &sliver{name: in.Sliver, place: place, state: Created, began: now.Unix()}
		m.slivers[in.Sliver] = s
		out = append(out, Fact{Kind: FactPlaced, Sliver: s.name, Place: place, At: s.began})
	} else if s.state != Created {
		return nil // told twice
	}
	s.begun, s.lease, s.statement, s.program, s.share = true, in.Lease, in.Statement, in.Program, in.Share
	return append(out, m.move(s, Starting, ""), s.launch())
}

func (m *Lifecycle) proceed(in Continue) []Effect {
	s := m.slivers[in.Sliver]
	if s == nil || s.state.ending() || s.lease == in.Lease {
		return nil
	}
	s.lease, s.statement, s.share = in.Lease, in.Statement, in.Share
	return []Effect{s.adjust()}
}

// shared has a sliver's limits follow its share, also while it starts: what a
// launch under way has put in force is put right after it.
func (m *Lifecycle) shared(in Share) []Effect {
	s := m.slivers[in.Sliver]
	if s == nil || s.state.ending() || s.lease != in.Lease || s.share == in.RSet {
		return nil
	}
	s.share = in.RSet
	return []Effect{s.adjust()}
}

// retime has every deadline computed anew.
func (m *Lifecycle) retime() []Effect {
	var out []Effect
	for _, s := range m.sorted() {
		if s.begun && !s.state.ending() {
			out = append(out, Adjust{Sliver: s.name, Place: s.place, Statement: s.statement})
		}
	}
	return out
}

// finish tears a sliver down; of one that never began, or failed and is gone,
// there is nothing to tear down.
func (m *Lifecycle) finish(in Finish) []Effect {
	s := m.slivers[in.Sliver]
	if s == nil {
		return []Effect{Cleared{Sliver: in.Sliver, Lease: in.Lease}}
	}
	s.ended = in.Lease
	if s.state.ending() {
		return nil
	}
	return []Effect{m.move(s, Stopping, in.Reason), Teardown{Sliver: s.name, Place: s.place}}
}

func (m *Lifecycle) launched(in Launched) []Effect {
	s := m.slivers[in.Sliver]
	if s == nil || s.state != Starting {
		return nil
	}
	return []Effect{m.move(s, Running, "")}
}

// launchFailed tears down whatever the attempt left. The lease stands: its
// holder sees why, and ends it.
func (m *Lifecycle) launchFailed(in LaunchFailed) []Effect {
	s := m.slivers[in.Sliver]
	if s == nil || s.state != Starting {
		return nil
	}
	return []Effect{m.move(s, Failed, in.Reason), Teardown{Sliver: s.name, Place: s.place}}
}

func (m *Lifecycle) exited(in Exited) []Effect {
	s := m.slivers[in.Sliver]
	if s == nil || s.state != Running {
		return nil
	}
	return []Effect{m.move(s, Stopped, in.Reason)}
}

func (m *Lifecycle) removed(now time.Time, name string) []Effect {
	s := m.slivers[name]
	if s == nil || !s.state.ending() {
		return nil
	}
	until := now.Add(PlaceRest)
	delete(m.slivers, name)
	m.rest[s.place] = until
	out := []Effect{Fact{Kind: FactFreed, Sliver: name, Place: s.place, Until: until.Unix()}}
	if s.state == Stopping { // of one that failed, whoever watches is to read why
		out = append(out, m.move(s, Gone, s.reason))
	}
	if !s.ended.IsZero() {
		out = append(out, Cleared{Sliver: name, Lease: s.ended})
	}
	return out
}

// recover ends every sliver that the ledger did not name since the restart: its
// lease ran out while nobody watched.
func (m *Lifecycle) recover() []Effect {
	var out []Effect
	for _, s := range m.sorted() {
		if !s.begun && !s.state.ending() { // of the ending ones it has said which lease it was
			out = append(out, m.finish(Finish{Sliver: s.name, Reason: "its lease ended while the node was away"})...)
		}
	}
	return out
}

// move changes the state, which the table must allow.
func (m *Lifecycle) move(s *sliver, to State, reason string) Effect {
	if !s.state.mayBecome(to) {
		panic("sandbox: " + s.name + " from " + string(s.state) + " to " + string(to))
	}
	s.state, s.reason = to, reason
	return Changed{Sliver: s.name, State: to, Reason: reason}
}

func (s *sliver) launch() Effect {
	return Launch{Sliver: s.name, Place: s.place, Lease: s.lease, Statement: s.statement, Program: s.program, Share: s.share}
}

func (s *sliver) adjust() Effect {
	return Adjust{Sliver: s.name, Place: s.place, Statement: s.statement, Share: s.share}
}

// freePlace returns the lowest place that is neither taken nor resting. Resting
// keeps a late packet of the last tenant from being laid at the next one's door.
func (m *Lifecycle) freePlace(now time.Time) (int, bool) {
	taken := make([]bool, m.places)
	for _, s := range m.slivers {
		taken[s.place] = true
	}
	for place := range taken {
		if until, resting := m.rest[place]; !taken[place] && !(resting && now.Before(until)) {
			return place, true
		}
	}
	return 0, false
}

func (m *Lifecycle) sorted() []*sliver {
	all := make([]*sliver, 0, len(m.slivers))
	for _, s := range m.slivers {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *sliver) int { return a.place - b.place })
	return all
}
