// SPDX-License-Identifier: Apache-2.0

package pubsub

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"croft/gossip/alive"
	"croft/lease"
)

// ProtocolAlive is the stream protocol id of probes.
const ProtocolAlive protocol.ID = "/croft/alive/1"

// Prober asks nodes whether they are there, how far they are, and where. A visitor
// has one too. Its methods may be called at once.
type Prober struct {
	host   host.Host
	id     func(lease.Principal) (peer.ID, error)
	locate func(context.Context, peer.ID, lease.Principal)
	ctx    context.Context
	cancel context.CancelFunc
	dials  sync.WaitGroup
}

// NewProber returns a prober; id names the peer of a node, and locate puts what is
// known of its addresses where the host looks for them.
func NewProber(h host.Host, id func(lease.Principal) (peer.ID, error), locate func(context.Context, peer.ID, lease.Principal)) *Prober {
	p := &Prober{host: h, id: id, locate: locate}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p
}

// Close ends the dials that are under way.
func (p *Prober) Close() error {
	p.cancel()
	p.dials.Wait()
	return nil
}

// Probe asks a node, with a suspicion of it to refute, or nil. The time returned is
// that of the one exchange that counts: neither dialling nor agreeing on a protocol
// is in it.
func (p *Prober) Probe(ctx context.Context, node lease.Principal, suspicion []byte) (rtt time.Duration, echo alive.Echo, err error) {
	id, err := p.id(node)
	if err == nil {
		err = p.connect(ctx, id, node)
	}
	if err != nil {
		return 0, alive.Echo{}, fmt.Errorf("probing %s: %w", node.Short(), err)
	}
	ctx = network.WithAllowLimitedConn(network.WithNoDial(ctx, "probe"), "probe")
	s, err := p.host.NewStream(ctx, id, ProtocolAlive)
	if err != nil {
		return 0, alive.Echo{}, fmt.Errorf("probing %s: %w", node.Short(), err)
	}
	stop := context.AfterFunc(ctx, func() { s.Reset() }) // a stream knows no contexts
	defer stop()
	rtt, echo, err = exchange(s, suspicion)
	if err != nil {
		s.Reset()
		return 0, alive.Echo{}, fmt.Errorf("probing %s: %w", node.Short(), err)
	}
	s.Close()
	return rtt, echo, nil
}

// connect waits for a connection as long as ctx lasts.
func (p *Prober) connect(ctx context.Context, id peer.ID, node lease.Principal) error {
	switch p.host.Network().Connectedness(id) {
	case network.Connected, network.Limited:
		return nil
	}
	done := make(chan error, 1)
	p.dials.Go(func() {
		ctx, cancel := context.WithTimeout(p.ctx, dialTimeout)
		defer cancel()
		p.locate(ctx, id, node)
		done <- p.host.Connect(ctx, peer.AddrInfo{ID: id})
	})
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// exchange is the asker's side: the suspicion, whose size stands before it; the
// other is ready; a nonce; the nonce again and the echo.
func exchange(s io.ReadWriter, suspicion []byte) (rtt time.Duration, echo alive.Echo, err error) {
	question := append(binary.BigEndian.AppendUint16(nil, uint16(len(suspicion))), suspicion...)
	if _, err := s.Write(question); err != nil {
		return 0, echo, err
	}
	var nonce, again [nonceSize]byte
	rand.Read(nonce[:]) // nobody answers before it was asked
	if _, err := io.ReadFull(s, again[:1]); err != nil {
		return 0, echo, err
	}
	if again[0] != ready {
		return 0, echo, fmt.Errorf("answered %d: %w", again[0], lease.ErrSyntax)
	}
	sent := time.Now()
	if _, err := s.Write(nonce[:]); err != nil {
		return 0, echo, err
	}
	if _, err := io.ReadFull(s, again[:]); err != nil {
		return 0, echo, err
	}
	rtt = time.Since(sent)
	if !bytes.Equal(nonce[:], again[:]) {
		return 0, echo, fmt.Errorf("another nonce: %w", lease.ErrSyntax)
	}
	b, err := readAll(s, alive.MaxEcho)
	if err == nil {
		echo, err = alive.DecodeEcho(b)
	}
	return rtt, echo, err
}

// answer is the other side. What suspicion was brought is for heard to judge.
func answer(s io.ReadWriter, heard func(suspicion []byte), echo func() alive.Echo) error {
	var size [2]byte
	if _, err := io.ReadFull(s, size[:]); err != nil {
		return err
	}
	n := int(binary.BigEndian.Uint16(size[:]))
	if n > alive.MaxSuspicion {
		return fmt.Errorf("suspicion of %d bytes: %w", n, lease.ErrTooBig)
	}
	suspicion := make([]byte, n)
	if _, err := io.ReadFull(s, suspicion); err != nil {
		return err
	}
	if n > 0 {
		heard(suspicion)
	}
	said := echo().Encode()
	if _, err := s.Write([]byte{ready}); err != nil {
		return err
	}
	nonce := make([]byte, nonceSize, nonceSize+len(said))
	if _, err := io.ReadFull(s, nonce); err != nil {
		return err
	}
	_, err := s.Write(append(nonce, said...))
	return err
}
