// SPDX-License-Identifier: Apache-2.0

package stream_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"croft/lease"
	"croft/sandbox/image"
	"croft/sandbox/swarm"
	"croft/sandbox/swarm/stream"
)

// nodes are real hosts on the loopback, each with a store.
type node struct {
	host  host.Host
	self  lease.Principal
	store *image.Store
	x     *stream.Exchange
}

func newNode(t testing.TB, wrap func(*image.Store) stream.Store, rate float64) *node {
	t.Helper()
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := crypto.UnmarshalEd25519PrivateKey(priv)
	if err != nil {
		t.Fatal(err)
	}
	n := &node{self: lease.Principal(pub)}
	if n.host, err = libp2p.New(libp2p.Identity(key), libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.DisableRelay(), libp2p.DisableMetrics()); err != nil {
		t.Fatal(err)
	}
	if n.store, err = image.Open(t.TempDir(), 1<<30); err != nil {
		t.Fatal(err)
	}
	var s stream.Store = n.store
	if wrap != nil {
		s = wrap(n.store)
	}
	n.x = stream.New(stream.Config{Host: n.host, Self: n.self, Store: s, Rate: rate})
	t.Cleanup(n.stop)
	return n
}

func (n *node) stop() { _ = n.x.Close(); _ = n.host.Close() }

// meet tells each of the others' addresses.
func meet(nodes ...*node) {
	for _, a := range nodes {
		for _, b := range nodes {
			a.host.Peerstore().AddAddrs(b.host.ID(), b.host.Addrs(), time.Hour)
		}
	}
}

func ids(nodes []*node) (list []lease.Principal) {
	for _, n := range nodes {
		list = append(list, n.self)
	}
	return list
}

func blobOf(t testing.TB, size int) ([]byte, lease.Digest, swarm.Sums) {
	t.Helper()
	blob := make([]byte, size)
	_, _ = rand.Read(blob)
	sums, d, err := swarm.Sum(bytes.NewReader(blob), int64(size))
	if err != nil {
		t.Fatal(err)
	}
	return blob, d, sums
}

