// SPDX-License-Identifier: Apache-2.0

package kad

import (
	"bytes"
	"io"
	"testing"

	pb "github.com/libp2p/go-libp2p-kad-dht/pb"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"google.golang.org/protobuf/encoding/protodelim"
)

// An answer is read up to a bound, whatever it says of its length.
func TestAnswersAreBounded(t *testing.T) {
	d, liar := start(t, Config{Server: true}), newHost(t)
	d.host.Peerstore().AddAddrs(liar.ID(), liar.Addrs(), peerstore.PermanentAddrTTL)
	for _, c := range []struct {
		size int
		ok   bool
	}{{maxAnswer / 2, true}, {2 * maxAnswer, false}} {
		liar.SetStreamHandler(Prefix+"/kad/1.0.0", func(s network.Stream) {
			defer s.Close()
			_, _ = io.ReadAll(s)
			_, _ = protodelim.MarshalTo(s, &pb.Message{Key: bytes.Repeat([]byte{1}, c.size)})
		})
		_, err := d.dht.MessageSender().SendRequest(t.Context(), liar.ID(), pb.NewMessage(pb.Message_FIND_NODE, []byte("k"), 0))
		if (err == nil) != c.ok {
			t.Errorf("an answer of %d bytes: %v", c.size, err)
		}
	}
}
