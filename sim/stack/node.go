// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"croft/lease"
	"croft/lease/offer"
	"croft/lease/sign"
	"croft/node/daemon"
	"croft/sim/stack/lean"
)

// node is one machine of the run, and the daemon on it, which may be down.
type node struct {
	s       *Stack
	index   int
	key     *sign.Key
	id      peer.ID
	addr    ma.Multiaddr
	offers  bool // it has something to offer
	machine *machine
	state   string // directory

	certificate []byte // its site's, that it is its own

	promises promises

	turn turn     // held while a daemon comes or goes; guards what follows
	left bool     // for good
	now  *running // nil: down

	books     sync.Mutex // guards what follows
	up        bool
	hole      bool
	told      bool          // its offer is out
	since     time.Duration // when it came up last
	seen      bits          // whose offers came to it since then
	seenCount int
	target    int // offers that there were when it came; 0: it has nearly all of them
	deps      *daemon.Deps
	host      *lean.Host
	door      *door         // of its owner
	sent      uint64        // bytes, by hosts that are gone
	was       time.Duration // how long it was up before
}

// turn is a lock that may be waited for while time goes by, which a mutex in a bubble
// must not be.
type turn chan struct{}

func newTurn() turn { return make(turn, 1) }

func (t turn) take() (give func()) {
	t <- struct{}{}
	return func() { <-t }
}

// running is a daemon that runs.
type running struct {
	daemon *daemon.Node
	door   *door // of its owner
	host   *lean.Host
	life   *life
	cancel context.CancelFunc
	ended  chan struct{}
}

// keyOf is the key of whoever has that name in a run of that seed.
func keyOf(seed uint64, name string) *sign.Key {
	b := binary.BigEndian.AppendUint64([]byte("croft sim stack "), seed)
	return sign.FromSeed(sha256.Sum256(append(b, name...)))
}

// newNode makes a machine without a daemon.
func (s *Stack) newNode(i int) (*node, error) {
	n := &node{s: s, index: i, key: keyOf(s.scn.Seed, fmt.Sprint("node ", i)), machine: newMachine(), turn: newTurn(), state: filepath.Join(s.dir, fmt.Sprint(i))}
	key, err := crypto.UnmarshalEd25519PrivateKey(n.key.Private())
	if err != nil {
		return nil, err
	}
	if n.id, err = peer.IDFromPrivateKey(key); err != nil {
		return nil, err
	}
	if n.addr, err = s.addrs.next(s.profile.Place(i).Site); err != nil {
		return nil, err
	}
	if n.certificate, err = s.certify(n); err != nil {
		return nil, err
	}
	all, some := s.scn.Nodes.Count, s.scn.Nodes.Offering()
	n.offers = (i+1)*some/all > i*some/all
	return n, os.MkdirAll(filepath.Join(n.state, "node"), 0o700)
}

// certify has a node's site say that it is its own: suspicions count by sites.
func (s *Stack) certify(n *node) ([]byte, error) {
	name := fmt.Sprintf("s%d", s.profile.Place(n.index).Site)
	site := keyOf(s.scn.Seed, "site "+name)
	signed, err := sign.SealSite(sign.SiteCert{Site: site.Principal(), Node: n.key.Principal(), Name: name,
		From: s.began.Add(-24 * time.Hour).Unix(), Until: s.began.Add(366 * 24 * time.Hour).Unix()}, site)
	if err != nil {
		return nil, fmt.Errorf("certifying node %d: %w", n.index, err)
	}
	return signed.Bytes(), nil
}

// config is what the owner of the node has said.
func (n *node) config() daemon.Config {
	at := n.s.profile.Place(n.index)
	capacity := at.Capacity()
	capacity[lease.PortsOut] = 16384
	cfg := daemon.Config{Name: fmt.Sprintf("s%d/n%d", at.Site, n.index), State: n.state, Profile: daemon.ProfileLab, Capacity: capacity,
		Listen: []string{n.addr.String()}, Bounds: daemon.DefaultConfig().Bounds,
		Attributes: daemon.Attributes{Country: at.Country, Region: at.Region, City: at.City, Lat: at.Lat, Lon: at.Lon, AS: at.AS}}
	cfg.Bounds.Places, cfg.SiteCert = places, n.certificate
	for _, o := range n.s.contacts(n) {
		cfg.Join = append(cfg.Join, o.addr.String()+"/p2p/"+o.id.String())
	}
	return cfg
}

