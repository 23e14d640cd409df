// SPDX-License-Identifier: Apache-2.0

package pubsub

import (
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"croft/gossip/alive"
	"croft/lease"
	"croft/lease/offer"
)

// member is a node whose host has the node's own key.
type member struct {
	name    string
	host    host.Host
	prober  *Prober
	gossip  *Gossip
	refutes atomic.Int32
	sampled chan error
}

func newMember(t *testing.T, name string, now func() time.Time) *member {
	t.Helper()
	key, err := crypto.UnmarshalEd25519PrivateKey(ed25519.PrivateKey(keyOf(name)))
	if err != nil {
		t.Fatal(err)
	}
	m := &member{name: name, sampled: make(chan error, 64)}
	if m.host, err = libp2p.New(libp2p.Identity(key), libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.DisableRelay(),
		libp2p.ResourceManager(&network.NullResourceManager{}), libp2p.DisableMetrics()); err != nil {
		t.Fatal(err)
	}
	m.prober = NewProber(m.host, peerOf, func(context.Context, peer.ID, lease.Principal) {})
	m.gossip = start(t, m.host, Config{Now: now, Liveness: &LivenessConfig{Key: keyOf(name), Prober: m.prober, Refute: func() { m.refutes.Add(1) },
		Sampled: func(_ lease.Principal, _ time.Duration, err error) { m.sampled <- err }}})
	t.Cleanup(func() { m.prober.Close(); m.host.Close() })
	return m
}

func (m *member) id() lease.Principal { return keyOf(m.name).Principal() }

func TestProbe(t *testing.T) {
	a, b := newMember(t, "a", clock), newMember(t, "b", clock)
	connect(t, a.host, b.host)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for _, m := range []*member{a, b} {
		for _, o := range []*member{a, b} {
			if err := m.gossip.Publish(ctx, offerOf(t, o.name, 1, nil)); err != nil {
				t.Fatal(err)
			}
		}
	}
	rtt, echo, err := a.prober.Probe(ctx, b.id(), nil)
	if err != nil || rtt <= 0 || echo.Coordinate == nil || echo.Coordinate.Error != offer.MaxError {
		t.Fatalf("%s, %+v, %v", rtt, echo, err)
	}
	for range 20 {
		b.gossip.Liveness.Learn(a.id(), 5*time.Millisecond, alive.Echo{Coordinate: &offer.Coordinate{Height: 2500, Error: 100}})
	}
	if _, echo, err = a.prober.Probe(ctx, b.id(), nil); err != nil || echo.Coordinate == nil || echo.Coordinate.Error == offer.MaxError {
		t.Fatalf("%+v, %v", echo, err)
	}
	// Who is suspected hears of it by the probe, and refutes.
	s, err := alive.Seal(alive.Suspicion{By: a.id(), Node: b.id(), Sequence: 1, Made: clock().Unix()}, keyOf("a"))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := a.prober.Probe(ctx, b.id(), s.Bytes); err != nil || b.refutes.Load() != 1 {
		t.Errorf("%v, %d refutations", err, b.refutes.Load())
	}
	if _, _, err := a.prober.Probe(ctx, b.id(), make([]byte, alive.MaxSuspicion+1)); err == nil {
		t.Error("a suspicion that is too large is answered")
	}
	if _, _, err := a.prober.Probe(ctx, b.id(), []byte("garbage")); err != nil {
		t.Errorf("garbage is not answered: %v", err)
	}
	if n := b.gossip.Stats().Drops["liveness:malformed"]; n != 1 {
		t.Errorf("counted %v", b.gossip.Stats().Drops)
	}
	if _, _, err := a.prober.Probe(ctx, keyOf("nobody").Principal(), nil); err == nil {
		t.Error("nobody answers")
	}
}

