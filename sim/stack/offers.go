// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"crypto/sha256"
	"slices"
	"sync"
	"time"

	"croft/lease"
	"croft/lease/offer"
	"croft/lease/sign"
)

// offers is the memory of all offers that were opened: each is verified once, and
// shared by all views. As every view opens what it gets, it also knows when which
// offer came to whom.
type offers struct {
	mu     sync.Mutex
	known  map[[sha256.Size]byte]*told
	order  []*told         // oldest first
	latest []*offer.Opened // of each node, that anybody had
	opened uint64          // how often, of which
	real   uint64          // signatures were checked
}

// told is an offer, and whom it came to.
type told struct {
	offer  *offer.Opened
	id     [sha256.Size]byte
	origin int
	at     time.Duration // when its node first had it
	had    bits
}

// bits is a set of nodes.
type bits []uint64

func newBits(n int) bits      { return make(bits, (n+63)/64) }
func (b bits) has(i int) bool { return b[i/64]&(1<<(i%64)) != 0 }
func (b bits) mark(i int) (news bool) {
	news = !b.has(i)
	b[i/64] |= 1 << (i % 64)
	return news
}

// open is offer.Open for a node's view.
func (s *Stack) open(n *node, b []byte) (*offer.Opened, error) {
	s.offers.mu.Lock()
	defer s.offers.mu.Unlock()
	at := s.now()
	t, err := s.read(b, at)
	if err != nil {
		return &offer.Opened{}, err
	}
	s.came(n, t, at)
	return t.offer, nil
}

// openRegistered is the same for a node's part of the index, which is no view.
func (s *Stack) openRegistered(b []byte) (*offer.Opened, error) {
	s.offers.mu.Lock()
	defer s.offers.mu.Unlock()
	t, err := s.read(b, s.now())
	if err != nil {
		return &offer.Opened{}, err
	}
	return t.offer, nil
}

// read finds an offer among those that were opened, or opens it. It is called with the
// offers locked.
func (s *Stack) read(b []byte, at time.Duration) (*told, error) {
	o, id := &s.offers, sha256.Sum256(b)
	o.opened++
	t := o.known[id]
	if t == nil {
		o.real++
		opened, err := offer.Open(b, checkSite)
		if err != nil {
			return nil, err
		}
		t = &told{offer: &opened, id: id, origin: -1, at: at, had: newBits(len(s.nodes))}
		if from, ok := s.byKey[opened.Node]; ok {
			t.origin = from
			if l := o.latest[from]; l == nil || l.Sequence < opened.Sequence {
				o.latest[from] = &opened
			}
		}
		o.known[id], o.order = t, append(o.order, t)
		o.retire(at)
	}
	return t, nil
}

// checkSite is how a site's word for a node is judged, as by the daemon.
func checkSite(site, node lease.Principal, certificate []byte) error {
	c, err := sign.OpenSite(certificate)
	if err == nil && c.Site != site {
		err = lease.ErrNotHolder
	}
	if err == nil {
		err = c.Holds(node, time.Now().Unix())
	}
	return err
}

// retire forgets offers that have lapsed everywhere.
func (o *offers) retire(at time.Duration) {
	for len(o.order) > 0 && at-o.order[0].at > 2*offer.MaxValid*time.Second {
		delete(o.known, o.order[0].id)
		o.order = o.order[1:]
	}
}

// came notes that an offer is in a node's view. It is called with the offers locked.
func (s *Stack) came(n *node, t *told, at time.Duration) {
	if t.origin < 0 {
		return
	}
	news := t.had.mark(n.index) // a daemon before this one may have had it
	if t.offer.Closed {
		return
	}
	n.books.Lock()
	since, up := n.since, n.up
	late, caught := time.Duration(0), false
	if n.seen != nil && n.seen.mark(t.origin) {
		n.seenCount++
	}
	if n.index == t.origin {
		n.told = true
	}
	if n.target > 0 && n.seenCount*100 >= n.target*99 {
		late, caught, n.target = at-since, true, 0
	}
	n.books.Unlock()
	s.figures.Lock()
	defer s.figures.Unlock()
	if caught {
		s.figures.latejoin.Add(at, int64(late))
	}
	switch {
	case !news:
	case n.index == t.origin:
		s.figures.published.Add(at, 1)
	case up && since < t.at:
		s.figures.delivery.Add(at, int64(at-t.at))
		s.figures.delivered.Add(at, 1)
	}
}

// share is of how many copies that should have come did: of offers that were told
// long enough ago, to nodes that were there all the time. Who has a newer one of the
// same node has missed nothing.
func (s *Stack) share() (due, reached uint64) {
	at := s.now()
	s.offers.mu.Lock()
	defer s.offers.mu.Unlock()
	newer := map[int]bits{}
	for _, t := range slices.Backward(s.offers.order) {
		if t.origin < 0 {
			continue
		}
		have := newBits(len(s.nodes))
		copy(have, t.had)
		for i, b := range newer[t.origin] {
			have[i] |= b
		}
		newer[t.origin] = have
		if at-t.at < settled || t.offer.Closed {
			continue
		}
		for _, n := range s.nodes {
			n.books.Lock()
			counts := n.up && n.since < t.at && n.index != t.origin
			n.books.Unlock()
			if counts {
				due++
				if have.has(n.index) {
					reached++
				}
			}
		}
	}
	return due, reached
}

// keyed says which node a principal is.
func (s *Stack) keyed(p lease.Principal) (*node, bool) {
	i, ok := s.byKey[p]
	if !ok {
		return nil, false
	}
	return s.nodes[i], true
}
