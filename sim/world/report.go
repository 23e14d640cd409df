// SPDX-License-Identifier: Apache-2.0

package world

import (
	"time"

	"croft/lease"
	"croft/sim/cost"
	"croft/sim/report"
)

// figures is what is counted on the way.
type figures struct {
	*report.Recorder
	watched
	delivery, latejoin, bytes, known       *report.Measure
	due, reached                           uint64 // copies of offers that should come, and did
	published, delivered, duplicates       *report.Counter
	gossiped, asked, sent                  *report.Counter // messages, of gossip and others; bytes
	lost, repeated, doubled, heldBack      *report.Counter
	wishes, held, committed, ended, proofs *report.Counter
	up, running                            *report.Gauge
	discovery
	omitted *report.Counter // offers that neighbours were found to leave out
	stretch stretches
	talk    *report.Talk
	degree  *report.Measure
}

func newFigures(r *report.Recorder) figures {
	r.Safety = &report.Safety{}
	return figures{Recorder: r, watched: newWatched(r),
		delivery: r.Measure("delivery", ""), latejoin: r.Measure("latejoin", ""), bytes: r.Measure("bytes", ""), known: r.Measure("known", ""),
		up: r.Gauge("nodes", "up"), running: r.Gauge("slivers", "running"),
		published: r.Counter("offers", "published"), delivered: r.Counter("offers", "delivered"), duplicates: r.Counter("offers", "duplicate"),
		gossiped: r.Counter("messages", "gossip"), asked: r.Counter("messages", "requests and answers"), sent: r.Counter("bytes", "sent"),
		lost: r.Counter("messages", "lost"), repeated: r.Counter("packets", "repeated"),
		doubled: r.Counter("messages", "doubled"), heldBack: r.Counter("messages", "held back"),
		wishes: r.Counter("leases", "wished"), held: r.Counter("leases", "held"), committed: r.Counter("leases", "committed"), ended: r.Counter("leases", "ended"),
		proofs: r.Counter("proofs", ""), omitted: r.Counter("offers", "left out"), discovery: newDiscovery(r), talk: r.Talk(), degree: r.Measure("degree", "")}
}

// drop counts an offer that a view ignored.
func (w *World) drop(reason string) { w.figures.Counter("drops", reason).Add(w.now, 1) }

func (w *World) refuse(r *lease.Refusal) { w.figures.Counter("refusals", r.Code()).Add(w.now, 1) }

func (w *World) fact(x lease.Fact) {
	switch x.K {
	case lease.FactHeld:
		w.figures.held.Add(w.now, 1)
	case lease.FactCommitted:
		w.figures.committed.Add(w.now, 1)
	case lease.FactEnded:
		w.figures.ended.Add(w.now, 1)
	}
}

// report closes the books.
func (w *World) report(spent cost.Spent, partial bool) *report.Report {
	if !partial {
		w.retire(10 * time.Second) // younger ones may still be on the way
	}
	w.closePresence()
	f := &w.figures
	w.reportMesh()
	w.reportBytes()
	if f.due > 0 {
		f.Set("delivery", "", "share", float64(f.reached)/float64(f.due))
	}
	if got := f.delivery.Count(); got > 0 {
		f.Set("duplicates", "", "mean", float64(f.duplicates.Total())/float64(got))
	}
	f.discovery.Close()
	w.reportUse(f.Recorder)
	f.Set("grants", "", "count", float64(f.held.Total()))
	refused := f.Total("refusals")
	f.Set("refusals", "", "count", float64(refused))
	if wished := f.wishes.Total(); wished > 0 {
		f.Set("refusals", "", "share", float64(refused)/float64(wished))
	}
	f.talk.Close(w.now, func(i int) (time.Duration, bool) { return w.nodes[i].since, w.nodes[i].up })
	f.Set("proofs", "", "count", float64(f.proofs.Total()))
	for _, s := range w.inOrder {
		one := report.Slice{Name: s.spec.Name, Wanted: s.spec.Nodes, Running: s.running(), Outcome: s.outcome, Why: s.why}
		if s.ended && s.whole > 0 {
			one.Time = s.whole - s.began
		}
		if one.Outcome == "" {
			one.Outcome = "under way"
		}
		f.Slice(one)
	}
	spent.Figures(f.Recorder, len(w.nodes), w.now)
	r := f.Report(w.now, partial, w.trace.hash())
	r.Wall, r.Peak, r.Events, r.Lines, r.Foot = spent.Wall, spent.Peak, w.events, w.trace.lines, foot
	return r
}

// foot says what this world is made of; docs/simulation.md says more.
var foot = report.Foot{
	Real: []string{"node.Core with ledger and lifecycle", "gossip.View, its pace and pulls", "alive.Watch and vivaldi.Estimator", "node/slice", "offers, queries and every signature", "dht.Holder, dht.Registration, dht.Search and dht.Lookup, where somebody asks the index", "topic.Hub and topic.Meeting, where slivers speak", "gossip.Intake, where some are hostile"},
	Models: []report.Model{
		{What: "wires", How: "distances of the profile; loss shows as delay until a connection is given up; no bandwidth"},
		{What: "mesh", How: "random neighbours, flooding, ids to three others a second; a newcomer's begins with a heartbeat; nobody is pruned but who is hostile; a silent one is given up after 10 s"},
		{What: "Kademlia", How: "tables as full as they can be, drawn from who is there; who went stays in them for 30 min"},
		{What: "contacts", How: "whoever can be reached may be a neighbour"},
		{What: "probes", How: "over connections that are there; one exchange"},
		{What: "sandbox", How: "a sliver starts in 120 to 320 ms and keeps its deadline; no packets"},
		{What: "disk", How: "frames, whole or lost; 0.3 to 4 ms an fsync; never full"},
	},
	Omits: []string{"tickets and agents", "notices, proofs and heads on the wire", "NAT and relays"},
}
