// SPDX-License-Identifier: Apache-2.0

package lean

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// link is a connection: its two ends, and what is between them.
type link struct {
	fabric *Fabric
	ends   [2]*conn // the one that dialled first
	quiet  bool     // nobody above is told
	used   atomic.Int64
	reborn atomic.Bool // one end was killed, and another is in its place

	mu      sync.Mutex // guards what follows, and all streams
	streams map[*pair]struct{}
	cut     bool
	cuts    int // how often it was
	accept  int64
}

// pair is a stream: its two ends, and a half for each direction.
type pair struct {
	link   *link
	ends   [2]*stream
	halfs  [2]half // by the end that writes
	opener int
	open   bool        // the other end has heard of it
	agreed protocol.ID // known from identify, so that nothing is negotiated; may be empty
}

func now() int64 { return time.Now().UnixNano() }

// recut follows the wires.
func (l *link) recut() {
	is := l.fabric.dead(l.ends[0].host, l.ends[1].host)
	l.mu.Lock()
	defer l.mu.Unlock()
	if is == l.cut {
		return
	}
	l.cut = is
	if !is {
		for p := range l.streams {
			for i := range p.halfs {
				p.halfs[i].resume(p)
			}
		}
		return
	}
	l.cuts++
	this := l.cuts
	for _, end := range l.ends {
		time.AfterFunc(idle(), func() {
			l.mu.Lock()
			still := l.cut && l.cuts == this
			l.mu.Unlock()
			if still {
				end.die(&network.ConnError{TransportError: ErrNoAnswer})
			}
		})
	}
}

// tell has do happen at the other end of a connection after a message's way, and
// reports whether it gets there.
func (l *link) tell(from int, do func()) bool {
	a, b := l.ends[from].host, l.ends[1-from].host
	way, ok := l.fabric.wires.Way(a.index, b.index, overhead)
	if !ok || l.fabric.dead(a, b) {
		return false
	}
	a.spend(connections, overhead)
	time.AfterFunc(way, do)
	return true
}

// reserve makes room for a loud connection at both ends, if there is. Who has few gets
// one from whom it asks, full or not: else a newcomer among the full hears of nothing.
func (f *Fabric) reserve(a, b *Host) (loud bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	full := func(h, other *Host) bool {
		most := h.most
		if other.loud < other.most/2 {
			most *= 2
		}
		return most > 0 && h.loud >= most
	}
	if full(a, b) || full(b, a) {
		return false
	}
	a.loud++
	b.loud++
	return true
}

// rest ends a quiet connection over which nothing goes any more.
func (l *link) rest() {
	left := QuietFor - time.Duration(now()-l.used.Load())
	switch {
	case l.ends[0].closed.Load():
	case left > 0:
		time.AfterFunc(left, l.rest)
	default:
		l.ends[0].CloseWithError(network.ConnGarbageCollected)
	}
}

// forget drops the link when both ends are closed.
func (l *link) forget() {
	if l.ends[0].closed.Load() && l.ends[1].closed.Load() {
		l.fabric.mu.Lock()
		delete(l.fabric.links, l)
		l.fabric.mu.Unlock()
	}
}
