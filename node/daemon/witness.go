// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"croft/ebpf/audit"
	"croft/lease"
	"croft/lease/offer"
	"croft/node/api"
	"croft/node/client"
	"croft/node/wire"
)

// witness follows the logs of other nodes: see audit.Witness, whose one owner is
// run. It asks them over channels of its own, with the node's key, as anybody
// could.
type witness struct {
	d       *Daemon
	path    string
	inputs  chan audit.WitnessInput
	ask     func(ctx context.Context, node lease.Principal, size uint64) (audit.Growth, error)
	machine *audit.Witness
	due     bool // a fact is not durable yet

	mu   sync.Mutex
	list []audit.Watch // what is durable
}

// openWitness takes up what an earlier run kept. A file that cannot be read is put
// aside: a witness without a past follows from the next heads on.
func openWitness(d *Daemon) (*witness, error) {
	w := &witness{d: d, path: filepath.Join(d.cfg.State, "node", "witness"), inputs: make(chan audit.WitnessInput, audit.MaxAsking),
		machine: audit.NewWitness(d.deps.Key.Principal(), d.cfg.Bounds.Segment)}
	w.ask = w.overTheWire
	b, err := os.ReadFile(w.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return w, nil
	case err != nil:
		return nil, fmt.Errorf("reading what this node saw as a witness: %w", err)
	}
	kept, err := readKept(b)
	if err != nil {
		d.deps.Log.Warn("what this node saw as a witness is damaged; it follows from now on", "file", w.path, "err", err)
		return w, os.Rename(w.path, w.path+".damaged")
	}
	for _, k := range kept {
		w.machine.Restore(k)
	}
	w.publish()
	return w, nil
}

// run is the one goroutine that owns the machine.
func (w *witness) run(ctx context.Context) {
	var asking sync.WaitGroup
	defer asking.Wait()
	look := time.NewTimer(0)
	defer look.Stop()
	wake := time.NewTimer(time.Hour)
	defer wake.Stop()
	for {
		var in audit.WitnessInput
		select {
		case <-ctx.Done():
			return
		case in = <-w.inputs:
		case <-wake.C:
			in = audit.Passed{}
		case <-look.C:
			nodes := w.nodes()
			look.Reset(viewEvery * time.Duration(1+len(nodes)/1000))
			if len(nodes) <= 1 { // nobody is there yet
				look.Reset(drainEvery)
			}
			in = audit.Known{Nodes: nodes}
		}
		changed := false
		effects := w.machine.Step(w.d.deps.Clock.Wall(), in)
		if err := w.keep(effects); err != nil {
			w.d.deps.Log.Error("what this node saw as a witness cannot be kept; nobody is told of it", "err", err)
		} else {
			w.publish()
		}
		for _, e := range effects {
			switch e := e.(type) {
			case audit.Ask:
				asking.Go(func() { w.answer(ctx, e) })
			case audit.Discard:
				changed = true
			case audit.Accuse:
				changed = true
				w.d.deps.Log.Error("a node has signed two logs of its packets: `croft audit watched` shows the proof", "node", accused(e.Fork))
			case audit.Doubt:
				w.d.deps.Log.Warn("a node does not show that its log of packets goes on", "node", e.Node, "why", e.Why)
			}
		}
		if changed && w.d.forks != nil {
			w.d.forks.poke()
		}
		wake.Stop()
		if at, ok := w.machine.NextWake(); ok {
			wake.Reset(max(0, at.Sub(w.d.deps.Clock.Wall())))
		}
	}
}

func accused(f *audit.Fork) lease.Principal {
	s, err := f.Verify()
	if err != nil {
		panic(err) // the machine verified it
	}
	return s.Head.Node
}

// nodes are those of the view, with what they cannot make at will: a site that
// certified them, else the network of an address. The index is not asked: whom the view
// does not know, this node is no witness of. Nor is the role monitor, whose tenant would
// choose who keeps this node's log.
func (w *witness) nodes() []audit.Candidate {
	own := w.d.deps.Key.Principal()
	var view []*offer.Opened
	if w.d.deps.Counted != nil {
		view = w.d.deps.Counted()
	}
	nodes := make([]audit.Candidate, 1, 1+len(view))
	nodes[0].Node = own
	for _, o := range view {
		c := audit.Candidate{Node: o.Node, Site: SiteOf(o.Offer)}
		if c.Node == own {
			nodes[0] = c
			continue
		}
		nodes = append(nodes, c)
	}
	return nodes
}

