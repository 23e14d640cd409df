// SPDX-License-Identifier: Apache-2.0

package net

import (
	"errors"
	"io"
	stdnet "net"
	"path/filepath"
	"slices"
	"testing"

	"croft/lease"

	"github.com/vishvananda/netlink"
)

var errPlug = errors.New("plug pulled")

// plug fails the step of that name, or none, and notes which steps there were.
type plug struct {
	at   string
	seen []string
}

func (p *plug) pull(step string) error {
	p.seen = append(p.seen, step)
	if step == p.at {
		return errPlug
	}
	return nil
}

// hostState is all that Croft could have touched in the host, without what
// comes and goes by itself (link-local addresses, an interface's readiness).
func (w *testWorld) hostState() string {
	w.t.Helper()
	out, err := command(w.host, "sh", "-c", `ip -br link | awk '{print $1, $3}'; ip -o addr show scope global; ip route; ip -6 route | grep -v ^fe80; nft list ruleset;
		cd /proc/sys/net; for f in ipv4/conf/*/forwarding ipv6/conf/*/forwarding ipv6/conf/*/force_forwarding ipv6/conf/*/accept_ra ipv4/conf/*/rp_filter ipv4/ip_forward; do echo $f $(cat $f); done`)
	must(w.t, err)
	return out
}

func (w *testWorld) wantNothingLeft(before string) {
	w.t.Helper()
	if after := w.hostState(); after != before {
		w.t.Errorf("the host was\n%s\nand is\n%s", before, after)
	}
	if left, _ := filepath.Glob(netnsPath("croft-" + w.tag + "*")); len(left) > 0 {
		w.t.Errorf("namespaces left: %v", left)
	}
}

var crashSliver = Sliver{Name: "aaaa", Place: 1, Egress: 10e6, Ingress: 10e6,
	Ports: []lease.Port{{Proto: lease.TCP, Number: 8080, Inside: 80}}}

// life opens, adds, raises and removes, with the plug in every step.
func (w *testWorld) life(p *plug) error {
	n, err := w.open(Config{Places: 4, fault: p.pull})
	if err != nil {
		return err
	}
	defer n.Close()
	if _, err := n.Add(w.t.Context(), crashSliver); err != nil {
		return err
	}
	if err := n.Up(w.t.Context(), crashSliver.Name); err != nil {
		return err
	}
	return n.Remove(w.t.Context(), crashSliver.Name)
}

// Wherever a daemon dies, Destroy leaves nothing, and so does the next daemon
// that goes on and ends in order.
func TestRootCrashAtEveryStep(t *testing.T) {
	w := newWorld(t)
	before := w.hostState()
	all := &plug{}
	must(t, w.life(all))
	must(t, w.destroy(w.tag))
	w.wantNothingLeft(before)
	if len(all.seen) < 15 {
		t.Fatalf("only %d steps: %q", len(all.seen), all.seen)
	}
	slices.Sort(all.seen)
	for _, step := range slices.Compact(all.seen) {
		t.Run(step, func(t *testing.T) {
			if err := w.life(&plug{at: step}); !errors.Is(err, errPlug) {
				t.Fatalf("died of %v, want %v", err, errPlug)
			}
			must(t, w.life(&plug{}))
			if err := w.life(&plug{at: step}); !errors.Is(err, errPlug) {
				t.Fatalf("died of %v, want %v", err, errPlug)
			}
			must(t, w.destroy(w.tag))
			w.wantNothingLeft(before)
		})
	}
}

func TestRootDestroyDiesAtEveryStep(t *testing.T) {
	w := newWorld(t)
	before := w.hostState()
	run := func(p *plug) error {
		return within(w.host, func() error { return destroy(t.Context(), w.tag, p.pull) })
	}
	all := &plug{}
	must(t, run(all))
	for _, step := range all.seen {
		t.Run(step, func(t *testing.T) {
			n := w.mustOpen(Config{Places: 4})
			_, err := n.Add(t.Context(), crashSliver)
			must(t, err)
			must(t, n.Up(t.Context(), crashSliver.Name))
			must(t, n.Close())
			if err := run(&plug{at: step}); !errors.Is(err, errPlug) {
				t.Fatalf("died of %v, want %v", err, errPlug)
			}
			must(t, run(&plug{}))
			w.wantNothingLeft(before)
		})
	}
}

