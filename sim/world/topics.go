// SPDX-License-Identifier: Apache-2.0

package world

import (
	"slices"
	"time"

	"croft/dht"
	"croft/gossip/topic"
	"croft/lease"
	"croft/lease/judge"
	"croft/sim/scenario"
)

// topical is a node's part in the topics of slices, by the rules of gossip/pubsub: the
// hub and the place where others meet are the daemon's own. It is played only where
// somebody speaks.
type topical struct {
	hub     *topic.Hub
	meeting *topic.Meeting
	open    map[topic.Name]*openTopic
	kept    map[string][]byte // values of the DHT: records of slices
}

// openTopic is one that the node uses.
type openTopic struct {
	name    topic.Name
	heard   bool     // the others know that it subscribes
	waiting []func() // for a record
	mesh    []int32  // to whom it passes on what it hears
	recent  []uttered
	round   uint64 // of telling others what is recent
	beating bool
}

// Of the adapter (gossip/pubsub).
const (
	recordWait       = 5 * time.Second
	neighbourWait    = 3 * time.Second
	meetHolders      = 4
	meetAsk          = 3 * time.Second
	maxVisits        = 16
	parallelDials    = 4
	enoughNeighbours = 6
)

// meetAgain is when a topic's others are looked for again: the adapter's own too.
var meetAgain = []time.Duration{time.Second, 3 * time.Second, 10 * time.Second, 30 * time.Second, 4 * time.Minute}

// speaks reports whether a scenario has slivers that speak.
func speaks(s *scenario.Scenario) bool {
	return slices.ContainsFunc(s.Steps, func(s scenario.Step) bool { _, is := s.Do.(*scenario.Publish); return is })
}

// openTopics gives a daemon that starts its part, with nothing in it.
func (n *peer) openTopics() {
	if speaks(n.w.scn) {
		n.topics = &topical{hub: topic.NewHub(), meeting: topic.NewMeeting(topic.MaxMet), open: map[topic.Name]*openTopic{}, kept: map[string][]byte{}}
	}
}

// closeTopics ends it; those who listen there come back with the daemon.
func (n *peer) closeTopics() {
	if n.topics == nil {
		return
	}
	for _, sp := range n.w.speeches {
		sp.left(n)
	}
	n.topics = nil
}

// resubscribe has slivers whose node is back listen again.
func (n *peer) resubscribe() {
	for _, sp := range n.w.speeches {
		if sp.ready && slices.Contains(sp.members, int32(n.index)) {
			n.subscribe(sp)
		}
	}
}

// subscribe has the node hear a topic. The others know of it when the slice's record
// was looked up, or could not be.
func (n *peer) subscribe(sp *speech) {
	w, t := n.w, n.topics
	if w.now >= sp.ends || t.open[sp.name] != nil {
		return
	}
	o := &openTopic{name: sp.name}
	t.open[sp.name] = o
	if v := n.judge(topic.Join{Name: sp.name}); v.Judgement != judge.Accept {
		delete(t.open, sp.name)
		w.tally("topics", "not subscribed: "+string(v.Reason))
		return
	}
	n.meet(o, 0)
	n.await(o, func() {
		o.heard = true
		sp.subscribers = append(sp.subscribers, int32(n.index))
		w.note(n.index, "subscribes to %s", sp.name.Topic)
		n.tend(sp, o)
	})
	n.unsubscribe(sp)
}

// unsubscribe ends that when nobody speaks any more.
func (n *peer) unsubscribe(sp *speech) {
	n.later(sp.ends-n.w.now, func() {
		if n.w.now < sp.ends { // the topic goes on
			n.unsubscribe(sp)
			return
		}
		sp.left(n)
		delete(n.topics.open, sp.name)
		n.judge(topic.Leave{Name: sp.name})
	})
}

// judge steps the hub and does what comes of it.
func (n *peer) judge(in topic.Input) (v topic.Verdict) {
	for _, e := range n.topics.hub.Step(n.wall(), in) {
		switch e := e.(type) {
		case topic.Verdict:
			v = e
		case topic.Delivered:
			n.w.figures.talk.Hear(e.Message.ID.String(), n.index, n.w.now)
		case topic.Fetch:
			n.fetch(e)
		}
	}
	return v
}

// await has do happen when no record is looked up by which the topic's messages are
// judged, or after a while.
func (n *peer) await(o *openTopic, do func()) {
	if !n.topics.hub.Awaits(o.name) {
		do()
		return
	}
	once := false
	o.waiting = append(o.waiting, func() {
		if !once {
			once = true
			do()
		}
	})
	n.later(recordWait, o.waiting[len(o.waiting)-1])
}

// fetch looks a slice's record up and takes it to account.
func (n *peer) fetch(e topic.Fetch) {
	n.lookUp(e.Owner, e.Slice, func(r lease.OpenedSlice, ok bool) {
		n.w.note(n.index, "record of %s: %v", e.Slice, ok)
		if ok {
			n.judge(topic.Known{Record: r})
		} else {
			n.judge(topic.Unfound(e))
		}
		for _, sp := range n.w.speeches { // in one order, as a history has
			o := n.topics.open[sp.name]
			if o == nil || n.topics.hub.Awaits(sp.name) {
				continue
			}
			waiting := o.waiting
			o.waiting = nil
			for _, do := range waiting {
				do()
			}
		}
	})
}

// lookUp finds a slice's record: the newest of those nearest to its key who answer.
func (n *peer) lookUp(owner lease.Principal, label string, done func(lease.OpenedSlice, bool)) {
	key := dht.RecordKey(owner, label)
	n.walk(keyspace([]byte(key)), dht.LookupClosest, func(nearest []int32) {
		var values [][]byte
		for _, i := range append([]int32{int32(n.index)}, nearest...) {
			if o := n.w.nodes[i]; o.topics != nil && o.topics.kept[key] != nil {
				values = append(values, o.topics.kept[key])
			}
		}
		best, err := dht.NewestRecord(values)
		if err != nil || n.w.forgetful {
			done(lease.OpenedSlice{}, false)
			return
		}
		r, err := lease.OpenSlice(values[best])
		done(r, err == nil)
	})
}

// put has those nearest to its key keep a slice's record; kept is told when half of
// them answered.
func (n *peer) put(r lease.OpenedSlice, kept func()) {
	key := dht.RecordKey(r.Owner, r.Slice)
	n.topics.keep(key, r.Bytes)
	n.walk(keyspace([]byte(key)), dht.LookupClosest, func(nearest []int32) {
		taken := 0
		for _, p := range nearest {
			n.request(int(p), len(r.Bytes)+findNode, func(o *peer) (func(), int) {
				if dht.CheckRecord(o.wall(), key, r.Bytes) == nil {
					o.topics.keep(key, r.Bytes)
				}
				return func() {
					if taken++; 2*taken >= len(nearest) && kept != nil {
						kept()
						kept = nil
					}
				}, findNode
			})
		}
		if len(nearest) == 0 {
			kept()
		}
	})
}

func (t *topical) keep(key string, value []byte) {
	if best, err := dht.NewestRecord([][]byte{value, t.kept[key]}); err == nil && best == 0 {
		t.kept[key] = value
	}
}
