// SPDX-License-Identifier: Apache-2.0

package kad

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	record "github.com/libp2p/go-libp2p-record"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	ma "github.com/multiformats/go-multiaddr"

	"croft/dht"
	"croft/dht/dhttest"
)

// joined starts full nodes that all know the first.
func joined(t *testing.T, nodes int) (all []*DHT) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for i := range nodes {
		d := start(t, Config{Server: true})
		if all = append(all, d); i > 0 {
			if _, err := d.Join(ctx, []peer.AddrInfo{info(all[0])}); err != nil {
				t.Fatal(err)
			}
		}
	}
	wait(t, "the first knows all", func() bool { return all[0].Size() == nodes-1 })
	return all
}

// hole takes connections and requests and answers none until it is released. It
// is in everybody's table, as one that answered before.
type hole struct {
	host host.Host
	mu   sync.Mutex
	held int
}

func holes(t *testing.T, in []*DHT, n int) (all []*hole, release func()) {
	t.Helper()
	gate := make(chan struct{})
	release = sync.OnceFunc(func() { close(gate) })
	t.Cleanup(release)
	for range n {
		h := &hole{host: newHost(t)}
		h.host.SetStreamHandler(Prefix+"/kad/1.0.0", func(s network.Stream) {
			h.mu.Lock()
			h.held++
			h.mu.Unlock()
			<-gate
			s.Reset()
		})
		for _, d := range in {
			d.host.Peerstore().AddAddrs(h.host.ID(), h.host.Addrs(), peerstore.PermanentAddrTTL)
			if _, err := d.dht.RoutingTable().TryAddPeer(h.host.ID(), true, false); err != nil {
				t.Fatal(err)
			}
		}
		all = append(all, h)
	}
	return all, release
}

func (h *hole) holds() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.held
}

func ids(found []peer.AddrInfo) (list []peer.ID) {
	for _, ai := range found {
		list = append(list, ai.ID)
	}
	return list
}

