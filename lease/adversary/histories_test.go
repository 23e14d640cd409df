// SPDX-License-Identifier: Apache-2.0

package adversary

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"

	"croft/lease"
)

// histories is how many random histories a test plays: CROFT_HISTORIES, else 2000.
func histories() uint64 {
	if n, err := strconv.ParseUint(os.Getenv("CROFT_HISTORIES"), 10, 64); err == nil {
		return n
	}
	if testing.Short() {
		return 200
	}
	return 2000
}

// play runs one history and returns what broke, "" for nothing.
func play(seed uint64, steps int) (w *world, failed string) {
	w = newWorld(seed, seed%2 == 1)
	defer func() {
		if b, ok := recover().(broken); ok {
			failed = string(b)
		}
	}()
	for range steps {
		w.act()
		w.check()
	}
	w.judge()
	return w, ""
}

// judge is the end of a history: nobody honest can be proved anything, and what
// the node saw of over-issue it proved.
func (w *world) judge() {
	for _, c := range w.conflicts(w.signedByNow) {
		if w.honest(c.by) {
			w.fail("%s of %s's under %s", c.kind, c.by.Short(), c.parent.Short())
		}
	}
	w.provedAll()
	for _, v := range w.accuse() {
		if w.honest(v.Principal) {
			w.fail("a proof (%s) against %s, which is honest", v.Kind, v.Principal.Short())
		}
	}
}

func (w *world) honest(p lease.Principal) bool {
	return !w.people[0].dishonest || p != w.people[0].key.Principal()
}

// provedAll: what the node had before it and kept, and is too much, it proved,
// with a proof that anybody can verify.
func (w *world) provedAll() {
	proved := map[lease.ID]lease.Principal{}
	for _, p := range w.l.Proofs() {
		_, v, err := lease.VerifyProof(p.Proof)
		if err != nil {
			w.fail("the ledger keeps a proof that does not hold: %v", err)
		}
		proved[v.About] = v.Principal
	}
	for _, c := range w.conflicts(func(id lease.ID) bool { return w.saw[id] }) {
		if proved[c.parent] != c.by {
			w.fail("%s of %s's under %s is not proved", c.kind, c.by.Short(), c.parent.Short())
		}
		w.proofs++
	}
}

const steps = 100

func TestHistories(t *testing.T) {
	if seed, err := strconv.ParseUint(os.Getenv("CROFT_SEED"), 10, 64); err == nil {
		w, failed := play(seed, steps)
		t.Logf("\n%s", w.history())
		if failed != "" {
			t.Error(failed)
		}
		return
	}
	n, shards := histories(), uint64(runtime.GOMAXPROCS(0))
	var done atomic.Uint64
	var failing atomic.Bool // no other shard needs to go on
	var tally [16]atomic.Uint64
	var proofs atomic.Uint64
	sights := make([]map[string]int, shards)
	t.Run("all", func(t *testing.T) {
		for shard := range shards {
			t.Run(fmt.Sprint(shard), func(t *testing.T) {
				t.Parallel()
				sights[shard] = map[string]int{}
				for seed := shard; seed < n && !failing.Load(); seed += shards {
					w, failed := play(seed, steps)
					if failed != "" {
						failing.Store(true)
						t.Fatalf("%s\n%s\nCROFT_SEED=%d go test -run TestHistories ./lease/adversary", w.history(), failed, seed)
					}
					for _, o := range w.signed {
						tally[o.Kind()].Add(1)
					}
					proofs.Add(uint64(w.proofs))
					for what, times := range w.sights {
						sights[shard][what] += times
					}
					if d := done.Add(1); n > 5000 && d%(n/100) == 0 {
						fmt.Fprintf(os.Stderr, "adversary: %d of %d histories\n", d, n)
					}
				}
			})
		}
	})
	t.Logf("%d conflicts that the node saw, all proved", proofs.Load())
	if proofs.Load() < n/4 {
		t.Errorf("%d conflicts in %d histories: they show little", proofs.Load(), n)
	}
	for _, what := range []string{"revokes of what runs", "revokes of what is lent", "revokes of a renewal to come", "late starts"} {
		times := 0
		for _, s := range sights {
			times += s[what]
		}
		t.Logf("%d × %s", times, what)
		if uint64(times) < n/100 {
			t.Errorf("%d × %s in %d histories: they show little", times, what, n)
		}
	}
	for k := lease.KindCapacity; k <= lease.KindReject; k++ {
		t.Logf("%d × %s", tally[k].Load(), k)
		if tally[k].Load() < n/4 {
			t.Errorf("%d × %s in %d histories: they show little", tally[k].Load(), k, n)
		}
	}
}
