// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"bytes"
	"slices"
	"testing"
)

// Whatever is wrong with a redeem, the holder is told what, and nothing is kept
// of it: no hold, no fact, no part of the ticket.
func TestWhatIsWrongWithARedeem(t *testing.T) {
	for _, c := range []struct {
		name, code string
		make       func(w *world, chain [][]byte) Wish
	}{
		{"an expired ticket", "local:invalid", func(w *world, chain [][]byte) Wish {
			w.after(3601)
			return w.redeem("alice", chain, 0, 1, 10)
		}},
		{"longer than the ticket", "local:invalid", func(w *world, chain [][]byte) Wish { return w.redeem("alice", chain, 0, 1, 3601) }},
		{"a term that is over", "local:clock", func(w *world, chain [][]byte) Wish {
			w.after(1000)
			return w.redeem("alice", chain, 0, 1, 10, func(r *Redeem) { r.From, r.Until = w.now-900, w.now-800 })
		}},
		{"the ticket of another", "local:invalid", func(w *world, chain [][]byte) Wish { return w.redeem("mallory", chain, 0, 1, 10) }},
		{"sent by another", "local:invalid", func(w *world, chain [][]byte) Wish {
			in := w.redeem("alice", chain, 0, 1, 10)
			in.Caller = keyOf("mallory").Principal()
			return in
		}},
		{"another node", "local:invalid", func(w *world, chain [][]byte) Wish {
			return w.redeem("alice", chain, 0, 1, 10, func(r *Redeem) { r.Node = keyOf("mallory").Principal() })
		}},
		{"of another parent", "local:invalid", func(w *world, chain [][]byte) Wish {
			return w.redeem("alice", chain, 0, 1, 10, func(r *Redeem) { r.Parent = ID{1} })
		}},
		{"a chain without its beginning", "local:invalid", func(w *world, chain [][]byte) Wish {
			in := w.redeem("alice", chain, 0, 1, 10)
			in.Chain = in.Chain[1:]
			return in
		}},
		{"a chain without its end", "local:invalid", func(w *world, chain [][]byte) Wish {
			return Wish{Ref: 1, Caller: keyOf("alice").Principal(), Chain: chain}
		}},
		{"too long a chain", "local:invalid", func(w *world, chain [][]byte) Wish {
			in := w.redeem("alice", chain, 0, 1, 10)
			in.Chain = append(slices.Repeat(in.Chain[:1], MaxDepth+1), in.Chain...)
			return in
		}},
		{"an oversize statement", "local:invalid", func(w *world, chain [][]byte) Wish {
			in := w.redeem("alice", chain, 0, 1, 10)
			in.Chain[1] = make([]byte, MaxStatement+1)
			return in
		}},
		{"garbage", "local:invalid", func(w *world, chain [][]byte) Wish {
			in := w.redeem("alice", chain, 0, 1, 10)
			in.Chain[len(in.Chain)-1] = []byte("GET / HTTP/1.1")
			return in
		}},
		{"a ticket that was altered", "local:invalid", func(w *world, chain [][]byte) Wish {
			in := w.redeem("alice", chain, 0, 1, 10)
			in.Chain[1] = bytes.Clone(in.Chain[1])
			in.Chain[1][len(in.Chain[1])-1] ^= 1
			return in
		}},
		{"more than the ticket", "local:invalid", func(w *world, chain [][]byte) Wish { return w.redeem("alice", chain, 0, 101, 10) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			chain := w.ticket("alice", 100, 3600)
			in := c.make(w, chain)
			facts := len(w.journal)
			a := w.refused(in, c.code)
			if len(a.Statements) == 0 && len(w.journal) != facts {
				t.Errorf("%d facts of a refusal that promises nothing", len(w.journal)-facts)
			}
			if open := w.l.Holder(in.Caller); len(open) != 0 {
				t.Errorf("kept: %+v", open)
			}
			chain = w.ticket("alice", 100, 600)
			w.granted(w.redeem("alice", chain, 0, 100, 600)) // nothing of the room is lost
		})
	}
}

// What was said once can be said again by whoever overheard it: it has the same
// answer, or none, and never a second effect.
func TestReplays(t *testing.T) {
	w := newWorld(t)
	chain := w.ticket("alice", 100, 3600)
	in := w.redeem("alice", chain, 0, 100, 600)
	id := w.run(in)
	hold := w.granted(in)
	w.refused(w.redeem("alice", chain, 0, 1, 600), "local:slot")
	overheard := in
	overheard.Caller = keyOf("mallory").Principal()
	w.refused(overheard, "local:invalid")
	end := w.close("alice", id, w.now)
	byMallory := end
	byMallory.Caller = keyOf("mallory").Principal()
	w.refused(byMallory, "local:unknown")
	w.state(id, Active)
	w.granted(end)
	facts := len(w.journal)
	w.granted(end)
	if len(w.journal) != facts {
		t.Error("the second close is a fact")
	}
	if again := w.granted(in); again != hold {
		t.Error("the wish again, after the end, is another hold")
	}
	if st, ok := w.l.Lease(id); !ok || st.State == Active {
		t.Errorf("the lease lives again: %v", st.State)
	}
}
