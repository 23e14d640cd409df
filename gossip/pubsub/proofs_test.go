// SPDX-License-Identifier: Apache-2.0

package pubsub

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"

	"croft/gossip"
	"croft/lease"
)

// proofOf shows that node set one tranche aside twice.
func proofOf(t *testing.T, node string, length int64) lease.Proof {
	t.Helper()
	key := keyOf(node)
	var evidence [2]lease.Signed
	for i := range evidence {
		var err error
		evidence[i], err = lease.Seal(&lease.Capacity{K: lease.KindCapacity, Node: key.Principal(), RSet: lease.RSet{lease.CPU: uint64(i) + 1},
			From: noon.Unix(), Until: noon.Unix() + length, Degree: lease.MinDegree}, key)
		if err != nil {
			t.Fatal(err)
		}
	}
	a, b := evidence[0].ID(), evidence[1].ID()
	if bytes.Compare(a[:], b[:]) > 0 {
		evidence[0], evidence[1] = evidence[1], evidence[0]
	}
	return lease.Proof{K: lease.ProofCapacity, Evidence: [][]byte{evidence[0].Bytes(), evidence[1].Bytes()}}
}

func TestProofsReachEverybodyAndTheLatecomer(t *testing.T) {
	const nodes = 5
	var hosts []host.Host
	var all []*Gossip
	var heard atomic.Int32
	for i := range nodes { // a line: nobody but its neighbours knows a node
		h := newHost(t)
		hosts, all = append(hosts, h), append(all, start(t, h, Config{OnEffect: func(e gossip.Effect) {
			if _, ok := e.(gossip.Proven); ok {
				heard.Add(1)
			}
		}}))
		if i > 0 {
			connect(t, h, hosts[i-1])
		}
	}
	meshed(t, TopicConflicts, all)
	proof := proofOf(t, "liar", 60)
	if err := all[0].Conflicts.Accuse(t.Context(), proof.Bytes()); err != nil {
		t.Fatal(err)
	}
	for i, g := range all {
		wait(t, fmt.Sprintf("node %d knows", i), func() bool { return len(g.Conflicts.Kept()) == 1 })
	}
	last := all[nodes-1].Conflicts.Kept()[0]
	if last.ID != proof.ID() || last.From != principal(hosts[nodes-2].ID()) || last.Verdict.Principal != keyOf("liar").Principal() {
		t.Errorf("the last node knows %s from %s", last, last.From)
	}
	wait(t, "each owner was told", func() bool { return heard.Load() == nodes })
	if err := all[1].Conflicts.Accuse(t.Context(), proof.Bytes()); err != nil {
		t.Errorf("telling again: %v", err)
	}

	// Kept, and not told: whoever asks gets it.
	old := proofOf(t, "old liar", 120)
	if err := all[2].Conflicts.Keep(old.Bytes(), false); err != nil {
		t.Fatal(err)
	}
	late := newHost(t)
	g := start(t, late, Config{})
	connect(t, late, hosts[2])
	wait(t, "the latecomer pulled both", func() bool { return len(g.Conflicts.Kept()) == 2 })
}

func TestFalseProofsAreRejectedAndNotPublished(t *testing.T) {
	honest, hostile := newHost(t), newHost(t)
	g, m := start(t, honest, Config{}), start(t, hostile, Config{})
	connect(t, hostile, honest)
	meshed(t, TopicConflicts, []*Gossip{g, m})
	forged := proofOf(t, "liar", 60)
	forged.Evidence[1][len(forged.Evidence[1])-1] ^= 1
	same := proofOf(t, "liar", 60)
	same.Evidence[1] = same.Evidence[0]
	if err := g.Conflicts.Accuse(t.Context(), forged.Bytes()); !errors.Is(err, ErrRefused) {
		t.Errorf("a forged proof is published: %v", err)
	}
	for reason, b := range map[string][]byte{"reject:signature": forged.Bytes(), "reject:unproven": same.Bytes(), "reject:malformed": []byte("hello")} {
		if err := m.topics[TopicConflicts].Publish(t.Context(), b); err != nil { // past its own checks
			t.Fatal(err)
		}
		wait(t, reason, func() bool { return g.Stats().Drops[reason] > 0 })
	}

	// And the same by a pull: one that answers so is not asked further.
	hostile.SetStreamHandler(ProtocolProofs, func(s network.Stream) {
		b, _ := lease.Encode(gossip.ProofPage{Proofs: [][]byte{forged.Bytes()}, After: lease.ID{1}})
		s.Write(b)
		s.Close()
	})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if n, err := g.Conflicts.Pull(ctx, hostile.ID()); n != 0 || !errors.Is(err, lease.ErrSyntax) {
		t.Errorf("pulled %d, %v", n, err)
	}
	if n := len(g.Conflicts.Kept()); n != 0 {
		t.Errorf("%d proofs kept", n)
	}
}

