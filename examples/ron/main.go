// SPDX-License-Identifier: Apache-2.0

// Ron is an overlay that routes around trouble, as RON was on PlanetLab: slivers probe
// the ways among themselves each second, and what does not get through directly goes by
// another of them. How far that one is from the destination pulse has told.
//
//	croft run -n 5 --name ron --port 7000/udp ./ron -- -pulse pulse@OWNER/load
//	croft topic allow ron/mesh --slivers
package main

import (
	"context"
	"encoding/json"
	"flag"
	"log"
	"math"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"

	"croft/shim"
)

const (
	port   = 7000        // in the sliver
	beat   = time.Second // between two probes of a way, and two echoes to a destination
	dead   = 3           // probes in a row without an answer
	stale  = 30 * time.Second
	most   = 256     // slivers
	packet = 1 << 10 // bytes
)

// hello is what a sliver publishes: where it is.
type hello struct {
	Node string `json:"node"` // a principal
	Name string `json:"name"`
	Addr string `json:"addr"` // its public port
}

// datagram is what slivers send one another: a ping or a pong of one way, or an echo
// to a destination, which another may pass on.
type datagram struct {
	Kind string `json:"kind"` // ping, pong, echo, back
	From string `json:"from"`
	To   string `json:"to"`
	Via  string `json:"via,omitempty"`
	Sent int64  `json:"sent"` // Unix nanoseconds, by the clock of who asked
}

// peer is another sliver, as this one sees it.
type peer struct {
	hello
	addr  netip.AddrPort
	heard time.Time

	missed  int // probes in a row
	rtt     time.Duration
	reached bool
	arrived time.Time // when an echo last came back, by whatever way
	via     string    // of that; empty: directly
}

type ron struct {
	node *shim.Node
	self hello
	conn *net.UDPConn

	mu    sync.Mutex
	peers map[string]*peer
	told  map[string]map[string]float64 // by pulse: of each node, milliseconds to others
}

func main() {
	topic := flag.String("topic", "mesh", "where slivers say where they are")
	pulse := flag.String("pulse", "", "topic of pulse")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	log.SetFlags(0)
	r := &ron{node: shim.Open(), peers: map[string]*peer{}, told: map[string]map[string]float64{}}
	err := r.run(ctx, *topic, *pulse)
	if ctx.Err() == nil {
		log.Fatal("ron: ", err)
	}
}

func (r *ron) run(ctx context.Context, topic, pulse string) (err error) {
	if r.conn, err = net.ListenUDP("udp4", &net.UDPAddr{Port: port}); err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { r.conn.Close() })
	if r.self, err = r.where(ctx); err != nil {
		return err
	}
	go r.meet(ctx, topic)
	if pulse != "" {
		go r.read(ctx, pulse)
	}
	go r.send(ctx, topic)
	buf := make([]byte, packet)
	for {
		n, from, err := r.conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return err
		}
		var d datagram
		if json.Unmarshal(buf[:n], &d) == nil {
			r.take(d, from)
		}
	}
}

// where is this sliver, for others.
func (r *ron) where(ctx context.Context) (h hello, err error) {
	self, err := r.node.Self(ctx)
	if err != nil {
		return h, err
	}
	slivers, err := r.node.Slivers(ctx)
	h = hello{Node: self.Node, Name: self.Name}
	for _, s := range slivers {
		if s.Self && len(s.Ports) > 0 {
			h.Addr = net.JoinHostPort(s.Public, strconv.Itoa(int(s.Ports[0].Number)))
		}
	}
	return h, err
}

// meet learns who is there.
func (r *ron) meet(ctx context.Context, topic string) {
	for m, err := range r.node.Hear(ctx, topic) {
		if err != nil {
			log.Print("hearing nothing: ", err)
			continue
		}
		var h hello
		if json.Unmarshal(m.Data, &h) != nil || h.Node != m.Author || h.Node == r.self.Node {
			continue
		}
		addr, err := netip.ParseAddrPort(h.Addr)
		if err != nil {
			continue // nobody can reach it
		}
		r.mu.Lock()
		p := r.peers[h.Node]
		if p == nil && len(r.peers) < most {
			p = &peer{missed: dead, arrived: time.Now()}
			r.peers[h.Node] = p
		}
		if p != nil {
			p.hello, p.addr, p.heard = h, addr, time.Now()
		}
		r.mu.Unlock()
	}
}

