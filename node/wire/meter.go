// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"maps"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/metrics"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// Meter counts the bytes of streams by protocol and by peer, for a host that is
// given it. libp2p's own counter keeps every peer that it ever met; this one forgets
// those that are gone. Its methods may be called at once.
type Meter struct {
	mu        sync.Mutex
	total     metrics.Stats
	protocols map[protocol.ID]metrics.Stats // at most maxMetered
	peers     map[peer.ID]metrics.Stats
	turned    time.Time
	before    map[protocol.ID]metrics.Stats // when it was turned last
}

var _ metrics.Reporter = (*Meter)(nil)

// NewMeter returns a meter that has counted nothing.
func NewMeter() *Meter {
	m := &Meter{}
	m.Reset()
	return m
}

// Turn works out the rates since the last turn, and forgets the peers that are not
// connected.
func (m *Meter) Turn(now time.Time, connected func(peer.ID) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if d := now.Sub(m.turned).Seconds(); d > 0 && !m.turned.IsZero() {
		for proto, s := range m.protocols {
			was := m.before[proto]
			s.RateIn, s.RateOut = float64(s.TotalIn-was.TotalIn)/d, float64(s.TotalOut-was.TotalOut)/d
			m.protocols[proto] = s
		}
	}
	m.turned, m.before = now, maps.Clone(m.protocols)
	maps.DeleteFunc(m.peers, func(p peer.ID, _ metrics.Stats) bool { return !connected(p) })
}

func (m *Meter) log(in, out int64, proto protocol.ID, p peer.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.protocols[proto]; !ok && len(m.protocols) >= maxMetered {
		proto = ""
	}
	s := m.protocols[proto]
	s.TotalIn, s.TotalOut = s.TotalIn+in, s.TotalOut+out
	m.protocols[proto] = s
	s = m.peers[p]
	s.TotalIn, s.TotalOut = s.TotalIn+in, s.TotalOut+out
	m.peers[p] = s
}

// LogSentMessage and LogRecvMessage count a message whoever it is for.
func (m *Meter) LogSentMessage(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.total.TotalOut += n
}

func (m *Meter) LogRecvMessage(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.total.TotalIn += n
}

// LogSentMessageStream and LogRecvMessageStream count it for its protocol and peer.
func (m *Meter) LogSentMessageStream(n int64, proto protocol.ID, p peer.ID) { m.log(0, n, proto, p) }
func (m *Meter) LogRecvMessageStream(n int64, proto protocol.ID, p peer.ID) { m.log(n, 0, proto, p) }

// GetBandwidthForPeer returns what a peer has had, without a rate.
func (m *Meter) GetBandwidthForPeer(p peer.ID) metrics.Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.peers[p]
}

// GetBandwidthForProtocol returns what a protocol has had, and its rates when the
// meter was turned last.
func (m *Meter) GetBandwidthForProtocol(proto protocol.ID) metrics.Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.protocols[proto]
}

// GetBandwidthTotals returns all bytes of streams, without a rate.
func (m *Meter) GetBandwidthTotals() metrics.Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.total
}

// GetBandwidthByPeer and GetBandwidthByProtocol return copies of all there is.
func (m *Meter) GetBandwidthByPeer() map[peer.ID]metrics.Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.peers)
}

func (m *Meter) GetBandwidthByProtocol() map[protocol.ID]metrics.Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.protocols)
}

// Reset forgets everything.
func (m *Meter) Reset() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.total, m.turned = metrics.Stats{}, time.Time{}
	m.protocols, m.peers = map[protocol.ID]metrics.Stats{}, map[peer.ID]metrics.Stats{}
}

// TrimIdle does nothing: see Turn.
func (m *Meter) TrimIdle(time.Time) {}
