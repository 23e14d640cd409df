// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"crypto/ed25519"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"sync"
	"time"

	"croft/shim"
)

var degree = 4 // how many a sliver carries

const (
	kept    = 256 // messages, for who was away
	most    = 512 // slivers that are told apart
	stale   = 12  // beats without a word, and nobody hangs on a sliver
	dead    = 4   // beats without a line, and a sliver lets go
	unknown = 500 // ms: how far a node is that was not measured
	better  = 0.7 // of its way, and a sliver hangs itself elsewhere
	maxLine = 1 << 20
)

// sliver is what each publishes of itself.
type sliver struct {
	ID   string   `json:"id"`
	Node string   `json:"node"` // a principal
	Name string   `json:"name"` // of the node
	Addr string   `json:"addr"` // its public port
	Path []string `json:"path"` // ids from the source to itself; none: it hangs on nobody
	Far  float64  `json:"far_ms"`
	Room int      `json:"room"`          // for so many more
	Has  uint64   `json:"has"`           // the newest message
	Key  []byte   `json:"key,omitempty"` // Ed25519, of the source

	heard time.Time
}

// line is what one passes on to another: its way to the source, at each beat, and what
// there is.
type line struct {
	Path     []string  `json:"path"`
	Far      float64   `json:"far_ms"`
	Messages []message `json:"messages,omitempty"`
}

type message struct {
	N    uint64 `json:"n"` // from 1
	Data []byte `json:"data"`
	Sig  []byte `json:"sig"` // of the source
}

func (m message) signed() []byte { return fmt.Appendf(nil, "cast/1\n%d\n%s", m.N, m.Data) }

type tree struct {
	node *shim.Node
	beat time.Duration
	from string             // name or principal of the source's node
	own  ed25519.PrivateKey // the source has one

	mu      sync.Mutex
	self    sliver
	parent  string // the name of its node
	key     []byte // the source's; nil: not heard yet
	others  map[string]*sliver
	carried map[string]bool
	rtts    map[string]float64 // of nodes, ms
	stream  []message
	missed  uint64
	changed chan struct{} // closed when there is something new
}

func newTree(node *shim.Node, from string, beat time.Duration) *tree {
	return &tree{node: node, from: from, beat: beat, others: map[string]*sliver{}, carried: map[string]bool{}, rtts: map[string]float64{}, changed: make(chan struct{})}
}

func (t *tree) locked(f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f()
}

// know takes what a sliver said of itself. It is called with mu held.
func (t *tree) know(one *sliver) {
	if len(one.Key) == ed25519.PublicKeySize && (t.from == one.Name || t.from == one.Node) {
		t.key = one.Key
	}
	if t.others[one.ID] != nil || len(t.others) < most {
		t.others[one.ID] = one
	}
}

// best is by whom the source is nearest, of those that have room, are on other nodes (no
// sliver reaches its own node's address) and do not hang on this one; nobody before the
// source's key is known. It is called with mu held.
func (t *tree) best() (best *sliver, far float64) {
	far = math.Inf(1)
	for _, m := range t.others {
		if f := m.Far + cmp.Or(t.rtts[m.Node], unknown); f < far && t.key != nil && m.Path != nil && m.Room > 0 && m.Node != t.self.Node && !slices.Contains(m.Path, t.self.ID) {
			best, far = m, f
		}
	}
	return best, far
}

// next takes a line, or says why not to hang on who sent it. It is called with mu held.
func (t *tree) next(l line, on sliver, since, lost time.Duration) error {
	for _, m := range l.Messages {
		if !ed25519.Verify(t.key, m.signed(), m.Sig) {
			return fmt.Errorf("message %d is not the source's", m.N)
		}
	}
	l.Far += cmp.Or(t.rtts[on.Node], unknown)
	switch _, least := t.best(); {
	case slices.Contains(l.Path, t.self.ID):
		return errors.New("it hangs on this one")
	case l.Path == nil && lost > dead*t.beat: // before, it may find somebody, with us on it
		return errors.New("it hangs on nobody")
	case since > 10*t.beat && least < better*l.Far:
		return errors.New("another is nearer")
	case l.Path != nil:
		l.Path = append(l.Path, t.self.ID)
	}
	t.take(l, on.Name)
	return nil
}

// take keeps what came for those whom this sliver carries. It is called with mu held.
func (t *tree) take(l line, parent string) {
	changed := !slices.Equal(l.Path, t.self.Path)
	t.self.Path, t.self.Far, t.parent = l.Path, l.Far, parent
	for _, m := range l.Messages {
		if m.N <= t.self.Has {
			continue
		}
		if t.self.Has > 0 {
			t.missed += m.N - t.self.Has - 1
		}
		t.self.Has, changed = m.N, true
		t.stream = append(t.stream[max(0, len(t.stream)-kept+1):], m)
	}
	if changed {
		close(t.changed)
		t.changed = make(chan struct{})
	}
}

// admit has room for who calls from where a sliver of the slice is, and is not on the way
// to the source.
func (t *tree) admit(id, from string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	m := t.others[id]
	if m == nil || t.carried[id] || len(t.carried) >= degree || t.self.Path == nil || slices.Contains(t.self.Path, id) {
		return false
	}
	at, err1 := netip.ParseAddrPort(from)
	known, err2 := netip.ParseAddrPort(m.Addr)
	if errors.Join(err1, err2) != nil || at.Addr().Unmap() != known.Addr().Unmap() {
		return false
	}
	t.carried[id] = true
	return true
}

// is says how it stands, and forgets who is not heard of. It is called with mu held.
func (t *tree) is() string {
	have, last := 0, t.self.Has
	for id, m := range t.others {
		if time.Since(m.heard) > stale*t.beat {
			delete(t.others, id)
		} else if m.Has > 0 && m.Path != nil {
			have, last = have+1, min(last, m.Has)
		}
	}
	if t.own != nil {
		return fmt.Sprintf("is the source: said %d, %d of %d have %d or more", t.self.Has, have, len(t.others), last)
	}
	return fmt.Sprintf("has %d, missed %d: %d hops, %.1f ms, by %s", t.self.Has, t.missed, max(len(t.self.Path)-1, 0), t.self.Far, t.parent)
}