// read takes from pulse how far the others are from one another.
func (r *ron) read(ctx context.Context, topic string) {
	for m, err := range r.node.Hear(ctx, topic) {
		if err != nil {
			log.Print("pulse says nothing: ", err)
			continue
		}
		var report struct {
			Node  string
			Paths []struct {
				Node string
				RTT  float64 `json:"rtt_ms"`
				Loss float64
			}
		}
		if json.Unmarshal(m.Data, &report) != nil || report.Node != m.Author {
			continue
		}
		ways := map[string]float64{}
		for _, p := range report.Paths {
			if p.RTT > 0 && p.Loss < 1 {
				ways[p.Node] = p.RTT * (1 + p.Loss)
			}
		}
		r.mu.Lock()
		if _, known := r.told[report.Node]; known || len(r.told) < most {
			r.told[report.Node] = ways
		}
		r.mu.Unlock()
	}
}

// send probes the ways and sends echoes, beat by beat.
func (r *ron) send(ctx context.Context, topic string) {
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for n := 0; ; n++ {
		if n%3 == 0 {
			b, _ := json.Marshal(r.self) // of strings
			if _, err := r.node.Publish(ctx, topic, b); err != nil && ctx.Err() == nil {
				log.Print("not told: ", err)
			}
		}
		r.mu.Lock()
		now := time.Now()
		for node, p := range r.peers {
			if now.Sub(p.heard) > stale {
				delete(r.peers, node)
				continue
			}
			p.missed++
			r.write(datagram{Kind: "ping", From: r.self.Node, To: node, Sent: now.UnixNano()}, p.addr)
			r.echo(p, now)
		}
		r.mu.Unlock()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// echo sends one to a destination by the best way there is. It is called with mu held.
func (r *ron) echo(p *peer, now time.Time) {
	d := datagram{Kind: "echo", From: r.self.Node, To: p.Node, Sent: now.UnixNano()}
	best, least := p, math.Inf(1)
	for _, hop := range r.peers {
		if p.missed <= dead || hop == p || hop.missed > dead {
			continue
		}
		far, ok := r.told[hop.Node][p.Node]
		if !ok {
			far = 10_000 // pulse does not know: better than none
		}
		if far += float64(hop.rtt.Microseconds()) / 1000; far < least {
			best, least = hop, far
		}
	}
	if best != p {
		d.Via = best.Node
	}
	r.write(d, best.addr)
}

func (r *ron) write(d datagram, to netip.AddrPort) {
	b, _ := json.Marshal(d)                 // of strings and a number
	_, _ = r.conn.WriteToUDPAddrPort(b, to) // what is lost is missed
}

// take does what a datagram asks of this sliver. None is answered or passed on that
// does not come from the address of one of the others.
func (r *ron) take(d datagram, from netip.AddrPort) {
	r.mu.Lock()
	defer r.mu.Unlock()
	last := d.From // who sent it to us
	if d.Via != "" && d.Via != r.self.Node {
		last = d.Via
	}
	p := r.peers[last]
	if p == nil || p.addr.Addr() != from.Addr().Unmap() {
		return
	}
	switch {
	case d.Kind == "ping" && d.To == r.self.Node:
		r.write(datagram{Kind: "pong", From: r.self.Node, To: d.From, Sent: d.Sent}, from)
	case d.Kind == "pong" && d.To == r.self.Node:
		p.missed, p.rtt = 0, time.Since(time.Unix(0, d.Sent))
	case d.Kind != "echo" && d.Kind != "back":
	case d.To != r.self.Node: // ours to pass on
		if next := r.peers[d.To]; next != nil && d.Via == r.self.Node {
			r.write(d, next.addr)
		}
	case d.Kind == "echo":
		r.write(datagram{Kind: "back", From: r.self.Node, To: d.From, Via: d.Via, Sent: d.Sent}, p.addr)
	default:
		r.arrived(d)
	}
}

// arrived prints how a destination is reached, when that is news. It is called with mu
// held.
func (r *ron) arrived(d datagram) {
	p := r.peers[d.From]
	if p == nil {
		return
	}
	now := time.Now()
	rtt, gap := now.Sub(time.Unix(0, d.Sent)), now.Sub(p.arrived)
	if !p.reached || d.Via != p.via || gap > 3*beat {
		way := "directly"
		if hop := r.peers[d.Via]; hop != nil {
			way = "via " + hop.Name
		}
		log.Printf("%s → %s  %s  %.1f ms  after %.1f s", r.self.Name, p.Name, way, float64(rtt.Microseconds())/1000, gap.Seconds())
	}
	p.reached, p.arrived, p.via = true, now, d.Via
}
