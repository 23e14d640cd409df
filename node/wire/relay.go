// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"context"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	pbv2 "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/pb"
	circuitv2 "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"
	ma "github.com/multiformats/go-multiaddr"
	"golang.org/x/time/rate"
)

// RelayQuota is what a host carries for nodes behind NAT, so that the line that
// it has stays its owner's.
type RelayQuota struct {
	Nodes int   // that are reached through it
	Rate  int64 // bit/s of all that passes, both ways together
	Daily int64 // bytes in a day, both ways together
}

// Carried is what a relay has carried.
type Carried struct {
	Serving  bool   // only hosts that can be reached serve
	Nodes    int    // that are reached through it now
	Circuits int    // connections through it now
	Bytes    uint64 // in all
	Today    uint64 // of the daily quota
	Refused  uint64 // reservations and connections, for whatever reason
}

// meter counts what a relay carries, and holds it to a quota.
type meter struct {
	ctx   context.Context // ends with the host
	quota RelayQuota
	rate  *rate.Limiter
	wall  func() time.Time

	mu  sync.Mutex // of all below
	is  Carried
	day time.Time // when the day of Today began
}

func newMeter(ctx context.Context, q RelayQuota) *meter {
	return &meter{ctx: ctx, quota: q, rate: rate.NewLimiter(rate.Limit(q.Rate)/8, relayBurst), wall: time.Now}
}

func (m *meter) options() []circuitv2.Option {
	return []circuitv2.Option{
		circuitv2.WithResources(circuitv2.Resources{
			Limit:           &circuitv2.RelayLimit{Duration: circuitTime, Data: circuitBytes},
			ReservationTTL:  reservationTime,
			MaxReservations: m.quota.Nodes, MaxReservationsPerIP: reservationsPerIP, MaxReservationsPerASN: m.quota.Nodes,
			MaxCircuits: circuitsPerPeer, BufferSize: relayBuffer,
		}),
		circuitv2.WithACL(m), circuitv2.WithMetricsTracer(m),
	}
}

func (m *meter) now() Carried {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.turn()
	return m.is
}

// turn begins a new day when one is over. It is called with mu held.
func (m *meter) turn() {
	if now := m.wall(); m.day.IsZero() || now.Sub(m.day) >= 24*time.Hour || now.Before(m.day) {
		m.day, m.is.Today = now, 0
	}
}

// AllowReserve is asked before a node gets a place.
func (m *meter) AllowReserve(peer.ID, ma.Multiaddr) bool { return m.left() }

// AllowConnect is asked before a connection is carried.
func (m *meter) AllowConnect(peer.ID, ma.Multiaddr, peer.ID) bool { return m.left() }

func (m *meter) left() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.turn()
	return m.is.Today < uint64(m.quota.Daily)
}

// BytesTransferred counts, and holds up a circuit that is ahead of the rate: its
// next bytes are not read before this returns, and who sends them waits.
func (m *meter) BytesTransferred(n int) {
	m.mu.Lock()
	m.turn()
	m.is.Bytes += uint64(n)
	m.is.Today += uint64(n)
	m.mu.Unlock()
	_ = m.rate.WaitN(m.ctx, n) // it fails when the host closes, and then all ends
}

func (m *meter) count(f func(*Carried)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f(&m.is)
}

func (m *meter) RelayStatus(enabled bool) {
	m.count(func(c *Carried) {
		if c.Serving = enabled; !enabled {
			c.Nodes = 0
		}
	})
}
func (m *meter) ConnectionOpened()              { m.count(func(c *Carried) { c.Circuits++ }) }
func (m *meter) ConnectionClosed(time.Duration) { m.count(func(c *Carried) { c.Circuits-- }) }
func (m *meter) ReservationAllowed(again bool) {
	if !again {
		m.count(func(c *Carried) { c.Nodes++ })
	}
}
func (m *meter) ReservationClosed(n int)                      { m.count(func(c *Carried) { c.Nodes = max(0, c.Nodes-n) }) }
func (m *meter) ConnectionRequestHandled(status pbv2.Status)  { m.handled(status) }
func (m *meter) ReservationRequestHandled(status pbv2.Status) { m.handled(status) }

func (m *meter) handled(status pbv2.Status) {
	if status != pbv2.Status_OK {
		m.count(func(c *Carried) { c.Refused++ })
	}
}
