// SPDX-License-Identifier: Apache-2.0

package dht_test

import (
	"crypto/sha256"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"croft/dht"
	"croft/dht/dhttest"
	"croft/lease/offer"
)

// model is an index without a network: look-ups find everybody, requests are calls,
// and nothing takes time.
type model struct {
	t         *testing.T
	now       time.Time
	perBucket int
	members   []*memberOfModel
	ground    map[dht.Key][]dht.Key // who has overrun a key: they keep nothing
}

type memberOfModel struct {
	holder *dht.Holder
	sizes  dht.Sizes
	told   dht.Told
	dead   bool
}

func newModel(t *testing.T, nodes, perBucket int) *model {
	m := &model{t: t, now: time.Unix(1_800_000_000, 0), perBucket: perBucket}
	for range nodes {
		m.members = append(m.members, &memberOfModel{holder: dht.NewHolder(dht.HolderConfig{PerBucket: perBucket})})
	}
	return m
}

func keyOf(node int) dht.Key { return sha256.Sum256([]byte{byte(node)}) }

// run drives a machine of a node to its end.
func (m *model) run(node int, step func(time.Time, dht.IndexInput) []dht.IndexEffect, see func(dht.IndexEffect)) {
	for todo := []dht.IndexInput{dht.Tick{}}; len(todo) > 0; todo = todo[1:] {
		for _, e := range step(m.now, todo[0]) {
			switch e := e.(type) {
			case dht.Route:
				in := dht.Routed{Key: e.Key, Peers: m.ground[e.Key]}
				for i := range m.members {
					if i != node && m.ground[e.Key] == nil {
						in.Peers = append(in.Peers, keyOf(i))
					}
				}
				todo = append(todo, in)
			case dht.Send:
				todo = append(todo, m.answer(node, e))
			case dht.Ended:
				return
			default:
				see(e)
			}
		}
	}
	m.t.Fatal("a machine waits for nothing")
}

func (m *model) answer(from int, e dht.Send) dht.IndexInput {
	for i, o := range m.members {
		if keyOf(i) == e.To && !o.dead {
			effects := o.holder.Step(m.now, e.Request.Input(netip.AddrFrom4([4]byte{10, 0, byte(from), 1})))
			return dht.Replied{Number: e.Number, Response: effects[0].(dht.Answer).Response}
		}
	}
	for _, ground := range m.ground {
		if slices.Contains(ground, e.To) {
			return dht.Replied{Number: e.Number, Response: dht.Response{Status: make([]dht.Status, len(e.Request.Buckets))}}
		}
	}
	return dht.Unheard{Number: e.Number}
}

// nodes is what all know of how many they are, where somebody grinds keys.
func (m *model) nodes() float64 {
	if m.ground == nil {
		return 0
	}
	return float64(len(m.members))
}

func (m *model) Register(node int, o offer.Opened) error {
	n := m.members[node]
	r := dht.NewRegistration(dht.RegistrationConfig{Offer: &o, Self: keyOf(node), Serves: true, Before: n.told, Nodes: m.nodes})
	m.run(node, r.Step, func(dht.IndexEffect) {})
	reg, told := r.Result()
	if n.told = told; reg.Status[dht.Stored] == 0 {
		return errors.New("nobody took it")
	}
	return nil
}

func (m *model) Withdraw(node int, o offer.Opened) error {
	r := dht.NewRegistration(dht.RegistrationConfig{Offer: &o, Self: keyOf(node), Serves: true, Before: m.members[node].told})
	m.run(node, r.Step, func(dht.IndexEffect) {})
	if reg, _ := r.Result(); reg.Holders == 0 {
		return errors.New("nobody heard it")
	}
	return nil
}

