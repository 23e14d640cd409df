// SPDX-License-Identifier: Apache-2.0

package lean

import (
	"math/rand/v2"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
)

// Who is killed leaves connections behind that the others think whole. When a host
// with its key is at its address again, that one knows nothing of them: to what comes
// for one it answers with QUIC's stateless reset (RFC 9000, 10.3), and the connection
// is over a round trip later, not when it has been silent for long.

// reborn has a new host answer for the one that was killed at its address. It is called
// with the fabric locked.
func (f *Fabric) reborn(h *Host) {
	if !f.killed[h.id] {
		return
	}
	delete(f.killed, h.id)
	for l := range f.links {
		for i, end := range l.ends {
			if old := l.ends[1-i].host; old.id == h.id && old.gone.Load() && !end.host.gone.Load() {
				l.reborn.Store(true)
				time.AfterFunc(rand.N(keepAlive), func() { l.knock(i) }) // what is alive says so now and then
				time.AfterFunc(0, func() { l.repeat(i) })
			}
		}
	}
}

// repeat sends again what the end has sent in vain, if anything.
func (l *link) repeat(end int) {
	l.mu.Lock()
	waits := false
	for p := range l.streams {
		waits = waits || len(p.halfs[end].flight) > 0
	}
	l.mu.Unlock()
	if waits {
		l.knock(end)
	}
}

// knock sends something to where the other end was.
func (l *link) knock(end int) {
	a, b := l.ends[end].host, l.ends[1-end].host
	if took, ok := l.fabric.roundTrip(a, b); ok && !l.fabric.wires.Cut(a.index, b.index) {
		time.AfterFunc(took, func() { l.ends[end].die(&network.ConnError{TransportError: errForgotten}) })
	}
}
