// SPDX-License-Identifier: Apache-2.0

package play

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"croft/lease"
	"croft/lease/oracle"
	"croft/node"
	"croft/node/daemon"
	"croft/node/journal"
	"croft/sim/lab"
	"croft/sim/profile"
	"croft/sim/report"
)

// close ends the daemons, reads what they kept, and closes the books.
func (g *game) close(ctx context.Context, partial bool) (*report.Report, error) {
	end := g.now()
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), downLimit)
	defer cancel()
	g.rows(late)
	for _, p := range g.nodes {
		p.sent(late)
	}
	due, reached := g.reached()
	if due > 0 {
		g.rec.Set("delivery", "", "share", float64(reached)/float64(due))
	}
	if g.figures.sought > 0 {
		g.rec.Set("lookup", "", "success", float64(g.figures.found)/float64(g.figures.sought))
	}
	g.mu.Lock()
	g.figures.talk.Close(end, func(i int) (time.Duration, bool) { return g.nodes[i].since, g.nodes[i].isUp })
	g.mu.Unlock()
	g.rec.Safety = &report.Safety{}
	for _, p := range g.nodes {
		if err := g.lab.Stop(late, p.name); err != nil && !errors.Is(err, lab.ErrNotRunning) {
			return nil, errors.Join(g.err, err)
		}
		if err := p.audit(end); err != nil {
			return nil, errors.Join(g.err, err)
		}
	}
	g.rec.Set("grants", "", "count", float64(g.figures.held.Total()))
	if g.err != nil {
		return nil, g.err
	}
	r := g.rec.Report(min(end, g.scn.End), partial, "")
	r.Foot = foot
	r.Foot.Notes = append(r.Foot.Notes, g.notes...)
	return r, nil
}

// sent counts the bytes that the node's card sent, in the time in which its daemon
// was up.
func (p *player) sent(ctx context.Context) {
	var out bytes.Buffer
	if code, err := p.g.lab.Exec(ctx, p.name, []string{"cat", "/proc/net/dev"}, lab.IO{Out: &out}); err != nil || code != 0 {
		return
	}
	n, ok := transmitted(out.String(), "eth0")
	was := p.was
	if p.isUp {
		was += p.g.now() - p.since
	}
	if ok && was > time.Second {
		p.g.figures.bytes.Observe(int64(float64(n) / was.Seconds()))
	}
}

// transmitted reads the bytes that a card sent out of /proc/net/dev.
func transmitted(text, card string) (uint64, bool) {
	for line := range strings.Lines(text) {
		name, counts, ok := strings.Cut(line, ":")
		fields := strings.Fields(counts)
		if !ok || strings.TrimSpace(name) != card || len(fields) < 9 {
			continue
		}
		n, err := strconv.ParseUint(fields[8], 10, 64)
		return n, err == nil
	}
	return 0, false
}

// audit holds a node's ledger, as its journal rebuilds it, against what it signed
// and kept.
func (p *player) audit(end time.Duration) error {
	dir := filepath.Join(p.state, "node", "journal")
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return nil // it never came up
	}
	j, records, err := journal.Open(dir, journal.Options{MustExist: true})
	if err != nil {
		return fmt.Errorf("reading the journal of %s: %w", p.name, err)
	}
	if err := j.Close(); err != nil {
		return err
	}
	key, err := daemon.NodeKey(p.state)
	if err != nil {
		return err
	}
	places, err := profile.New(p.g.scn.Nodes.Profile, p.g.scn.Nodes.Count, p.g.scn.Seed)
	if err != nil {
		return err
	}
	total, err := lease.ParseRSet(amounts(capacity(places.Place(p.index))))
	if err != nil {
		return err
	}
	core := node.NewCore(node.Config{Places: maxPlaces, Ledger: lease.LedgerConfig{Key: key, Pools: lease.DefaultPools(total)}})
	o := oracle.New(oracle.Config{Lead: lease.DefaultNotice, Epoch: p.g.began.Unix(), Open: lease.Open})
	g := p.g
	for i, r := range records {
		if err := core.Restore(r); err != nil {
			g.rec.Breach(report.Breach{At: end, Node: p.index, Text: fmt.Sprintf("record %d of %d does not restore: %v", i, len(records), err)})
			return nil
		}
		if len(r) == 0 || r[0] != 'l' { // the lifecycle's
			continue
		}
		f, err := lease.ParseFact(r[1:])
		if err != nil {
			return fmt.Errorf("reading record %d of %s: %w", i, p.name, err)
		}
		o.Follow(f)
		at := min(max(time.Unix(f.At, 0).Sub(g.began), 0), end)
		switch f.K {
		case lease.FactHeld:
			g.figures.held.Add(at, 1)
		case lease.FactCommitted:
			g.figures.committed.Add(at, 1)
		case lease.FactEnded:
			g.figures.ended.Add(at, 1)
		}
	}
	g.rec.Safety.Checks++
	if err := o.Check(core.Ledger()); err != nil {
		g.rec.Breach(report.Breach{At: end, Node: p.index, Text: err.Error()})
	}
	return nil
}

// foot says what this world is made of.
var foot = report.Foot{
	Real: []string{"daemons as processes, QUIC, GossipSub, Kademlia, journals on disk, runc, eBPF, a network namespace a node", "croft run, renew, stop and topic, as they are typed"},
	Models: []report.Model{
		{What: "distance", How: "a relay keeps packets for the distance of the profile's sites; nodes of one site are on one Ethernet"},
		{What: "time", How: "real: what else the machine does is in every figure"},
		{What: "loss and partitions", How: "rules in the nodes' own namespaces"},
	},
	Omits: []string{"delay, reordering and duplication as faults", "wrong clocks", "machines that lose power", "hostile nodes"},
	Notes: []string{
		"who knows what is asked every 100 ms of up to ten nodes, and of more in proportion: delivery and latejoin are told no finer",
		"delivery share counts what came within 10 s",
		"a newcomer's wait begins with the start of its process",
		"a fault strikes the way in of a researcher last",
		"safety is looked at once a node, at the end, by the journals alone",
	},
}
