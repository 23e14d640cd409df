// SPDX-License-Identifier: Apache-2.0

package kad

import (
	"context"
	"math"
	"time"

	kb "github.com/libp2p/go-libp2p-kbucket"
	"github.com/libp2p/go-libp2p/core/peer"

	"croft/dht"
)

// A question is one request of a walk: a value of the key that a peer has, if
// that is asked for and it has a right one, and whom it knows nearer to the key.
type question func(ctx context.Context, of peer.ID) (value []byte, closer []*peer.AddrInfo, err error)

type answer struct {
	from   peer.ID
	value  []byte
	closer []*peer.AddrInfo
	took   time.Duration
	err    error
}

// nodes asks for the peers nearest to a key.
func (d *DHT) nodes(key string) question {
	return func(ctx context.Context, of peer.ID) ([]byte, []*peer.AddrInfo, error) {
		closer, err := d.messenger.GetClosestPeers(ctx, of, peer.ID(key))
		return nil, closer, err
	}
}

// values asks for the record under a key too.
func (d *DHT) values(key string) question {
	return func(ctx context.Context, of peer.ID) ([]byte, []*peer.AddrInfo, error) {
		rec, closer, err := d.messenger.GetValue(ctx, of, key)
		if err != nil || rec == nil {
			return nil, closer, err
		}
		if dht.CheckRecord(d.now(), key, rec.GetValue()) != nil { // lapsed, or made up: no reason to distrust the route
			d.mu.Lock()
			d.stats.Invalid++
			d.mu.Unlock()
			return nil, closer, nil
		}
		return rec.GetValue(), closer, nil
	}
}

// ask puts a question to a peer in the background. The answer comes in any case,
// and answers has room for it.
func (d *DHT) ask(id peer.ID, q question, answers chan<- answer) {
	err := d.background(id, func(ctx context.Context) {
		a, start := answer{from: id}, time.Now()
		a.value, a.closer, a.err = q(ctx, id)
		a.took = time.Since(start)
		d.learn(id, len(a.closer), a.err)
		answers <- a
	})
	if err != nil {
		answers <- answer{from: id, err: err}
	}
}

// background runs one request to a peer, dialling included, unless there are too many.
func (d *DHT) background(to peer.ID, request func(context.Context)) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed || d.inFlight == maxAsks {
		d.stats.Busy++
		return errBusy
	}
	d.inFlight++
	d.asked[to]++
	d.asking.Go(func() {
		ctx, cancel := context.WithTimeout(d.life, askTimeout)
		defer cancel()
		request(ctx)
		d.mu.Lock()
		d.inFlight--
		if d.asked[to]--; d.asked[to] == 0 {
			delete(d.asked, to)
		}
		d.mu.Unlock()
	})
	return nil
}

// learn tells the routing table how a peer fared, as kad-dht's own queries do: who
// answers and names somebody is a candidate for it, who does not answer leaves it.
func (d *DHT) learn(id peer.ID, named int, err error) {
	table := d.dht.RoutingTable()
	if err != nil {
		if d.life.Err() == nil {
			d.mu.Lock()
			d.rest(id)
			d.mu.Unlock()
			table.RemovePeer(id)
		}
		return
	}
	d.mu.Lock()
	d.patience.Heard(place(id)) // also when its walk is over
	delete(d.failed, id)
	d.mu.Unlock()
	if d.leadsNowhere(named) {
		return
	}
	if added, err := table.TryAddPeer(id, true, false); err == nil && !added {
		table.UpdateLastSuccessfulOutboundQueryAt(id, time.Now())
	}
}

// useful tells the routing table at the end of a walk which of those that it began
// with were quick, and that it need not look into that direction soon: kad-dht
// keeps such peers longer.
func (d *DHT) useful(key string, cut bool, seeds map[peer.ID]time.Duration) {
	table, now := d.dht.RoutingTable(), time.Now()
	best := time.Duration(math.MaxInt64)
	for _, took := range seeds {
		best = min(best, took)
	}
	for id, took := range seeds {
		if took < math.MaxInt64 && took/2 < best {
			table.UpdateLastUsefulAt(id, now)
		}
	}
	if !cut {
		table.ResetCplRefreshedAtForID(kb.ConvertKey(key), now)
	}
}