// SiteOf is what a node has in common with those that its owner can make at will:
// the site that certified it, else its network.
func SiteOf(o offer.Offer) string {
	if !o.Site.IsZero() {
		return o.Site.String()
	}
	for _, s := range o.Addrs {
		if ip, ok := wire.IP(s); ok {
			return lease.Network(ip).String()
		}
	}
	return ""
}

// answer asks one node and brings what it showed.
func (w *witness) answer(ctx context.Context, e audit.Ask) {
	limited, cancel := context.WithTimeout(ctx, witnessLimit)
	defer cancel()
	var in audit.WitnessInput = audit.Silent{Node: e.Node}
	if g, err := w.ask(limited, e.Node, e.Size); err == nil {
		in = audit.Grown{Node: e.Node, Growth: g}
	} else if ctx.Err() == nil {
		w.d.deps.Log.Debug("a node does not show its log", "node", e.Node, "err", err)
	}
	w.submit(ctx, in)
}

// submit brings an input to the machine, or gives up with ctx.
func (w *witness) submit(ctx context.Context, in audit.WitnessInput) {
	select {
	case w.inputs <- in:
	case <-ctx.Done():
	}
}

// overTheWire asks as a client would.
func (w *witness) overTheWire(ctx context.Context, node lease.Principal, size uint64) (audit.Growth, error) {
	n := client.Over(node, w.d.deps.Key, func(ctx context.Context) (net.Conn, error) { return w.d.deps.Wire.Pipe(ctx, node) })
	defer n.Close()
	l, err := n.Log(ctx, size)
	if err != nil {
		return audit.Growth{}, err
	}
	g := audit.Growth{Head: l.Head, Path: l.Path}
	if l.Root != nil {
		g.Root = *l.Root
	}
	return g, nil
}

// keep makes the facts among effects durable, with all that was not before.
func (w *witness) keep(effects []audit.WitnessEffect) error {
	for _, e := range effects {
		switch e.(type) {
		case audit.Remember, audit.Accuse, audit.Discard:
			w.due = true
		}
	}
	if !w.due {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(w.path), 0o700); err != nil {
		return err
	}
	if err := writeDurably(w.path, writeKept(w.machine.Watched())); err != nil {
		return err
	}
	w.due = false
	return nil
}

// publish lets others see what the machine says now.
func (w *witness) publish() {
	list := w.machine.Watched()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.list = list
}

// forked are those that have signed two logs, by what is durable.
func (w *witness) forked() map[lease.Principal]audit.Watch {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := map[lease.Principal]audit.Watch{}
	for _, e := range w.list {
		if e.Fork != nil {
			out[e.Node] = e
		}
	}
	return out
}

// watched is what is known of one node.
func (w *witness) watched(node lease.Principal) audit.Watch {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.list {
		if e.Node == node {
			return e
		}
	}
	return audit.Watch{}
}

// Witnessed is this node's word on another's log.
func (a audits) Witnessed(_ context.Context, node lease.Principal) (out api.Witnessed, err error) {
	if a.d.witness == nil {
		return out, nil
	}
	e := a.d.witness.watched(node)
	if e.Fork != nil {
		out.Fork = e.Fork.Bytes()
	}
	if e.First > 0 {
		var word audit.OpenedWitnessed
		word, err = audit.SealWitnessed(audit.Witnessed{Witness: a.d.deps.Key.Principal(), Head: e.Head.Bytes, First: e.First, At: e.Seen}, a.d.deps.Key)
		out.Word = word.Bytes
	}
	return out, err
}

// Watched is what this node says of all logs that it follows or did follow.
func (a audits) Watched(context.Context) ([]api.Watched, error) {
	out := []api.Watched{}
	if a.d.witness == nil {
		return out, nil
	}
	w := a.d.witness
	names := map[lease.Principal]string{}
	for _, o := range w.d.view() {
		names[o.Node] = o.Display()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.list {
		o := api.Watched{Node: e.Node, Name: names[e.Node], Follows: e.Follows, State: stateOf(e), Size: e.Head.Size, First: e.First, Why: e.Doubt}
		if e.Fork != nil {
			o.Fork = e.Fork.Bytes()
		}
		if e.Seen != 0 {
			at := time.Unix(0, e.Seen).UTC()
			o.Seen = &at
		}
		out = append(out, o)
	}
	return out, nil
}

func stateOf(e audit.Watch) string {
	switch {
	case e.Fork != nil:
		return "fork"
	case e.Doubt != "":
		return "doubt"
	case e.First == 0 || e.Tried > e.Seen:
		return "silent"
	}
	return "holds"
}
