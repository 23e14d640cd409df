// SPDX-License-Identifier: Apache-2.0

// Package daemon runs a node: it owns the core and does what the core decides.
//
// One goroutine owns the core. Inputs come to it through one queue: calls from
// the API, reports from the adapters, ticks. Their effects are one batch: the
// facts are made durable, then the rest is performed (see loop.go). Everything
// that takes time runs beside that goroutine and comes back as an input, so
// that no sliver, peer or disk can hold up another's lease.
//
// All that touches the world comes in by [Deps], each behind the small interface
// of its concept: [Start] fills them for a machine, tests fill them with models
// and call [New].
//
//	n, err := daemon.Start(ctx, cfg, log)
//	err = n.Run(ctx) // until ctx ends; slivers run on
//
// A Daemon may be asked by any number of goroutines; Run is called once. When Run
// returns, slivers go on under their wardens and limits; the next
// daemon on the same state takes them up again.
package daemon

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	slivernet "croft/ebpf/net"
	"croft/lease"
	"croft/node"
	"croft/node/api"
	"croft/sandbox"
)

// Version is what status tells; the build may set it.
var Version = "0.1.0"

// Daemon is one node.
type Daemon struct {
	cfg    Config
	deps   Deps
	tag    string
	why    []string // what keeps it from hosting
	kernel string
	site   *certificate
	rules  *rules // of the owner

	journal OpenJournal // owned by the loop, as are
	core    *node.Core
	records int          // in the journal
	shortAt int          // records at which to see whether it can be shorter
	bar     lease.Reason // why nothing new is granted
	full    time.Time    // until when a full disk keeps us from trying again

	time     *ledgerTime
	inputs   chan node.Input
	answers  *answers
	status   *status
	slivers  *executor
	offers   *offerLoop
	notices  *notices
	proofs   *conflicts
	gives    *gives
	witness  *witness // nil: a visitor
	audits   audits
	mail     *mailbox // nil: a visitor
	forks    *forks   // nil: a visitor
	starts   starts
	drains   drains
	tenures  *tenures // nil: a visitor
	slices   *sliceRecords
	lookups  chan struct{} // a place for each look-up of a record that nobody waits for
	looking  sync.WaitGroup
	roles    *roles
	deciding *deciding
	charges  *charges
	fetches  *fetches
	doorways *doors // nil: slivers have none
	opened   *openedOffers
	book     *namesBook
	updates  *updater
	packets  *packets // nil: no programs are taken
	arrivals arrivals
	airtime  *airtime
	turns    turns     // of the books
	stamp    api.Stamp // of the messages that this node signs
	sessions sessions
	started  time.Time
	joined   atomic.Pointer[time.Time]
	done     chan struct{} // closed when the loop has ended
}

// New makes a daemon and takes its past from the journal. Nothing runs yet.
func New(cfg Config, deps Deps, why []string) (*Daemon, error) {
	d := &Daemon{
		cfg: cfg, deps: deps, why: why, tag: Tag(deps.Key.Principal()), kernel: kernelRelease(),
		inputs: make(chan node.Input, maxQueue), answers: newAnswers(),
		status: newStatus(), deciding: newDeciding(), lookups: make(chan struct{}, maxLookups), started: deps.Clock.Wall(), done: make(chan struct{}),
	}
	var err error
	if d.site, err = newCertificate(d); err != nil {
		return nil, err
	}
	if d.rules, err = newRules(cfg, d.started); err != nil {
		return nil, err
	}
	d.tellLapsed(d.inForce())
	d.audits = newAudits(d)
	d.offers, d.notices, d.proofs, d.gives = newOfferLoop(d), newNotices(d), newConflicts(d), newGives(d)
	if err := d.offers.check(); err != nil {
		return nil, err
	}
	if d.slices, err = openRecords(filepath.Join(cfg.State, "slices"), deps.Log.Warn); err != nil {
		return nil, err
	}
	if deps.Hosting != nil {
		if d.witness, err = openWitness(d); err != nil {
			return nil, err
		}
		if d.mail, err = openMailbox(filepath.Join(cfg.State, "node", "messages"), d.started, deps.Log); err != nil {
			return nil, err
		}
		if deps.Forks != nil {
			d.forks = newForks(d.witness, deps.Forks)
		}
	}
	d.opened, d.fetches = newOpenedOffers(&d.deps), newFetches(d)
	d.book = &namesBook{dir: filepath.Join(cfg.State, "names"), log: deps.Log}
	d.updates = newUpdater(d)
	d.packets = newPackets(d)
	if d.roles, err = newRoles(d); err != nil {
		return nil, err
	}
	if f := deps.Contacts; f != nil {
		d.bootstrapped(f)
	}
	if w := deps.Whereabouts; w != nil {
		d.estimated(w.Estimates())
	}
	if deps.Hosting != nil && deps.Hosting.Doors != nil {
		d.doorways = newDoors(d)
		d.airtime = newAirtime(func() SliceTopics { return d.deps.Topics })
	}
	if err := d.load(); err != nil {
		return nil, errors.Join(err, d.roles.close())
	}
	d.time = newLedgerTime(deps.Clock, time.Unix(d.core.Last(), 0))
	d.charges = openCharges(d)
	if deps.Hosting != nil {
		d.tenures = newTenures(deps.Hosting.Audit, deps.Clock)
	}
	d.slivers = &executor{host: deps.Hosting, time: d.time, tenures: d.tenures, bounds: cfg.Bounds, warn: deps.Log.Warn, submit: d.submit,
		bind: d.status.bound, doors: d.doorways, packets: d.packets, works: map[string]*work{}, over: map[string]sandbox.Status{}}
	return d, nil
}

// Tag marks every kernel object of a node.
func Tag(p lease.Principal) string { return p.String()[:6] }

