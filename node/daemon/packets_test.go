// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	programs "croft/ebpf/verdict"
	"croft/lease"
	"croft/lease/leasetest"
	"croft/node/api"
	"croft/node/role"
)

// calm is the packet program of the examples, signed for a slice, as an answer.
func calm(t testing.TB, key lease.Signer, label string) []byte {
	t.Helper()
	object, err := os.ReadFile("../../examples/packets/bpf/calm.o")
	if err != nil {
		t.Fatal(err)
	}
	return answerWith(t, key, label, object)
}

func answerWith(t testing.TB, key lease.Signer, label string, object []byte) []byte {
	t.Helper()
	p, err := role.SignProgram(key, label, object)
	if err != nil {
		t.Fatal(err)
	}
	return encoded(t, programDone{&p})
}

// kernelOf stands for the kernel: which programs it was given, and which is in force.
type kernelOf struct {
	mu     sync.Mutex
	loaded map[programs.Digest]programs.Counts
	force  *programs.Digest
	over   []string // slivers that ended
	why    error    // it takes none
	tried  int      // how many it was given
	slow   string   // it verifies this one until the test ends, or who asked does
}

func (k *kernelOf) Load(ctx context.Context, object []byte) (programs.Digest, error) {
	if string(object) == k.slow {
		<-ctx.Done()
		return programs.DigestOf(object), ctx.Err()
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.tried++
	d := programs.DigestOf(object)
	switch {
	case ctx.Err() != nil:
		return d, ctx.Err()
	case k.why != nil:
		return d, k.why
	case len(k.loaded) >= programs.MaxPrograms:
		return d, programs.ErrFull
	}
	if _, ok := k.loaded[d]; !ok {
		k.loaded[d] = programs.Counts{}
	}
	return d, nil
}

func (k *kernelOf) Enforce(d *programs.Digest) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if d != nil {
		if _, ok := k.loaded[*d]; !ok {
			return programs.ErrUnknown
		}
	}
	k.force = d
	return nil
}

func (k *kernelOf) Enforced() *programs.Digest {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.force
}

func (k *kernelOf) Keep(list []programs.Digest) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for d := range k.loaded {
		if !slices.Contains(list, d) && (k.force == nil || *k.force != d) {
			delete(k.loaded, d)
		}
	}
	return nil
}

func (k *kernelOf) Begin(string) error { return nil }
func (k *kernelOf) End(sliver string)  { k.over = append(k.over, sliver) }
func (k *kernelOf) Close() error       { return nil }

func (k *kernelOf) Refused(string) (uint64, error) { return 0, nil }

func (k *kernelOf) Counts(d programs.Digest) (programs.Counts, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	c, ok := k.loaded[d]
	if !ok {
		return c, programs.ErrUnknown
	}
	return c, nil
}

func (k *kernelOf) counts(object string, c programs.Counts) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.loaded[programs.DigestOf([]byte(object))] = c
}

func (k *kernelOf) expect(t *testing.T, loaded int, force string) {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	if got := k.force; (got == nil) != (force == "") || got != nil && *got != programs.DigestOf([]byte(force)) || len(k.loaded) != loaded {
		t.Errorf("%d programs, in force %v; want %d, %q", len(k.loaded), got, loaded, force)
	}
}

// inKernel is inOffice with a kernel that takes packet programs.
func inKernel(t *testing.T, do func(t *testing.T, h *hired, k *kernelOf)) {
	k := &kernelOf{loaded: map[programs.Digest]programs.Counts{}}
	inOffice(t, func(t *testing.T, h *hired) {
		h.d.deps.Hosting.Programs = k
		h.d.packets = newPackets(h.d)
		ctx, cancel := context.WithCancel(t.Context())
		over := make(chan struct{})
		go func() { h.d.packets.run(ctx); close(over) }()
		do(t, h, k)
		cancel()
		<-over
	})
}

func (h *hired) answers(done []byte) net.Conn {
	conn := h.m.doors.dial(h.t, h.sliver)
	serveAs(h.t, conn, "packets/1", func(role.Question) []string {
		return []string{`{"id":%d,"done":` + compact(h.t, json.RawMessage(done)) + `}`}
	})
	return conn
}

