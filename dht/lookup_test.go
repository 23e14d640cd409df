// SPDX-License-Identifier: Apache-2.0

package dht

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
)

// In the drawings a key is its first byte; the others are zero. After a slash
// comes the network that a peer is of.
//
//	look target=00 known=80,41/a k=3 paths=2   begin; with again: after others
//	look … calm before=08,10                   nobody waits; 08 and 10 were found the last time
//	closer 41 20 10/a                          41 answers
//	failed 41
//	tick 500ms                                 time passes
func TestLookupDrawings(t *testing.T) {
	datadriven.Walk(t, "testdata/lookup", func(t *testing.T, path string) {
		var l *Lookup
		var now time.Time
		patience := &Patience{}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			var out strings.Builder
			for _, line := range append([]string{commandOf(d)}, strings.Split(d.Input, "\n")...) {
				words := strings.Fields(line)
				if len(words) == 0 {
					continue
				}
				var in LookupInput = Tick{}
				switch words[0] {
				case "look":
					cfg := LookupConfig{Self: Key{0xee}}
					for _, w := range words[1:] {
						name, value, _ := strings.Cut(w, "=")
						switch name {
						case "target":
							cfg.Target = drawn(t, value).Key
						case "known":
							for _, k := range strings.Split(value, ",") {
								cfg.Known = append(cfg.Known, drawn(t, k))
							}
						case "before":
							for _, k := range strings.Split(value, ",") {
								cfg.Before = append(cfg.Before, drawn(t, k))
							}
						case "calm":
							cfg.Calm = true
						case "k":
							fmt.Sscan(value, &cfg.Closest)
						case "paths":
							fmt.Sscan(value, &cfg.Paths)
						case "parallel":
							fmt.Sscan(value, &cfg.Parallel)
						}
					}
					if !slices.Contains(words, "again") {
						patience = &Patience{}
					}
					cfg.Patience = patience
					l, now = NewLookup(cfg), time.Unix(1_800_000_000, 0)
				case "closer":
					answer := Closer{From: drawn(t, words[1]).Key}
					for _, w := range words[2:] {
						answer.Peers = append(answer.Peers, drawn(t, w))
					}
					in = answer
				case "failed":
					in = Failed{drawn(t, words[1]).Key}
				case "tick":
					after, err := time.ParseDuration(words[1])
					if err != nil {
						t.Fatal(err)
					}
					now = now.Add(after)
				case "stats":
					fmt.Fprintf(&out, "%+v\n", l.Stats())
					continue
				default:
					t.Fatalf("%s: no command", d.Pos)
				}
				for _, e := range l.Step(now, in) {
					fmt.Fprintln(&out, strings.ReplaceAll(e.String(), strings.Repeat("00", 31), ""))
				}
			}
			if wake, ok := l.NextWake(); ok {
				fmt.Fprintf(&out, "wake in %s\n", wake.Sub(now))
			}
			return out.String()
		})
	})
}

func commandOf(d *datadriven.TestData) string {
	words := []string{d.Cmd}
	for _, a := range d.CmdArgs {
		words = append(words, a.String())
	}
	return strings.Join(words, " ")
}

func drawn(t *testing.T, s string) (c Contact) {
	t.Helper()
	name, network, far := strings.Cut(s, "/")
	b, err := hex.DecodeString(name)
	if err != nil || len(b) != 1 {
		t.Fatalf("%q is no peer: want two hex digits", s)
	}
	c.Key[0] = b[0]
	if far {
		c.Groups = Groups([]netip.Addr{netip.AddrFrom4([4]byte{10, network[0], 0, b[0]})})
	}
	return c
}

func TestGroups(t *testing.T) {
	var addrs []netip.Addr
	for _, s := range []string{"192.0.2.7", "192.0.77.1", "::ffff:192.0.3.3", "2001:db8:1::1", "2001:db8:2::1", "198.51.100.1"} {
		addrs = append(addrs, netip.MustParseAddr(s))
	}
	if got := fmt.Sprint(Groups(addrs)); got != "[192.0.0.0/16 2001:db8::/32 198.51.0.0/16]" {
		t.Error(got)
	}
	if got := Groups(nil); len(got) != 1 || got[0].IsValid() {
		t.Errorf("no address is %v", got)
	}
	for i := range 100 {
		addrs = append(addrs, netip.AddrFrom4([4]byte{10, byte(i), 0, 1}))
	}
	if got := Groups(addrs); len(got) != MaxGroups {
		t.Errorf("%d networks", len(got))
	}
}

func TestPatience(t *testing.T) {
	var p Patience
	if p.Bound() != PatienceFirst {
		t.Errorf("at first %s", p.Bound())
	}
	for i := range 20 {
		p.Observe(time.Duration(i+1) * 20 * time.Millisecond)
	}
	if p.Bound() != 380*time.Millisecond {
		t.Errorf("95 of 100 took %s", p.Bound())
	}
	for range patienceSamples {
		p.Observe(time.Millisecond)
	}
	if p.Bound() != PatienceFloor {
		t.Errorf("on one Ethernet %s", p.Bound())
	}
	for range 4 { // one in sixteen, and it is what is waited for
		p.Observe(time.Hour)
	}
	if p.Bound() != PatienceCap {
		t.Errorf("behind something terrible %s", p.Bound())
	}
	if n := p.Ask(20); n != 20 {
		t.Errorf("before anything is known of silence %d are asked", n)
	}
	for i := range 50 {
		p.Outcome(i%10 != 0)
	}
	if n := p.Ask(20); n != 23 {
		t.Errorf("with one of ten silent %d are asked for 20", n)
	}
	for range patienceSamples {
		p.Outcome(false)
	}
	if n := p.Ask(20); n != 25 {
		t.Errorf("with all silent %d are asked for 20", n)
	}
	for i := range 2 * maxDoubted {
		p.Doubt(Key{byte(i), byte(i >> 8)})
		p.Doubt(Key{byte(i), byte(i >> 8)})
	}
	last := Key{0xff, 1}
	if len(p.doubted) != maxDoubted || p.Doubted(Key{}) || !p.Doubted(last) {
		t.Errorf("%d are remembered", len(p.doubted))
	}
	if p.Heard(last); p.Doubted(last) {
		t.Error("who answered is doubted")
	}
	if p := (&Patience{Floor: time.Minute}); p.Bound() != time.Minute {
		t.Errorf("with a floor of its own %s", p.Bound())
	}
}
