// SPDX-License-Identifier: Apache-2.0

// Probe measures the way to other slices' public ports, as Scriptroute did on PlanetLab:
// strangers' machines measure for somebody, and never beyond what their owners leased
// out. Its targets it hears on a topic of pulse, and what it measures it publishes. A
// node may only name a port of its own that slivers lease, at an address of its offer: so
// nobody has it knock at others' doors.
//
//	croft topic allow probe/rtt --slivers
//	croft run -n 5 --name probe ./probe -- -targets pulse@OWNER/load
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"log"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"croft/shim"
)

// Result is one message: a way as it was measured.
type Result struct {
	From     string  `json:"from"` // a principal
	FromName string  `json:"from_name"`
	To       string  `json:"to"` // a principal
	ToName   string  `json:"to_name"`
	Addr     string  `json:"addr"`
	Tries    int     `json:"tries"`
	Answered int     `json:"answered"`
	RTT      float64 `json:"rtt_ms"` // the least, of a TCP handshake
	At       int64   `json:"at"`     // Unix milliseconds
}

// target is a machine that says that it may be measured.
type target struct {
	Node   string `json:"node"`
	Name   string `json:"name"`
	Public string `json:"public"`
	heard  time.Time
}

const (
	tries = 3
	// packetsATry is what a handshake and its end cost on the way out.
	packetsATry = 4
	// share is the part of the leased packets that measuring takes at most.
	share = 0.1
	// stale is when who says nothing is measured no more, and most how many are.
	stale = time.Minute
	most  = 256
	// seldom is how often it is looked whether a node may name what it names.
	seldom = 10 * time.Second
	// firstPort and lastPort are those that slivers lease.
	firstPort, lastPort = 1024, 16383
)

type targets struct {
	mu     sync.Mutex
	all    map[string]target
	looked map[string]time.Time
}

