// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"croft/ebpf/optout"
	"croft/lease"
	"croft/lease/offer"
	"croft/node/wire"
)

// sightings finds out which nodes are where they say they are. The addresses in an
// offer are claims; a door that answers with the node's signature is no claim, nor
// is a connection of the overlay. A network in which a door did not answer rests a
// while, so that who claims another's address brings nobody more than a packet now
// and then.
type sightings struct {
	self   lease.Principal
	public bool // private addresses do not count
	offers func() []*offer.Opened
	conns  func() map[lease.Principal][]netip.Addr // of open connections, by the node at the other end
	ask    func(context.Context, netip.AddrPort) (lease.Principal, error)
	wall   func() time.Time
	tell   func([]optout.Node)

	doors  map[netip.AddrPort]sight
	rests  map[netip.Prefix]time.Time
	claims map[string]claim // of the offers of the last round: to read them anew each time cost more than all else that an idle node does
	last   []optout.Node
}

// claim is what the text of an address in an offer says: zero values are none.
type claim struct {
	door netip.AddrPort
	ip   netip.Addr
}

// sight is what is known of a door.
type sight struct {
	node lease.Principal // that answered there
	at   time.Time       // when it did; zero: never
}

func (s *sightings) run(ctx context.Context) {
	quiet := sightEvery
	for {
		many, news := s.round(ctx)
		if quiet = min(2*quiet, sightQuiet); news {
			quiet = sightEvery
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(max(quiet, sightEvery*time.Duration(1+many/100))):
		}
	}
}

// round asks at some doors and tells what is known now, if that is news. It returns
// of how many nodes, and whether it had anything to do.
func (s *sightings) round(ctx context.Context) (many int, news bool) {
	offers := s.offers()
	s.read(offers)
	due := s.due(offers)
	s.knock(ctx, due)
	news = len(due) > 0
	if nodes := s.nodes(offers); !slices.EqualFunc(nodes, s.last, sameNode) && ctx.Err() == nil {
		s.last, news = nodes, true
		s.tell(nodes)
	}
	return len(offers), news
}

func sameNode(a, b optout.Node) bool {
	return a.Principal == b.Principal && a.Site == b.Site && a.Port == b.Port && slices.Equal(a.Addrs, b.Addrs)
}

// read reads the addresses that offers claim, and forgets all others.
func (s *sightings) read(offers []*offer.Opened) {
	claims := make(map[string]claim, len(s.claims))
	for _, f := range offers {
		for _, text := range f.Addrs {
			c, known := s.claims[text]
			if !known {
				if door, ok := doorIn(text); ok && s.counts(door.Addr()) {
					c.door = door
				}
				if a, ok := wire.IP(text); ok && s.counts(a) {
					c.ip = a
				}
			}
			claims[text] = c
		}
	}
	s.claims = claims
}

// due are the doors to ask at, at most one of a network, those first that were
// asked least.
func (s *sightings) due(offers []*offer.Opened) []netip.AddrPort {
	now := s.wall()
	claimed := map[netip.AddrPort]bool{}
	for _, f := range offers {
		if f.Node == s.self {
			continue
		}
		for _, a := range f.Addrs {
			if door := s.claims[a].door; door.IsValid() {
				claimed[door] = true
			}
		}
	}
	for door := range s.doors {
		if !claimed[door] {
			delete(s.doors, door)
		}
	}
	for network, until := range s.rests {
		if !now.Before(until) {
			delete(s.rests, network)
		}
	}
	var due []netip.AddrPort
	for door := range claimed {
		if now.Sub(s.doors[door].at) >= sightAgain && s.rests[lease.Network(door.Addr())].IsZero() {
			due = append(due, door)
		}
	}
	slices.SortFunc(due, func(a, b netip.AddrPort) int {
		if c := s.doors[a].at.Compare(s.doors[b].at); c != 0 {
			return c
		}
		return a.Compare(b)
	})
	taken := map[netip.Prefix]bool{}
	due = slices.DeleteFunc(due, func(door netip.AddrPort) bool {
		n := lease.Network(door.Addr())
		again := taken[n]
		taken[n] = true
		return again
	})
	return due[:min(len(due), maxSights)]
}

