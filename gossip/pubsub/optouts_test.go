// SPDX-License-Identifier: Apache-2.0

package pubsub

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/libp2p/go-libp2p/core/host"

	"croft/gossip"
	"croft/lease"
	"croft/lease/judge"
)

// words is a set of entries that are any bytes but "bad".
type words struct {
	mu  sync.Mutex
	all []string
}

func (w *words) Receive(in gossip.Received) gossip.Verdict {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch s := string(in.Bytes); {
	case s == "bad":
		return gossip.Verdict{Judgement: judge.Reject, Reason: judge.Malformed}
	case slices.Contains(w.all, s):
		return gossip.Verdict{Judgement: judge.Ignore, Reason: judge.Duplicate}
	default:
		w.all = append(w.all, s)
	}
	return gossip.Verdict{Judgement: judge.Accept}
}

func (w *words) Digest() (d gossip.Digest) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.all {
		d[0] ^= binary.BigEndian.Uint64([]byte(s + "        "))
	}
	return d
}

// Page gives two entries at a time, whose cursor is their number.
func (w *words) Page(theirs gossip.Digest, after lease.ID) (entries [][]byte, next lease.ID) {
	if theirs == w.Digest() {
		return nil, lease.ID{}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := int(after[0]); i < len(w.all); i++ {
		if len(entries) == 2 {
			return entries, lease.ID{byte(i)}
		}
		entries = append(entries, []byte(w.all[i]))
	}
	return entries, lease.ID{}
}

func (w *words) len() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.all)
}

func TestOptOutsReachEverybodyAndTheLatecomer(t *testing.T) {
	var hosts []host.Host
	var all []*Gossip
	var sets []*words
	for i := range 3 { // a line
		h, w := newHost(t), &words{}
		hosts, sets, all = append(hosts, h), append(sets, w), append(all, start(t, h, Config{OptOuts: w}))
		if i > 0 {
			connect(t, h, hosts[i-1])
		}
	}
	meshed(t, TopicOptOuts, all)
	sets[0].Receive(gossip.Received{Bytes: []byte("first")})
	if err := all[0].OptOut(t.Context(), []byte("first")); err != nil {
		t.Fatal(err)
	}
	for i, w := range sets {
		wait(t, fmt.Sprintf("node %d knows", i), func() bool { return w.len() == 1 })
	}
	if err := all[1].OptOut(t.Context(), []byte("bad")); err != nil { // a hostile one
		t.Fatal(err)
	}
	wait(t, "it is rejected", func() bool { return all[0].Stats().Drops["reject:malformed"] > 0 })

	// More than one pull moves: the next goes on.
	for i := range 20 {
		sets[2].Receive(gossip.Received{Bytes: fmt.Appendf(nil, "old %d", i)})
	}
	late, w := newHost(t), &words{}
	g := start(t, late, Config{OptOuts: w})
	connect(t, late, hosts[2])
	wait(t, "the latecomer knows all", func() bool {
		if w.len() < 21 {
			_, _ = g.PullOptOuts(t.Context(), hosts[2].ID()) // by the clock it takes longer
		}
		return w.len() == 21
	})

	// One that keeps no opt-outs is on none of it.
	deaf := newHost(t)
	d := start(t, deaf, Config{})
	connect(t, deaf, hosts[0])
	if err := d.OptOut(t.Context(), []byte("x")); err == nil {
		t.Error("it publishes all the same")
	}
}
