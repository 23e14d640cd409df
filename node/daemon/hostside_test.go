// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"iter"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"croft/ebpf"
	"croft/ebpf/audit"
	"croft/ebpf/pace"
	"croft/lease"
	"croft/node/api"
	"croft/sandbox"
)

// Every route that a stranger reaches says what it carries. A new one fails here
// until somebody has decided whether it moves a sliver's bytes.
func TestEveryRouteSaysWhatItCarries(t *testing.T) {
	ways := append(routesOf(t, "", api.Remote(api.Node{}, "test")), routesOf(t, "door: ", api.Door(shim{}, "test"))...)
	listed := map[string]Carriage{}
	for _, c := range Carriages() {
		if _, twice := listed[c.Way]; twice || (c.Channel == 0) == (c.Why == "") {
			t.Errorf("%+v: once, and either a channel or why there is none", c)
		}
		if c.Channel != 0 && !slices.Contains(ebpf.Channels(), c.Channel) {
			t.Errorf("%+v: unknown channel", c)
		}
		listed[c.Way] = c
	}
	for _, way := range ways {
		if _, ok := listed[way]; !ok {
			t.Errorf("%s is not in Carriages: does it move bytes of a sliver? Then charge them to a channel", way)
		}
		delete(listed, way)
	}
	delete(listed, "door: serve") // TestASliverServesARole, node/door
	delete(listed, "resolver")    // TestRootResolverCharges, ebpf/net
	delete(listed, "image")       // TestServingIsBounded, sandbox/swarm/stream
	for way := range listed {
		t.Errorf("%s is no route", way)
	}
}

// routesOf are the operations of a handler's own OpenAPI document.
func routesOf(t *testing.T, prefix string, h http.Handler) (ways []string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/v1/openapi.json", nil))
	var doc struct {
		Paths map[string]map[string]any
	}
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	for path, methods := range doc.Paths {
		for method := range methods {
			ways = append(ways, prefix+strings.ToUpper(method)+" "+path)
		}
	}
	return ways
}

// What the node moves for a sliver is charged to its lease, in the direction in
// which the sliver would have sent it.
func TestWhatTheNodeMovesIsCharged(t *testing.T) {
	inBubble(t, func(t *testing.T, m *world) {
		l, alice := m.boot(), newPerson(t, "alice")
		sliver := lease.SliverName(alice.run(l, "a", time.Hour))
		m.settle()
		m.mu.Lock()
		limits := m.guards[sliver]
		limits.Ingress = limits.Egress
		m.guards[sliver] = limits
		m.mu.Unlock()
		var out, errs, log bytes.Buffer
		input := strings.Repeat("x", 50_000)
		s := l.d.Node().Slivers
		status, err := s.Exec(t.Context(), alice.caller(), sliver, sandbox.Exec{Args: []string{"cat"}},
			sandbox.IO{In: strings.NewReader(input), Out: &out, Err: &errs})
		if err != nil || status != 7 || out.String() != input || errs.String() != "done" {
			t.Fatalf("exec: %d, %v, %d bytes out, %q", status, err, out.Len(), &errs)
		}
		if err := s.Logs(t.Context(), alice.caller(), sliver, sandbox.LogOptions{}, &log); err != nil || log.String() != "hello\n" {
			t.Fatalf("logs: %v, %q", err, &log)
		}
		for key, want := range map[string]uint64{"exec ingress": 50_000, "exec egress": 50_004, "logs egress": 6} {
			if got := m.charged[sliver+" "+key]; got != want {
				t.Errorf("%s: charged %d bytes, moved %d", key, got, want)
			}
		}
		if len(m.charged) != 3 {
			t.Errorf("charged %v", m.charged)
		}
	})
}

