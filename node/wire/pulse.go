// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"context"
	"errors"
	"io"
	"net"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
	"github.com/multiformats/go-multistream"
)

// A peer that was killed says no goodbye: to us its connection stays open for
// QUIC's 30 s of silence, or for as long as TCP tries. Meanwhile the swarm goes
// on to choose that connection for new streams, because most streams are on it,
// even when the peer is back and has opened another. So whoever opens a pipe
// takes the pulse of the connections that it may go over.

// takePulse closes those of the connections on which no ping comes back in time.
// It returns at once; streams on what it closes fail, and are free to be opened
// again over another connection.
func takePulse(conns []network.Conn) {
	for _, c := range conns {
		go func() {
			// A refusal is a sign of life too: only silence is none.
			if late := net.Error(nil); errors.As(echo(c), &late) && late.Timeout() {
				c.Close()
			}
		}()
	}
}

// echo has the other end of a connection return what it is sent.
func echo(c network.Conn) error {
	ctx, cancel := context.WithTimeout(network.WithAllowLimitedConn(context.Background(), "pulse"), pulseTimeout)
	defer cancel()
	s, err := c.NewStream(ctx)
	if err != nil {
		return err
	}
	defer s.Reset()
	if err := s.SetDeadline(time.Now().Add(pulseTimeout)); err != nil {
		return err
	}
	if err := s.SetProtocol(ping.ID); err != nil {
		return err
	}
	if _, err := multistream.SelectOneOf([]protocol.ID{ping.ID}, s); err != nil {
		return err
	}
	b := make([]byte, ping.PingSize)
	if _, err := s.Write(b); err != nil {
		return err
	}
	_, err = io.ReadFull(s, b)
	return err
}
