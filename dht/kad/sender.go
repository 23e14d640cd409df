// SPDX-License-Identifier: Apache-2.0

package kad

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"time"

	pb "github.com/libp2p/go-libp2p-kad-dht/pb"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/proto"
)

// sender sends each message on a stream of its own, which ends with the answer.
// kad-dht's own keeps one to whomever it ever asked, and with it a goroutine and its
// buffers here and there, for a minute; a look-up asks scores of peers, hardly one
// twice. Nor does a request wait here for another to the same peer. What it costs is
// some seventy bytes: the protocol is known beforehand, so that nothing is negotiated.
type sender struct {
	host   host.Host
	protos []protocol.ID
}

func newSender(h host.Host, protos []protocol.ID) pb.MessageSenderWithDisconnect {
	return &sender{h, protos}
}

// OnDisconnect implements pb.MessageSenderWithDisconnect: nothing is kept.
func (s *sender) OnDisconnect(context.Context, peer.ID) {}

// SendMessage sends what nobody answers.
func (s *sender) SendMessage(ctx context.Context, to peer.ID, m *pb.Message) error {
	return s.open(ctx, to, m, func(network.Stream) error { return nil })
}

// SendRequest sends a message and returns the answer. How long that took counts as the
// distance of the peer, as with kad-dht's own.
func (s *sender) SendRequest(ctx context.Context, to peer.ID, m *pb.Message) (*pb.Message, error) {
	answer := new(pb.Message)
	err := s.open(ctx, to, m, func(in network.Stream) error {
		start := time.Now()
		if err := in.CloseWrite(); err != nil {
			return err
		}
		if err := (protodelim.UnmarshalOptions{MaxSize: maxAnswer}).UnmarshalFrom(bufio.NewReaderSize(in, 64), answer); err != nil {
			return err
		}
		s.host.Peerstore().RecordLatency(to, time.Since(start))
		return nil
	})
	if err != nil {
		return nil, err
	}
	return answer, nil
}

// open writes a message to a new stream, does what comes after, and ends the stream.
func (s *sender) open(ctx context.Context, to peer.ID, m *pb.Message, then func(network.Stream) error) error {
	b, err := proto.MarshalOptions{}.MarshalAppend(binary.AppendUvarint(nil, uint64(proto.Size(m))), m)
	if err != nil {
		return fmt.Errorf("asking %s: %w", to, err)
	}
	out, err := s.host.NewStream(ctx, to, s.protos...)
	if err != nil {
		return fmt.Errorf("asking %s: %w", to, err)
	}
	defer context.AfterFunc(ctx, func() { out.Reset() })()
	if at, ok := ctx.Deadline(); ok {
		_ = out.SetDeadline(at) // else ctx ends it
	}
	if _, err = out.Write(b); err == nil {
		err = then(out)
	}
	if err != nil {
		out.Reset()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return fmt.Errorf("asking %s: %w", to, err)
	}
	return out.Close()
}
