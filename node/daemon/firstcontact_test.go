// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"

	"croft/dht/contact"
	"croft/dht/kad"
	"croft/lease/leasetest"
	"croft/node/wire"
)

// joiner is a node's overlay as far as joining goes, on loopback.
type joiner struct {
	*overlay
	logged *lines
}

// lines is a log that a test reads.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) has(s string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.text.String(), s)
}

func newJoiner(t *testing.T, name, state string, server bool, join ...string) *joiner {
	t.Helper()
	h, err := wire.NewHost(wire.Config{Key: leasetest.Key(name).Private(), Listen: []string{"/ip4/127.0.0.1/tcp/0"}, Private: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	j := &joiner{&overlay{host: h.Host, wired: h}, &lines{}}
	j.log = slog.New(slog.NewTextHandler(j.logged, nil))
	if j.dht, err = kad.New(h.Host, kad.Config{Server: server, Refresh: -1}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.dht.Close() })
	if err := os.MkdirAll(filepath.Join(state, "node"), 0o700); err != nil {
		t.Fatal(err)
	}
	if j.first, err = newFirstContact(j.overlay, Config{State: state, Join: join, Profile: ProfileLAN}); err != nil {
		t.Fatal(err)
	}
	return j
}

// live runs a node until the test or stop ends it.
func (j *joiner) live(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); j.first.run(ctx) }()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

func (j *joiner) at() string { return j.Addrs()[0] }

func soon(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}

// A newcomer that reaches only one who routes for nobody hears from it of those
// who do; when all founders are gone he joins by whom he remembers.
func TestJoiningByOneWhoRoutesForNobody(t *testing.T) {
	founder, second := newJoiner(t, "founder", t.TempDir(), true), newJoiner(t, "second", t.TempDir(), true)
	founder.live(t)
	second.first.given = mustContacts(t, founder.at())
	second.live(t)
	silent := newJoiner(t, "silent", t.TempDir(), false, founder.at(), second.at())
	silent.live(t)
	soon(t, "the silent one knows both", func() bool { return len(*silent.first.known.Load()) == 2 })

	state := t.TempDir()
	newcomer := newJoiner(t, "newcomer", state, true, silent.at())
	stop := newcomer.live(t)
	soon(t, "the newcomer is in and remembers", func() bool {
		_, err := os.Stat(newcomer.first.path)
		return newcomer.dht.Neighbours() == 2 && err == nil
	})
	stop()
	founder.host.Close()
	silent.host.Close()
	newcomer.host.Close()

	again := newJoiner(t, "newcomer", state, true)
	again.live(t)
	soon(t, "the newcomer is in again", func() bool { return again.dht.Neighbours() == 1 })
}

