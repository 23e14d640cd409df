// SPDX-License-Identifier: Apache-2.0

package pubsub

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"croft/gossip"
	"croft/lease"
)

// Protocol is the pull's stream protocol id: one request and one page a stream.
const Protocol protocol.ID = "/croft/view/1"

// startPulling serves pulls, and pulls from the first neighbours that come and
// from a random one now and then.
func (g *Gossip) startPulling(ctx context.Context) error {
	identified, err := g.cfg.Host.EventBus().Subscribe(new(event.EvtPeerIdentificationCompleted))
	if err != nil {
		return err
	}
	g.cfg.Host.SetStreamHandler(Protocol, g.serve)
	arrived := make(chan peer.ID, firstPulls)
	g.loops.Go(func() { // drains at once: whoever emits an event waits for its slowest reader
		defer identified.Close()
		for {
			select {
			case <-ctx.Done():
				return
			case e := <-identified.Out():
				if done, ok := e.(event.EvtPeerIdentificationCompleted); ok && slices.Contains(done.Protocols, Protocol) {
					select {
					case arrived <- done.Peer:
					default: // the next pull by the clock will do
					}
				}
			}
		}
	})
	g.loops.Go(func() { g.keepPulling(ctx, arrived) })
	return nil
}

// keepPulling pulls from the first neighbours as they come, then from a random
// one by the clock: soon after the start, when views grow, and rarely later.
func (g *Gossip) keepPulling(ctx context.Context, arrived <-chan peer.ID) {
	pulled := map[peer.ID]bool{} // at most firstPulls
	timer := time.NewTimer(soon[0])
	defer timer.Stop()
	for turn := 1; ; {
		select {
		case <-ctx.Done():
			return
		case id := <-arrived:
			if len(pulled) < firstPulls && !pulled[id] && g.try(ctx, id) {
				pulled[id] = true
			}
		case <-timer.C:
			g.step(gossip.Tick{})
			if near := g.neighbours(); len(near) > 0 {
				g.try(ctx, near[rand.N(len(near))])
			}
			next := g.cfg.PullEvery/2 + rand.N(g.cfg.PullEvery) // not all at once
			if turn < len(soon) {
				next = min(next, soon[turn])
				turn++
			}
			timer.Reset(next)
		}
	}
}

func (g *Gossip) neighbours() []peer.ID {
	return slices.DeleteFunc(g.cfg.Host.Network().Peers(), func(id peer.ID) bool {
		speaks, err := g.cfg.Host.Peerstore().SupportsProtocols(id, Protocol)
		return err != nil || len(speaks) == 0
	})
}

func (g *Gossip) try(ctx context.Context, id peer.ID) bool {
	n, err := g.Pull(ctx, id)
	if err != nil {
		if ctx.Err() == nil {
			g.counts.add("pull:failed")
			g.cfg.Log.Debug("view not pulled", "peer", id, "err", err)
		}
		return false
	}
	g.cfg.Log.Debug("view pulled", "peer", id, "offers", n)
	return true
}

// Pull asks a neighbour for what differs between its view and ours, and returns
// how many offers of it were news. One who sends garbage is not asked further.
func (g *Gossip) Pull(ctx context.Context, from peer.ID) (news int, err error) {
	ctx, cancel := context.WithTimeout(ctx, pullTimeout)
	defer cancel()
	g.mu.Lock()
	req := gossip.PullRequest{Digest: g.view.Digest()}
	g.mu.Unlock()
	for range gossip.MaxPages {
		page, err := g.page(ctx, from, req)
		if err != nil {
			return news, fmt.Errorf("pulling the view from %s: %w", from, err)
		}
		for _, b := range page.Offers {
			switch v := g.step(gossip.Received{Bytes: b, From: principal(from), Pulled: true}); v.Judgement {
			case gossip.Accept:
				news++
			case gossip.Reject:
				g.counts.add("pull:" + string(v.Reason))
				return news, fmt.Errorf("pulling the view from %s: %s: %w", from, v, lease.ErrSyntax)
			}
		}
		if page.After.IsZero() || len(page.Offers) == 0 {
			break
		}
		req.After = page.After
	}
	return news, nil
}

func (g *Gossip) page(ctx context.Context, from peer.ID, req gossip.PullRequest) (gossip.PullPage, error) {
	s, err := g.cfg.Host.NewStream(ctx, from, Protocol)
	if err != nil {
		return gossip.PullPage{}, err
	}
	stop := context.AfterFunc(ctx, func() { s.Reset() }) // a stream knows no contexts
	defer stop()
	b, err := lease.Encode(req)
	if err == nil {
		_, err = s.Write(b)
	}
	if err == nil {
		err = s.CloseWrite()
	}
	if err == nil {
		b, err = readAll(s, gossip.MaxPage)
	}
	if err != nil {
		s.Reset()
		return gossip.PullPage{}, err
	}
	s.Close()
	return gossip.DecodePullPage(b)
}

// serve answers one pull with one page.
func (g *Gossip) serve(s network.Stream) {
	select {
	case g.served <- struct{}{}:
		defer func() { <-g.served }()
	default:
		g.counts.add("serve:busy")
		s.Reset()
		return
	}
	if reason, err := g.exchange(s); err != nil {
		g.counts.add("serve:" + reason)
		g.cfg.Log.Debug("pull refused", "peer", s.Conn().RemotePeer(), "reason", reason, "err", err)
		s.Reset()
		return
	}
	s.Close()
}

func (g *Gossip) exchange(s network.Stream) (string, error) {
	if err := s.SetDeadline(time.Now().Add(serveTimeout)); err != nil {
		return "deadline", err
	}
	b, err := readAll(s, gossip.MaxPull)
	if err != nil {
		return "read", err
	}
	req, err := gossip.DecodePullRequest(b)
	if err != nil {
		return "malformed", err
	}
	g.mu.Lock()
	page := g.view.Page(g.cfg.Now(), req)
	g.mu.Unlock()
	out, err := lease.Encode(page)
	if err != nil {
		return "encode", err
	}
	if _, err := s.Write(out); err != nil {
		return "write", err
	}
	return "", nil
}

func readAll(r io.Reader, limit int) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if err != nil {
		return nil, err
	}
	if len(b) > limit {
		return nil, fmt.Errorf("more than %d bytes: %w", limit, lease.ErrTooBig)
	}
	return b, nil
}
