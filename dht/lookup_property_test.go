// SPDX-License-Identifier: Apache-2.0

package dht

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Whatever peers answer, a look-up ends in time, asks nobody twice and not for
// ever, keeps a bounded number of names, and finds only who answered.
func TestLookupAgainstAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.Custom(func(t *rapid.T) (k Key) {
			k[0], k[1], k[31] = rapid.Byte().Draw(t, "a"), rapid.Byte().Draw(t, "b"), rapid.Byte().Draw(t, "c")
			return k
		})
		contact := rapid.Custom(func(t *rapid.T) Contact {
			c := Contact{Key: key.Draw(t, "key")}
			for range rapid.IntRange(0, 3).Draw(t, "networks") {
				c.Groups = append(c.Groups, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, rapid.Byte().Draw(t, "net"), 0, 0}), 16))
			}
			return c
		})
		cfg := LookupConfig{Target: key.Draw(t, "target"), Self: key.Draw(t, "self"),
			Known:   rapid.SliceOfN(contact, 0, 25).Draw(t, "known"),
			Closest: rapid.IntRange(1, 20).Draw(t, "k"), Paths: rapid.IntRange(1, 4).Draw(t, "paths"), Parallel: rapid.IntRange(1, 5).Draw(t, "alpha")}
		l := NewLookup(cfg)
		start := time.Unix(1_800_000_000, 0)
		now := start
		var inFlight []Key
		asked, answers := map[Key]bool{}, map[Key]bool{}
		var end *Found
		step := func(in LookupInput) {
			for _, e := range l.Step(now, in) {
				if end != nil {
					t.Fatalf("%s after the end", e)
				}
				switch e := e.(type) {
				case Ask:
					if asked[e.Peer] || e.Peer == cfg.Self {
						t.Fatalf("%s again, or oneself", e)
					}
					asked[e.Peer] = true
					inFlight = append(inFlight, e.Peer)
				case Found:
					end = &e
				}
			}
			if len(asked) > cfg.Paths*MaxPathAsks {
				t.Fatalf("%d asked", len(asked))
			}
			if len(l.peers) > cfg.Paths*(MaxHeard+MaxPathAsks) {
				t.Fatalf("%d names kept", len(l.peers))
			}
			for i, p := range l.paths {
				if p.waiting > max(cfg.Parallel, cfg.Closest+cfg.Closest/askAhead) || p.waiting < 0 {
					t.Fatalf("%d in flight on path %d", p.waiting, i)
				}
			}
		}
		step(Tick{})
		for end == nil {
			wake, ok := l.NextWake()
			if !ok || wake.After(start.Add(LookupLimit)) {
				t.Fatalf("it waits for ever: %s, %v", wake.Sub(start), ok)
			}
			what := rapid.IntRange(0, 9).Draw(t, "what")
			switch {
			case what == 0:
				now = wake
				step(Tick{})
			case what == 1:
				now = now.Add(time.Duration(rapid.IntRange(0, 300).Draw(t, "ms")) * time.Millisecond)
				step(Tick{})
			case what == 2:
				in := Closer{From: key.Draw(t, "stranger"), Peers: rapid.SliceOfN(contact, 0, 3).Draw(t, "named")}
				answers[in.From] = true // it may have been asked
				step(in)
			case len(inFlight) == 0:
				now = wake
				step(Tick{})
			default:
				i := rapid.IntRange(0, len(inFlight)-1).Draw(t, "who")
				p := inFlight[i]
				inFlight = slices.Delete(inFlight, i, i+1)
				if what == 3 {
					step(Failed{p})
				} else if what < 9 { // else silent for ever
					answers[p] = true
					step(Closer{From: p, Peers: rapid.SliceOfN(contact, 0, 40).Draw(t, "named")})
				}
			}
		}
		if _, ok := l.NextWake(); ok {
			t.Fatal("it wakes after the end")
		}
		if len(end.Peers) > cfg.Closest {
			t.Fatalf("%d found of %d", len(end.Peers), cfg.Closest)
		}
		for i, k := range end.Peers {
			if !asked[k] || !answers[k] {
				t.Fatalf("found %s, which did not answer", k)
			}
			if i > 0 {
				a, b := distance(end.Peers[i-1], cfg.Target), distance(k, cfg.Target)
				if bytes.Compare(a[:], b[:]) >= 0 {
					t.Fatal("not nearest first, or one twice")
				}
			}
		}
	})
}

// In a network where everybody answers the truth the nearest are found, by any
// number of paths.
func TestLookupAmongTheHonest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		net := newKadNet(rapid.IntRange(2, 200).Draw(t, "nodes"), rapid.Uint64().Draw(t, "seed"), 0, 0)
		for range 3 {
			if o := net.look(rapid.IntRange(1, 5).Draw(t, "paths"), &Patience{Floor: LookupLimit}); !o.exact || o.cut {
				t.Fatalf("%+v", o)
			}
		}
	})
}
