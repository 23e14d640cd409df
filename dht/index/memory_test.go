// SPDX-License-Identifier: Apache-2.0

package index

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"croft/dht"
	"croft/dht/dhttest"
	"croft/lease"
	"croft/lease/offer"
)

// memory is a net whose requests are calls and whose routers know everybody: what
// is left is who is asked what, and how often. An offer is verified once for all.
type memory struct {
	now   time.Time
	all   []*member
	index map[peer.ID]*member

	mu    sync.Mutex
	read  map[string]verified
	asked map[dht.Op]int
	bytes int // of answers
	looks int // look-ups
}

type verified struct {
	offer *offer.Opened
	err   error
}

type member struct {
	*Index
	id   peer.ID
	at   [sha256.Size]byte
	dead bool
	lie  func(dht.Request) (dht.Response, error) // nil: honest
}

func newMemory(nodes int, holder dht.HolderConfig) *memory {
	n := &memory{now: noon, index: map[peer.ID]*member{}, asked: map[dht.Op]int{}, read: map[string]verified{}}
	for range nodes {
		n.join(holder)
	}
	return n
}

func (n *memory) join(holder dht.HolderConfig) *member {
	id := peer.ID(fmt.Sprint("member ", len(n.all)))
	m := &member{id: id, at: sha256.Sum256([]byte(id))}
	holder.Open = n.open
	m.Index = newIndex(Config{Router: routes{n, m}, Now: func() time.Time { return n.now }, Serve: true, Holder: holder}, string(id))
	from := netip.AddrFrom4([4]byte{10, byte(len(n.all) >> 8), byte(len(n.all)), 1})
	m.ask = func(ctx context.Context, to peer.AddrInfo, req dht.Request) (dht.Response, error) {
		return n.ask(ctx, from, to, req)
	}
	n.all = append(n.all, m)
	n.index[id] = m
	return m
}

func (n *memory) ask(ctx context.Context, from netip.Addr, to peer.AddrInfo, req dht.Request) (resp dht.Response, err error) {
	if err := ctx.Err(); err != nil {
		return resp, err
	}
	b, err := lease.Encode(req)
	if err != nil {
		return resp, err
	}
	if req, err = dht.DecodeRequest(b); err != nil {
		return resp, err
	}
	m := n.index[to.ID]
	switch {
	case m.dead:
		err = errors.New("dead")
	case m.lie != nil:
		resp, err = m.lie(req)
	default:
		resp = m.local(req, from)
	}
	out, _ := lease.Encode(resp)
	n.mu.Lock()
	n.asked[req.Op]++
	n.bytes += len(out)
	n.mu.Unlock()
	if err != nil {
		return dht.Response{}, err
	}
	return dht.DecodeResponse(out)
}

func (n *memory) open(b []byte) (*offer.Opened, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	v, ok := n.read[string(b)]
	if !ok {
		o, err := offer.Open(b, nil)
		v = verified{&o, err}
		n.read[string(b)] = v
	}
	return v.offer, v.err
}

// forget begins a new count.
func (n *memory) forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked, n.bytes, n.looks = map[dht.Op]int{}, 0, 0
}

func (n *memory) Register(node int, o offer.Opened) error {
	_, err := n.all[node].Index.Register(context.Background(), o)
	return err
}

func (n *memory) Withdraw(node int, o offer.Opened) error {
	_, err := n.all[node].Index.Withdraw(context.Background(), o)
	return err
}

func (n *memory) Find(node int, query string) (offer.Result, error) {
	return n.all[node].Index.Find(context.Background(), offer.FindRequest{Query: query})
}

func (n *memory) Kill(node int)           { n.all[node].dead = true }
func (n *memory) Now() time.Time          { return n.now }
func (n *memory) Advance(d time.Duration) { n.now = n.now.Add(d) }

// routes is a router of one member: the closest of all that were ever there and
// live, by Kademlia's distance.
type routes struct {
	net  *memory
	self *member
}

func (r routes) Closest(_ context.Context, key []byte, _ int) ([]peer.AddrInfo, error) {
	r.net.mu.Lock()
	r.net.looks++
	r.net.mu.Unlock()
	type far struct {
		distance [sha256.Size]byte
		member   *member
	}
	const most = 20
	at := sha256.Sum256(key)
	best := make([]far, 0, most+1)
	for _, m := range r.net.all {
		if m == r.self || m.dead {
			continue
		}
		f := far{member: m}
		for i := range at {
			f.distance[i] = m.at[i] ^ at[i]
		}
		if len(best) == most && bytes.Compare(f.distance[:], best[most-1].distance[:]) > 0 {
			continue
		}
		i, _ := slices.BinarySearchFunc(best, f, func(a, b far) int { return bytes.Compare(a.distance[:], b.distance[:]) })
		if best = slices.Insert(best, i, f); len(best) > most {
			best = best[:most]
		}
	}
	var infos []peer.AddrInfo
	for _, f := range best {
		infos = append(infos, peer.AddrInfo{ID: f.member.id})
	}
	return infos, nil
}