func (d *Daemon) coreConfig() node.Config {
	r := ledgerRules(d.inForce().Policy)
	return node.Config{
		Places: d.cfg.Bounds.Places,
		Ledger: lease.LedgerConfig{Key: d.deps.Key, Pools: r.Pools, Refused: r.Refused, Ports: portRange(d.cfg.Listen, d.cfg.Courtesy),
			Most: lease.RSet{lease.PortsOut: slivernet.Block(d.cfg.Bounds.Places)}, FanOut: uint16(d.cfg.Bounds.FanOut),
			HoldFuse: r.HoldFuse, ActivateFuse: r.ActivateFuse, Grace: r.Grace, Quarantine: r.Quarantine},
	}
}

// Run serves until ctx ends, or until the node's journal is lost for good. When
// it returns, nothing of the daemon is running; the slivers are.
func (d *Daemon) Run(ctx context.Context) error {
	doors, err := d.listen()
	if err != nil {
		return errors.Join(err, d.journal.Close(), d.roles.close())
	}
	g, ctx := errgroup.WithContext(ctx)
	d.slivers.ctx, d.fetches.ctx = ctx, ctx
	if d.doorways != nil {
		d.doorways.ctx = ctx
	}
	var reports <-chan sandbox.Status
	if d.deps.Hosting != nil {
		reports = d.deps.Hosting.Runtime.Watch(ctx) // before the look at what there is, so that no end is missed
		d.survey(ctx)
	}
	g.Go(func() error {
		defer close(d.done)
		return d.run(ctx)
	})
	for _, door := range doors {
		g.Go(func() error { return d.sessions.serve(ctx, door) })
	}
	g.Go(func() error { d.watchJoin(ctx); return nil })
	g.Go(func() error { return d.updates.run(ctx) })
	g.Go(func() error { d.charges.run(ctx); return nil })
	if d.deps.Measures != nil {
		g.Go(func() error { d.watchHealth(ctx); return nil })
	}
	if d.deps.Reach != nil {
		g.Go(func() error { d.watchReach(ctx); return nil })
	}
	if d.deps.Rumours != nil {
		g.Go(func() error { d.proofs.run(ctx); return nil })
	}
	if o := d.deps.OptOuts; o != nil {
		g.Go(func() error { o.run(ctx); return nil })
		if o.sights != nil {
			g.Go(func() error { o.sights.run(ctx); return nil })
		}
	}
	if d.deps.Hosting != nil {
		g.Go(func() error { d.offers.run(ctx); return nil })
		g.Go(func() error { d.notices.run(ctx); return nil })
		g.Go(func() error { d.gives.run(ctx); return nil })
		g.Go(func() error { d.watchSlivers(ctx, reports); return nil })
		g.Go(func() error { d.drainLoop(ctx); return nil })
		g.Go(func() error { d.logLoop(ctx); return nil })
		g.Go(func() error { d.collectLoop(ctx); return nil })
		g.Go(func() error { d.republish(ctx); return nil })
		g.Go(func() error { d.witness.run(ctx); return nil })
		if d.packets != nil {
			g.Go(func() error { d.packets.run(ctx); return nil })
		}
		if d.forks != nil {
			g.Go(func() error { d.forks.run(ctx); return nil })
		}
	}
	err = g.Wait()
	d.sessions.wait()
	d.fetches.end()
	d.slivers.wg.Wait()
	if d.doorways != nil {
		d.doorways.wait.Wait()
	}
	d.looking.Wait()
	return errors.Join(err, d.shut())
}

// shut empties the guard's tables once more and closes what is open. Slivers
// and their plumbing stay.
func (d *Daemon) shut() error {
	var errs []error
	if d.deps.Hosting != nil {
		ctx, cancel := context.WithTimeout(context.Background(), drainEvery)
		defer cancel()
		errs = append(errs, d.drain(ctx))
	}
	return errors.Join(append(errs, d.roles.close(), d.journal.Close())...)
}

// Node is what the API serves.
func (d *Daemon) Node() api.Node {
	return api.Node{
		Claims: claims{d}, Slivers: slivers{d}, Blobs: blobs{d, make(chan struct{}, maxUploads), d.fetches},
		Audit: d.audits, Exports: newExports(d, d.audits.sent), Slices: owned{d}, Topics: d.deps.Topics,
		Discovery: discovery{d: d, own: true}, Owner: owner{d}, Roles: d.roles, Updates: d.updates, Charges: d.charges, Obsolescence: obsolescence{d},
		Clocks: clocks{d}, Conflicts: d.proofs, OptOuts: avoided{d}, Invites: inviter{d}, Overlay: d.deps.Overlay,
	}
}

// watchJoin notes when the first neighbour was there.
func (d *Daemon) watchJoin(ctx context.Context) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if d.deps.Wire.Peers() > 0 {
			now := d.deps.Clock.Wall()
			d.joined.Store(&now)
			select {
			case <-ctx.Done():
			case <-time.After(joinWait):
				d.offers.tell()
			}
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// survey learns which slivers have ended while no daemon was there.
func (d *Daemon) survey(ctx context.Context) {
	list, err := d.deps.Hosting.Runtime.List(ctx)
	if err != nil {
		d.deps.Log.Warn("which slivers have ended is not known; they are started again", "err", err)
	}
	for _, st := range list {
		d.slivers.seen(st)
	}
}

// watchSlivers turns what the runtime reports into inputs.
func (d *Daemon) watchSlivers(ctx context.Context, reports <-chan sandbox.Status) {
	for st := range reports {
		d.slivers.seen(st) // first, for a launch that is under way
		d.status.seen(st)
		if in := exited(st); in != nil && d.submit(ctx, in) != nil {
			return
		}
	}
}