func (m *model) Find(node int, query string) (offer.Result, error) {
	q, err := offer.ParseQuery(query)
	if err != nil {
		return offer.Result{}, err
	}
	n := m.members[node]
	var found []offer.Found
	var missed error
	s := dht.NewSearch(dht.SearchConfig{Query: q, At: m.now, Self: keyOf(node), Serves: true, PerBucket: m.perBucket,
		Open: dht.HolderConfig{}.OpenOffer, Size: func(b dht.Bucket) (int, bool) { return n.sizes.Of(m.now, b) }, Nodes: m.nodes})
	m.run(node, s.Step, func(e dht.IndexEffect) {
		switch e := e.(type) {
		case dht.Show:
			found = append(found, offer.NewFound(*e.Offer, offer.DHT, m.now))
		case dht.Measured:
			n.sizes.Learn(m.now, e)
		case dht.Unread:
			missed = errors.New(e.String())
		}
	})
	return offer.Answer(q, offer.Merge(m.now, found), offer.Options{}), missed
}

func (m *model) Kill(node int)           { m.members[node].dead = true }
func (m *model) Now() time.Time          { return m.now }
func (m *model) Advance(d time.Duration) { m.now = m.now.Add(d) }

func TestModelConforms(t *testing.T) {
	dhttest.Run(t, func(t *testing.T, nodes int) dhttest.Net { return newModel(t, nodes, 0) })
	dhttest.RunSplits(t, func(t *testing.T, nodes, perBucket int) dhttest.Net { return newModel(t, nodes, perBucket) })
}

// A bucket is read when a quorum of its holders has answered and the others have had
// their time: who is silent holds nobody up.
func TestAReadingEndsAfterItsQuorum(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	size := func(dht.Bucket) (int, bool) { return 0, false }
	s := dht.NewSearch(dht.SearchConfig{At: now, Open: dht.HolderConfig{}.OpenOffer, Size: size})
	var sent []dht.Send
	var ended bool
	forgotten := 0
	step := func(in dht.IndexInput) {
		for _, e := range s.Step(now, in) {
			switch e := e.(type) {
			case dht.Send:
				sent = append(sent, e)
			case dht.Forget:
				forgotten++
			case dht.Ended:
				ended = true
			}
		}
	}
	step(dht.Tick{})
	in := dht.Routed{Key: dht.Every.Key()}
	for i := range 20 {
		in.Peers = append(in.Peers, keyOf(i))
	}
	step(in)
	if len(sent) != dht.Replicas {
		t.Fatalf("%d holders were asked", len(sent))
	}
	if _, waits := s.NextWake(); waits {
		t.Error("it waits for the clock before anybody answered")
	}
	for _, e := range sent[:3] {
		step(dht.Replied{Number: e.Number})
	}
	wake, waits := s.NextWake()
	if !waits || wake != now.Add(dht.Linger) || ended {
		t.Fatalf("after a quorum it waits until %v (%t), and has ended: %t", wake, waits, ended)
	}
	now = wake
	step(dht.Tick{})
	if !ended || forgotten != dht.Replicas-3 {
		t.Errorf("ended %t, %d were given up", ended, forgotten)
	}
	if more := s.Step(now, dht.Replied{Number: sent[5].Number}); len(more) > 0 {
		t.Errorf("after the end: %v", more)
	}
}

// Early repeats are for newcomers, and for those whom nobody answered.
func TestRepeats(t *testing.T) {
	var r dht.Repeat
	heard := dht.Registered{Holders: 8, Few: true}
	var waits []time.Duration
	for range 5 {
		waits = append(waits, r.After(heard))
	}
	if waits[0] > 5*time.Second || waits[4] != waits[3] || waits[4] < time.Minute {
		t.Errorf("%v", waits)
	}
	r.Newer()
	if again := r.After(heard); again != waits[4] {
		t.Errorf("settled, and again after %v", again)
	}
	if again := r.After(dht.Registered{}); again != waits[0] {
		t.Errorf("nobody answered, and again after %v", again)
	}
	for i, reg := range []dht.Registered{{Holders: 8}, heard} { // no reason to hurry
		if r := (dht.Repeat{}); r.After(reg) != waits[1-i] {
			t.Errorf("after %+v not %v", reg, waits[1-i])
		}
	}
}
