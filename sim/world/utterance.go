// SPDX-License-Identifier: Apache-2.0

package world

import (
	"slices"
	"time"

	"croft/gossip"
	"croft/gossip/topic"
	"croft/lease/judge"
)

// A topic of a slice has a mesh of its own among those who subscribe, with the degrees
// of the shared one. Who speaks tells all whom he is connected to; the others pass it
// on along the mesh, and tell a few beside it each second what there was.

// utterance is a message on its way.
type utterance struct {
	speech *speech
	bytes  []byte
	seen   map[int]bool
}

// uttered is a message that a node got, and in which of its rounds.
type uttered struct {
	*utterance
	round uint64
}

// tend looks after the mesh of a topic each second, as the router's heart beats.
func (n *peer) tend(sp *speech, o *openTopic) {
	if n.topics.open[o.name] != o {
		return
	}
	w, near := n.w, n.audible(o)
	o.mesh = slices.DeleteFunc(o.mesh, func(i int32) bool { return !slices.Contains(near, i) })
	if len(o.mesh) < gossip.DegreeLow {
		w.rng.Shuffle(len(near), func(i, j int) { near[i], near[j] = near[j], near[i] })
		for _, i := range near {
			his := w.nodes[i].topics.open[o.name]
			if len(o.mesh) >= gossip.Degree || his == nil || len(his.mesh) >= gossip.DegreeHigh || slices.Contains(o.mesh, i) {
				continue
			}
			o.mesh = append(o.mesh, i)
			if !slices.Contains(his.mesh, int32(n.index)) {
				his.mesh = append(his.mesh, int32(n.index))
			}
		}
	}
	n.later(gossip.LazyEvery, func() { n.tend(sp, o) })
}

// someone waits a little until there is a neighbour on the topic, and tells all that
// there are.
func (n *peer) someone(sp *speech, o *openTopic, u *utterance, until time.Duration) {
	near := n.audible(o)
	if len(near) == 0 && n.w.now < until {
		n.later(100*time.Millisecond, func() { n.someone(sp, o, u, until) })
		return
	}
	n.pass(u, near, -1)
	n.recall(o, u)
}

// pass sends a message to others.
func (n *peer) pass(u *utterance, to []int32, from int) {
	for _, i := range to {
		if int(i) == from {
			continue
		}
		n.spend(n.w.figures.gossiped, len(u.bytes)+envelope)
		n.w.arrive(n.index, int(i), func() { n.w.nodes[i].overhear(u, n.index) })
	}
}

// overhear is a copy of a message that arrives.
func (n *peer) overhear(u *utterance, from int) {
	if !n.up || u.seen[n.index] {
		return
	}
	u.seen[n.index] = true
	o := n.topics.open[u.speech.name]
	if o == nil || !o.heard {
		return
	}
	v := n.judge(topic.Received{Name: u.speech.name, Bytes: u.bytes})
	n.w.note(n.index, "hears %s of %d: %s", u.speech.name.Topic, from, string(v.Judgement)+" "+string(v.Reason))
	if v.Judgement != judge.Accept {
		n.w.tally("topics", "ignored: "+string(v.Reason))
		return
	}
	n.pass(u, o.mesh, from)
	n.recall(o, u)
}

// recall has the node tell others of a message, in the rounds that come.
func (n *peer) recall(o *openTopic, u *utterance) {
	o.recent = append(o.recent, uttered{u, o.round})
	if !o.beating {
		o.beating = true
		n.later(gossip.LazyEvery, func() { n.whisper(o) })
	}
}

// whisper is a round.
func (n *peer) whisper(o *openTopic) {
	o.round++
	o.recent = slices.DeleteFunc(o.recent, func(u uttered) bool { return u.round+gossip.LazyRounds < o.round })
	if o.beating = len(o.recent) > 0 && n.topics.open[o.name] == o; !o.beating {
		return
	}
	w, told := n.w, slices.Clone(o.recent)
	others := slices.DeleteFunc(n.audible(o), func(i int32) bool { return slices.Contains(o.mesh, i) })
	w.rng.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
	for _, i := range others[:min(len(others), gossip.Lazy)] {
		n.request(int(i), ids(len(told)), func(p *peer) (func(), int) {
			lacks := slices.DeleteFunc(slices.Clone(told), func(u uttered) bool { return u.seen[p.index] })
			return func() {
				for _, u := range lacks {
					n.pass(u.utterance, []int32{i}, -1)
				}
			}, ids(len(lacks))
		})
	}
	n.later(gossip.LazyEvery, func() { n.whisper(o) })
}
