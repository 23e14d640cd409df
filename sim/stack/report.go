// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"fmt"
	gort "runtime"
	"sync"
	"time"

	"croft/lease"
	"croft/sim/cost"
	"croft/sim/report"
	"croft/sim/scenario"
	"croft/sim/stack/lean"
)

// figures is what is counted on the way.
type figures struct {
	sync.Mutex
	*report.Recorder
	*report.Finds
	delivery, latejoin, bytes *report.Measure
	published, delivered      *report.Counter
	wishes, held              *report.Counter
	up                        *report.Gauge
	talk                      *report.Talk
	deaths                    *report.Deaths
	told, falsely, leftOut    *report.Counter // suspicions
	degree                    *report.Measure
	tenancies                 map[string]*tenancy // by role
}

func (f *figures) init(s *scenario.Scenario) {
	r := report.NewRecorder("stack", s)
	f.Recorder, r.Safety = r, &report.Safety{}
	f.Finds = r.Finds()
	f.delivery, f.latejoin, f.bytes = r.Measure("delivery", ""), r.Measure("latejoin", ""), r.Measure("bytes", "")
	f.published, f.delivered = r.Counter("offers", "published"), r.Counter("offers", "delivered")
	f.wishes, f.held = r.Counter("leases", "wished"), r.Counter("leases", "held")
	f.deaths, f.degree = r.Deaths(), r.Measure("degree", "")
	f.told, f.falsely, f.leftOut = r.Counter("suspicions", "told"), r.Counter("suspicions", "false"), r.Counter("suspicions", "left out though there")
	f.tenancies = map[string]*tenancy{}
	f.up, f.talk = r.Gauge("nodes", "up"), r.Talk()
}

// granted and refused count what nodes answered to wishes.
func (s *Stack) granted(by lease.Principal, statements [][]byte) {
	s.told(by, statements)
	s.figures.Lock()
	defer s.figures.Unlock()
	s.figures.held.Add(s.now(), 1)
}

func (s *Stack) refused(r *lease.Refusal) {
	s.figures.Lock()
	defer s.figures.Unlock()
	s.figures.Counter("refusals", r.Code()).Add(s.now(), 1)
}

func goroutines() int { return gort.NumGoroutine() }

// report closes the books.
func (s *Stack) report(partial bool, meter cost.Meter) *report.Report {
	due, reached := s.share()
	sum, first, copies := uint64(0), uint64(0), uint64(0)
	for _, n := range s.nodes {
		if mesh, one, more, ok := n.meshes(); ok {
			s.figures.degree.Observe(int64(mesh))
			first, copies = first+one, copies+more
		}
		if sent, was := n.bytes(); was > time.Second {
			s.figures.bytes.Observe(int64(float64(sent) / was.Seconds()))
			sum += sent
		}
	}
	off, proved, count := s.coordinates(), s.proofs(), goroutines()
	f := &s.figures
	f.Lock()
	defer f.Unlock()
	if due > 0 {
		f.Set("delivery", "", "share", float64(reached)/float64(due))
	}
	f.Finds.Close()
	if first > 0 {
		f.Set("duplicates", "", "mean", float64(copies)/float64(first))
	}
	f.deaths.Close(s.now())
	f.Set("suspicions", "", "count", float64(f.told.Total()))
	f.Set("suspicions", "", "false", float64(f.falsely.Total()))
	f.Spread("coordinate", "", off)
	f.Set("proofs", "", "count", float64(proved))
	f.talk.Close(s.now(), s.there)
	refused := f.Total("refusals")
	f.Set("grants", "", "count", float64(f.held.Total()))
	f.Set("refusals", "", "count", float64(refused))
	if n := f.wishes.Total(); n > 0 {
		f.Set("refusals", "", "share", float64(refused)/float64(n))
	}
	for _, job := range s.scn.Asked() {
		f.tenancy(job).close(f, job)
	}
	for _, r := range s.inOrder {
		f.Slice(r.row())
	}
	spent := meter.Spent()
	spent.Figures(f.Recorder, len(s.nodes), s.now())
	r := f.Report(s.now(), partial, "")
	s.wires.counts.Lock()
	r.Counts = append(r.Counts, report.Count{What: "packets repeated", Count: s.wires.repeated},
		report.Count{What: "connections lost by loss", Count: s.wires.lost}, report.Count{What: "messages held back", Count: s.wires.heldBack})
	s.wires.counts.Unlock()
	r.Wall, r.Foot, r.Peak = spent.Wall, foot, spent.Peak
	s.offers.mu.Lock()
	checked := fmt.Sprintf("views read %d offers, of which %d signatures were checked: each offer is verified once and shared by all", s.offers.opened, s.offers.real)
	s.offers.mu.Unlock()
	if s.seeds != nil {
		r.Foot.Notes = append(r.Foot.Notes, s.seeds.note())
	}
	r.Foot.Notes = append(r.Foot.Notes, checked, traffic(s.fabric.Traffic(), len(s.nodes)),
		fmt.Sprintf("%d goroutines and %d connections at the end; %.1f s of processor time; %.0f kB resident a node", count, s.fabric.Links(),
			spent.CPU.Seconds(), float64(spent.Peak)/1e3/float64(len(s.nodes))))
	return r
}

// foot says what this world is made of; docs/simulation.md says more.
var foot = report.Foot{
	Real: []string{"node/daemon whole, with its API over Noise channels", "kad-dht and GossipSub", "dht/index, gossip/pubsub, node/wire, node/journal", "node/slice and node/client"},
	Models: []report.Model{
		{What: "hosts", How: "libp2p without sockets: a dial takes a round trip, identify another; no bandwidth, no encryption below channels, no resource manager"},
		{What: "wires", How: "distances of the profile; loss shows as delay until a connection is given up; what is cut off dies after 15 to 30 s"},
		{What: "connections", How: fmt.Sprintf("gossip knows of some %d of a node's, of %d where there are more than %d; others end %s after their last byte", loud, loudMany, maxNodes, lean.QuietFor)},
		{What: "sandbox", How: "a sliver starts in 120 to 320 ms and keeps its deadline; the image is everywhere; no packets"},
		{What: "journal's disk", How: "0.3 to 4 ms an fsync; a torn one keeps what was synced and some bytes more; other files are the machine's own"},
	},
	Omits: []string{"exact replay", "hostile nodes", "NAT, relays and mDNS", "the record of packets and its log"},
}