// fork stands for a proof that a node has signed two logs: gossip does not know what
// is in one, and keeps one a node.
type fork struct{ lease.Proof }

func readFork(b []byte) (gossip.Evidence, error) {
	p, err := lease.ParseProof(b)
	return fork{p}, err
}

func (f fork) Accused() (p lease.Principal) {
	if s, err := lease.ParseSigned(f.Evidence[0], lease.MaxStatement); err == nil {
		var c lease.Capacity
		if lease.Decode(s.Payload, &c, lease.MaxStatement) == nil {
			p = c.Node
		}
	}
	return p
}

func (f fork) ID() lease.ID { return lease.ID(f.Accused()) }

func (f fork) Shows() (gossip.Shown, error) {
	v, err := f.Verify()
	return gossip.Shown{Kind: "fork", Accused: v.Principal, Ends: gossip.Never}, err
}

// A fork reaches everybody to whom its node is known, and nobody else; who comes to
// know the node later pulls it.
func TestForksReachWhoeverKnowsTheNode(t *testing.T) {
	const nodes = 4
	var hosts []host.Host
	var all []*Gossip
	cfg := Config{ReadFork: readFork, PullEvery: 200 * time.Millisecond}
	for i := range nodes { // a line
		h := newHost(t)
		hosts, all = append(hosts, h), append(all, start(t, h, cfg))
		if i > 0 {
			connect(t, h, hosts[i-1])
		}
	}
	meshed(t, TopicForks, all)
	meshed(t, TopicCapacity, all)
	known := func(name string) {
		if err := all[0].Publish(t.Context(), offerOf(t, name, 1, nil)); err != nil {
			t.Fatal(err)
		}
		for _, g := range all {
			wait(t, name+" is known", func() bool { return len(g.Offers()) > 0 && g.known(keyOf(name).Principal()) })
		}
	}
	known("two faces")
	proof := proofOf(t, "two faces", 60)
	if err := all[0].Forks.Accuse(t.Context(), proof.Bytes()); err != nil {
		t.Fatal(err)
	}
	for i, g := range all {
		wait(t, fmt.Sprintf("node %d knows", i), func() bool { return len(g.Forks.Kept()) == 1 })
	}

	// Who was told of a stranger keeps nothing, by gossip or by pull, until it knows
	// the stranger.
	if err := all[0].Forks.Accuse(t.Context(), proofOf(t, "stranger", 60).Bytes()); err != nil {
		t.Fatal(err)
	}
	wait(t, "the stranger is ignored", func() bool { return all[1].Stats().Drops["ignore:stranger"] > 0 })
	if n, err := all[1].Forks.Pull(t.Context(), hosts[0].ID()); n != 0 || err != nil || len(all[1].Forks.Kept()) != 1 {
		t.Errorf("pulled %d, %v", n, err)
	}
	known("stranger")
	for i, g := range all {
		wait(t, fmt.Sprintf("node %d pulled it", i), func() bool { return len(g.Forks.Kept()) == 2 })
	}

	// From an earlier run.
	late := start(t, newHost(t), cfg)
	if err := late.Forks.Keep(proof.Bytes(), true); err != nil || late.Forks.Kept()[0].From != gossip.Past {
		t.Errorf("from an earlier run: %v", err)
	}
}
