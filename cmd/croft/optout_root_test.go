// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"croft/sim/lab"
)

// shouts is when an address heard last from each node.
type shouts struct {
	mu   sync.Mutex
	last map[netip.Addr]time.Time
}

// listen has tcpdump tell of every packet for the port, until ctx ends.
func (s *shouts) listen(ctx context.Context, l *lab.Lab) error {
	r, w := io.Pipe()
	go func() {
		lines := bufio.NewScanner(r)
		for lines.Scan() { // IP 198.18.1.11.20481 > 198.18.255.1.9000: tcp 0
			_, rest, ok := strings.Cut(lines.Text(), "IP ")
			words := strings.Fields(rest)
			if !ok || len(words) == 0 {
				continue
			}
			if at := strings.LastIndexByte(words[0], '.'); at > 0 {
				if a, err := netip.ParseAddr(words[0][:at]); err == nil {
					s.mu.Lock()
					s.last[a] = time.Now()
					s.mu.Unlock()
				}
			}
		}
	}()
	_, err := l.Exec(ctx, "outside", []string{"tcpdump", "-l", "-n", "-q", "-t", "-i", "any", "tcp", "and", "dst", "port", "9000"}, lab.IO{Out: w})
	w.Close()
	return err
}

// since are the nodes that were heard after an instant.
func (s *shouts) since(t time.Time) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, at := range s.last {
		if at.After(t) {
			n++
		}
	}
	return n
}

// latest is when any node was heard last.
func (s *shouts) latest() (t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, at := range s.last {
		if at.After(t) {
			t = at
		}
	}
	return t
}

// often is how soon a thing is looked at again that costs nothing.
const often = 50 * time.Millisecond

func poll(t *testing.T, limit, every time.Duration, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(every)
	defer tick.Stop()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("not within %s: %s", limit, what)
		}
	}
}

