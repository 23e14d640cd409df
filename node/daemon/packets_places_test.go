// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	programs "croft/ebpf/verdict"
	"croft/lease"
	"croft/lease/leasetest"
	"croft/node/role"
)

// rival is a tenant of packets beside the sliver of the test: another object at each
// question, if it has more than one.
type rival struct {
	t     testing.TB
	who   role.Tenant
	key   lease.Signer
	mu    sync.Mutex
	next  func(n int) string
	asked int
}

func (r *rival) Call(context.Context, role.Call, json.RawMessage, func(json.RawMessage) error) (json.RawMessage, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
	return answerWith(r.t, r.key, "rival", []byte(r.next(r.asked))), nil
}

func (h *hired) rival(name string, next func(n int) string) *rival {
	h.t.Helper()
	key := leasetest.Key(name)
	r := &rival{t: h.t, key: key, who: role.SliceTenant("rival", key.Principal()), next: next}
	if _, err := h.d.roles.offices["packets"].enter(r.who, r); err != nil {
		h.t.Fatal(err)
	}
	h.decideOn("packets", "try", string(r.who))
	return r
}

func always(object string) func(int) string { return func(int) string { return object } }

func other(name string) func(int) string {
	return func(n int) string { return fmt.Sprint(name, n) }
}

// Challengers with another program at each question have a place each, and whoever
// holds the role has room for a new one.
func TestPacketsAPlaceEach(t *testing.T) {
	inKernel(t, func(t *testing.T, h *hired, k *kernelOf) {
		r := h.rival("dave", other("held"))
		h.decideOn("packets", "promote", string(r.who))
		for i := range role.MaxTried {
			h.rival(fmt.Sprint("mallory", i), other(fmt.Sprint("evil", i, "-")))
		}
		for range programs.MaxPrograms {
			h.m.pass(programAgain)
			k.expect(t, role.MaxTried+1, fmt.Sprint("held", r.asked))
		}
		if got := h.tenantOf("packets", string(r.who)); got.Failed > 0 {
			t.Errorf("%+v", got)
		}
	})
}

// A challenger that the kernel verifies for long keeps nobody waiting: whoever holds
// the role puts another program in force meanwhile, and what it had can be told.
func TestPacketsWhileOneIsVerified(t *testing.T) {
	inKernel(t, func(t *testing.T, h *hired, k *kernelOf) {
		r := h.rival("dave", other("held"))
		h.decideOn("packets", "promote", string(r.who))
		k.slow = "slow"
		slow := h.rival("mallory", always("slow"))
		h.m.pass(programAgain)
		k.expect(t, 1, fmt.Sprint("held", r.asked))
		h.m.pass(programAgain)
		k.expect(t, 1, fmt.Sprint("held", r.asked))
		if got := h.tenantOf("packets", string(r.who)); got.Failed > 0 {
			t.Errorf("%+v", got)
		}
		h.decideOn("packets", "drop", string(slow.who))
		h.decideOn("packets", "demote", "")
		k.expect(t, 0, "")
	})
}

// Who is dropped has nothing in the kernel any more; who is not asked brings nothing
// about by coming and going; and what the kernel refused it is not given at each question.
func TestPacketsOfWhoIsNotAsked(t *testing.T) {
	inKernel(t, func(t *testing.T, h *hired, k *kernelOf) {
		r := h.rival("mallory", always("evil"))
		h.m.pass(time.Second)
		k.expect(t, 1, "")
		h.decideOn("packets", "drop", string(r.who))
		k.expect(t, 0, "")

		if h.answers(answerWith(t, leasetest.Key("alice"), "ron", []byte("quiet"))); len(h.d.packets.now) > 0 {
			t.Error("asked for a sliver that nobody tries")
		}
		before := r.asked
		h.m.pass(programAgain)
		k.expect(t, 0, "")
		if r.asked != before {
			t.Error("who was dropped is asked")
		}

		k.why = fmt.Errorf("%w: it goes back", programs.ErrProgram)
		before, tried := r.asked, k.tried
		h.decideOn("packets", "try", string(r.who))
		h.m.pass(5 * programAgain)
		if r.asked < before+5 || k.tried != tried+1 {
			t.Errorf("asked %d times, given to the kernel %d", r.asked-before, k.tried-tried)
		}
	})
}

// The meter has nothing loaded, of nobody in line.
func TestPacketsMetered(t *testing.T) {
	inKernel(t, func(t *testing.T, h *hired, k *kernelOf) {
		first := h.rival("carol", always("first"))
		h.decideOn("packets", "promote", string(first.who))
		second := h.rival("dave", always("second"))
		h.decideOn("packets", "promote", string(second.who))
		h.m.pass(programValid + programAgain)
		k.expect(t, 1, "second")
		asked := first.asked
		h.depends("packets")
		if first.asked == asked {
			t.Error("it was not asked")
		}
		k.expect(t, 1, "second")
	})
}

// Who asks and goes is no fault of a tenant's whose program is verified meanwhile.
func TestPacketsAskedBySomebodyInAHurry(t *testing.T) {
	inKernel(t, func(t *testing.T, h *hired, k *kernelOf) {
		r := h.rival("dave", always("held"))
		h.decideOn("packets", "promote", string(r.who))
		q, err := h.d.program().inquiry(canceled(t), inquirer{own: true}, &programAsk{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := q.read(r.who, false).end(answerWith(t, r.key, "rival", []byte("new"))); err != nil {
			t.Error(err)
		}
	})
}

func canceled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// What was in force before a restart stays so while who holds the role is not back,
// for as long as a program counts.
func TestPacketsAfterARestartOfAll(t *testing.T) {
	k := &kernelOf{loaded: map[programs.Digest]programs.Counts{}}
	inOffice(t, func(t *testing.T, h *hired) {
		for _, do := range []string{"try", "promote"} {
			h.decideOn("packets", do, h.slice)
		}
		d, _ := k.Load(t.Context(), []byte("quiet"))
		if err := k.Enforce(&d); err != nil {
			t.Fatal(err)
		}
		h.d.deps.Hosting.Programs = k
		h.d.packets = newPackets(h.d)
		ctx, cancel := context.WithCancel(t.Context())
		over := make(chan struct{})
		go func() { h.d.packets.run(ctx); close(over) }()
		h.m.pass(programValid - programAgain)
		k.expect(t, 1, "quiet")
		h.m.pass(2 * programAgain)
		if slices.Contains(h.d.packets.office().fillers().chain, role.Builtin) {
			k.expect(t, 0, "")
		}
		cancel()
		<-over
	})
}
