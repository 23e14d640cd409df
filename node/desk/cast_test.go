// SPDX-License-Identifier: Apache-2.0

package desk

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"croft/gossip/topic"
	"croft/lease/leasetest"
	"croft/node/api"
	"croft/node/client"
)

// castNetwork is ways in of nodes in five sites, on which all is heard that is said.
type castNetwork struct {
	mu   sync.Mutex
	subs map[chan api.Heard]bool
}

const castSites = 5

func castNode(i int) string { return fmt.Sprintf("site%d/n%d", i%castSites, i/castSites) }

func (n *castNetwork) way(i, of int) http.Handler {
	mux := http.NewServeMux()
	give := func(w http.ResponseWriter, v any) { _ = json.NewEncoder(w).Encode(v) }
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, r *http.Request) {
		give(w, api.Status{Node: leasetest.Who(castNode(i)), Name: castNode(i)})
	})
	mux.HandleFunc("GET /v1/net", func(w http.ResponseWriter, r *http.Request) {
		var peers api.Net
		for j := range of {
			rtt := 80.0
			if j%castSites == i%castSites {
				rtt = 2
			}
			if j != i {
				peers.Peers = append(peers.Peers, api.Peer{Node: leasetest.Who(castNode(j)), Name: castNode(j), Direct: true, RTT: rtt})
			}
		}
		give(w, peers)
	})
	mux.HandleFunc("POST /v1/topics", func(w http.ResponseWriter, r *http.Request) {
		var req api.SayRequest
		if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
			api.Fail(w, api.ErrBadRequest)
			return
		}
		m, err := topic.Open(req.Message)
		if err != nil {
			api.Fail(w, api.ErrBadRequest)
			return
		}
		n.mu.Lock()
		for c := range n.subs {
			select {
			case c <- api.Heard{ID: m.ID, Author: m.Author, Made: m.Made, Data: m.Data}:
			default: // who is slow misses some
			}
		}
		n.mu.Unlock()
		give(w, api.Said{ID: m.ID})
	})
	mux.HandleFunc("GET /v1/topics/{owner}/{slice}/{topic}", func(w http.ResponseWriter, r *http.Request) {
		c := make(chan api.Heard, 1024)
		n.mu.Lock()
		n.subs[c] = true
		n.mu.Unlock()
		defer func() {
			n.mu.Lock()
			defer n.mu.Unlock()
			delete(n.subs, c)
		}()
		out := http.NewResponseController(w)
		for _ = out.Flush(); ; _ = out.Flush() {
			select {
			case m := <-c:
				give(w, m)
			case <-r.Context().Done():
				return
			}
		}
	})
	return mux
}

// castSliver is one process of the example, at a desk of its own, as it last said it is.
type castSliver struct {
	name string
	cmd  *exec.Cmd
	gone chan struct{}

	mu          sync.Mutex
	has, missed uint64
	hops        int
	far         float64
	by          string
}

func (s *castSliver) read(from io.Reader) {
	for lines := bufio.NewScanner(from); lines.Scan(); {
		var has, missed uint64
		var hops int
		var far float64
		var by string
		if n, _ := fmt.Sscanf(lines.Text(), s.name+" has %d, missed %d: %d hops, %f ms, by %s", &has, &missed, &hops, &far, &by); n == 5 {
			s.mu.Lock()
			s.has, s.missed, s.hops, s.far, s.by = has, missed, hops, far, by
			s.mu.Unlock()
		}
	}
}

// casts runs the example at so many desks; the first is the source.
func casts(t *testing.T, of int) (all []*castSliver) {
	t.Helper()
	top, err := os.MkdirTemp("", "cast") // short: a socket's path has a bound
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(top) })
	at := func(name string) net.Listener {
		l, err := net.Listen("unix", filepath.Join(top, name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return l
	}
	cast := filepath.Join(top, "cast")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", cast, "croft/examples/cast").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	n := &castNetwork{subs: map[chan api.Heard]bool{}}
	for i := range of {
		way := at(fmt.Sprint("w", i))
		go http.Serve(way, n.way(i, of))
		l := at(fmt.Sprint("d", i))
		d := &Desk{Way: client.New(way.Addr().String()), Key: leasetest.Key("alice"), Label: "cast"}
		ctx, cancel := context.WithCancel(context.Background())
		seated := make(chan struct{})
		go func() { defer close(seated); _ = d.Serve(ctx, l) }()
		t.Cleanup(func() { cancel(); <-seated })
		s := &castSliver{name: castNode(i), gone: make(chan struct{})}
		s.cmd = exec.Command(cast, "-source", castNode(0), "-listen", "127.0.0.1:0", "-beat", "500ms", "-every", "50ms")
		s.cmd.Env = append(os.Environ(), "CROFT_SOCKET="+l.Addr().String())
		said, err := s.cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := s.cmd.Start(); err != nil {
			t.Fatal(err)
		}
		go func() { defer close(s.gone); s.read(said); _ = s.cmd.Wait() }()
		t.Cleanup(s.kill)
		all = append(all, s)
	}
	return all[1:]
}

func (s *castSliver) kill() {
	_ = s.cmd.Process.Kill()
	<-s.gone
}

func (s *castSliver) is(so func(*castSliver) bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return so(s)
}

// until waits for all of some.
func until(t *testing.T, all []*castSliver, what string, so func(*castSliver) bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for limit := time.After(2 * time.Minute); ; {
		left := ""
		for _, s := range all {
			if !s.is(so) {
				left += " " + s.name
			}
		}
		if left == "" {
			return
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("not %s:%s", what, left)
		}
	}
}

// The example reaches fifty slivers, each a process at a desk of its own: every one gets
// every message, no farther than two sites away; and when one dies that carries others,
// those hang themselves elsewhere and miss nothing.
func TestCastReachesFifty(t *testing.T) {
	all := casts(t, 50)
	until(t, all, "reached", func(s *castSliver) bool { return s.has > 0 && s.hops > 0 })
	until(t, all, "near", func(s *castSliver) bool { return s.hops > 0 && s.far < 200 }) // at first they hang on whoever there is
	var dead string
	for _, s := range all {
		if s.is(func(s *castSliver) bool { return s.hops > 1 }) {
			dead = s.by
		}
	}
	var left []*castSliver
	var newest uint64
	for _, s := range all {
		if s.name == dead {
			s.kill()
			continue
		}
		left = append(left, s)
		s.is(func(s *castSliver) bool { newest = max(newest, s.has); return true })
	}
	if len(left) != 48 {
		t.Fatalf("%q carries others, and %d are left", dead, len(left))
	}
	until(t, left, "mended", func(s *castSliver) bool { return s.has > newest+100 && s.hops > 0 && s.by != dead })
	until(t, left, "without a gap", func(s *castSliver) bool { return s.missed == 0 })
}