// start brings a daemon up on what the disk has.
func (n *node) start() {
	defer n.turn.take()()
	if n.left || n.now != nil || n.s.over() {
		return
	}
	target := n.s.present()
	n.books.Lock() // it hears of others before it is said to be up
	n.told, n.since, n.seen, n.seenCount, n.target = !n.offers, n.s.now(), newBits(len(n.s.nodes)), 0, target
	n.books.Unlock()
	r, deps, err := n.assemble()
	if err != nil {
		n.s.fail(fmt.Errorf("starting node %d: %w", n.index, err))
		return
	}
	n.now = r
	n.books.Lock()
	n.up, n.deps, n.host, n.door = true, deps, r.host, r.door
	n.books.Unlock()
	n.s.changed(1)
	n.returned()
	if n.s.seeds != nil {
		if err := n.s.seeds.fill(n, deps); err != nil {
			n.s.fail(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	go func() {
		defer close(r.ended)
		if err := r.daemon.Run(ctx); err != nil && !r.life.dead.Load() && !n.s.over() {
			n.s.fail(fmt.Errorf("node %d ended: %w", n.index, err))
		}
	}()
}

func (n *node) assemble() (*running, *daemon.Deps, error) {
	key, err := crypto.UnmarshalEd25519PrivateKey(n.key.Private())
	if err != nil {
		return nil, nil, err
	}
	host, err := n.s.fabric.Host(lean.Config{Index: n.index, Key: key, Addr: n.addr, Agent: "croft/" + daemon.Version, Loud: loudOf(n.s.scn.Nodes.Count)})
	if err != nil {
		return nil, nil, err
	}
	l, hosting, err := n.machine.hosting(n.offers)
	if err != nil {
		return nil, nil, errors.Join(err, host.Close())
	}
	door := newDoor()
	deps := &daemon.Deps{Key: n.key, Clock: n.machine, Log: slog.New(slog.DiscardHandler), Hosting: hosting,
		Socket:     func() (net.Listener, error) { return door, nil },
		OnPresence: n.presence,
		OpenOffer:  func(b []byte) (*offer.Opened, error) { return n.s.open(n, b) }, OpenRegistered: n.s.openRegistered,
		OpenJournal: func() (daemon.OpenJournal, [][]byte, error) { return n.openBook(l) }}
	d, err := daemon.Assemble(context.Background(), n.config(), deps, host)
	if err != nil {
		return nil, nil, errors.Join(err, host.Close())
	}
	return &running{daemon: d, door: door, host: host, life: l, ended: make(chan struct{})}, deps, nil
}

// kill ends the daemon as kill -9 does. Torn has what it was writing cut at any byte,
// power ends the slivers too.
func (n *node) kill(torn, power bool) {
	defer n.turn.take()()
	r := n.now
	if r == nil {
		return
	}
	n.died()
	r.life.dead.Store(true)
	n.machine.mu.Lock()
	n.machine.disk = n.machine.disk.after(torn || power, n.s.draw)
	n.machine.mu.Unlock()
	r.host.Kill()
	n.down()
	if power {
		n.machine.off()
	}
	r.cancel() // what it still does reaches nobody
	<-r.ended
	r.host.Close()
	n.now = nil
}

// leave has the daemon go with a last word.
func (n *node) leave() {
	defer n.turn.take()()
	r := n.now
	if r == nil {
		return
	}
	n.left = true
	n.down()
	r.cancel()
	<-r.ended
	r.host.Close()
	n.now = nil
}

// down closes the books of a daemon that goes.
func (n *node) down() {
	n.books.Lock()
	n.up, n.told = false, false
	n.was += n.s.now() - n.since
	n.sent += n.host.Sent()
	n.deps, n.host, n.door, n.target = nil, nil, nil, 0
	n.books.Unlock()
	n.gone()
	n.s.changed(-1)
}

// isUp reports whether its daemon is there.
func (n *node) isUp() bool {
	n.books.Lock()
	defer n.books.Unlock()
	return n.up
}

// isOffering reports whether the node's offer is out.
func (n *node) isOffering() bool { return n.offers && n.isPresent() }

// isPresent reports whether the node is up and has told of itself, if there is anything
// to tell.
func (n *node) isPresent() bool {
	n.books.Lock()
	defer n.books.Unlock()
	return n.up && n.told
}

// bytes is what it has sent, and in how long.
func (n *node) bytes() (sent uint64, up time.Duration) {
	n.books.Lock()
	defer n.books.Unlock()
	sent, up = n.sent, n.was
	if n.up {
		sent, up = sent+n.host.Sent(), up+n.s.now()-n.since
	}
	return sent, up
}

// isHole reports whether the node takes everything and answers nothing.
func (n *node) isHole() bool {
	n.books.Lock()
	defer n.books.Unlock()
	return n.hole
}
