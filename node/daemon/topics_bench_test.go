// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	ps "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"

	"croft/ebpf"
	"croft/gossip/pubsub"
	"croft/gossip/topic"
	"croft/lease"
	"croft/lease/leasetest"
	"croft/node/api"
	"croft/node/door"
)

const (
	saidSize = 512 // bytes, of a message's data
	// underWay is how many messages are said and not heard yet, at most: below what waits
	// for a reader, here and in GossipSub, so that none is dropped.
	underWay = 16
	// saidAtOnce is how many a benchmark may say: a sliver may say a hundred at once.
	saidAtOnce = shimSayBurst - 10
)

// BenchmarkTopic is messages from one host to another, both in this process: from a
// sliver's request at its door to another's stream, which no lease slows down, and by
// GossipSub alone, with nothing checked and with each message signed and verified as ours are.
func BenchmarkTopic(b *testing.B) {
	b.Run("shim", func(b *testing.B) {
		nodes := topicNodes(b)
		heard := hears(b, nodes[1].door(b))
		out := httpAt(nodes[0].door(b))
		passOn(b, func(data []byte) error {
			resp, err := out.Post("http://node/v1/topics/load", "application/octet-stream", bytes.NewReader(data))
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			if text, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
				return fmt.Errorf("%s: %s, %w", resp.Status, text, err)
			}
			return nil
		}, heard)
	})
	b.Run("gossipsub", func(b *testing.B) {
		out, heard := plainTopic(b)
		passOn(b, func(data []byte) error { return out.Publish(b.Context(), data) }, heard)
	})
	b.Run("verified", func(b *testing.B) {
		key, stamp := leasetest.Key("a"), api.Stamp{}
		out, heard := plainTopic(b, ps.WithDefaultValidator(func(_ context.Context, _ peer.ID, m *ps.Message) ps.ValidationResult {
			if _, err := topic.Open(m.Data); err != nil {
				return ps.ValidationReject
			}
			return ps.ValidationAccept
		}, ps.WithValidatorInline(true)))
		passOn(b, func(data []byte) error {
			m, err := topic.Seal(topic.Message{Author: key.Principal(), Owner: leasetest.Who("alice"), Slice: "ron", Topic: "load", Made: stamp.Next(time.Now()), Data: data}, key)
			if err != nil {
				return err
			}
			return out.Publish(b.Context(), m.Bytes)
		}, heard)
	})
}

// passOn says b.N messages one after the other, and has heard them all.
func passOn(b *testing.B, say func(data []byte) error, heard <-chan error) {
	b.Helper()
	if b.N > saidAtOnce {
		b.Skipf("-benchtime %dx at most: more are held back", saidAtOnce)
	}
	one := func(n int) {
		data := make([]byte, saidSize)
		binary.BigEndian.PutUint64(data, uint64(n))
		if err := say(data); err != nil {
			b.Fatal(err)
		}
	}
	late := time.After(time.Minute)
	hear := func() {
		select {
		case err := <-heard:
			if err != nil {
				b.Fatal(err)
			}
		case <-late:
			b.Fatalf("one of %d messages was not heard", b.N)
		}
	}
	one(0) // finds its way
	hear()
	b.ResetTimer()
	for n := range b.N {
		if n >= underWay {
			hear()
		}
		one(n + 1)
	}
	for range min(b.N, underWay) {
		hear()
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}

// plainHosts are two that know one another.
func plainHosts(b *testing.B) (all [2]host.Host) {
	b.Helper()
	for i, name := range []string{"a", "b"} {
		key, err := crypto.UnmarshalEd25519PrivateKey(leasetest.Key(name).Private())
		if err != nil {
			b.Fatal(err)
		}
		if all[i], err = libp2p.New(libp2p.Identity(key), libp2p.ListenAddrStrings("/ip4/127.0.0.1/udp/0/quic-v1"), libp2p.DisableRelay(), libp2p.DisableMetrics()); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { all[i].Close() })
	}
	return all
}

func introduce(b *testing.B, all [2]host.Host) {
	b.Helper()
	if err := all[0].Connect(b.Context(), peer.AddrInfo{ID: all[1].ID(), Addrs: all[1].Addrs()}); err != nil {
		b.Fatal(err)
	}
}

// plainTopic is a topic of GossipSub at one host, and what is heard on it at the other.
func plainTopic(b *testing.B, options ...ps.Option) (*ps.Topic, <-chan error) {
	b.Helper()
	all := plainHosts(b)
	var at [2]*ps.Topic
	for i, h := range all {
		router, err := ps.NewGossipSub(b.Context(), h, append(options, ps.WithMessageSignaturePolicy(ps.StrictNoSign), ps.WithNoAuthor(), ps.WithFloodPublish(true),
			ps.WithMessageIdFn(func(m *pb.Message) string { id := sha256.Sum256(m.Data); return string(id[:]) }))...)
		if err != nil {
			b.Fatal(err)
		}
		if at[i], err = router.Join("load"); err != nil {
			b.Fatal(err)
		}
	}
	sub, err := at[1].Subscribe()
	if err != nil {
		b.Fatal(err)
	}
	introduce(b, all)
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for limit := time.After(time.Minute); len(at[0].ListPeers()) == 0; { // who is heard of first can be sent nothing yet
		select {
		case <-again.C:
		case <-limit:
			b.Fatal("the other host is not on the topic")
		}
	}
	heard := make(chan error, underWay)
	var reading sync.WaitGroup
	b.Cleanup(reading.Wait)
	b.Cleanup(sub.Cancel)
	reading.Go(func() {
		for {
			m, err := sub.Next(b.Context())
			if errors.Is(err, ps.ErrSubscriptionCancelled) || b.Context().Err() != nil {
				return
			}
			if err == nil && len(m.Data) < saidSize {
				err = fmt.Errorf("%d bytes were heard", len(m.Data))
			}
			heard <- err
		}
	})
	return at[0], heard
}