func mustContacts(t *testing.T, texts ...string) []contact.Contact {
	t.Helper()
	list, err := Contacts(texts, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// A neighbour that is asked for contacts and writes without end, or nothing, or
// what is none, is no help, and no harm.
func TestHostileContacts(t *testing.T) {
	liar, member := newJoiner(t, "liar", t.TempDir(), false), newJoiner(t, "member", t.TempDir(), true)
	infos := infosOf(mustContacts(t, liar.at()))
	if err := member.host.Connect(t.Context(), infos[0]); err != nil {
		t.Fatal(err)
	}
	self, err := contact.Invitation{Until: time.Now().Add(time.Hour).Unix(), Contacts: mustContacts(t, liar.at(), member.at())}.Text()
	if err != nil {
		t.Fatal(err)
	}
	for what, say := range map[string]func(network.Stream){
		"noise": func(s network.Stream) { s.Write([]byte("\x00\xffnoise")); s.Close() },
		"no end": func(s network.Stream) {
			for b := make([]byte, 1<<16); ; {
				if _, err := s.Write(b); err != nil {
					return
				}
			}
		},
		"nothing":        func(s network.Stream) { s.Close() },
		"broken off":     func(s network.Stream) { s.Write([]byte(self[:20])); s.Reset() },
		"only ourselves": func(s network.Stream) { s.Write([]byte(self)); s.Close() },
	} {
		liar.host.SetStreamHandler(ContactsProtocol, say)
		if told := member.first.ask(t.Context(), liar.host.ID()); len(told) != 0 {
			t.Errorf("%s: heard of %v", what, told)
		}
	}
}

// A memory that is damaged, or full of what cannot be, keeps nobody out.
func TestADamagedMemory(t *testing.T) {
	founder := newJoiner(t, "founder", t.TempDir(), true)
	founder.live(t)
	for what, text := range map[string]string{
		"noise": "\x00\xff\x00", "hostile": fmt.Sprintf(`{"node":%q,"addrs":["/ip4/198.51.100.1/tcp/1/p2p/nonsense"],"since":1,"seen":%d}`+"\n", leasetest.Who("x"), time.Now().Unix()),
		"huge": strings.Repeat("{}\n", contact.MaxMemory),
	} {
		t.Run(what, func(t *testing.T) {
			state := t.TempDir()
			if err := os.MkdirAll(filepath.Join(state, "node"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(state, "node", "contacts"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			j := newJoiner(t, "member", state, true, founder.at())
			if warned := j.logged.has("not all of the neighbours"); warned != (what != "hostile") {
				t.Errorf("warned: %v", warned)
			}
			j.live(t)
			soon(t, "it is in", func() bool { return j.dht.Neighbours() == 1 })
			soon(t, "the file is whole again", func() bool {
				b, err := os.ReadFile(j.first.path)
				return err == nil && contact.NewMemory(false).Read(time.Now(), b) == nil
			})
		})
	}
}

// What comes faster than it is taken in is dropped and counted.
func TestTooManyAtOnce(t *testing.T) {
	j, other := newJoiner(t, "founder", t.TempDir(), true), newJoiner(t, "other", t.TempDir(), true)
	for range maxHeard + 5 {
		j.first.hear(contact.Local, mustContacts(t, other.at()))
	}
	if n := j.first.unheard(); n != 5 {
		t.Errorf("%d dropped", n)
	}
}

func TestWhatToJoinBy(t *testing.T) {
	j := newJoiner(t, "founder", t.TempDir(), true)
	c := mustContacts(t, j.at())
	valid, err := contact.Invitation{Until: time.Now().Add(time.Hour).Unix(), Contacts: c}.Text()
	if err != nil {
		t.Fatal(err)
	}
	lapsed, err := contact.Invitation{Until: time.Now().Add(-time.Hour).Unix(), Contacts: c}.Text()
	if err != nil {
		t.Fatal(err)
	}
	if list := mustContacts(t, valid, j.at()); len(list) != 1 || list[0].Node != c[0].Node {
		t.Errorf("read %v", list)
	}
	log := &lines{}
	list, err := given([]string{lapsed, j.at()}, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil || len(list) != 1 || !log.has("has lapsed") {
		t.Errorf("with a lapsed one: %v, %v", list, err)
	}
	for what, text := range map[string]string{"nothing": "", "no peer": "/ip4/192.0.2.7/tcp/4001", "noise": "garbage", "cut": valid[:40]} {
		if _, err := given([]string{text}, slog.New(slog.DiscardHandler)); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := j.Invite(t.Context(), time.Hour); err == nil {
		t.Error("one whom nobody reaches, and who knows nobody, invites")
	}
}

// Where there is no room, a second relay goes first, and the last one stays.
func TestFewerAddresses(t *testing.T) {
	addrs := []string{"/direct/1", "/direct/2", "/one" + wire.Circuit, "/two" + wire.Circuit, "/door/http"}
	var gone []string
	for len(addrs) > 1 {
		left := fewer(addrs)
		for i, a := range addrs {
			if i == len(left) || left[i] != a {
				gone = append(gone, a)
				break
			}
		}
		addrs = left
	}
	if got := strings.Join(gone, " ") + " | " + addrs[0]; got != "/two/p2p-circuit /direct/1 /direct/2 /door/http | /one/p2p-circuit" {
		t.Error(got)
	}
}

// An offer names each relay by one way, QUIC if there is one.
func TestRelayedAddressesInAnOffer(t *testing.T) {
	const r1, r2, r3 = "/p2p/12D3KooWQmsUpZ7fLy8HvAcysPxjmA9nx6BrHkxchGQ27m13GKRh", "/p2p/12D3KooWBbrq7rAir6zYUTSXoiHuYkBmr9ZHVkTH7SzX3XgV5jti", "/p2p/12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1Nft9HyQ6X"
	const self = "/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"
	got := offerAddrs([]string{
		"/ip4/10.18.1.11/udp/4001/quic-v1" + self, "/ip4/10.18.1.11/tcp/4001" + self, "/ip4/127.0.0.1/tcp/4001" + self,
		"/ip4/198.18.2.11/tcp/4001" + r1 + wire.Circuit + self, "/ip4/198.18.2.11/udp/4001/quic-v1" + r1 + wire.Circuit + self,
		"/ip4/198.18.2.12/udp/4001/quic-v1" + r2 + wire.Circuit + self, "/ip4/198.18.2.13/tcp/4001" + r3 + wire.Circuit + self,
	})
	want := []string{"/ip4/10.18.1.11/udp/4001/quic-v1", "/ip4/10.18.1.11/tcp/4001",
		"/ip4/198.18.2.11/udp/4001/quic-v1" + r1 + wire.Circuit, "/ip4/198.18.2.12/udp/4001/quic-v1" + r2 + wire.Circuit}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("offered\n%s", strings.Join(got, "\n"))
	}
}