// Where all is well, the nearest are those that kad-dht's own walk finds.
func TestTheSameAsKadDHT(t *testing.T) {
	all := joined(t, 26)
	asker := all[5]
	asker.mu.Lock()
	asker.patience.Floor = time.Minute // nobody is slow here, however busy the machine
	asker.mu.Unlock()
	for i := range 8 {
		key := fmt.Sprint("key ", i)
		want, err := asker.dht.GetClosestPeers(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		var got []peer.AddrInfo
		for range 5 { // a walk that the machine had no time for says nothing
			cut := asker.Stats().Cut
			if got, err = asker.Closest(t.Context(), []byte(key), dht.LookupClosest); err != nil {
				t.Fatal(err)
			}
			if asker.Stats().Cut == cut {
				break
			}
		}
		if len(want) != dht.LookupClosest || !slices.Equal(ids(got), want) {
			t.Errorf("%q: found %d peers\n%v\nand kad-dht %d\n%v", key, len(got), ids(got), len(want), want)
		}
	}
	if s := asker.Stats(); s.Failed+s.Surplus+s.Unasked+s.Busy+s.Malformed+s.Undialable != 0 {
		t.Errorf("among friends: %+v", s)
	}
	t.Logf("%+v", asker.Stats())
}

// A walk ends while a quarter of its peers hold their tongue, and finds all others;
// they leave the table when their requests come to nothing.
func TestAWalkDoesNotWaitForTheSilent(t *testing.T) {
	all := joined(t, 15)
	silent, release := holes(t, all, 5)
	asker := all[3]
	walk := func() error {
		before := asker.Stats()
		found, err := asker.Closest(t.Context(), []byte("some key"), dht.LookupClosest)
		if err != nil {
			t.Fatal(err)
		}
		held := 0
		for _, h := range silent {
			held += h.holds()
			if slices.Contains(ids(found), h.host.ID()) {
				t.Errorf("%s never answered, and is found", h.host.ID())
			}
		}
		if held == 0 {
			t.Error("nobody asked the silent: the test shows nothing")
		}
		for _, d := range all {
			if d != asker && !slices.Contains(ids(found), d.host.ID()) {
				return fmt.Errorf("%s answers, and is not found", d.host.ID())
			}
		}
		s := asker.Stats()
		t.Logf("%d held, %+v", held, s)
		if s.Cut != before.Cut || s.PassedOver+s.Doubted == before.PassedOver+before.Doubted {
			return fmt.Errorf("it waited: %+v", s)
		}
		return nil
	}
	err := walk()
	for i := 0; err != nil && i < 4; i++ { // the machine had no time for it, or for somebody
		err = walk()
	}
	if err != nil {
		t.Error(err)
	}

	release()
	wait(t, "the silent are out of the table", func() bool {
		return !slices.ContainsFunc(silent, func(h *hole) bool {
			return h.holds() > 0 && asker.dht.RoutingTable().Find(h.host.ID()) != ""
		})
	})
}

func TestRecordsDoNotWaitForTheSilent(t *testing.T) {
	all := joined(t, 10)
	silent, _ := holes(t, all, 3)
	r := dhttest.SliceRecord(t, time.Now(), "alice", "web", 1)
	if err := all[2].PutRecord(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	got, err := all[7].Record(t.Context(), r.Owner, "web")
	if err != nil || got.ID != r.ID {
		t.Errorf("found %v, %v", got.Sequence, err)
	}
	held := 0
	for _, h := range silent {
		held += h.holds()
	}
	if held == 0 {
		t.Error("nobody asked the silent: the test shows nothing")
	}
}

// Whoever is of the nearest and has an older record is given the newer one.
func TestALookUpRepairs(t *testing.T) {
	all := joined(t, 6)
	key := ""
	for seq, d := range []*DHT{all[1], all[2]} { // each has a record of its own, and nobody else any
		r := dhttest.SliceRecord(t, time.Now(), "alice", "web", uint64(seq+1))
		key = dht.RecordKey(r.Owner, "web")
		if err := d.store.Put(t.Context(), key, record.MakePutRecord(key, r.Bytes)); err != nil {
			t.Fatal(err)
		}
	}
	got, err := all[5].Record(t.Context(), dhttest.KeyOf("alice").Principal(), "web")
	if err != nil || got.Sequence != 2 {
		t.Fatalf("found %d, %v", got.Sequence, err)
	}
	wait(t, "the others have it", func() bool {
		for _, d := range all[:5] {
			if rec, err := d.store.Get(t.Context(), key); err != nil || string(rec.GetValue()) != string(got.Bytes) {
				return false
			}
		}
		return true
	})
}

func TestAVisitorIsFound(t *testing.T) {
	all := joined(t, 3)
	visitor := start(t, Config{})
	if _, err := visitor.Join(t.Context(), []peer.AddrInfo{info(all[0])}); err != nil {
		t.Fatal(err)
	}
	late := start(t, Config{})
	if _, err := late.Join(t.Context(), []peer.AddrInfo{info(all[2])}); err != nil {
		t.Fatal(err)
	}
	ai, err := late.FindNode(t.Context(), principal(t, visitor.host.ID()))
	if err != nil || ai.ID != visitor.host.ID() || len(ai.Addrs) == 0 {
		t.Errorf("found %v, %v", ai, err)
	}
}

// What peers are told of is bounded and looked at before anything is kept of it.
func TestGarbageInAnAnswer(t *testing.T) {
	d := start(t, Config{Server: true, Addresses: Public})
	from, good := newHost(t).ID(), newHost(t).ID()
	addr := []ma.Multiaddr{ma.StringCast("/ip4/8.8.8.8/udp/1/quic-v1")}
	inner := []ma.Multiaddr{ma.StringCast("/ip4/10.0.0.1/tcp/1")}
	a := answer{from: from, closer: []*peer.AddrInfo{
		{ID: "garbage", Addrs: addr}, {ID: peer.ID(make([]byte, 1<<20)), Addrs: addr},
		{ID: newHost(t).ID()}, {ID: newHost(t).ID(), Addrs: inner}, {ID: good, Addrs: append(addr, inner...)},
	}}
	for range 100 {
		a.closer = append(a.closer, &peer.AddrInfo{ID: good, Addrs: addr})
	}
	names := map[dht.Key]peer.ID{}
	in, ok := d.input("key", a, names).(dht.Closer)
	if !ok || len(in.Peers) != dht.MaxCloser-4 || len(names) != 1 || in.Peers[0].Groups[0].String() != "8.8.0.0/16" {
		t.Errorf("%d peers, %d names, %v", len(in.Peers), len(names), in.Peers)
	}
	if s := d.Stats(); s.Malformed != 2 || s.Undialable != 2 || s.Surplus != uint64(105-dht.MaxCloser) {
		t.Errorf("%+v", s)
	}
	if drops := d.Stats().Drops(); len(drops) != 3 || drops["malformed"] != 2 {
		t.Errorf("dropped %v", drops)
	}
	if got := d.host.Peerstore().Addrs(good); len(got) != 1 || !got[0].Equal(addr[0]) {
		t.Errorf("kept %v", got)
	}
	if got := d.input("key", answer{from: from, err: errBusy}, names); got != (dht.Failed{Peer: place(from)}) {
		t.Errorf("a failure is %v", got)
	}
}

// Requests have a bound; beyond it a walk answers from the table.
func TestRequestsAreBounded(t *testing.T) {
	all := joined(t, 3)
	d := all[1]
	idle := func() bool { d.mu.Lock(); defer d.mu.Unlock(); return d.inFlight == 0 }
	wait(t, "what joining asked is over, and it knows both", func() bool { return idle() && d.Size() == 2 })
	gate := make(chan struct{})
	var under sync.WaitGroup
	for range maxAsks {
		under.Add(1)
		if err := d.background(func(context.Context) { under.Done(); <-gate }); err != nil {
			t.Fatal(err)
		}
	}
	under.Wait()
	if err := d.background(func(context.Context) {}); !errors.Is(err, errBusy) {
		t.Errorf("one more: %v", err)
	}
	found, err := d.Closest(t.Context(), []byte("k"), dht.LookupClosest)
	if err != nil || len(found) != 2 {
		t.Errorf("found %d, %v", len(found), err)
	}
	if d.Size() != 2 {
		t.Errorf("for our own haste %d are left in the table", d.Size())
	}
	close(gate)
	wait(t, "they are over", idle)
	if s := d.Stats(); s.Busy == 0 {
		t.Errorf("%+v", s)
	}
}
