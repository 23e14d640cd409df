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
	for i, g := range all {
		wait(t, "the neighbours are on the topic", func() bool {
			return len(g.topics[TopicConflicts].ListPeers()) == min(1, i)+min(1, nodes-1-i)
		})
	}
	proof := proofOf(t, "liar", 60)
	if err := all[0].Accuse(t.Context(), proof.Bytes()); err != nil {
		t.Fatal(err)
	}
	for i, g := range all {
		wait(t, fmt.Sprintf("node %d knows", i), func() bool { return len(g.Proofs()) == 1 })
	}
	last := all[nodes-1].Proofs()[0]
	if last.ID != proof.ID() || last.From != principal(hosts[nodes-2].ID()) || last.Verdict.Principal != keyOf("liar").Principal() {
		t.Errorf("the last node knows %s from %s", last, last.From)
	}
	wait(t, "each owner was told", func() bool { return heard.Load() == nodes })
	if err := all[1].Accuse(t.Context(), proof.Bytes()); err != nil {
		t.Errorf("telling again: %v", err)
	}

	// Kept, and not told: whoever asks gets it.
	old := proofOf(t, "old liar", 120)
	if err := all[2].KeepProof(old.Bytes()); err != nil {
		t.Fatal(err)
	}
	late := newHost(t)
	g := start(t, late, Config{})
	connect(t, late, hosts[2])
	wait(t, "the latecomer pulled both", func() bool { return len(g.Proofs()) == 2 })
}

func TestFalseProofsAreRejectedAndNotPublished(t *testing.T) {
	honest, hostile := newHost(t), newHost(t)
	g, m := start(t, honest, Config{}), start(t, hostile, Config{})
	connect(t, hostile, honest)
	wait(t, "both on the topic", func() bool {
		return len(g.topics[TopicConflicts].ListPeers()) == 1 && len(m.topics[TopicConflicts].ListPeers()) == 1
	})
	forged := proofOf(t, "liar", 60)
	forged.Evidence[1][len(forged.Evidence[1])-1] ^= 1
	same := proofOf(t, "liar", 60)
	same.Evidence[1] = same.Evidence[0]
	if err := g.Accuse(t.Context(), forged.Bytes()); !errors.Is(err, ErrRefused) {
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
	if n, err := g.PullProofs(ctx, hostile.ID()); n != 0 || !errors.Is(err, lease.ErrSyntax) {
		t.Errorf("pulled %d, %v", n, err)
	}
	if n := len(g.Proofs()); n != 0 {
		t.Errorf("%d proofs kept", n)
	}
}
