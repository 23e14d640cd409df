// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"croft/lease"
	"croft/lease/leasetest"
	"croft/node"
	"croft/sandbox"
)

// TestAnyHistorySurvivesAnyCrash feeds a core what nobody would say in earnest,
// crashes it in the middle of its batches, and holds that it never panics, that
// facts come first, that a journal makes the same core wherever it was cut, and
// that in the end nothing is left of anything.
func TestAnyHistorySurvivesAnyCrash(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		h := newHistory(rt)
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			h.now = h.now.Add(time.Duration(rapid.SampledFrom([]int64{0, 0, 1, 20, 70, 600, -30}).Draw(rt, "pass")) * time.Second)
			if rapid.IntRange(0, 9).Draw(rt, "crash") == 0 {
				h.crash(rapid.IntRange(0, 3).Draw(rt, "lost"))
			}
			h.step(h.input())
		}
		h.now = h.now.Add(48 * time.Hour)
		h.crash(0)
		for range 3 { // whatever is torn down is gone
			for name := range h.torn {
				h.step(sandbox.Removed{Sliver: name})
			}
			h.step(node.Tick{})
		}
		for _, e := range h.core.Ledger().Leases() {
			if e.State.Live() {
				rt.Errorf("%s is %s two days after its end", e.Lease, e.State)
			}
		}
		if wake, ok := h.core.NextWake(); ok && !wake.After(h.now) {
			rt.Errorf("it still waits for %s", wake)
		}
		h.torn = map[string]bool{}
		h.crash(0)
		if len(h.torn) > 0 {
			rt.Errorf("torn down once more: %v", h.torn)
		}
	})
}

// history is a core, its journal, and what was said to it.
type history struct {
	rt      *rapid.T
	cfg     node.Config
	core    *node.Core
	now     time.Time
	journal [][]byte
	last    int // records of the last batch
	said    []node.Input
	slivers []string
	torn    map[string]bool
	ref     uint64
}

var people = []string{"alice", "bob"}

func newHistory(rt *rapid.T) *history {
	capacity, err := lease.ParseRSet("cpu=1000,memory=1GiB,pids=100")
	if err != nil {
		rt.Fatal(err)
	}
	h := &history{rt: rt, now: start, torn: map[string]bool{}, cfg: node.Config{Places: 2, Ledger: lease.LedgerConfig{
		Key: leasetest.Key("node"), Pools: lease.DefaultPools(capacity), Ports: lease.PortRange{First: 5000, Last: 5002}}}}
	h.core = node.NewCore(h.cfg)
	h.step(node.Recover{})
	return h
}

// step applies an input, and keeps its facts as a journal would.
func (h *history) step(in node.Input) {
	rest, before := false, len(h.journal)
	for _, e := range h.core.Step(h.now, in) {
		record, fact := node.Record(e)
		if fact && rest {
			h.rt.Errorf("%s: fact %s comes after an effect", in, e)
		}
		rest = rest || !fact
		switch e := e.(type) {
		case sandbox.Launch:
			h.slivers = append(h.slivers, e.Sliver)
		case sandbox.Teardown:
			h.torn[e.Sliver] = true
		}
		if fact {
			h.journal = append(h.journal, record)
		}
	}
	h.last = len(h.journal) - before
	h.said = append(h.said, in)
}

// crash loses the last records of the last batch, and rebuilds; a snapshot must
// say what the long journal says.
func (h *history) crash(lost int) {
	h.journal = h.journal[:len(h.journal)-min(lost, h.last)]
	h.core = h.rebuilt(h.journal)
	snapshot := h.core.Records()
	if again := h.rebuilt(snapshot); !equal(again.Records(), snapshot) {
		h.rt.Errorf("a snapshot of %d records makes another core", len(snapshot))
	}
	h.journal = snapshot
	h.step(node.Recover{})
}

func (h *history) rebuilt(records [][]byte) *node.Core {
	core := node.NewCore(h.cfg)
	for i, r := range records {
		if err := core.Restore(r); err != nil {
			h.rt.Fatalf("record %d of %d: %v", i, len(records), err)
		}
	}
	return core
}

func equal(a, b [][]byte) bool { return slices.EqualFunc(a, b, bytes.Equal) }

// input draws what happens next: sense, nonsense, and what was said before.
func (h *history) input() node.Input {
	h.ref++
	who := rapid.SampledFrom(people).Draw(h.rt, "who")
	by := leasetest.Who(who)
	var some lease.Entry
	if list := h.core.Ledger().Leases(); len(list) > 0 {
		some = rapid.SampledFrom(list).Draw(h.rt, "lease")
	}
	sliver := "nobody"
	if len(h.slivers) > 0 {
		sliver = rapid.SampledFrom(h.slivers).Draw(h.rt, "sliver")
	}
	switch rapid.IntRange(0, 13).Draw(h.rt, "what") {
	case 0, 1, 2:
		return lease.Wish{Ref: h.ref, Caller: by, Chain: [][]byte{h.ask(who, some.Lease)}}
	case 3, 4:
		return lease.Commit{Ref: h.ref, Caller: some.Holder, Hold: some.Hold}
	case 5, 6:
		return lease.Activate{Ref: h.ref, Caller: some.Holder, Lease: some.Lease, Program: []byte("probe")}
	case 7:
		return sandbox.Launched{Sliver: sliver}
	case 8:
		return sandbox.LaunchFailed{Sliver: sliver, Reason: "no"}
	case 9:
		return sandbox.Exited{Sliver: sliver, Reason: sandbox.ReasonExited}
	case 10:
		return sandbox.Removed{Sliver: sliver}
	case 11:
		return lease.End{Ref: h.ref, Caller: by, Close: h.close(who, some)}
	case 12:
		return node.Tick{}
	}
	return rapid.SampledFrom(h.said).Draw(h.rt, "again")
}

func (h *history) ask(who string, old lease.ID) []byte {
	from := h.now.Unix() + int64(rapid.SampledFrom([]int{0, 0, 0, 300, -10}).Draw(h.rt, "from"))
	st := &lease.Ask{K: lease.KindAsk, Issuer: leasetest.Who(who), Node: leasetest.Who("node"), Slice: "ron", Pool: lease.PoolCommons,
		From: from, Until: from + int64(rapid.SampledFrom([]int{60, 600, 3600}).Draw(h.rt, "for"))}
	st.RSet[lease.CPU] = uint64(rapid.IntRange(1, 300).Draw(h.rt, "cpu"))
	st.Request[0] = byte(rapid.IntRange(1, 40).Draw(h.rt, "request"))
	if rapid.Bool().Draw(h.rt, "renew") {
		st.Replaces = old
	}
	signed, err := lease.Seal(st, leasetest.Key(who))
	if err != nil {
		h.rt.Fatal(err)
	}
	return signed.Bytes()
}

func (h *history) close(who string, e lease.Entry) []byte {
	claim := e.Lease
	if claim.IsZero() {
		claim = e.Hold
	}
	signed, err := lease.Seal(&lease.Close{K: lease.KindClose, Issuer: leasetest.Who(who), Node: leasetest.Who("node"), Claim: claim,
		At: h.now.Unix()}, leasetest.Key(who))
	if err != nil {
		return []byte("garbage") // of nothing
	}
	return signed.Bytes()
}