// A program that is tried counts and refuses nothing; promoted it refuses; when its
// tenant is gone, or it is demoted, what was before it is in force.
func TestPacketsHandedOver(t *testing.T) {
	inKernel(t, func(t *testing.T, h *hired, k *kernelOf) {
		conn := h.answers(answerWith(t, leasetest.Key("alice"), "ron", []byte("quiet")))
		h.m.pass(time.Second)
		k.expect(t, 0, "")
		h.decideOn("packets", "try", h.slice)
		h.m.pass(time.Second)
		k.expect(t, 1, "")
		k.counts("quiet", programs.Counts{Seen: 100, Refused: 25})
		before := h.tenantOf("packets", h.slice)
		h.m.pass(programAgain)
		after := h.tenantOf("packets", h.slice)
		if got := after.Agreement*float64(after.Trials) - before.Agreement*float64(before.Trials); after.Trials != before.Trials+1 || got < 0.74 || got > 0.76 {
			t.Errorf("%+v, then %+v", before, after)
		}
		h.decideOn("packets", "promote", h.slice)
		h.m.pass(time.Second)
		k.expect(t, 1, "quiet")
		h.decideOn("packets", "demote", "")
		k.expect(t, 0, "") // at once
		h.m.pass(programValid + programAgain)
		k.expect(t, 0, "")
		h.decideOn("packets", "try", h.slice)
		h.decideOn("packets", "promote", h.slice)
		h.m.pass(time.Second)
		k.expect(t, 1, "quiet")
		conn.Close()
		h.m.pass(programValid - programAgain)
		k.expect(t, 1, "quiet") // it may come again
		h.m.pass(2 * programAgain)
		k.expect(t, 0, "")
	})
}

// What a tenant of this role may try comes to nothing: the built-in says what passes.
func TestPacketsHostile(t *testing.T) {
	for name, c := range map[string]struct {
		label  string
		signer string
		why    error
		want   string
	}{
		"signed for another slice": {"other", "alice", nil, "lied: signature of a packet program"},
		"signed by another":        {"ron", "mallory", nil, "lied: signature of a packet program"},
		"no program":               {"ron", "alice", fmt.Errorf("%w: it goes back", programs.ErrProgram), "lied: packet program refused: it goes back"},
		"one too many":             {"ron", "alice", programs.ErrFull, "as many packet programs"},
	} {
		t.Run(name, func(t *testing.T) {
			inKernel(t, func(t *testing.T, h *hired, k *kernelOf) {
				k.why = c.why
				h.answers(answerWith(t, leasetest.Key(c.signer), c.label, []byte("evil")))
				h.decideOn("packets", "try", h.slice)
				h.decideOn("packets", "promote", h.slice)
				h.m.pass(time.Second)
				k.expect(t, 0, "")
				if got := h.tenantOf("packets", h.slice); got.Failed == 0 || !strings.Contains(got.Last, c.want) {
					t.Errorf("%+v; want %q", got, c.want)
				}
			})
		})
	}
}

// What was in force when the daemon ended stays so until its tenant can have dialled.
func TestPacketsAfterARestart(t *testing.T) {
	k := &kernelOf{loaded: map[programs.Digest]programs.Counts{}}
	inOffice(t, func(t *testing.T, h *hired) {
		d, _ := k.Load(t.Context(), []byte("quiet"))
		if err := k.Enforce(&d); err != nil {
			t.Fatal(err)
		}
		h.d.deps.Hosting.Programs = k
		h.d.packets = newPackets(h.d)
		ctx, cancel := context.WithCancel(t.Context())
		over := make(chan struct{})
		go func() { h.d.packets.run(ctx); close(over) }()
		h.d.packets.changed("packets")
		h.m.pass(programSettle - time.Second)
		k.expect(t, 1, "quiet")
		h.m.pass(2 * time.Second)
		k.expect(t, 0, "") // nobody had it in an answer
		cancel()
		<-over
	})
}

// A node that hosts nothing takes a program unseen; nothing comes of it.
func TestPacketsOfAVisitor(t *testing.T) {
	d := quiet(t, t.TempDir(), Deps{})
	if builtins["packets"] == nil {
		t.Skip("nobody answers")
	}
	a, err := d.roles.AskRole(t.Context(), "packets", "program", json.RawMessage(`{}`))
	if err != nil || !bytes.Equal(a.Answer, []byte(`{}`)) {
		t.Errorf("%s, %v", a.Answer, err)
	}
	if _, err := d.roles.AskRole(t.Context(), "packets", "program", json.RawMessage(`{"x":1}`)); !errors.Is(err, api.ErrBadRequest) {
		t.Errorf("%v", err)
	}
}