// A daemon that starts anew finds its slivers as they are, and their
// connections live on.
func TestRootAdoption(t *testing.T) {
	w := newWorld(t)
	n := w.mustOpen(Config{Places: 4})
	first, in := running(t, n, crashSliver)

	var l stdnet.Listener
	must(t, within(w.outside, func() (err error) { l, err = stdnet.Listen("tcp", "192.0.2.2:7000"); return err }))
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		io.Copy(c, c)
	}()
	var c stdnet.Conn
	must(t, within(in, func() (err error) { c, err = stdnet.Dial("tcp", "192.0.2.2:7000"); return err }))
	defer c.Close()
	echo := func() {
		t.Helper()
		buf := make([]byte, 4)
		if _, err := c.Write([]byte("ping")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, buf); err != nil || string(buf) != "ping" {
			t.Fatalf("echo %q, %v", buf, err)
		}
	}
	echo()
	must(t, n.Close())
	if _, err := n.Slivers(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}

	n = w.mustOpen(Config{Places: 4})
	echo()
	if names, err := n.Slivers(t.Context()); err != nil || !slices.Equal(names, []string{"aaaa"}) {
		t.Fatalf("slivers %v, %v", names, err)
	}
	second, err := n.Add(t.Context(), crashSliver)
	must(t, err)
	if first != second {
		t.Errorf("adopted as %+v, was %+v", second, first)
	}
	echo()
	listen(t, in, "198.19.0.17:80")
	if _, err := ask(w.outside, "", "192.0.2.1:8080"); err != nil {
		t.Errorf("public port after adoption: %v", err)
	}

	t.Run("taken", func(t *testing.T) {
		for _, s := range []Sliver{
			{Name: "bbbb", Place: crashSliver.Place},
			{Name: "aaaa", Place: 2},
			{Name: "bbbb", Place: 2, Ports: crashSliver.Ports},
		} {
			if _, err := n.Add(t.Context(), s); !errors.Is(err, ErrTaken) {
				t.Errorf("%+v: %v, want %v", s, err, ErrTaken)
			}
		}
	})
	t.Run("repaired", func(t *testing.T) {
		h := handle(t, n.space)
		must(t, h.LinkDel(link(t, h, "cs1")))
		_, err := n.Add(t.Context(), crashSliver)
		must(t, err)
		if l := link(t, h, "cs1"); isUp(l) {
			t.Error("a new veth is up before Up")
		}
		must(t, n.Up(t.Context(), "aaaa"))
		if _, err := ask(w.outside, "", "192.0.2.1:8080"); err == nil {
			return
		}
		listen(t, in, "198.19.0.17:80")
		if _, err := ask(w.outside, "", "192.0.2.1:8080"); err != nil {
			t.Errorf("public port after repair: %v", err)
		}
	})
	t.Run("another host", func(t *testing.T) {
		other := anonymous(t)
		err := within(other, func() error { _, err := Open(t.Context(), Config{Tag: w.tag}); return err })
		if !errors.Is(err, ErrTaken) {
			t.Errorf("opening: %v, want %v", err, ErrTaken)
		}
		err = within(other, func() error { return Destroy(t.Context(), w.tag) })
		if !errors.Is(err, ErrTaken) {
			t.Errorf("destroying: %v, want %v", err, ErrTaken)
		}
	})
}

// Two nodes on one host: what the first switched on stays while the second
// lives, and goes with the second.
func TestRootTwoNodesOfOneHost(t *testing.T) {
	w := newWorld(t)
	before := w.hostState()
	other := randomTag()
	t.Cleanup(func() { must(t, w.destroy(other)) })
	w.mustOpen(Config{Places: 4})
	n := w.mustOpen(Config{Tag: other, Places: 4})
	must(t, w.destroy(w.tag))

	_, in := running(t, n, Sliver{Name: "aaaa", Place: 0})
	listen(t, w.outside, "192.0.2.2:7000")
	if _, err := ask(in, "", "192.0.2.2:7000"); err != nil {
		t.Errorf("the second node's sliver: %v", err)
	}
	must(t, n.Close())
	must(t, w.destroy(other))
	w.wantNothingLeft(before)
}

func TestRootTakenByAStranger(t *testing.T) {
	w := newWorld(t)
	h := handle(t, w.host)
	must(t, h.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "cr-" + w.tag}, PeerName: "x0"}))
	if _, err := w.open(Config{}); !errors.Is(err, ErrTaken) {
		t.Errorf("%v, want %v", err, ErrTaken)
	}
}
