// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"fmt"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/metrics"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

func TestMeter(t *testing.T) {
	m := NewMeter()
	at := time.Unix(1_800_000_000, 0)
	m.Turn(at, func(peer.ID) bool { return true })
	m.LogSentMessage(100)
	m.LogSentMessageStream(100, "/a", "x")
	m.LogRecvMessage(30)
	m.LogRecvMessageStream(30, "/a", "y")
	m.Turn(at.Add(10*time.Second), func(p peer.ID) bool { return p == "y" })
	if got, want := m.GetBandwidthForProtocol("/a"), (metrics.Stats{TotalIn: 30, TotalOut: 100, RateIn: 3, RateOut: 10}); got != want {
		t.Errorf("protocol: %+v, want %+v", got, want)
	}
	if got := m.GetBandwidthByPeer(); len(got) != 1 || got["y"].TotalIn != 30 {
		t.Errorf("peers: %+v, want y alone", got)
	}
	if got, want := m.GetBandwidthTotals(), (metrics.Stats{TotalIn: 30, TotalOut: 100}); got != want {
		t.Errorf("totals: %+v, want %+v", got, want)
	}
	m.Turn(at.Add(20*time.Second), func(peer.ID) bool { return true })
	if got := m.GetBandwidthForProtocol("/a"); got.RateIn != 0 || got.TotalIn != 30 {
		t.Errorf("after a rest: %+v", got)
	}
	for i := range 2 * maxMetered {
		m.LogRecvMessageStream(1, protocol.ID(fmt.Sprint(i)), "y")
	}
	all, sum := m.GetBandwidthByProtocol(), int64(0)
	for _, s := range all {
		sum += s.TotalIn
	}
	if len(all) > maxMetered+1 || sum != 30+2*maxMetered {
		t.Errorf("%d protocols with %d bytes in", len(all), sum)
	}
}