// What a slice's owner is sent of the record its slivers pay, and no faster than
// they may send; where it has none, the network's allowance.
func TestTheRecordIsCharged(t *testing.T) {
	inBubble(t, func(t *testing.T, m *world) {
		l, alice := m.boot(), newPerson(t, "alice")
		id := alice.run(l, "a", time.Hour)
		sliver := lease.SliverName(id)
		m.settle()
		for range 20_000 {
			m.rows = append(m.rows, audit.Row{Slice: "web", Flow: ebpf.Flow{Sliver: sliver, Packets: 1, Bytes: 60}})
		}
		x := l.d.Node().Exports
		read := func(rows iter.Seq2[api.Flow, error]) (bytes uint64, took time.Duration) {
			t.Helper()
			begun, n := time.Now(), 0
			for f, err := range rows {
				if err != nil {
					t.Fatal(err)
				}
				b, err := json.Marshal(f)
				if err != nil {
					t.Fatal(err)
				}
				if len(b) >= maxRowSize {
					t.Errorf("a row of %d bytes", len(b))
				}
				bytes += uint64(len(b)) + 1
				n++
			}
			if n != len(m.rows) {
				t.Errorf("%d rows of %d", n, len(m.rows))
			}
			return bytes, time.Since(begun)
		}
		charged := func() uint64 { m.mu.Lock(); defer m.mu.Unlock(); return m.charged[sliver+" record egress"] }
		label := alice.sees(l)[0].Slice

		if _, took := read(x.AllRows(t.Context(), time.Time{}, time.Time{})); took != 0 || charged() != 0 {
			t.Errorf("the node's owner waited %s, and the sliver paid %d bytes", took, charged())
		}
		limits := m.guards[sliver].Egress
		bytes, took := read(x.Rows(t.Context(), alice.caller(), label, time.Time{}, time.Time{}))
		if charged() != bytes {
			t.Errorf("%d bytes were charged of %d", charged(), bytes)
		}
		if least := time.Duration((bytes - limits.Burst) * 8 * uint64(time.Second) / limits.Rate); took < least {
			t.Errorf("%d bytes took %s, the lease says %s", bytes, took, least)
		}
		// Who takes his time over rows keeps nobody else from them.
		ctx, leave := context.WithCancel(t.Context())
		ended := make(chan struct{}, maxOpenExports)
		for range maxOpenExports - 1 {
			go func() {
				for range x.Rows(ctx, alice.caller(), label, time.Time{}, time.Time{}) {
					<-ctx.Done()
					break
				}
				ended <- struct{}{}
			}()
		}
		synctest.Wait()
		read(x.AllRows(t.Context(), time.Time{}, time.Time{}))
		read(x.Rows(t.Context(), alice.caller(), label, time.Time{}, time.Time{}))
		leave()
		for range maxOpenExports - 1 {
			<-ended
		}
		before := charged()
		flows, err := l.d.Node().Audit.Flows(t.Context(), alice.caller(), label)
		if err != nil || len(flows) != len(m.rows) || charged() != before+bytes {
			t.Errorf("%d flows, %v: %d bytes were charged of %d", len(flows), err, charged()-before, bytes)
		}

		if err := alice.end(l, alice.close(id, m.Wall())); err != nil {
			t.Fatal(err)
		}
		m.settle()
		before = charged()
		if _, took := read(x.Rows(t.Context(), alice.caller(), label, time.Time{}, time.Time{})); took != 0 || charged() != before {
			t.Errorf("without a sliver: took %s, and the sliver paid %d bytes", took, charged()-before)
		}
		_, took = read(x.Rows(t.Context(), alice.caller(), label, time.Time{}, time.Time{}))
		if least := time.Duration(2*bytes/recordSent-askBurst-1) * time.Second; least <= 0 || took < least {
			t.Errorf("once more: took %s, want %s at least", took, least)
		}
	})
}

// A log is read no faster than its sliver may send.
func TestLogsKeepToTheLease(t *testing.T) {
	inBubble(t, func(t *testing.T, m *world) {
		l, alice := m.boot(), newPerson(t, "alice")
		sliver := lease.SliverName(alice.run(l, "a", time.Hour))
		m.settle()
		limits := m.guards[sliver].Egress
		m.output = strings.Repeat("0123456789abcde\n", int(limits.Rate/8/16*10)+int(limits.Burst/16)) // ten seconds and the burst
		begun := time.Now()
		var log bytes.Buffer
		if err := l.d.Node().Slivers.Logs(t.Context(), alice.caller(), sliver, sandbox.LogOptions{}, &log); err != nil || log.String() != m.output {
			t.Fatalf("%v, %d of %d bytes", err, log.Len(), len(m.output))
		}
		if took := time.Since(begun); took < 9900*time.Millisecond || took > 11*time.Second {
			t.Errorf("took %s for ten seconds' worth", took)
		}
	})
}

// What ends while its reader waits ends the reading.
func TestAReaderOfASliverThatIsGone(t *testing.T) {
	inBubble(t, func(t *testing.T, m *world) {
		l, alice := m.boot(), newPerson(t, "alice")
		sliver := lease.SliverName(alice.run(l, "a", time.Hour))
		m.settle()
		m.mu.Lock()
		m.guards[sliver] = ebpf.Limits{Deadline: m.guards[sliver].Deadline}
		m.mu.Unlock()
		err := l.d.Node().Slivers.Logs(t.Context(), alice.caller(), sliver, sandbox.LogOptions{}, &bytes.Buffer{})
		if !errors.Is(err, api.ErrNoRoom) || !errors.Is(err, pace.ErrNever) {
			t.Errorf("without any rate: %v, want %v", err, api.ErrNoRoom)
		}
		m.mu.Lock()
		delete(m.guards, sliver)
		m.mu.Unlock()
		err = l.d.Node().Slivers.Logs(t.Context(), alice.caller(), sliver, sandbox.LogOptions{}, &bytes.Buffer{})
		if !errors.Is(err, api.ErrNotRunning) {
			t.Errorf("without a guard: %v, want %v", err, api.ErrNotRunning)
		}
	})
}