// Told are the watch's own probes that had their time: not what others want probed, nor
// one that was cut off, which ends with the stream and not with the context's error.
func TestOnlyOwnProbesAreTold(t *testing.T) {
	a, b := newMember(t, "a", clock), newMember(t, "b", clock)
	connect(t, a.host, b.host)
	if _, _, err := a.prober.Probe(t.Context(), b.id(), nil); err != nil || len(a.sampled) != 0 {
		t.Errorf("what somebody wants probed: %v, %d told", err, len(a.sampled))
	}
	if err := a.gossip.Liveness.sample(t.Context(), b.id(), nil); err != nil || len(a.sampled) != 1 || <-a.sampled != nil {
		t.Errorf("an own one is not told: %v", err)
	}
	asked := make(chan struct{})
	b.host.SetStreamHandler(ProtocolAlive, func(s network.Stream) {
		close(asked)
		io.Copy(io.Discard, s) // says nothing
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	if err := a.gossip.Liveness.sample(ctx, b.id(), nil); err == nil || errors.Is(err, context.Canceled) || len(a.sampled) != 0 {
		t.Errorf("cut off: %v, %d told", err, len(a.sampled))
	}
}

// Whoever answers a probe otherwise than it should has not answered.
func TestHostileAnswers(t *testing.T) {
	a, b := newMember(t, "a", clock), newMember(t, "b", clock)
	connect(t, a.host, b.host)
	for name, how := range map[string]func(s network.Stream){
		"another nonce": func(s network.Stream) { s.Write([]byte{ready, 1, 2, 3, 4, 5, 6, 7, 8, 0xa0}) },
		"too much": func(s network.Stream) {
			s.Write([]byte{ready})
			nonce := make([]byte, nonceSize)
			io.ReadFull(s, nonce)
			s.Write(append(nonce, make([]byte, 1<<16)...))
		},
		"no echo": func(s network.Stream) {
			s.Write([]byte{ready})
			nonce := make([]byte, nonceSize)
			io.ReadFull(s, nonce)
			s.Write(append(nonce, "hello"...))
		},
		"a coordinate that cannot be": func(s network.Stream) {
			s.Write([]byte{ready})
			nonce := make([]byte, nonceSize)
			io.ReadFull(s, nonce)
			b, _ := lease.Encode(alive.Echo{Coordinate: &offer.Coordinate{Height: -1, Error: 1}})
			s.Write(append(nonce, b...))
		},
		"another word": func(s network.Stream) { s.Write([]byte{7}) },
		"nothing":      func(network.Stream) {},
		"silence":      func(s network.Stream) { io.Copy(io.Discard, s) },
	} {
		b.host.SetStreamHandler(ProtocolAlive, func(s network.Stream) {
			var size [2]byte
			io.ReadFull(s, size[:])
			io.CopyN(io.Discard, s, int64(binary.BigEndian.Uint16(size[:])))
			how(s)
			s.Close()
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		if rtt, echo, err := a.prober.Probe(ctx, b.id(), nil); err == nil {
			t.Errorf("%s: %s, %+v", name, rtt, echo)
		}
		cancel()
	}
}

// A node that dies is left out by all others, without anybody's help, and comes back
// with a newer offer. It takes the time that it takes: fifteen seconds.
func TestTheDeadAreLeftOut(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a quarter of a minute")
	}
	t.Parallel()
	began := time.Now()
	now := func() time.Time { return noon.Add(time.Since(began)) }
	var all []*member
	of := func(i int, sequence uint64) offer.Opened {
		return offerOf(t, fmt.Sprint("m", i), sequence, func(o *offer.Offer) { o.Site = lease.Principal{1, byte(i)} })
	}
	for i := range 6 {
		m := newMember(t, fmt.Sprint("m", i), now)
		for _, o := range all {
			connect(t, m.host, o.host)
		}
		all = append(all, m)
	}
	for i, m := range all {
		wait(t, "it is among the others", func() bool { return len(m.gossip.topics[TopicLiveness].ListPeers()) == len(all)-1 })
		if err := m.gossip.Publish(t.Context(), of(i, 1)); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range all {
		wait(t, "it knows all", func() bool { return len(m.gossip.Offers()) == len(all) })
	}
	dead, rest := all[0], all[1:]
	dead.gossip.Close()
	dead.host.Close()
	last := of(0, 1)
	for range 4 { // wait has its limit
		if done(rest, &last.Offer) {
			break
		}
		waited := time.NewTimer(10 * time.Second)
		tick := time.NewTicker(50 * time.Millisecond)
		for over := false; !over && !done(rest, &last.Offer); {
			select {
			case <-tick.C:
			case <-waited.C:
				over = true
			}
		}
		tick.Stop()
		waited.Stop()
	}
	told := uint64(0)
	for _, m := range rest {
		if got := m.gossip.Liveness.Standing(&last.Offer); got != alive.Absent {
			t.Errorf("%s takes it for %s: %+v %v", m.name, got, m.gossip.Liveness.Stats(), m.gossip.Stats().Drops)
		}
		told += m.gossip.Liveness.Stats().Suspected
	}
	if told < alive.Sites {
		t.Errorf("%d suspicions were told", told)
	}
	back := of(0, 2)
	if err := rest[0].gossip.topics[TopicCapacity].Publish(t.Context(), back.Bytes); err != nil {
		t.Fatal(err)
	}
	for _, m := range rest[1:] {
		wait(t, "it is back", func() bool {
			o, ok := m.gossip.Offer(dead.id())
			return ok && o.Sequence == 2 && m.gossip.Liveness.Standing(&o.Offer) == alive.Present
		})
	}
}

func done(all []*member, o *offer.Offer) bool {
	for _, m := range all {
		if m.gossip.Liveness.Standing(o) != alive.Absent {
			return false
		}
	}
	return true
}

// Who opens probes and says nothing does not keep others from being answered.
func TestSilentProbesLeaveRoom(t *testing.T) {
	a, b, quiet := newMember(t, "a", clock), newMember(t, "b", clock), newHost(t)
	connect(t, a.host, b.host)
	connect(t, quiet, b.host)
	silent(t, quiet, b.host.ID(), ProtocolAlive, maxProbed)
	wait(t, "what is too much of them is refused", func() bool { return b.gossip.Stats().Drops["liveness:crowded"] > 0 })
	ctx, cancel := context.WithTimeout(t.Context(), alive.Timeout)
	defer cancel()
	if _, _, err := a.prober.Probe(ctx, b.id(), nil); err != nil {
		t.Error(err, b.gossip.Stats().Drops)
	}
}
