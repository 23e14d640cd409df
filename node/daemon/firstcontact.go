// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"croft/dht/contact"
	"croft/lease"
)

// firstContact does what contact.Joining decides, and remembers for the next start
// whom it met.
type firstContact struct {
	o      *overlay
	path   string
	given  []contact.Contact
	lab    bool // loopback is dialled
	memory *contact.Memory
	heard  chan contact.Heard
	lost   atomic.Uint64
	known  atomic.Pointer[[]contact.Contact] // those remembered
	role   atomic.Pointer[othersAsk]         // who finds others; nil: nobody yet

	founders map[lease.Principal]bool

	telling sync.Mutex // of strangers
	told    toldContacts
}

func newFirstContact(o *overlay, cfg Config) (*firstContact, error) {
	f := &firstContact{o: o, path: filepath.Join(cfg.State, "node", "contacts"), lab: cfg.Profile == ProfileLab,
		memory: contact.NewMemory(cfg.Profile == ProfilePublic), heard: make(chan contact.Heard, maxHeard)}
	var err error
	if f.given, err = given(cfg.Join, o.log); err != nil {
		return nil, err
	}
	f.founders = founders(cfg, f.given)
	b, err := readUpTo(f.path, contact.MaxMemory+1)
	if err == nil {
		err = f.memory.Read(time.Now(), b)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		o.log.Warn("not all of the neighbours from before are remembered", "err", err)
	}
	list := f.memory.Contacts()
	f.known.Store(&list)
	o.host.SetStreamHandler(ContactsProtocol, f.answer)
	return f, nil
}

// readUpTo reads at most limit bytes of a file.
func readUpTo(path string, limit int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, limit))
}

// run joins, joins again whenever no neighbour is left, and remembers.
func (f *firstContact) run(ctx context.Context) {
	var trying sync.WaitGroup
	defer trying.Wait()
	id := sha256.Sum256([]byte(f.o.host.ID()))
	j := contact.NewJoining(binary.BigEndian.Uint64(id[:]))
	tried := make(chan contact.Tried)
	step := func(in contact.Input) {
		for _, e := range j.Step(time.Now(), in) {
			trying.Go(func() {
				joined := f.try(ctx, e)
				select {
				case tried <- contact.Tried{Source: e.Source, Joined: joined}:
				case <-ctx.Done():
				}
			})
		}
	}
	step(contact.Heard{Source: contact.Remembered, Contacts: f.memory.Contacts()})
	step(contact.Heard{Source: contact.Given, Contacts: f.given})
	step(contact.Heard{Source: contact.Shipped, Contacts: contact.ShippedContacts()})
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	wake := time.NewTimer(0)
	defer wake.Stop()
	var remembered, asked time.Time
	for {
		if at, ok := j.NextWake(); ok {
			wake.Reset(time.Until(at))
		}
		select {
		case <-ctx.Done():
			return
		case in := <-f.heard:
			step(in)
		case in := <-tried:
			step(in)
		case <-wake.C:
			step(contact.Tick{})
		case <-look.C:
			n := 0
			if f.o.dht.HasNeighbour() { // how many are there is of no interest
				n = 1
			}
			step(contact.Peers{N: n})
			if n == 0 && time.Since(asked) > askEvery && f.role.Load() != nil {
				asked = time.Now()
				trying.Go(func() { f.askRole(ctx) })
			}
			if time.Since(remembered) > rememberEvery && f.remember() {
				remembered = time.Now()
			}
		}
	}
}

// try dials contacts. Where none leads on to others, those who are there may know
// somebody who does.
func (f *firstContact) try(ctx context.Context, e contact.Try) bool {
	infos := infosOf(e.Contacts)
	_, err := f.o.dht.Join(ctx, infos)
	if err == nil {
		return true
	}
	var told []contact.Contact
	for _, info := range infos {
		told = append(told, f.ask(ctx, info.ID)...)
	}
	if len(told) > 0 {
		f.hear(contact.Given, told) // for the next time, too
		_, err = f.o.dht.Join(ctx, infosOf(told))
	}
	if err != nil && ctx.Err() == nil {
		f.o.log.Info("no neighbour yet", "tried", e.Source.String(), "err", err)
	}
	return err == nil
}

// HandlePeerFound takes a neighbour from the local network.
func (f *firstContact) HandlePeerFound(info peer.AddrInfo) {
	if f.o.host.Network().Connectedness(info.ID) == network.Connected && f.o.dht.Neighbours() > 0 {
		return
	}
	if c, ok := contactOf(info); ok {
		f.hear(contact.Local, []contact.Contact{c})
	}
}

func (f *firstContact) hear(s contact.Source, list []contact.Contact) {
	if len(list) == 0 && s != contact.Named { // none named any more is news
		return
	}
	select {
	case f.heard <- contact.Heard{Source: s, Contacts: list}:
	default:
		f.lost.Add(uint64(len(list)))
	}
}

// unheard is the number of contacts that were dropped because too many came.
func (f *firstContact) unheard() uint64 {
	if f == nil {
		return 0
	}
	return f.lost.Load()
}

// remember notes who is there, and writes it down. It reports whether anybody is.
func (f *firstContact) remember() bool {
	var there []contact.Contact
	for _, info := range f.o.dht.Remember() {
		if c, ok := contactOf(info); ok {
			there = append(there, c)
		}
	}
	if len(there) == 0 {
		return false
	}
	f.memory.Saw(time.Now(), there, 5*rememberEvery)
	list := f.memory.Contacts()
	f.known.Store(&list)
	b, err := f.memory.Bytes()
	if err == nil {
		err = writeDurably(f.path, b)
	}
	if err != nil {
		f.o.log.Warn("neighbours are not remembered", "err", err)
	}
	return true
}