func main() {
	from := flag.String("targets", "load", "topic on which machines say where they can be measured")
	to := flag.String("topic", "rtt", "where results are published")
	every := flag.Duration("every", 10*time.Second, "between two measurements of one target")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	log.SetFlags(0)
	node := shim.Open()
	t := &targets{all: map[string]target{}, looked: map[string]time.Time{}}
	go t.hear(ctx, node, *from)
	pace := &pace{node: node}
	for tick := time.NewTicker(*every); ; {
		if err := round(ctx, node, *to, t.list(), pace); err != nil && ctx.Err() == nil {
			log.Print("not measured: ", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (t *targets) hear(ctx context.Context, node *shim.Node, topic string) {
	for m, err := range node.Hear(ctx, topic) {
		if err != nil {
			log.Print("hearing nothing: ", err)
			continue
		}
		var one target
		if err := json.Unmarshal(m.Data, &one); err != nil || one.Node != m.Author || one.Public == "" {
			continue // who does not say where, is not measured
		}
		switch known, look := t.knows(one, time.Now()); {
		case known:
		case !look:
			continue
		default:
			if err := owns(ctx, node, one); err != nil {
				log.Printf("%.8s may not name %.40q: %v", one.Node, one.Public, err)
				continue
			}
		}
		t.put(one, time.Now())
	}
}

// knows reports whether a target is measured there already, and whether to look if it
// may be: at what one node says not more often than it is measured.
func (t *targets) knows(one target, now time.Time) (known, look bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if was, ok := t.all[one.Node]; ok && was.Public == one.Public {
		return true, false
	}
	for node, at := range t.looked {
		if now.Sub(at) > seldom {
			delete(t.looked, node)
		}
	}
	if _, lately := t.looked[one.Node]; lately || len(t.looked) >= most {
		return false, false
	}
	t.looked[one.Node] = now
	return false, true
}

func (t *targets) put(one target, now time.Time) {
	one.heard = now
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, known := t.all[one.Node]; known || len(t.all) < most {
		t.all[one.Node] = one
	}
}

var errNotItsOwn = errors.New("want an address of its offer, and a port that slivers lease")

// owns is an error unless a target is a node's own: at an address that its offer, which
// it signed, has, and on a port that may be leased there.
func owns(ctx context.Context, node *shim.Node, one target) error {
	at, err := netip.ParseAddrPort(one.Public)
	if err != nil || at.Port() < firstPort || at.Port() > lastPort {
		return errNotItsOwn
	}
	found, err := node.Find(ctx, "node="+one.Node)
	if err != nil {
		return err
	}
	for _, f := range found.Offers {
		for _, addr := range f.Offer.Addrs {
			part := strings.Split(addr, "/") // /ip4/192.0.2.7/udp/4001/quic-v1
			if f.Offer.Node == one.Node && len(part) > 2 && part[2] == at.Addr().String() && !strings.Contains(addr, "/p2p-circuit") {
				return nil
			}
		}
	}
	return errNotItsOwn
}

func (t *targets) list() (all []target) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for node, one := range t.all {
		if time.Since(one.heard) > stale {
			delete(t.all, node)
			continue
		}
		all = append(all, one)
	}
	return all
}

// round measures each target once and publishes what came of it.
func round(ctx context.Context, node *shim.Node, topic string, all []target, p *pace) error {
	self, err := node.Self(ctx)
	if err != nil {
		return err
	}
	for _, t := range all {
		if t.Node == self.Node {
			continue
		}
		r := Result{From: self.Node, FromName: self.Name, To: t.Node, ToName: t.Name, Addr: t.Public, Tries: tries}
		for range tries {
			if err := p.wait(ctx); err != nil {
				return err
			}
			if rtt, ok := handshake(ctx, t.Public); ok {
				if ms := float64(rtt.Microseconds()) / 1000; r.Answered == 0 || ms < r.RTT {
					r.RTT = ms
				}
				r.Answered++
			}
		}
		r.At = time.Now().UnixMilli()
		log.Printf("%s → %-10s %s  %d of %d  %.1f ms", r.FromName, r.ToName, r.Addr, r.Answered, r.Tries, r.RTT)
		b, err := json.Marshal(r)
		if err != nil {
			return err
		}
		if _, err := node.Publish(ctx, topic, b); err != nil {
			return err
		}
	}
	return nil
}

func handshake(ctx context.Context, addr string) (time.Duration, bool) {
	d := net.Dialer{Timeout: 2 * time.Second}
	began := time.Now()
	c, err := d.DialContext(ctx, "tcp", addr)
	rtt := time.Since(began)
	if err != nil {
		return 0, false
	}
	c.Close()
	return rtt, true
}

// pace keeps the measurements within a part of the leased packets, and goes slower
// where the guard dropped some all the same.
type pace struct {
	node  *shim.Node
	until time.Time // nothing is sent before
	slow  float64
	drops uint64
	asked time.Time
}

func (p *pace) wait(ctx context.Context) error {
	if time.Since(p.asked) > 10*time.Second {
		if err := p.look(ctx); err != nil {
			return err
		}
	}
	t := time.NewTimer(time.Until(p.until))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	p.until = time.Now().Add(time.Duration(p.slow * float64(time.Second)))
	return nil
}

// look asks the node what the lease has and what was dropped.
func (p *pace) look(ctx context.Context) error {
	lease, err := p.node.Lease(ctx)
	if err != nil {
		return err
	}
	p.asked = time.Now()
	rate := lease.RSet["egress.packets"]
	if rate == 0 { // a desktop has none to keep to
		rate = 1000
	}
	least := packetsATry / (share * float64(rate))
	traffic, err := p.node.Traffic(ctx)
	var drops uint64
	for _, n := range traffic.Out.Dropped {
		drops += n
	}
	switch {
	case err != nil:
		p.slow = least // nothing is counted of a desktop
	case drops > p.drops && p.slow > 0:
		p.slow = min(2*p.slow, 10)
		log.Printf("the guard dropped %d: one try in %.2f s from now on", drops-p.drops, p.slow)
	default:
		p.slow = max(p.slow/2, least)
	}
	p.drops = drops
	return nil
}
