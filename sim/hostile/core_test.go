// SPDX-License-Identifier: Apache-2.0

package hostile

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"croft/dht"
	"croft/gossip/alive"
	"croft/lease"
	"croft/lease/leasetest"
	"croft/lease/offer"
	"croft/lease/sign"
)

var noon = time.Unix(1_800_000_000, 0)

func offerOf(t *testing.T, key *sign.Key, n int) *offer.Opened {
	t.Helper()
	o := offer.Offer{Node: key.Principal(), Sequence: uint64(noon.UnixMilli()) + uint64(n), Made: noon.Unix(), Until: noon.Unix() + 600,
		Attributes: offer.Attributes{Country: "CH"}, Total: lease.RSet{lease.CPU: 1000}, Longest: 3600}
	signed, err := offer.Seal(&o, key)
	if err != nil {
		t.Fatal(err)
	}
	return &signed
}

// A core of each kind in a network of twenty, with all that may be said to it.
func play(t *testing.T, kind Kind, seed uint64) (*Core, *Gang, map[lease.Digest]bool, []Effect) {
	t.Helper()
	gang, self := NewGang(1), leasetest.Key("hostile")
	place := func(p lease.Principal) dht.Key { return placeOf(dht.Key(p)) }
	cfg := Config{Kind: kind, Key: self, Seed: seed, Gang: gang, Offer: offerOf(t, self, 0).Offer, Place: place, Address: netip.MustParseAddr("198.51.100.1"),
		Contact: func(p lease.Principal) (dht.Contact, bool) {
			return dht.Contact{Key: place(p), Groups: dht.Groups(nil)}, true
		}}
	heard := map[lease.Digest]bool{}
	for i := range 20 {
		o := offerOf(t, leasetest.Key(fmt.Sprint("n", i)), 0)
		cfg.Known = append(cfg.Known, o)
		heard[lease.Digest(o.ID)] = true
		if i < 5 {
			cfg.Neighbours = append(cfg.Neighbours, o.Node)
		}
	}
	c := New(cfg)
	var out []Effect
	step := func(at time.Duration, in Input) { out = append(out, c.Step(noon.Add(at), in)...) }
	key := dht.Every.Key()
	for i := range 40 {
		at := time.Duration(i) * time.Second
		from := cfg.Known[i%20].Node
		step(at, Tick{})
		o := offerOf(t, leasetest.Key(fmt.Sprint("n", i%20)), 1+i)
		heard[lease.Digest(o.ID)] = true
		step(at, Heard{From: from, Topic: Offers, Bytes: o.Bytes})
		s, err := alive.Seal(alive.Suspicion{By: from, Node: cfg.Known[(i+1)%20].Node, Sequence: 1, Made: noon.Unix()}, leasetest.Key(fmt.Sprint("n", i%20)))
		if err != nil {
			t.Fatal(err)
		}
		heard[lease.Digest(bytesID(s.Bytes))] = true
		step(at, Heard{From: from, Topic: Suspicions, Bytes: s.Bytes})
		step(at, Pulled{Ref: Ref(i), From: from})
		step(at, Probed{Ref: Ref(i), From: from})
		step(at, Sought{Ref: Ref(i), Target: key})
		step(at, Indexed{Ref: Ref(i), Request: dht.Request{Op: dht.OpList, Buckets: []dht.Key{key}, Limit: 10}})
		step(at, Indexed{Ref: Ref(i), Request: dht.Request{Op: dht.OpRegister, Offer: o.Bytes, Buckets: []dht.Key{key}}})
		step(at, Linked{Peer: from})
		step(at, Parted{Peer: cfg.Known[(i+10)%20].Node})
	}
	return c, gang, heard, out
}

func bytesID(b []byte) lease.ID { s, _ := lease.ParseSigned(b, 1<<16); return s.ID() }

// Whatever a core says in somebody's name is in its own or of somebody whom it made
// up, or it was said by whom it names.
func TestOwnKeysOnly(t *testing.T) {
	for _, kind := range Kinds {
		for seed := range uint64(3) {
			t.Run(fmt.Sprint(kind, seed), func(t *testing.T) {
				_, gang, heard, out := play(t, kind, seed)
				own := func(b []byte, by lease.Principal) {
					if !gang.Has(by) && !heard[lease.Digest(bytesID(b))] {
						t.Fatalf("it signed as %s", by.Short())
					}
				}
				offered := func(b []byte) {
					o, err := offer.Open(b, nil)
					if errors.Is(err, lease.ErrSignature) {
						t.Fatal("it forged an offer")
					}
					if err == nil {
						own(b, o.Node)
					}
				}
				said := 0
				for _, e := range out {
					switch e := e.(type) {
					case Gossip:
						if said++; e.Topic == Offers {
							offered(e.Bytes)
						} else if s, err := alive.Open(e.Bytes); err != nil {
							t.Fatal(err)
						} else {
							own(e.Bytes, s.By)
						}
					case Page:
						for _, b := range e.Page.Offers {
							offered(b)
						}
					case Held:
						for _, b := range e.Response.Offers {
							offered(b)
						}
					case Register:
						offered(e.Request.Offer)
					}
				}
				if said == 0 {
					t.Error("it said nothing")
				}
			})
		}
	}
}