// TestRootOptOut: five nodes of three sites send to an address outside. It asks to
// be left alone, with no more than TCP connections to three of them, and hears
// nothing from any of the five after 5 s; when its opt-out ends, it hears them all
// again.
func TestRootOptOut(t *testing.T) {
	needLab(t)
	if _, err := exec.LookPath("tcpdump"); err != nil {
		if os.Getenv("CROFT_REQUIRE_ROOT") == "1" {
			t.Fatal("CROFT_REQUIRE_ROOT=1, but this test lacks tcpdump")
		}
		t.Skip("needs tcpdump")
	}
	l, croft := bringUp(t, lab.Config{N: 5})
	status, err := l.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	env := append(os.Environ(), "CROFT_SOCKET="+status.Nodes[0].Socket, "CROFT_HOME="+home)
	run := func(args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), croft, args...)
		cmd.Env = env
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	must := func(args ...string) string {
		t.Helper()
		out, err := run(args...)
		if err != nil {
			t.Fatalf("croft %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return out
	}
	outside := func(args ...string) (string, error) {
		var out bytes.Buffer
		code, err := l.Exec(t.Context(), "outside", args, lab.IO{Out: &out, Err: &out})
		if err == nil && code != 0 {
			err = fmt.Errorf("status %d", code)
		}
		return out.String(), err
	}

	ctx, cancel := context.WithCancel(t.Context())
	heard := &shouts{last: map[netip.Addr]time.Time{}}
	ended := make(chan error, 1)
	go func() { ended <- heard.listen(ctx, l) }()
	t.Cleanup(func() { cancel(); <-ended })

	poll(t, time.Minute, often, "five nodes to run on", func() bool {
		out, err := run("find")
		return err == nil && strings.Count(out, "/n") == 5
	})
	must("run", "-n", "5", "--name", "shouter", "/bin/busybox", "--", "sh", "-c",
		"while :; do echo x | busybox nc -w 1 "+status.Outside.String()+" 9000; busybox usleep 100000; done")
	poll(t, time.Minute, often, "all five are heard", func() bool { return heard.since(time.Now().Add(-5*time.Second)) == 5 })

	// Three of the first node's own choice, one at a time: as by curl. Whoever has not
	// seen a node where it says it is does not count what that attests.
	var page, list string
	for i := range status.Nodes {
		page = status.Nodes[len(status.Nodes)-1-i].Address.String() + ":4080"
		poll(t, 2*time.Minute, 3*time.Second, "all five may attest, as "+page+" sees it", func() bool {
			list, err = outside("busybox", "wget", "-q", "-O", "-", "http://"+page+"/optout/nodes")
			return err == nil && strings.Count(list, "http://") == 5
		})
	}
	var bySite = map[string][]string{}
	for line := range strings.Lines(list) {
		if words := strings.Fields(line); len(words) == 3 && words[0] != "#" {
			bySite[words[2]] = append(bySite[words[2]], words[0])
		}
	}
	if len(bySite) != 3 {
		t.Fatalf("nodes of %d sites:\n%s", len(bySite), list)
	}
	var texts []string
	for _, doors := range bySite {
		if len(doors) < 2 {
			continue
		}
		for _, door := range doors { // two of one site
			out, err := outside("busybox", "wget", "-q", "-O", "-", door+"/optout?for=24h")
			if err != nil {
				t.Fatal(err, out)
			}
			texts = append(texts, out)
		}
	}
	file := filepath.Join(home, "few.txt")
	if err := os.WriteFile(file, []byte(strings.Join(texts[:3], "")), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := run("optout", "publish", file); err == nil || !strings.Contains(out, "one site") {
		t.Errorf("two of one site attest: %v, %s", err, out)
	}
	if err := os.WriteFile(file, []byte(texts[0]), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := run("optout", "verify", file); err == nil {
		t.Errorf("one attestation: %s", out)
	}
	if at := heard.since(time.Now().Add(-5 * time.Second)); at != 5 {
		t.Errorf("%d nodes are heard after what was refused", at)
	}

	// And with the command, from the machine that wants its peace.
	const term = 30 * time.Second
	asked := time.Now()
	out, err := outside(croft, "optout", "request", "--node", page, "--for", term.String())
	if err != nil || !strings.Contains(out, "is left alone until") {
		t.Fatalf("%v\n%s", err, out)
	}
	done := time.Now()
	poll(t, 20*time.Second, often, "silence for 3 s", func() bool { return time.Since(heard.latest()) > 3*time.Second && time.Since(done) > 3*time.Second })
	t.Logf("asked in %s; the last packet came %s after", done.Sub(asked), heard.latest().Sub(done))
	if late := heard.latest().Sub(done); late > 5*time.Second {
		t.Errorf("a packet came %s after", late)
	}
	for _, n := range status.Nodes {
		cmd := exec.CommandContext(t.Context(), croft, "--json", "optout", "show", status.Outside.String())
		cmd.Env = append(env, "CROFT_SOCKET="+n.Socket)
		b, err := cmd.Output()
		var shown struct {
			Spared bool
			By     []struct{ Name string }
		}
		if err != nil || json.Unmarshal(b, &shown) != nil || !shown.Spared || len(shown.By) != 3 || shown.By[0].Name == "" {
			t.Errorf("%s: %v\n%s", n.Name, err, b)
		}
	}
	if out := must("ps"); strings.Count(out, "optout") != 5 {
		t.Errorf("five slivers' drops by opt-out:\n%s", out)
	}

	// A node's own address is not to be silenced.
	code, err := l.Exec(t.Context(), status.Nodes[1].Name, []string{croft, "optout", "request", "--node", page}, lab.IO{})
	if err != nil || code == 0 {
		t.Errorf("a node opts out: status %d, %v", code, err)
	}

	poll(t, 90*time.Second, often, "all are heard again when it is over", func() bool {
		return heard.since(done.Add(term-2*time.Second)) == 5
	})
	must("stop", "shouter")
}