func TestMemoryConforms(t *testing.T) {
	dhttest.Run(t, func(_ *testing.T, nodes int) dhttest.Net { return newMemory(nodes, dht.HolderConfig{}) })
	dhttest.RunSplits(t, func(_ *testing.T, nodes, perBucket int) dhttest.Net {
		return newMemory(nodes, dht.HolderConfig{PerBucket: perBucket})
	})
}

// What a search costs in a thousand nodes, of which the large buckets split.
func TestCostOfAThousandNodes(t *testing.T) {
	if testing.Short() {
		t.Skip("signs and verifies a thousand offers many times")
	}
	const nodes = 1000
	n := newMemory(nodes, dht.HolderConfig{})
	for i := range nodes {
		o := dhttest.Offer(t, n.now, fmt.Sprintf("s%d/n%d", i%125, i), 1, func(o *offer.Offer) {
			o.Free[0].RSet = lease.RSet{lease.CPU: uint64(250 + i*7%4000), lease.Memory: uint64(1+i%16) << 29}
			o.Attributes.Country = []string{"US", "US", "US", "DE", "FR", "JP", "CH", "BR"}[i*5%8]
			o.Attributes.AS = uint32(100 + i%125)
			if i%100 == 0 {
				o.Attributes.Labels = map[string]string{"ixp": "yes"}
			}
		})
		if err := n.Register(i, o); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("registering: %.1f look-ups, %.1f requests a node", float64(n.looks)/nodes, float64(n.asked[dht.OpRegister])/nodes)
	find := func(query string, want int) {
		t.Helper()
		n.forget()
		res, err := n.Find(500, query)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%-36q %4d of %4d: %3d look-ups, %4d requests, %7d bytes", query, len(res.Offers), res.Known, n.looks, n.asked[dht.OpList], n.bytes)
		if len(res.Offers) != want {
			t.Errorf("%q: found %d, want %d", query, len(res.Offers), want)
		}
	}
	queries := map[string]int{"": 1000, "country=US": 375, "country=DE & cpu>=1000": 99, "cpu>=1000 & memory>=4GiB": 442, "label.ixp=yes": 10,
		"site=s7": 8, "country=US & as=107": 3, "limit 20": 20, "cpu>=4000": 36, "country=US order by -cpu limit 20": 20, "country!=US spread by as": 625}
	for _, query := range slices.Sorted(maps.Keys(queries)) {
		find(query, queries[query])
	}
	for _, query := range []string{"country=US", "cpu>=1000", "limit 20"} { // who wants the first few leaves the loop
		q, err := offer.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		n.forget()
		found := map[lease.Principal]bool{}
		for f, err := range n.all[77].Walk(t.Context(), Search{Query: q, From: lease.Principal(n.all[77].at)}) {
			if err != nil {
				t.Fatal(err)
			}
			if ok, _ := q.Match(&f.Offer, offer.Measured{}); ok {
				found[f.Offer.Node] = true
			}
			if len(found) == 20 {
				break
			}
		}
		n.mu.Lock()
		t.Logf("the first 20 of %-22q: %3d look-ups, %4d requests, %7d bytes", query, n.looks, n.asked[dht.OpList], n.bytes)
		n.mu.Unlock()
		if len(found) != 20 {
			t.Errorf("%q: %d found", query, len(found))
		}
	}

	// One of five answers nothing any more, and nobody's router knows it yet.
	for i, m := range n.all {
		if i%5 == 1 {
			m.lie = func(dht.Request) (dht.Response, error) { return dht.Response{}, errors.New("black hole") }
		}
	}
	t.Log("with 20 % black holes:")
	for _, query := range slices.Sorted(maps.Keys(queries)) {
		find(query, queries[query])
	}
}

// Nodes is what the network knows of itself.
func (r routes) Nodes() float64 { return float64(len(r.net.all)) }

// Homes takes those of before for there, dead or alive, as dht.Lookup does: only the
// nearest of all are asked, and whoever is nearer than they.
func (r routes) Homes(ctx context.Context, key []byte, n int, before []peer.AddrInfo) ([]peer.AddrInfo, bool, error) {
	all, err := r.Closest(ctx, key, n)
	for _, b := range before {
		if r.net.index[b.ID].dead {
			all = append(all, b)
		}
	}
	at := sha256.Sum256(key)
	slices.SortFunc(all, func(a, b peer.AddrInfo) int {
		if dht.Nearer(at, r.net.index[a.ID].at, r.net.index[b.ID].at) {
			return -1
		}
		return 1
	})
	var found []peer.AddrInfo
	for _, p := range all {
		if len(found) < n && (len(found) >= dht.HomeAsks || !r.net.index[p.ID].dead) {
			found = append(found, p)
		}
	}
	return found, false, err
}
