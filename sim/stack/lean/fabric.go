// SPDX-License-Identifier: Apache-2.0

package lean

import (
	"math/rand/v2"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// Wires say what is between hosts, which have the numbers of their [Config]. They
// are asked by many goroutines.
type Wires interface {
	// Way returns how long this many bytes take now from one host to another, and
	// false if the connection is to be given up.
	Way(from, to, bytes int) (time.Duration, bool)
	// Cut reports whether nothing passes between two hosts. When that may have changed
	// [Fabric.Recut] is called.
	Cut(a, b int) bool
}

// Fabric is the network between hosts.
type Fabric struct {
	wires Wires

	mu    sync.Mutex
	hosts map[string]*Host // by address, in bytes
	links map[*link]struct{}

	killed map[peer.ID]bool // and not back

	traffic traffic
}

// NewFabric makes a network without hosts.
func NewFabric(w Wires) *Fabric {
	return &Fabric{wires: w, hosts: map[string]*Host{}, links: map[*link]struct{}{}, killed: map[peer.ID]bool{}}
}

// Links returns the number of connections that at least one end thinks open.
func (f *Fabric) Links() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.links)
}

func (f *Fabric) at(a ma.Multiaddr) *Host {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.hosts[string(a.Bytes())]
}

// Recut looks which connections are cut and which are whole again.
func (f *Fabric) Recut() {
	f.mu.Lock()
	all := make([]*link, 0, len(f.links))
	for l := range f.links {
		all = append(all, l)
	}
	f.mu.Unlock()
	for _, l := range all {
		l.recut()
	}
}

// dead reports whether nothing passes between two hosts, for good or now.
func (f *Fabric) dead(a, b *Host) bool {
	return a.gone.Load() || b.gone.Load() || f.wires.Cut(a.index, b.index)
}

// idle draws how long an end takes to notice that nothing comes any more.
func idle() time.Duration { return IdleTimeout - rand.N(keepAlive) }

// roundTrip draws how long there and back takes; false: it is given up.
func (f *Fabric) roundTrip(a, b *Host) (time.Duration, bool) {
	there, ok1 := f.wires.Way(a.index, b.index, overhead)
	back, ok2 := f.wires.Way(b.index, a.index, overhead)
	return there + back, ok1 && ok2
}