// fill puts a blob into a store, from the start on.
func fill(t testing.TB, s *image.Store, d lease.Digest, blob []byte) {
	t.Helper()
	if _, err := s.Begin(d, int64(len(blob))); err != nil {
		t.Fatal(err)
	}
	for at := 0; at < len(blob); at += 1 << 20 {
		if _, err := s.Append(d, int64(at), blob[at:min(at+1<<20, len(blob))]); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Finish(t.Context(), d); err != nil {
		t.Fatal(err)
	}
}

func quiet(have, of, from int) {}

const fast = 1e9

// One copy goes in, from its owner, piece by piece; six nodes end up with the blob, of
// which one was killed in the middle of it and one lies.
func TestOneCopyIsEnough(t *testing.T) {
	blob, d, sums := blobOf(t, 12<<20)
	nodes := []*node{newNode(t, nil, fast)}
	liar := newNode(t, func(s *image.Store) stream.Store { return lying{s, int64(len(blob))} }, fast)
	victim := newNode(t, nil, fast)
	nodes = append(nodes, liar, victim)
	for range 5 {
		nodes = append(nodes, newNode(t, nil, fast))
	}
	meet(nodes...)
	all := ids(nodes)

	// The first is who the owner sends to.
	if _, err := nodes[0].store.Adopt(t.Context(), d, int64(len(blob)), sums); err != nil {
		t.Fatal(err)
	}
	victimHas := make(chan struct{})
	var once sync.Once
	var wg sync.WaitGroup
	wg.Go(func() { // it is killed, and that is the end of its fetch
		_ = victim.x.Fetch(t.Context(), stream.Want{Digest: d, Size: int64(len(blob)), Sums: sums, Named: all}, func(have, of, from int) {
			if have > 3 {
				once.Do(func() { close(victimHas) })
			}
		})
	})
	for _, n := range nodes[3:] {
		wg.Go(func() {
			if err := n.x.Fetch(t.Context(), stream.Want{Digest: d, Size: int64(len(blob)), Sums: sums, Named: all}, quiet); err != nil {
				t.Error(err)
			}
		})
	}
	for at := 0; at < len(blob); at += 1 << 20 {
		if at == 6<<20 {
			<-victimHas
			victim.stop()
		}
		if _, err := nodes[0].store.Append(d, int64(at), blob[at:min(at+1<<20, len(blob))]); err != nil {
			t.Fatal(err)
		}
	}
	if err := nodes[0].store.Finish(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	passed := uint64(0)
	lies := uint64(0)
	for _, n := range nodes[3:] {
		if _, ok := n.store.Has(d); !ok {
			t.Error("a node has it not")
		}
		c := n.x.Counts()
		passed += c.Sent
		lies += c.Failed["it lied"]
	}
	if passed == 0 {
		t.Error("nothing was passed on")
	}
	if lies == 0 {
		t.Error("nobody found the liar")
	}
	t.Logf("of five copies the first node sent %.2f, the others %.2f", float64(nodes[0].x.Counts().Sent)/float64(len(blob)), float64(passed)/float64(len(blob)))
	if nodes[0].x.Counts().Sent >= 5*uint64(len(blob)) {
		t.Error("the first node sent all copies")
	}
}

// lying has all of a blob, and sends other bytes.
type lying struct {
	*image.Store
	size int64
}

func (l lying) Holding(lease.Digest) (swarm.Holding, bool) {
	return swarm.Holding{Size: l.size, Whole: true}, true
}
func (l lying) SumsOf(lease.Digest) (swarm.Sums, error) {
	return make(swarm.Sums, 32*swarm.Count(l.size)), nil
}
func (l lying) Piece(_ lease.Digest, i int, buf []byte) ([]byte, error) {
	_, n := swarm.Span(l.size, i)
	clear(buf)
	return buf[:n], nil
}

// Without sums of who wants the blob a holder's are taken, and a liar's do not last.
func TestSumsOfAHolder(t *testing.T) {
	blob, d, _ := blobOf(t, 2<<20)
	honest, n := newNode(t, nil, fast), newNode(t, nil, fast)
	liar := newNode(t, func(s *image.Store) stream.Store { return lying{s, int64(len(blob))} }, fast)
	meet(honest, n, liar)
	fill(t, honest.store, d, blob)
	named := []lease.Principal{liar.self}
	w := stream.Want{Digest: d, Size: int64(len(blob)), Named: named, More: func(_ context.Context, tell func([]lease.Principal)) { tell(ids([]*node{honest})) }}
	if err := n.x.Fetch(t.Context(), w, quiet); err != nil {
		t.Fatal(err)
	}
	if _, ok := n.store.Has(d); !ok {
		t.Error("it is not there")
	}
}

// spoiled has somebody append bytes that are none, once two pieces are there.
type spoiled struct {
	*image.Store
	once *sync.Once
}

func (s spoiled) Put(d lease.Digest, i int, piece []byte) error {
	if h, _ := s.Holding(d); h.Pieces.Len() > 1 {
		s.once.Do(func() {
			_, length := swarm.Span(h.Size, 0)
			for at := 0; at < swarm.Count(h.Size); at++ {
				if !h.Pieces.Has(at) {
					_, _ = s.Append(d, int64(at)*length, make([]byte, length))
					return
				}
			}
		})
	}
	return s.Store.Put(d, i, piece)
}

// Whoever sends a node bytes that are none does not end its fetch.
func TestAFetchSurvivesWrongBytes(t *testing.T) {
	blob, d, sums := blobOf(t, 4<<20)
	var once sync.Once
	holder, n := newNode(t, nil, fast), newNode(t, func(s *image.Store) stream.Store { return spoiled{s, &once} }, fast)
	meet(holder, n)
	fill(t, holder.store, d, blob)
	if err := n.x.Fetch(t.Context(), stream.Want{Digest: d, Size: int64(len(blob)), Sums: sums, Named: ids([]*node{holder})}, quiet); err != nil {
		t.Fatal(err)
	}
	once.Do(func() { t.Error("no wrong bytes came") })
}

// A fetch goes on after a crash of the node where it stopped.
func TestAFetchGoesOn(t *testing.T) {
	blob, d, sums := blobOf(t, 4<<20)
	holder, n := newNode(t, nil, fast), newNode(t, nil, fast)
	meet(holder, n)
	fill(t, holder.store, d, blob)
	w := stream.Want{Digest: d, Size: int64(len(blob)), Sums: sums, Named: ids([]*node{holder})}
	ctx, cancel := context.WithCancel(t.Context())
	err := n.x.Fetch(ctx, w, func(have, of, from int) {
		if have >= 4 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	h, _ := n.store.Holding(d)
	before := h.Pieces.Len()
	if before < 4 || before == swarm.Count(int64(len(blob))) {
		t.Fatalf("%d pieces were there", before)
	}
	received := n.x.Counts().Received
	if err := n.x.Fetch(t.Context(), w, quiet); err != nil {
		t.Fatal(err)
	}
	if more := n.x.Counts().Received - received; more > uint64(len(blob)-before*swarm.MinPiece) {
		t.Errorf("%d bytes came, of which %d pieces were there", more, before)
	}
	if known := holder.x.Known(d); len(known) != 1 || known[0] != n.self {
		t.Errorf("it remembers %v", known)
	}
}

// While a blob is fetched it is not fetched again, and only so many are at once.
func TestFetchesAreFew(t *testing.T) {
	n := newNode(t, nil, fast)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	begun := make(chan struct{}, stream.MaxFetches)
	for i := range stream.MaxFetches {
		wg.Go(func() {
			var once sync.Once
			_ = n.x.Fetch(ctx, stream.Want{Digest: lease.Digest{byte(i)}, Size: 1}, func(int, int, int) { once.Do(func() { begun <- struct{}{} }) })
		})
	}
	for range stream.MaxFetches {
		<-begun
	}
	for _, d := range []lease.Digest{{0}, {99}} {
		if err := n.x.Fetch(t.Context(), stream.Want{Digest: d, Size: 1}, quiet); !errors.Is(err, swarm.ErrBusy) {
			t.Errorf("one more: %v", err)
		}
	}
	cancel()
	wg.Wait()
}

// A flood of questions, questions that are none and askers that do not read: what is
// beyond the bounds is refused and counted, and others are served still.
func TestServingIsBounded(t *testing.T) {
	blob, d, _ := blobOf(t, 8<<20)
	holder, asker, other := newNode(t, nil, fast), newNode(t, nil, fast), newNode(t, nil, fast)
	meet(holder, asker, other)
	fill(t, holder.store, d, blob)
	ask := func(b []byte) network.Stream {
		s, err := asker.host.NewStream(t.Context(), holder.host.ID(), stream.Protocol)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Write(b); err != nil {
			return s // refused already
		}
		return s
	}
	var open []network.Stream
	for i := range 40 { // none of it is read
		open = append(open, ask(swarm.Question{Kind: swarm.AskPiece, Digest: d, Arg: uint32(i % 32)}.Bytes()))
	}
	eventually(t, "refused", func() bool { c := holder.x.Counts().Refused; return c["streams"]+c["pieces"] > 0 })
	if err := other.x.Fetch(t.Context(), stream.Want{Digest: d, Size: int64(len(blob)), Named: ids([]*node{holder})}, quiet); err != nil {
		t.Error(err)
	}
	for _, s := range open {
		_ = s.Reset()
	}
	eventually(t, "not understood", func() bool {
		s := ask(bytes.Repeat([]byte{0xff}, swarm.QuestionSize))
		defer s.Reset()
		return holder.x.Counts().Refused["not understood"] > 0
	})
	if _, err := other.host.NewStream(t.Context(), asker.host.ID(), stream.Protocol); err != nil {
		t.Errorf("the asker does not serve any more: %v", err)
	}
}

// What a liar may answer is bounded: too long, cut short, no status, nothing at all.
func TestAnswersAreJudged(t *testing.T) {
	blob, d, sums := blobOf(t, 1<<20)
	honest, n := newNode(t, nil, fast), newNode(t, nil, fast)
	fill(t, honest.store, d, blob)
	nodes := []*node{honest, n}
	heard := make(chan struct{}, 100)
	for _, answer := range [][]byte{{0, 0xff, 0xff, 0xff, 0xff}, {0, 0, 0, 0, 12, 1}, {9}, {}, {0, 0, 0, 0, 1, 1}, {2}} {
		bad := newNode(t, nil, fast)
		bad.host.SetStreamHandler(stream.Protocol, func(s network.Stream) {
			select {
			case heard <- struct{}{}:
			default:
			}
			_, _ = s.Read(make([]byte, swarm.QuestionSize))
			_, _ = s.Write(answer)
			_ = s.CloseWrite()
		})
		nodes = append(nodes, bad)
	}
	meet(nodes...)
	w := stream.Want{Digest: d, Size: int64(len(blob)), Sums: sums, Named: ids(nodes[2:]),
		More: func(ctx context.Context, tell func([]lease.Principal)) {
			for range 6 {
				select {
				case <-heard:
				case <-ctx.Done():
				}
			}
			tell(ids(nodes[:1]))
		}}
	if err := n.x.Fetch(t.Context(), w, quiet); err != nil {
		t.Error(err)
	}
	if c := n.x.Counts().Failed; c["not understood"] < 3 {
		t.Errorf("%v", c)
	}
}

// A node that serves nothing answers nothing.
func TestNothingIsServedWithoutARate(t *testing.T) {
	holder, n := newNode(t, nil, 0), newNode(t, nil, fast)
	meet(holder, n)
	if err := n.host.Connect(t.Context(), peer.AddrInfo{ID: holder.host.ID(), Addrs: holder.host.Addrs()}); err != nil {
		t.Fatal(err)
	}
	if s, err := n.host.NewStream(t.Context(), holder.host.ID(), stream.Protocol); err == nil {
		s.Reset()
		t.Error("it does")
	}
}

// eventually waits for what happens elsewhere.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-deadline:
			t.Fatalf("never %s", what)
		case <-tick.C:
		}
	}
}
