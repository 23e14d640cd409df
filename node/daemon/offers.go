// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	slivernet "croft/ebpf/net"
	"croft/gossip"
	"croft/lease"
	"croft/lease/offer"
	"croft/node/wire"
)

// offerValid is how long an offer counts: twice the longest gap between two, so
// that one lost message does not make a node vanish.
const offerValid = offer.MaxValid * time.Second

// retryOffer is the wait after an offer that could not be told to anybody.
const retryOffer = 2 * time.Second

// offerLoop publishes what the node has to give, at the pace of package gossip.
type offerLoop struct {
	d     *Daemon
	stale chan struct{} // capacity of one: a poke is not counted
	news  atomic.Bool   // something else than free capacity changed
	last  uint64        // sequence of the newest offer
	short bool          // it was told that not all pools have room in it
}

func newOfferLoop(d *Daemon) *offerLoop { return &offerLoop{d: d, stale: make(chan struct{}, 1)} }

// tell has the offer go out again although nothing in it changed: there are new
// neighbours to tell.
func (o *offerLoop) tell() {
	o.news.Store(true)
	o.poke()
}

// poke says that the last offer is no longer right.
func (o *offerLoop) poke() {
	select {
	case o.stale <- struct{}{}:
	default:
	}
}

// firstWait is how long the first offer waits for somebody to be told. Who knows nobody
// to join by is the first of its network, and finds itself at once.
func (o *offerLoop) firstWait() time.Duration {
	if len(o.d.cfg.Join) == 0 {
		return 0
	}
	return aloneWait
}

func (o *offerLoop) run(ctx context.Context) {
	var pace gossip.Pace
	timer := time.NewTimer(o.firstWait()) // a neighbour is news, and wakes it before
	defer timer.Stop()
	var refute <-chan struct{}
	if p := o.d.deps.Presence; p != nil {
		refute = p.Refute()
	}
	for first := true; ; {
		atOnce := false
		select {
		case <-ctx.Done():
			o.withdraw()
			return
		case <-o.stale:
			if first && !o.news.Load() {
				continue // the timer runs: nobody is there yet
			}
		case <-refute:
			atOnce = true
		case <-timer.C:
		}
		now := o.d.deps.Clock.Wall()
		made, err := o.make(ctx, now)
		if err != nil {
			o.withdraw() // the daemon goes
			return
		}
		pace.Stretch(o.d.deps.Gossip.Stretch())
		pace.Changed(freeInAll(&made), made.Total, o.news.Swap(false))
		wait := retryOffer
		if !atOnce && !pace.Due(now) {
			at, _ := pace.NextWake()
			wait = at.Sub(now)
		} else if err := o.publish(ctx, made); err != nil {
			o.d.deps.Log.Warn("nobody was told of this node's offer", "err", err)
		} else {
			first = false
			pace.Published(now)
			at, _ := pace.NextWake()
			wait = at.Sub(now)
		}
		timer.Reset(wait)
	}
}

// check reports as a bad configuration what no offer may say.
func (o *offerLoop) check() error {
	made := o.bare(o.d.deps.Clock.Wall())
	if _, err := offer.Seal(&made, o.d.deps.Key); err != nil {
		return fmt.Errorf("%w: what this node says of itself: %w", ErrConfig, err)
	}
	return nil
}

// next is an offer's sequence: the time in milliseconds, which rises over
// restarts with nothing to remember, also while the wall clock steps back.
func (o *offerLoop) next(now time.Time) uint64 {
	o.last = max(o.last+1, uint64(now.UnixMilli()))
	return o.last
}

// bare is an offer without what is free.
func (o *offerLoop) bare(now time.Time) offer.Offer {
	d := o.d
	p := d.inForce()
	commons, _ := p.Pool(lease.PoolCommons)
	made := offer.Offer{
		Node: d.deps.Key.Principal(), Sequence: o.next(now), Made: now.Unix(), Until: now.Add(offerValid).Unix(),
		Attributes: d.attributes(), Addrs: offerAddrs(d.deps.Wire.Addrs()), Uptime: max(int64(now.Sub(d.started).Seconds()), 0),
		Total: p.Capacity, Longest: commons.Longest, Commons: commons.Each,
	}
	if d.deps.Presence != nil {
		made.Coordinate = d.deps.Presence.Coordinate()
	}
	for _, door := range d.doors() {
		made.Addrs = append(made.Addrs, doorAddr(door))
	}
	cert, signed, name := d.site.now(now)
	if made.Name = name; cert != nil {
		made.Site, made.Certificate = cert.Site, signed
	}
	return made
}