// counts reports whether a node may be at an address in this kind of network.
func (s *sightings) counts(a netip.Addr) bool {
	return optout.CheckAddr(a) == nil && !(s.public && a.IsPrivate())
}

// knock asks at doors, all at once.
func (s *sightings) knock(ctx context.Context, due []netip.AddrPort) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	for _, door := range due {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, sightLimit)
			defer cancel()
			node, err := s.ask(ctx, door)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				s.rests[lease.Network(door.Addr())] = s.wall().Add(sightRest)
				return
			}
			s.doors[door] = sight{node, s.wall()}
		})
	}
	wg.Wait()
}

// nodes are those of the view with the addresses at which they were seen.
func (s *sightings) nodes(offers []*offer.Opened) []optout.Node {
	now := s.wall()
	nodes := slices.Grow([]optout.Node(nil), len(offers)) // nil of none
	conns := s.conns()
	for _, f := range offers {
		n := optout.Node{Principal: f.Node, Site: f.Site} // whose certificate the view has checked
		add := func(a netip.Addr) {
			if !slices.Contains(n.Addrs, a) {
				n.Addrs = append(n.Addrs, a)
			}
		}
		for _, text := range f.Addrs {
			door := s.claims[text].door
			if !door.IsValid() || n.Port != 0 && n.Port != door.Port() {
				continue
			}
			seen := s.doors[door]
			if f.Node == s.self || seen.node == f.Node && now.Sub(seen.at) < sightHolds {
				n.Port = door.Port()
				add(door.Addr())
			}
		}
		open := conns[f.Node]
		if len(open) == 0 && f.Node != s.self {
			nodes = append(nodes, n)
			continue
		}
		for _, text := range f.Addrs {
			if a := s.claims[text].ip; a.IsValid() && (f.Node == s.self || slices.Contains(open, a)) {
				add(a)
			}
		}
		nodes = append(nodes, n)
	}
	slices.SortFunc(nodes, func(a, b optout.Node) int { return bytes.Compare(a.Principal[:], b.Principal[:]) })
	return nodes
}

// A door is told of in an offer as a multiaddr: /ip4/198.51.100.7/tcp/4080/http.
func doorAddr(a netip.AddrPort) string {
	family := "ip6"
	if a.Addr().Is4() {
		family = "ip4"
	}
	return fmt.Sprintf("/%s/%s/tcp/%d/http", family, a.Addr(), a.Port())
}

func doorIn(multiaddr string) (netip.AddrPort, bool) {
	if !strings.HasSuffix(multiaddr, "/http") { // most are none
		return netip.AddrPort{}, false
	}
	p := strings.Split(multiaddr, "/")
	if len(p) != 6 || p[0] != "" || p[1] != "ip4" && p[1] != "ip6" || p[3] != "tcp" || p[5] != "http" {
		return netip.AddrPort{}, false
	}
	a, err := netip.ParseAddr(p[2])
	port, err2 := strconv.ParseUint(p[4], 10, 16)
	door := netip.AddrPortFrom(a, uint16(port))
	return door, err == nil && err2 == nil && port > 0 && a.Is4() == (p[1] == "ip4") && doorAddr(door) == multiaddr
}

// askPresence asks at a door which node is behind it.
func askPresence(ctx context.Context, door netip.AddrPort) (who lease.Principal, err error) {
	var nonce [16]byte
	rand.Read(nonce[:]) // never fails
	u := url.URL{Scheme: "http", Host: door.String(), Path: "/node",
		RawQuery: url.Values{"addr": {door.Addr().String()}, "nonce": {hex.EncodeToString(nonce[:])}}.Encode()}
	req, err := http.NewRequestWithContext(ctx, "GET", u.String(), nil)
	if err != nil {
		return who, err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, MaxResponseHeaderBytes: 4 << 10},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		return who, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, 2*optout.MaxPresence))
	if err != nil {
		return who, err
	}
	if res.StatusCode != http.StatusOK {
		return who, fmt.Errorf("door %s: %s", door, res.Status)
	}
	return optout.OpenPresence(string(b), door.Addr(), nonce)
}
