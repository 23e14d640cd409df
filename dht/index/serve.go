// SPDX-License-Identifier: Apache-2.0

package index

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	manet "github.com/multiformats/go-multiaddr/net"

	"croft/dht"
	"croft/lease"
)

// admit takes a slot for a request of a network, or says why there is none.
func (x *Index) admit(from netip.Prefix) (why string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	all := 0
	for _, n := range x.serving {
		all += n
	}
	switch {
	case all >= maxServed:
		why = "busy"
	case x.serving[from] >= maxServedNetwork:
		why = "crowded"
	default:
		x.serving[from]++
		return ""
	}
	x.refuse[why]++
	return why
}

// done gives a slot back.
func (x *Index) done(from netip.Prefix) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.serving[from]--; x.serving[from] == 0 {
		delete(x.serving, from)
	}
}

// serve answers one request. Whatever is not a request gets a reset and costs
// at most MaxRequest bytes and serveTimeout.
func (x *Index) serve(s network.Stream) {
	from := dht.Network(remote(s.Conn()))
	if x.admit(from) != "" {
		s.Reset()
		return
	}
	defer x.done(from)
	if reason, err := x.exchange(s); err != nil {
		x.count(reason)
		x.cfg.Log.Debug("index request refused", "peer", s.Conn().RemotePeer(), "reason", reason, "err", err)
		s.Reset()
		return
	}
	s.Close()
}

func (x *Index) exchange(s network.Stream) (string, error) {
	if err := s.SetDeadline(time.Now().Add(serveTimeout)); err != nil {
		return "deadline", err
	}
	b, err := readAll(s, dht.MaxRequest)
	if err != nil {
		return "read", err
	}
	req, err := dht.DecodeRequest(b)
	if err != nil {
		return "malformed", err
	}
	out, err := lease.Encode(x.local(req, remote(s.Conn())))
	if err != nil {
		return "encode", err
	}
	if _, err := s.Write(out); err != nil {
		return "write", err
	}
	return "", nil
}

// askStream is an asker on a stream of its own.
func (x *Index) askStream(ctx context.Context, to peer.AddrInfo, req dht.Request) (dht.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	resp, err := x.roundTrip(ctx, to, req)
	if err != nil {
		return dht.Response{}, fmt.Errorf("asking holder %s: %w", to.ID, err)
	}
	return resp, nil
}

func (x *Index) roundTrip(ctx context.Context, to peer.AddrInfo, req dht.Request) (dht.Response, error) {
	b, err := lease.Encode(req)
	if err != nil {
		return dht.Response{}, err
	}
	if err := x.cfg.Host.Connect(ctx, to); err != nil {
		return dht.Response{}, err
	}
	s, err := x.cfg.Host.NewStream(ctx, to.ID, Protocol)
	if err != nil {
		return dht.Response{}, err
	}
	// A stream knows deadlines but no contexts.
	stop := context.AfterFunc(ctx, func() { s.Reset() })
	defer stop()
	if _, err := s.Write(b); err != nil {
		s.Reset()
		return dht.Response{}, err
	}
	if err := s.CloseWrite(); err != nil {
		s.Reset()
		return dht.Response{}, err
	}
	b, err = readAll(s, dht.MaxResponse)
	if err != nil {
		s.Reset()
		return dht.Response{}, err
	}
	s.Close()
	return dht.DecodeResponse(b)
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

func remote(c network.Conn) netip.Addr {
	ip, err := manet.ToIP(c.RemoteMultiaddr())
	if err != nil {
		return netip.Addr{} // through a relay
	}
	addr, _ := netip.AddrFromSlice(ip)
	return addr.Unmap()
}
