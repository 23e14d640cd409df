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
	"croft/lease/judge"
)

// The pulls' stream protocol ids: one request and one page a stream.
const (
	Protocol       protocol.ID = "/croft/view/1"
	ProtocolProofs protocol.ID = "/croft/proofs/1"
	ProtocolForks  protocol.ID = "/croft/forks/1"
)

// startPulling serves pulls, and pulls from the first neighbours that come and
// from a random one now and then.
func (g *Gossip) startPulling(ctx context.Context) error {
	identified, err := g.cfg.Host.EventBus().Subscribe(new(event.EvtPeerIdentificationCompleted))
	if err != nil {
		return err
	}
	g.cfg.Host.SetStreamHandler(Protocol, func(s network.Stream) { g.serve(s, g.served, gossip.Views, g.viewPage) })
	for _, p := range g.proofs() {
		g.cfg.Host.SetStreamHandler(p.proto, func(s network.Stream) { g.serve(s, g.served, gossip.Views, p.page) })
	}
	if g.cfg.OptOuts != nil {
		g.cfg.Host.SetStreamHandler(ProtocolOptOuts, func(s network.Stream) { g.serve(s, g.served, gossip.OptOuts, g.optoutPage) })
	}
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
	timer, due := time.NewTimer(soon[0]), time.Now().Add(soon[0])
	defer timer.Stop()
	for turn := 1; ; {
		select {
		case <-ctx.Done():
			return
		case id := <-arrived:
			if now := time.Now(); g.counts.audience.missed(now, g.cfg.PullEvery) { // as if it were new
				clear(pulled)
				turn = 1
				if at := now.Add(soon[0]); at.Before(due) { // never later: who comes and goes would put it off
					timer.Reset(soon[0])
					due = at
				}
			}
			if len(pulled) < firstPulls && !pulled[id] && g.try(ctx, id) {
				pulled[id] = true
			}
		case <-timer.C:
			g.step(gossip.Tick{})
			for _, p := range g.proofs() {
				p.step(gossip.Tick{})
			}
			if near := g.neighbours(); len(near) > 0 {
				if g.try(ctx, near[g.choose(near)]) {
					g.counts.audience.pulled()
				}
			}
			next := g.cfg.PullEvery/2 + rand.N(g.cfg.PullEvery) // not all at once
			if turn < len(soon) {
				next = min(next, soon[turn])
				turn++
			}
			timer.Reset(next)
			due = time.Now().Add(next)
		}
	}
}

// proofs are the kinds of proofs that are carried.
func (g *Gossip) proofs() []*Proofs {
	if g.Forks == nil {
		return []*Proofs{g.Conflicts}
	}
	return []*Proofs{g.Conflicts, g.Forks}
}