// make fills in an offer as the node is now.
func (o *offerLoop) make(ctx context.Context, now time.Time) (offer.Offer, error) {
	d := o.d
	made := o.bare(now)
	term := lease.Term{From: d.time.now().Unix(), Until: d.time.now().Unix() + int64(freeAhead.Seconds())}
	free, err := look(ctx, d, func(l *lease.Ledger) (free []offer.Free) {
		for _, rule := range l.Pools() {
			free = append(free, offer.Free{Pool: rule.Pool, RSet: l.Free(rule.Pool, term)})
		}
		slices.SortStableFunc(free, func(a, b offer.Free) int { return cmp.Compare(rank(a.Pool), rank(b.Pool)) })
		return free
	})
	whole := made.Fit(free)
	for !whole && len(made.Addrs) > 1 && slices.ContainsFunc(made.Addrs, relayed) {
		made.Addrs = fewer(made.Addrs) // those of relays are long, and capacity is what an offer is for
		whole = made.Fit(free)
	}
	if !whole && !o.short {
		d.deps.Log.Warn("this node's offer has no room for all of its pools: find does not know the others", "pools", len(free), "named", len(made.Free))
		o.short = true
	}
	return made, err
}

// rank puts the pools first that everybody looks for; the others are in the order
// of the policy.
func rank(p lease.Pool) int {
	switch p {
	case lease.PoolCommons:
		return 0
	case lease.PoolSharp:
		return 1
	}
	return 2
}

// freeInAll adds up what is free, whatever the pool.
func freeInAll(o *offer.Offer) (sum lease.RSet) {
	for _, f := range o.Free {
		sum = sum.Plus(f.RSet)
	}
	return sum
}

// maxAddrs bounds the addresses in an offer: one a transport and family, or two
// relays beside the local ones.
const (
	maxAddrs   = 4
	maxRelayed = 2
)

// offerAddrs are the ways in that a stranger may use: without the peer id, which
// follows from the node's principal, and without what only this machine reaches.
// Each relay is named by one way to it.
func offerAddrs(all []string) []string {
	var direct, through []string
	ways := map[string]int{} // by relay, the place in through
	for _, s := range all {
		addr, ok := wire.IP(s)
		if !ok || addr.IsLoopback() || addr.IsLinkLocalUnicast() || slivernet.IsUplink(addr) {
			continue
		}
		if !relayed(s) {
			s, _, _ = strings.Cut(s, "/p2p/")
			direct = append(direct, s)
			continue
		}
		way, _, _ := strings.Cut(s, wire.Circuit)
		_, relay, _ := strings.Cut(way, "/p2p/")
		if at, known := ways[relay]; !known {
			ways[relay] = len(through)
			through = append(through, way+wire.Circuit)
		} else if strings.Contains(way, "/quic-v1/") { // a round trip less
			through[at] = way + wire.Circuit
		}
	}
	through = through[:min(len(through), maxRelayed)]
	return append(direct[:min(len(direct), maxAddrs-len(through))], through...)
}

// relayed reports whether an address is a relay's, which carries on from there.
func relayed(addr string) bool { return strings.Contains(addr, wire.Circuit) }

// fewer are addresses without the one that is missed least: a further relay, then
// what is not a relay, then the first.
func fewer(addrs []string) []string {
	last := len(addrs) - 1
	for last > 0 && !relayed(addrs[last]) {
		last--
	}
	if slices.IndexFunc(addrs, relayed) == last || !relayed(addrs[last]) {
		last = max(0, slices.IndexFunc(addrs, func(a string) bool { return !relayed(a) }))
	}
	return slices.Delete(slices.Clone(addrs), last, last+1)
}

// freeAhead is the time for which offered capacity must be free.
const freeAhead = 10 * time.Minute

func (o *offerLoop) publish(ctx context.Context, made offer.Offer) error {
	signed, err := offer.Seal(&made, o.d.deps.Key)
	if err != nil {
		return fmt.Errorf("sealing the offer: %w", err)
	}
	return o.d.deps.Gossip.Publish(ctx, signed)
}

// withdraw tells the others that the node leaves; who does not hear it finds
// out when the last offer lapses.
func (o *offerLoop) withdraw() {
	ctx, cancel := context.WithTimeout(context.Background(), retryOffer)
	defer cancel()
	now := o.d.deps.Clock.Wall()
	last := offer.Offer{Node: o.d.deps.Key.Principal(), Sequence: o.next(now), Made: now.Unix(),
		Until: now.Add(offerValid).Unix(), Closed: true}
	signed, err := offer.Seal(&last, o.d.deps.Key)
	if err == nil {
		err = o.d.deps.Gossip.Withdraw(ctx, signed)
	}
	if err != nil {
		o.d.deps.Log.Debug("the last offer was not withdrawn; it lapses", "err", err)
	}
}

// attributes are the owner's claims and what the machine says of itself.
func (d *Daemon) attributes() offer.Attributes {
	a := d.cfg.Attributes
	out := offer.Attributes{Country: a.Country, Region: a.Region, City: a.City, AS: a.AS,
		Kernel: d.kernel, Arch: runtime.GOARCH, Labels: d.cfg.Labels}
	out.Position = position(d.cfg)
	if d.deps.Hosting != nil {
		out.Runtimes = []string{"runc"}
	}
	out.Network = d.kindOfNetwork()
	return out
}
