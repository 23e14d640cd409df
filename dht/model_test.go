// SPDX-License-Identifier: Apache-2.0

package dht_test

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"croft/dht"
	"croft/dht/dhttest"
	"croft/lease/offer"
)

// model is an index in which everybody knows every holder.
type model struct {
	now     time.Time
	holders []*dht.Holder
	dead    map[int]bool
}

func newModel(nodes, perBucket int) *model {
	m := &model{now: time.Unix(1_800_000_000, 0), dead: map[int]bool{}}
	for range nodes {
		m.holders = append(m.holders, dht.NewHolder(dht.HolderConfig{PerBucket: perBucket}))
	}
	return m
}

func (m *model) ask(req dht.Request) (answers []dht.Response) {
	for i, h := range m.holders {
		if !m.dead[i] {
			from := netip.AddrFrom4([4]byte{10, 0, byte(i), 1})
			answers = append(answers, h.Step(m.now, req.Input(from))[0].(dht.Answer).Response)
		}
	}
	return answers
}

func (m *model) Register(_ int, o offer.Opened) error {
	taken := false
	for level, depth := dht.Buckets(&o.Offer), 0; len(level) > 0; depth++ {
		stored, full := make([]int, len(level)), make([]int, len(level))
		answers := m.ask(dht.Request{Op: dht.OpRegister, Offer: o.Bytes, Buckets: dht.Keys(level)})
		for _, a := range answers {
			for i, s := range a.Status {
				switch s {
				case dht.Stored:
					stored[i]++
					taken = true
				case dht.Full:
					full[i]++
				}
			}
		}
		var deeper []dht.Bucket
		for i, b := range level {
			if dht.Deeper(len(answers), stored[i], full[i]) && depth < dht.MaxDepth {
				deeper = append(deeper, b.Whole().Toward(o.Node, depth+1))
			}
		}
		level = deeper
	}
	if !taken {
		return errors.New("nobody took it")
	}
	return nil
}

func (m *model) Withdraw(_ int, o offer.Opened) error {
	m.ask(dht.Request{Op: dht.OpWithdraw, Offer: o.Bytes})
	return nil
}

func (m *model) Find(_ int, query string) (offer.Result, error) {
	q, err := offer.ParseQuery(query)
	if err != nil {
		return offer.Result{}, err
	}
	found, err := m.walk(dht.Choose(dht.Plans(q), func(dht.Bucket) (int, bool) { return 0, false }).Buckets)
	if err != nil {
		return offer.Result{}, err
	}
	res := offer.Answer(q, found, offer.Options{})
	if res.Matched > 0 {
		return res, nil
	}
	if found, err = m.walk([]dht.Bucket{dht.Every}); err != nil { // for the reasons
		return offer.Result{}, err
	}
	return offer.Answer(q, found, offer.Options{}), nil
}

func (m *model) walk(buckets []dht.Bucket) (found []offer.Found, err error) {
	for len(buckets) > 0 {
		b := buckets[0]
		buckets = buckets[1:]
		var heard []dht.Heard
		for _, a := range m.ask(dht.Request{Op: dht.OpList, Buckets: dht.Keys([]dht.Bucket{b}), Limit: 64}) {
			for _, bytes := range a.Offers {
				o, err := offer.Open(bytes, nil)
				if err != nil {
					return nil, err
				}
				found = append(found, offer.NewFound(o, offer.DHT, m.now))
			}
			heard = append(heard, dht.Heard{Split: a.Split, Shown: len(a.Offers)})
		}
		if dht.Parted(heard, dht.MaxEntries) {
			buckets = append(buckets, b.Parts()...)
		}
	}
	return offer.Merge(m.now, found), nil
}

func (m *model) Kill(node int)           { m.dead[node] = true }
func (m *model) Now() time.Time          { return m.now }
func (m *model) Advance(d time.Duration) { m.now = m.now.Add(d) }

func TestModelConforms(t *testing.T) {
	dhttest.Run(t, func(_ *testing.T, nodes int) dhttest.Net { return newModel(nodes, 0) })
	dhttest.RunSplits(t, func(_ *testing.T, nodes, perBucket int) dhttest.Net { return newModel(nodes, perBucket) })
}