// choose draws one of those neighbours that answered well so far.
func (g *Gossip) choose(near []peer.ID) int {
	all := make([]lease.Principal, len(near))
	for i, id := range near {
		all[i] = principal(id)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	good := g.sources.Choose(g.cfg.Now(), all)
	return good[rand.N(len(good))]
}

func (g *Gossip) neighbours() []peer.ID {
	return slices.DeleteFunc(g.cfg.Host.Network().Peers(), func(id peer.ID) bool { return !g.speaks(id, Protocol) })
}

// try pulls the view, and the proofs and opt-outs if the neighbour speaks of them.
func (g *Gossip) try(ctx context.Context, id peer.ID) bool {
	n, err := g.Pull(ctx, id)
	proofs, optouts := 0, 0
	for _, p := range g.proofs() {
		if err == nil && g.speaks(id, p.proto) {
			var news int
			news, err = p.Pull(ctx, id)
			proofs += news
		}
	}
	if err == nil && g.cfg.OptOuts != nil && g.speaks(id, ProtocolOptOuts) {
		optouts, err = g.PullOptOuts(ctx, id)
	}
	if err != nil {
		if ctx.Err() == nil {
			g.counts.add("pull:failed")
			g.cfg.Log.Debug("view not pulled", "peer", id, "err", err)
		}
		return false
	}
	g.cfg.Log.Debug("view pulled", "peer", id, "offers", n, "proofs", proofs, "optouts", optouts)
	return true
}

func (g *Gossip) speaks(id peer.ID, proto protocol.ID) bool {
	speaks, err := g.cfg.Host.Peerstore().SupportsProtocols(id, proto)
	return err == nil && len(speaks) > 0
}

// Pull asks a neighbour for what differs between its view and ours, and returns
// how many offers of it were news. One who sends garbage is not asked further.
func (g *Gossip) Pull(ctx context.Context, from peer.ID) (news int, err error) {
	ctx, cancel := context.WithTimeout(ctx, pullTimeout)
	defer cancel()
	g.mu.Lock()
	pull := g.view.Pull(g.cfg.Now(), principal(from))
	req, more := pull.Next()
	g.mu.Unlock()
	for more {
		b, err := g.ask(ctx, from, Protocol, req, gossip.MaxPage)
		if err != nil {
			return pull.News(), fmt.Errorf("pulling the view from %s: %w", from, err)
		}
		page, err := gossip.DecodePullPage(b)
		if err == nil {
			var effects []gossip.Effect
			g.mu.Lock()
			effects, err = pull.Take(g.cfg.Now(), page)
			req, more = pull.Next()
			g.mu.Unlock()
			if v := g.tell(effects); v.Judgement == judge.Reject {
				g.counts.add("pull:" + string(v.Reason))
			}
		}
		if err != nil {
			return pull.News(), fmt.Errorf("pulling the view from %s: %w", from, err)
		}
	}
	g.mu.Lock()
	omitted := g.sources.Judge(g.cfg.Now(), pull)
	g.mu.Unlock()
	for who, n := range omitted {
		g.counts.addSome("pull:omitted", uint64(n))
		g.cfg.Log.Debug("a neighbour lacks what others have", "node", who.Short(), "offers", n)
	}
	return pull.News(), nil
}

// take judges what a page holds, up to the first that nobody honest would send.
func (g *Gossip) take(from peer.ID, messages [][]byte, step func(gossip.Input) gossip.Verdict) (news int, err error) {
	for _, b := range messages {
		switch v := step(gossip.Received{Bytes: b, From: principal(from), Pulled: true}); v.Judgement {
		case judge.Accept:
			news++
		case judge.Reject:
			g.counts.add("pull:" + string(v.Reason))
			return news, fmt.Errorf("%s: %w", v, lease.ErrSyntax)
		}
	}
	return news, nil
}

// ask sends one request and returns the page that answers it.
func (g *Gossip) ask(ctx context.Context, from peer.ID, proto protocol.ID, req any, limit int) ([]byte, error) {
	s, err := g.cfg.Host.NewStream(ctx, from, proto)
	if err != nil {
		return nil, err
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
		b, err = readAll(s, limit)
	}
	if err != nil {
		s.Reset()
		return nil, err
	}
	s.Close()
	return b, nil
}

// serve answers one pull with one page, if one of the slots is free.
func (g *Gossip) serve(s network.Stream, of *slots, kind gossip.Kind, answer func(req []byte) (page any, err error)) {
	back, why := of.take(s.Conn())
	if why != "" {
		g.counts.add("serve:" + why)
		s.Reset()
		return
	}
	reason, err := g.exchange(s, kind, answer)
	back()
	if err != nil {
		g.counts.add("serve:" + reason)
		g.cfg.Log.Debug("pull refused", "peer", s.Conn().RemotePeer(), "reason", reason, "err", err)
		s.Reset()
		return
	}
	s.Close()
}

func (g *Gossip) exchange(s network.Stream, kind gossip.Kind, answer func(req []byte) (page any, err error)) (string, error) {
	if err := s.SetDeadline(time.Now().Add(serveTimeout)); err != nil {
		return "deadline", err
	}
	b, err := readAll(s, gossip.MaxPull)
	if err != nil {
		return "read", err
	}
	page, err := answer(b)
	if err != nil {
		return "malformed", err
	}
	out, err := lease.Encode(page)
	if err != nil {
		return "encode", err
	}
	g.intakeMu.Lock()
	ok := g.intake.Answer(g.cfg.Now(), kind, principal(s.Conn().RemotePeer()), source(s.Conn()), len(out))
	g.intakeMu.Unlock()
	if !ok {
		return "allowance", errAnswers
	}
	if _, err := s.Write(out); err != nil {
		return "write", err
	}
	return "", nil
}

func (g *Gossip) viewPage(b []byte) (any, error) {
	req, err := gossip.DecodePullRequest(b)
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.view.Page(g.cfg.Now(), req), nil
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
