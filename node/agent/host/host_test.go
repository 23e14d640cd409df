// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"croft/lease"
	"croft/lease/leasetest"
	"croft/node/agent"
)

// near is a node that gives one ticket.
type near struct{ chain [][]byte }

func (n near) Tickets(_ context.Context, node lease.Principal) ([][][]byte, error) {
	if node != leasetest.Who("n1") {
		return nil, errors.New("no way to it")
	}
	return [][][]byte{n.chain}, nil
}

func (near) Quarantined(context.Context) ([]agent.Proved, error) { return nil, nil }

// ticket is one of the node to the agent, from now on.
func ticket(t *testing.T, node string) [][]byte {
	t.Helper()
	now := time.Now().Unix()
	capacity, err := lease.Seal(&lease.Capacity{K: lease.KindCapacity, Node: leasetest.Who(node), RSet: lease.RSet{lease.CPU: 1000},
		From: now - 60, Until: now + 7200, Degree: 150}, leasetest.Key(node))
	if err != nil {
		t.Fatal(err)
	}
	given, err := lease.Seal(&lease.Ticket{K: lease.KindTicket, Issuer: leasetest.Who(node), Node: leasetest.Who(node), Holder: leasetest.Who("agent"),
		Parent: capacity.ID(), RSet: lease.RSet{lease.CPU: 1000}, From: now - 60, Until: now + 7200, Degree: 150}, leasetest.Key(node))
	if err != nil {
		t.Fatal(err)
	}
	return [][]byte{capacity.Bytes(), given.Bytes()}
}

// start runs an agent until the test ends or stop is called.
func start(t *testing.T, dir string, chain [][]byte) (c *Client, stop func()) {
	t.Helper()
	cfg := agent.Config{Nodes: []lease.Principal{leasetest.Who("n1")}, Guests: agent.Person{Most: lease.RSet{lease.CPU: 500}, Longest: 3600},
		Peers: []agent.Peer{{Name: "uni-b", Principal: leasetest.Who("b"), Nodes: []lease.Principal{leasetest.Who("n2")}, Share: 30, Degree: 100, Term: 3600}}}
	h, err := Open(t.Context(), Config{Dir: dir, Key: leasetest.Key("agent"), Agent: cfg, Nodes: near{chain}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the agent ended: %v", err)
		}
	}
	t.Cleanup(stop)
	return NewClient(dir), stop
}

// wait polls until a condition holds, within a deadline.
func wait(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.NewTimer(15 * time.Second)
	defer deadline.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("not within 15 s: %s", what)
		}
	}
}

func TestAgentOnAMachine(t *testing.T) {
	dir := t.TempDir()
	chain := ticket(t, "n1")
	if _, err := NewClient(dir).Account(t.Context()); !errors.Is(err, ErrNoAgent) {
		t.Errorf("nobody is there: %v", err)
	}
	c, stop := start(t, dir, chain)
	out := func() []string {
		files, err := filepath.Glob(filepath.Join(dir, "out", "uni-b", "*"+ticketSuffix))
		if err != nil {
			t.Fatal(err)
		}
		return files
	}
	wait(t, "the peer's share is put out", func() bool { return len(out()) == 1 })
	posted, err := readTickets(out()[0])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lease.VerifyChain(posted[0], leasetest.Who("n1")); err != nil {
		t.Errorf("what is put out: %v", err)
	}

	now := time.Now().Unix()
	ask := WishRequest{By: leasetest.Who("ann"), RSet: lease.RSet{lease.CPU: 400}, From: now, To: now + 600}
	got, err := c.Wish(t.Context(), ask)
	if err != nil || got.Refuse != "" {
		t.Fatalf("%+v, %v", got, err)
	}
	if _, err := lease.VerifyChain(got.Chain, leasetest.Who("n1")); err != nil {
		t.Errorf("what ann got: %v", err)
	}
	if got, err := c.Wish(t.Context(), ask); err != nil || got.Refuse == "" {
		t.Errorf("more than a guest may have: %+v, %v", got, err)
	}

	// A ticket by mail, and something else.
	letter := filepath.Join(dir, "in", "from-b"+ticketSuffix)
	if err := writeWhole(letter, lease.Armour(ticket(t, "n2"))); err != nil {
		t.Fatal(err)
	}
	junk := filepath.Join(dir, "in", "junk"+ticketSuffix)
	if err := writeWhole(junk, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	report := func() Report {
		r, err := c.Account(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	wait(t, "the post is read", func() bool { return len(report().Held) == 2 })
	wait(t, "the junk is set aside", func() bool { _, err := os.Stat(junk + refusedSuffix); return err == nil })
	wait(t, "the letter is taken", func() bool { _, err := os.Stat(letter); return errors.Is(err, os.ErrNotExist) })

	before := report()
	stop()
	c, _ = start(t, dir, chain)
	wait(t, "the node is asked again", func() bool { return len(report().Held) == 2 })
	after := report()
	if len(after.Held[0].Promised) == 0 || after.Held[0].Promised != before.Held[0].Promised || len(after.Parties) < 3 {
		t.Errorf("before the restart %+v, after it %+v", before, after)
	}
	if len(out()) != 1 {
		t.Errorf("put out: %v", out())
	}
}
