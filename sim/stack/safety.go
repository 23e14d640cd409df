// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"context"
	"fmt"
	"sync"
	"time"

	"croft/lease"
	"croft/lease/oracle"
	"croft/node/daemon"
	"croft/node/journal"
	"croft/sandbox"
	"croft/sim/report"
)

// promises is what a node is bound to by its journal alone, which package oracle adds
// up, and holds its daemon's ledger against.
type promises struct {
	mu     sync.Mutex
	oracle *oracle.Oracle
	told   [][]byte // statements that left the node, until the journal was shortened
	news   bool     // since the ledger was looked at
	broken bool     // once is enough
	stray  map[string]time.Duration
}

// book is a journal that the promises follow.
type book struct {
	daemon.OpenJournal
	n *node
	l *life
}

func (b book) Append(records ...[]byte) error {
	err := b.OpenJournal.Append(records...)
	b.n.follow(b.l, records, err)
	return err
}

func (b book) AppendClosing(records ...[]byte) error {
	err := b.OpenJournal.AppendClosing(records...)
	b.n.follow(b.l, records, err)
	return err
}

func (b book) Snapshot(records [][]byte) error {
	err := b.OpenJournal.Snapshot(records)
	p := &b.n.promises
	p.mu.Lock()
	defer p.mu.Unlock()
	p.told = nil // what is over is no more in it
	return err
}

// openBook opens what the machine's disk has. What was told to anybody before has to
// be there.
func (n *node) openBook(l *life) (daemon.OpenJournal, [][]byte, error) {
	if err := l.does(); err != nil {
		return nil, nil, err
	}
	l.mu.Lock()
	d := l.disk
	l.mu.Unlock()
	j, records, err := journal.Open("journal", journal.Options{Disk: d, Ballast: -1})
	if err != nil {
		return nil, nil, err
	}
	opened, kept := daemon.Books(j, records)
	p := &n.promises
	p.mu.Lock()
	p.oracle = oracle.New(oracle.Config{Lead: lease.DefaultNotice, Epoch: n.s.began.Unix(), Open: lease.Open})
	told := p.told
	p.mu.Unlock()
	n.follow(l, kept, nil)
	for _, b := range told {
		n.keeps(b, "what was told is not in the journal any more")
	}
	return book{opened, n, l}, kept, nil
}

// follow takes records that are durable to account. Of a daemon that is dead nothing
// is: the next one reads what there is.
func (n *node) follow(l *life, records [][]byte, failed error) {
	if failed != nil || l.dead.Load() {
		return
	}
	p := &n.promises
	p.mu.Lock()
	defer p.mu.Unlock()
	p.oracle.Step()
	for _, r := range records {
		if len(r) == 0 || r[0] != 'l' { // the lifecycle's
			continue
		}
		f, err := lease.ParseFact(r[1:])
		if err != nil {
			n.s.breach(n, fmt.Errorf("a record does not open: %w", err))
			continue
		}
		p.oracle.Follow(f)
	}
	p.news = true
}

// vouched notes statements that came to a researcher: they were durable before.
func (n *node) vouched(statements [][]byte) {
	for _, b := range statements {
		n.keeps(b, "a statement left before it was durable")
		p := &n.promises
		p.mu.Lock()
		p.told = append(p.told, b)
		p.mu.Unlock()
	}
}

func (s *Stack) told(by lease.Principal, statements [][]byte) {
	if n, ok := s.keyed(by); ok {
		n.vouched(statements)
	}
}

func (n *node) keeps(signed []byte, otherwise string) {
	p := &n.promises
	p.mu.Lock()
	kept := p.oracle.Kept(signed)
	p.mu.Unlock()
	if !kept {
		n.s.breach(n, fmt.Errorf("%w: %s", oracle.ErrBroken, otherwise))
	}
}

// guard looks at the ledgers of nodes that have decided something, and now and then at
// all.
func (s *Stack) guard() {
	s.in(checkEvery, func() {
		s.checks++
		s.check(s.checks%(int(sweepEvery/checkEvery)) == 0)
		s.guard()
	})
}

// check looks at nodes: at all of them in a sweep.
func (s *Stack) check(sweep bool) {
	if sweep {
		s.figures.Lock()
		s.figures.Safety.Sweeps++
		s.figures.Unlock()
	}
	for _, n := range s.nodes {
		n.overdue()
		p := &n.promises
		p.mu.Lock()
		look := (sweep || p.news) && !p.broken
		p.mu.Unlock()
		if look {
			n.look()
		}
	}
}

// overdue: no sliver outlives its lease, with or without a daemon.
func (n *node) overdue() {
	m := n.machine
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, sl := range m.slivers {
		if late := time.Duration(m.Boot() - sl.status.Deadline); !sl.status.State.Over() && late > outlive {
			n.s.breach(n, fmt.Errorf("%w: sliver %s lives on %s after its lease", oracle.ErrBroken, name, late))
		}
	}
}

// look holds the ledger of a daemon, if one runs, against what its journal binds it to.
func (n *node) look() {
	select {
	case n.turn <- struct{}{}:
		defer func() { <-n.turn }()
	default:
		return // it comes or goes
	}
	if n.now == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), beat)
	defer cancel()
	_ = n.now.daemon.Inspect(ctx, func(l *lease.Ledger) { // it may be stopping
		p := &n.promises
		p.mu.Lock()
		defer p.mu.Unlock()
		p.news = false
		p.oracle.Restarted()
		err := p.oracle.Check(l)
		if err == nil {
			err = n.strays(l)
		}
		if err != nil {
			p.broken = true
			n.s.breach(n, err)
		}
		n.s.checked()
	})
}

// strays: what runs has a lease, but for a moment in which it is ended. It is called
// with the promises locked.
func (n *node) strays(l *lease.Ledger) error {
	m, at := n.machine, n.s.now()
	m.mu.Lock()
	defer m.mu.Unlock()
	stray := map[string]time.Duration{}
	for name, sl := range m.slivers {
		if e, ok := l.Sliver(name); sl.status.State != sandbox.Running || ok && e.State.Live() {
			continue
		}
		since, known := n.promises.stray[name]
		if !known {
			since = at
		}
		if stray[name] = since; at-since > endLimit {
			return fmt.Errorf("%w: sliver %s runs without a lease", oracle.ErrBroken, name)
		}
	}
	n.promises.stray = stray
	return nil
}

func (s *Stack) checked() {
	s.figures.Lock()
	defer s.figures.Unlock()
	s.figures.Safety.Checks++
}

func (s *Stack) breach(n *node, err error) {
	s.figures.Lock()
	defer s.figures.Unlock()
	s.figures.Breach(report.Breach{At: s.now(), Node: n.index, Text: err.Error()})
}

// proofs counts the broken promises that nodes know to be proved.
func (s *Stack) proofs() int {
	known := map[lease.ID]bool{}
	for _, n := range s.nodes {
		select {
		case n.turn <- struct{}{}:
		default:
			continue
		}
		if n.now != nil {
			list, _ := n.now.daemon.Node().Conflicts.Conflicts(context.Background()) // what there is in memory
			for _, c := range list {
				known[c.ID] = true
			}
		}
		<-n.turn
	}
	return len(known)
}