// The same seed does the same.
func TestSeeded(t *testing.T) {
	for _, kind := range Kinds {
		_, _, _, a := play(t, kind, 1)
		_, _, _, b := play(t, kind, 1)
		if x, y := print(a), print(b); x != y {
			t.Errorf("%s: %d effects, then %d others", kind, len(a), len(b))
		}
	}
}

func print(effects []Effect) string {
	var b bytes.Buffer
	for _, e := range effects {
		if tell, ok := e.(Tell); ok {
			e = Tell{Ref: tell.Ref, To: tell.To}
		}
		fmt.Fprintf(&b, "%T %v\n", e, e)
	}
	return b.String()
}

// Each kind breaks the rule that it is about.
func TestKinds(t *testing.T) {
	for kind, breaks := range map[Kind]func(c *Core, gang *Gang, out []Effect) bool{
		OverIssue: func(c *Core, _ *Gang, _ []Effect) bool { return wishes(t, c) },
		FalseOffers: func(c *Core, _ *Gang, out []Effect) bool {
			return any(out, func(e Effect) bool {
				g, ok := e.(Gossip)
				o, err := offer.Open(g.Bytes, nil)
				return ok && err == nil && o.Node == c.cfg.Key.Principal() && o.Total[lease.CPU] > c.cfg.Offer.Total[lease.CPU]
			})
		},
		Equivocate: func(c *Core, _ *Gang, out []Effect) bool {
			of := map[uint64][]byte{}
			return any(out, func(e Effect) bool {
				g, ok := e.(Gossip)
				o, err := offer.Open(g.Bytes, nil)
				if !ok || err != nil || o.Node != c.cfg.Key.Principal() {
					return false
				}
				was := of[o.Sequence]
				of[o.Sequence] = g.Bytes
				return was != nil && !bytes.Equal(was, g.Bytes)
			})
		},
		Replay: func(c *Core, _ *Gang, out []Effect) bool {
			said := map[string]int{}
			return any(out, func(e Effect) bool { // to five neighbours, and once more
				g, ok := e.(Gossip)
				said[string(g.Bytes)]++
				return ok && said[string(g.Bytes)] > 2*len(c.near)
			})
		},
		Flood: func(_ *Core, _ *Gang, out []Effect) bool { return len(out) > 1000 },
		Eclipse: func(_ *Core, gang *Gang, out []Effect) bool {
			closer := 0
			for _, e := range out {
				switch e := e.(type) {
				case Closer:
					closer += len(e.Peers)
					for _, p := range e.Peers {
						if p.Key == placeOf(dht.Key(leasetest.Who("n1"))) {
							return false // an honest one
						}
					}
				case Page:
					if len(e.Page.Offers) > 1 {
						return false
					}
				}
			}
			return closer > 0
		},
	} {
		c, gang, _, out := play(t, kind, 1)
		if !breaks(c, gang, out) {
			t.Errorf("%s keeps the rules", kind)
		}
	}
}

func any(out []Effect, is func(Effect) bool) bool {
	for _, e := range out {
		if is(e) {
			return true
		}
	}
	return false
}

// An over-issuer with a ticket has two of its own redeem it, which together are more
// than it: whoever sees both has a proof.
func wishes(t *testing.T, c *Core) bool {
	t.Helper()
	node := leasetest.Key("node")
	ledger := lease.NewLedger(lease.LedgerConfig{Key: node, Pools: lease.DefaultPools(lease.RSet{lease.CPU: 4000, lease.Memory: 4 << 30, lease.Pids: 1000})})
	var chain [][]byte
	for _, e := range ledger.Step(noon, lease.Issue{Ref: 1, Holder: c.cfg.Key.Principal(), RSet: lease.RSet{lease.CPU: 100}, Term: lease.Term{From: noon.Unix(), Until: noon.Unix() + 3600}, Degree: 100}) {
		if a, ok := e.(lease.Answer); ok {
			chain = a.Statements
		}
	}
	out := c.Step(noon.Add(time.Hour/2), Given{Ticket{Node: node.Principal(), Chain: chain}})
	witness := lease.NewWitness(100)
	for _, e := range append(out, c.Step(noon.Add(time.Hour/2+period), Tick{})...) {
		if tell, ok := e.(Tell); ok {
			seen, err := lease.VerifyChain(tell.In(1).(lease.Wish).Chain, node.Principal())
			if err != nil {
				t.Fatal(err)
			}
			proofs, err := witness.See(seen)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range proofs {
				if v, err := p.Verify(); err == nil && v.Principal == c.cfg.Key.Principal() {
					return true
				}
			}
		}
	}
	return false
}
