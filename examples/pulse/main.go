// SPDX-License-Identifier: Apache-2.0

// Pulse tells how each machine of its slice is doing, as Ganglia did on PlanetLab: every
// sliver publishes what it sees of its machine on a topic, hears what the others see, and
// hands the table of all to whoever connects.
//
//	croft topic allow pulse/load --slivers
//	croft run -n 5 --name pulse --port 8649/tcp ./pulse
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"math"
	"net"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"croft/shim"
)

// Report is one message: a machine as its sliver sees it.
type Report struct {
	Node   string  `json:"node"` // a principal
	Name   string  `json:"name"`
	At     int64   `json:"at"` // Unix milliseconds
	Load   float64 `json:"load"`
	Memory float64 `json:"memory"` // available, of all: 0 to 1
	Drops  uint64  `json:"drops"`  // of the sliver's own packets
	Left   int64   `json:"left"`   // seconds of its lease
	Public string  `json:"public,omitempty"`
	Paths  []Path  `json:"paths"`
}

// Path is the way to another machine, as the node probes it.
type Path struct {
	Node string  `json:"node"`
	RTT  float64 `json:"rtt_ms"`
	Loss float64 `json:"loss"`
}

// table is the newest report of each machine.
type table struct {
	mu  sync.Mutex
	all map[string]Report
}

const (
	// stale is when a machine that says nothing is left out, and most how many are in.
	stale = time.Minute
	most  = 1024
	// near is how many paths are told: with them a report fits in a message.
	near = 64
	// readers is how many are handed the table at once.
	readers = 32
)

func (t *table) put(r Report) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, known := t.all[r.Node]; !known && len(t.all) >= most {
		t.prune(time.Now())
		if len(t.all) >= most {
			return
		}
	}
	t.all[r.Node] = r
}

// prune is called with mu held.
func (t *table) prune(now time.Time) {
	for node, r := range t.all {
		if now.Sub(time.UnixMilli(r.At)) > stale {
			delete(t.all, node)
		}
	}
}

func (t *table) list(now time.Time) (all []Report) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.prune(now)
	for _, r := range t.all {
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b Report) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Node, b.Node)) })
	return all
}

func main() {
	topic := flag.String("topic", "load", "where the slivers publish")
	every := flag.Duration("every", 5*time.Second, "between two reports")
	listen := flag.String("listen", ":8649", "where the table is handed out")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	log.SetFlags(0)
	if err := run(ctx, shim.Open(), *topic, *every, *listen); err != nil {
		log.Fatal("pulse: ", err)
	}
}

func run(ctx context.Context, node *shim.Node, topic string, every time.Duration, listen string) error {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { l.Close() })
	t := &table{all: map[string]Report{}}
	go hear(ctx, node, topic, t)
	go follow(ctx, node)
	go func() {
		for tick := time.NewTicker(every); ; {
			if err := tell(ctx, node, topic); err != nil && ctx.Err() == nil {
				log.Print("not told: ", err)
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	for slots := make(chan struct{}, readers); ; {
		slots <- struct{}{}
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil { // such as too many open files
			log.Print("not handed out: ", err)
			<-slots
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
			continue
		}
		go func() {
			defer func() { c.Close(); <-slots }()
			_ = c.SetDeadline(time.Now().Add(10 * time.Second))
			_ = json.NewEncoder(c).Encode(t.list(time.Now())) // who has gone needs none
		}()
	}
}

// hear keeps the table, and prints who is new in it.
func hear(ctx context.Context, node *shim.Node, topic string, t *table) {
	var owner string
	for m, err := range node.Hear(ctx, topic) {
		if err != nil {
			log.Print("hearing nothing: ", err)
			continue
		}
		if owner == "" {
			if self, err := node.Self(ctx); err == nil { // else the next message finds it out
				owner = self.Owner
			}
		}
		var r Report
		if err := json.Unmarshal(m.Data, &r); err != nil || r.Node != m.Author && m.Author != owner { // a sliver speaks of its own machine
			log.Printf("not understood: %.60q of %.8s", m.Data, m.Author)
			continue
		}
		r.At = min(r.At, m.Made)
		t.put(r)
		log.Printf("%-10s load %.2f  memory %3.0f%%  drops %d  lease %ds  paths %s", r.Name, r.Load, 100*r.Memory, r.Drops, r.Left, paths(r))
	}
}

func paths(r Report) string {
	var s []string
	for _, p := range r.Paths {
		s = append(s, fmt.Sprintf("%.4s %.1fms %.0f%%", p.Node, p.RTT, 100*p.Loss))
	}
	return strings.Join(s, ", ")
}

// follow prints what becomes of the lease.
func follow(ctx context.Context, node *shim.Node) {
	for l, err := range node.Leases(ctx) {
		switch {
		case err != nil:
			log.Print("the lease: ", err)
		case l.Until == 0:
			log.Print("no lease: on a desktop")
		default:
			log.Printf("lease %s until %s", l.State, time.Unix(l.Until, 0).UTC().Format(time.TimeOnly))
		}
	}
}

// tell publishes what this sliver sees.
func tell(ctx context.Context, node *shim.Node, topic string) error {
	self, err := node.Self(ctx)
	if err != nil {
		return err
	}
	lease, err := node.Lease(ctx)
	if err != nil {
		return err
	}
	r := Report{Node: self.Node, Name: self.Name, At: time.Now().UnixMilli(), Left: lease.Left, Paths: []Path{}}
	if r.Load, r.Memory, err = machine(); err != nil {
		return err
	}
	traffic, err := node.Traffic(ctx)
	if err != nil && !errors.Is(err, shim.ErrNotRunning) { // nothing counts a desktop
		return err
	}
	for _, n := range traffic.Out.Dropped {
		r.Drops += n
	}
	slivers, err := node.Slivers(ctx)
	if err != nil {
		return err
	}
	for _, s := range slivers {
		if s.Self && len(s.Ports) > 0 {
			r.Public = net.JoinHostPort(s.Public, strconv.Itoa(int(s.Ports[0].Number)))
		}
	}
	known, err := node.Paths(ctx)
	if err != nil {
		return err
	}
	slices.SortFunc(known, func(a, b shim.Path) int { // without a time the way is not there
		return cmp.Compare(far(a), far(b))
	})
	for _, p := range known[:min(len(known), near)] {
		r.Paths = append(r.Paths, Path{p.Node, p.RTT, p.Loss})
	}
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	_, err = node.Publish(ctx, topic, b)
	return err
}

// far orders paths; one that was never answered has no time, and is last.
func far(p shim.Path) float64 {
	if p.RTT == 0 {
		return math.Inf(1)
	}
	return p.RTT
}

// machine is what the kernel says of it.
func machine() (load, memory float64, err error) {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0, 0, err
	}
	if _, err := fmt.Sscan(string(b), &load); err != nil {
		return 0, 0, fmt.Errorf("/proc/loadavg: %w", err)
	}
	if b, err = os.ReadFile("/proc/meminfo"); err != nil {
		return 0, 0, err
	}
	amounts := map[string]float64{}
	for line := range strings.Lines(string(b)) {
		var name string
		var kib float64
		if _, err := fmt.Sscan(line, &name, &kib); err == nil {
			amounts[name] = kib
		}
	}
	return load, amounts["MemAvailable:"] / max(amounts["MemTotal:"], 1), nil
}