// topicNode is as much of a daemon as its slivers' topics need.
type topicNode struct {
	*Daemon
	record lease.OpenedSlice
}

// allPaid holds no sliver to a lease.
type allPaid struct{ ebpf.Guard }

func (allPaid) Charge(context.Context, string, ebpf.Direction, ebpf.Channel, uint64) error {
	return nil
}

// topicNodes are two that know one another, each with a sliver that may say all it likes.
func topicNodes(b *testing.B) (nodes [2]*topicNode) {
	b.Helper()
	who := []lease.Principal{leasetest.Who("a"), leasetest.Who("b")}
	slices.SortFunc(who, func(x, y lease.Principal) int { return bytes.Compare(x[:], y[:]) })
	alice := leasetest.Key("alice")
	r, err := lease.SealSlice(lease.SliceRecord{Owner: alice.Principal(), Slice: "ron", Sequence: 1, Made: time.Now().Unix(), Until: time.Now().Unix() + 3600,
		Nodes: who, Topics: []lease.Topic{{Name: "load", Publishers: lease.BySlivers}}}, alice)
	if err != nil {
		b.Fatal(err)
	}
	all := plainHosts(b)
	for i, name := range []string{"a", "b"} {
		n := &topicNode{record: r}
		log := slog.New(slog.DiscardHandler)
		g, err := pubsub.New(pubsub.Config{Host: all[i], Now: time.Now, Light: true, Slices: &pubsub.SliceConfig{
			Key: leasetest.Key(name), Router: n, Record: n.look, Locate: n.locate, PerNetwork: topic.MaxMet}})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { g.Close() })
		n.Daemon = &Daemon{deps: Deps{Key: leasetest.Key(name), Clock: machineClock{}, Log: log, Topics: topics{g.Slices}, Hosting: &Hosting{Guard: allPaid{}}}}
		n.airtime = newAirtime(func() SliceTopics { return n.deps.Topics })
		nodes[i] = n
	}
	introduce(b, all)
	return nodes
}

func (n *topicNode) look(context.Context, lease.Principal, string) (lease.OpenedSlice, error) {
	return n.record, nil
}

// Closest and locate find nobody: the two have met.
func (*topicNode) Closest(context.Context, []byte, int) ([]peer.AddrInfo, error) { return nil, nil }
func (*topicNode) locate(context.Context, lease.Principal) (peer.AddrInfo, error) {
	return peer.AddrInfo{}, errors.New("nobody knows")
}

// door opens that of a sliver and returns its socket.
func (n *topicNode) door(b *testing.B) string {
	b.Helper()
	top, err := os.MkdirTemp("", "doors")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { os.RemoveAll(top) })
	l, at, err := door.Dir(filepath.Join(top, "n", "d")).Open("abcd", door.Users{First: uint32(os.Getuid()), Count: 1})
	if err != nil {
		b.Fatal(err)
	}
	who := door.Sliver{Name: "abcd", Label: "ron", Owner: leasetest.Who("alice")}
	house := &door.House{Node: n.deps.Key.Principal(), Guard: allPaid{}, Log: n.deps.Log,
		HTTP: func(who door.Sliver) *http.Server { return api.Server(api.Door(newShim(n.Daemon, who), Version)) }}
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() { over <- house.Serve(ctx, l, who) }()
	b.Cleanup(func() { cancel(); <-over })
	return filepath.Join(at, door.SocketName)
}

func httpAt(socket string) *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}}}
}

// hears subscribes at a door, and says of each message that it came whole and none before it was missed.
func hears(b *testing.B, socket string) <-chan error {
	b.Helper()
	resp, err := httpAt(socket).Get("http://node/v1/topics/load")
	if err != nil || resp.StatusCode != http.StatusOK {
		b.Fatal(resp, err)
	}
	heard := make(chan error, underWay)
	var reading sync.WaitGroup
	b.Cleanup(reading.Wait)
	b.Cleanup(func() { resp.Body.Close() })
	reading.Go(func() {
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			var m api.Heard
			err := json.Unmarshal(lines.Bytes(), &m)
			if err == nil && (len(m.Data) != saidSize || m.Missed > 0) {
				err = fmt.Errorf("%d bytes were heard, and %d messages missed before", len(m.Data), m.Missed)
			}
			heard <- err
		}
	})
	return heard
}
