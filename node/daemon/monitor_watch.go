// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"croft/gossip/alive"
	"croft/lease"
	"croft/lease/offer"
)

// Measures is what was measured and heard of other nodes, and where what the role
// monitor makes of it goes.
type Measures interface {
	// News has a value when there is something new.
	News() <-chan struct{}
	// Suspects are the nodes that something speaks against, or that were measured of
	// late: those first against which there is most.
	Suspects() []measurement
	// Measured is what is known of one.
	Measured(lease.Principal) measurement
	// Diagnosed has the verdicts on offers of those sequences count until the next, and
	// the last ones go on of nodes about which nobody answered.
	Diagnosed(list []diagnosis, sequences map[lease.Principal]uint64, unanswered []lease.Principal)
}

// watchHealth has the role monitor judge what is measured, whenever that says something
// else than before, and now and then.
func (d *Daemon) watchHealth(ctx context.Context) {
	var last []measurement
	again := time.NewTicker(judgeAgain)
	defer again.Stop()
	for {
		due := false // its time has come, whether or not there is anything new
		select {
		case <-ctx.Done():
			return
		case <-again.C:
			due = true
		case <-d.deps.Measures.News():
		}
		list := d.deps.Measures.Suspects()
		if len(list) == 0 && len(last) == 0 || !due && slices.EqualFunc(list, last, measurement.alike) {
			continue
		}
		if err := d.diagnose(ctx, list); err != nil {
			if ctx.Err() == nil {
				d.deps.Log.Debug("nobody says who is there", "err", err)
			}
			last = nil
		} else {
			last = list
		}
		select { // what comes at once is judged at once
		case <-time.After(judgeGap):
		case <-ctx.Done():
			return
		}
	}
}

// diagnose asks the role, of some nodes in each question and all questions at once: who
// is slow is so once. Those beyond the most that are asked about are as this node counts
// itself, or in an outage the dead would be present that nobody is asked about.
func (d *Daemon) diagnose(ctx context.Context, list []measurement) error {
	most := min(len(list), mostJudged)
	parts := slices.Collect(slices.Chunk(list[:most], maxJudged))
	answers, errs := make([]answered[healthDone], len(parts)), make([]error, len(parts))
	var asking sync.WaitGroup
	for i, part := range parts {
		asking.Go(func() {
			answers[i], errs[i] = d.health().ask(ctx, d, inquirer{own: true}, healthAsk{slices.Clone(part)})
		})
	}
	asking.Wait()
	var all []diagnosis
	var unanswered []lease.Principal
	sequences := map[lease.Principal]uint64{}
	for i, part := range parts {
		if errs[i] != nil {
			unanswered = append(unanswered, nodesIn(part)...)
			continue
		}
		all = append(all, answers[i].answer.Nodes...)
		for _, m := range part {
			sequences[m.Node] = m.Sequence
		}
	}
	switch beyond := list[most:]; {
	case len(all) == 0: // nobody fills the role: nobody counts in its stead
		unanswered = append(unanswered, nodesIn(beyond)...)
	default:
		for _, m := range beyond {
			all = append(all, diagnosis{Node: m.Node, Health: m.counted()})
			sequences[m.Node] = m.Sequence
		}
	}
	d.deps.Measures.Diagnosed(all, sequences, unanswered)
	return errors.Join(errs...)
}

func nodesIn(list []measurement) (nodes []lease.Principal) {
	for _, m := range list {
		nodes = append(nodes, m.Node)
	}
	return nodes
}

// alike reports whether two measurements say the same, but for when.
func (m measurement) alike(o measurement) bool {
	return m.Node == o.Node && m.Sequence == o.Sequence && m.Silent == o.Silent && m.Missed == o.Missed && m.tooNear() == o.tooNear() &&
		slices.EqualFunc(m.Suspected, o.Suspected, func(a, b suspectedBy) bool { return a.Site == b.Site && a.By == b.By })
}

// diagnoses are the verdicts that count now.
type diagnoses struct {
	mu    sync.Mutex
	known map[lease.Principal]diagnosed
}

type diagnosed struct {
	diagnosis
	sequence uint64
	at       time.Time
}

// of is the verdict on an offer: of one that nobody has judged, or not of late, that its
// node is present.
func (v *diagnoses) of(o *offer.Offer) diagnosis {
	v.mu.Lock()
	defer v.mu.Unlock()
	if k, ok := v.known[o.Node]; ok && k.sequence == o.Sequence && time.Since(k.at) < judgeValid {
		return k.diagnosis
	}
	return diagnosis{Node: o.Node, Health: present}
}

func (v *diagnoses) put(list []diagnosis, sequences map[lease.Principal]uint64, unanswered []lease.Principal) {
	known := make(map[lease.Principal]diagnosed, len(list))
	now := time.Now()
	for _, k := range list {
		if k.Health != present || k.Contradicted != "" {
			known[k.Node] = diagnosed{k, sequences[k.Node], now}
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, node := range unanswered {
		if k, ok := v.known[node]; ok {
			known[node] = k
		}
	}
	v.known = known
}

// news says that something was measured.
func (o *overlay) news() {
	select {
	case o.measured <- struct{}{}:
	default:
	}
}

// What the overlay has measured, for the role monitor.
func (o *overlay) News() <-chan struct{} { return o.measured }

func (o *overlay) Diagnosed(list []diagnosis, sequences map[lease.Principal]uint64, unanswered []lease.Principal) {
	o.diagnoses.put(list, sequences, unanswered)
}

func (o *overlay) Suspects() []measurement {
	if o.gossip == nil {
		return nil // a visitor keeps no view: it measures for each answer
	}
	var list []measurement
	seen := map[lease.Principal]bool{}
	for _, e := range o.gossip.Liveness.Evidence() {
		seen[e.Node] = true
		list = append(list, o.measurement(e))
	}
	for _, node := range o.rtts.nodes() {
		if m := o.measurement(alive.Evidence{Node: node}); !seen[node] && m.Sequence != 0 {
			list = append(list, m)
		}
	}
	slices.SortStableFunc(list, func(a, b measurement) int {
		return cmp.Or(cmp.Compare(b.Missed, a.Missed), cmp.Compare(len(b.Suspected), len(a.Suspected)), bytes.Compare(a.Node[:], b.Node[:]))
	})
	return list
}

func (o *overlay) Measured(node lease.Principal) measurement {
	if o.gossip != nil {
		for _, e := range o.gossip.Liveness.Evidence() {
			if e.Node == node {
				return o.measurement(e)
			}
		}
	}
	return o.measurement(alive.Evidence{Node: node})
}

// measurement joins what speaks against a node with how far it was measured to be.
func (o *overlay) measurement(e alive.Evidence) measurement {
	m := measurement{Node: e.Node, Sequence: e.Sequence, Missed: e.Missed}
	for _, c := range e.Charges {
		m.Suspected = append(m.Suspected, suspectedBy{c.Site, c.By, int64(c.Age.Seconds())})
	}
	if t, ok := o.rtts.get(e.Node); ok {
		m.RTT, m.Silent, m.Age = t.rtt.Microseconds(), t.rtt == 0, int64(time.Since(t.at).Seconds())
	}
	if o.gossip != nil {
		if f, ok := o.gossip.Offer(e.Node); ok {
			m.Sequence, m.Least = f.Sequence, offer.Light(o.position, f.Attributes.Position).Microseconds()
		}
	}
	return m
}
