// SPDX-License-Identifier: Apache-2.0

package world

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"time"

	"croft/gossip/topic"
	"croft/lease"
	"croft/lease/judge"
	"croft/sim/report"
	"croft/sim/scenario"
)

// speech is a topic on which the slivers of a slice speak, each by the node that it is
// on, whose key signs what it says.
type speech struct {
	w           *World
	name        topic.Name
	members     []int32       // nodes
	ready       bool          // the record is out
	ends        time.Duration // when nobody listens any more
	subscribers []int32       // who listen, as the others know
}

func (sp *speech) left(n *peer) {
	sp.subscribers = slices.DeleteFunc(sp.subscribers, func(i int32) bool { return int(i) == n.index })
}

// speechOn is the one on a topic.
func (w *World) speechOn(name topic.Name) *speech {
	for _, sp := range w.speeches {
		if sp.name == name {
			return sp
		}
	}
	return nil
}

// speak has the slivers of a slice say something, one after the other.
func (w *World) speak(do *scenario.Publish) {
	r := w.slices[do.Slice]
	if r == nil {
		return
	}
	name := topic.Name{Owner: r.key.Principal(), Slice: do.Slice, Topic: do.Topic}
	sp := w.speechOn(name)
	if sp == nil {
		sp = &speech{w: w, name: name}
		w.speeches = append(w.speeches, sp)
	}
	sp.ends = max(sp.ends, w.now+do.After+time.Duration(do.Count)*do.Every+report.HeardWithin)
	for _, sl := range r.record.Slivers {
		if i, ok := r.byNode[sl.Node]; ok && !slices.Contains(sp.members, int32(i)) {
			sp.members = append(sp.members, int32(i))
		}
	}
	if len(sp.members) == 0 {
		return
	}
	for i := range do.Count {
		w.in(do.After+time.Duration(i)*do.Every, func() { sp.turn(do, i) })
	}
	home := w.nodes[r.home]
	if !home.up {
		w.figures.talk.Unsaid(w.now, "no record: the way in is down")
		return
	}
	signed, err := sp.record(r)
	if err != nil {
		w.err = err
		return
	}
	home.put(signed, func() {
		w.note(-1, "record %d of %s is out", signed.Sequence, do.Slice)
		sp.ready = true
		for _, i := range sp.members {
			if n := w.nodes[i]; n.up {
				n.subscribe(sp)
			}
		}
	})
}

// record is the owner's of the slice, by which its slivers may speak.
func (sp *speech) record(r *run) (lease.OpenedSlice, error) {
	now := sp.w.wall().Unix()
	rec := lease.SliceRecord{Owner: sp.name.Owner, Slice: sp.name.Slice, Made: now, Until: now + 24*3600}
	for _, o := range sp.w.speeches {
		if o.name.Owner == sp.name.Owner && o.name.Slice == sp.name.Slice {
			rec.Topics = append(rec.Topics, lease.Topic{Name: o.name.Topic, Publishers: lease.BySlivers})
		}
	}
	rec.Sequence = uint64(now)<<8 + uint64(len(rec.Topics)) // it rises
	slices.SortFunc(rec.Topics, func(a, b lease.Topic) int { return strings.Compare(a.Name, b.Name) })
	for _, i := range sp.members {
		rec.Nodes = append(rec.Nodes, sp.w.nodes[i].principal())
	}
	slices.SortFunc(rec.Nodes, func(a, b lease.Principal) int { return bytes.Compare(a[:], b[:]) })
	return lease.SealSlice(rec, r.key)
}

// turn has one sliver say something: the next whose daemon is up.
func (sp *speech) turn(do *scenario.Publish, i int) {
	w := sp.w
	var n *peer
	for k := range sp.members {
		if o := w.nodes[sp.members[(i+k)%len(sp.members)]]; o.up {
			n = o
			break
		}
	}
	if n == nil {
		w.figures.talk.Unsaid(w.now, "nobody is up")
		return
	}
	m := topic.Message{Author: n.principal(), Owner: sp.name.Owner, Slice: sp.name.Slice, Topic: sp.name.Topic,
		Made: n.wall().UnixMilli(), Data: binary.BigEndian.AppendUint64(make([]byte, 0, do.Bytes), uint64(i))[:do.Bytes]}
	signed, err := topic.Seal(m, n.key)
	if err != nil {
		w.err = err
		return
	}
	var to []int
	for _, o := range sp.members {
		if int(o) != n.index {
			to = append(to, int(o))
		}
	}
	w.figures.talk.Say(signed.ID.String(), w.now, to, do.After)
	n.utter(sp, &utterance{speech: sp, bytes: signed.Bytes, seen: map[int]bool{n.index: true}}, w.now+recordWait)
}

// utter has the node's hub judge what is said there, and tells the others. Where that
// wants a record looked up it is asked again.
func (n *peer) utter(sp *speech, u *utterance, until time.Duration) {
	w, o := n.w, n.topics.open[sp.name]
	if o == nil {
		w.figures.talk.Unsaid(w.now, "not subscribed")
		return
	}
	v := n.judge(topic.Local{Bytes: u.bytes})
	w.note(n.index, "says %d bytes on %s: %s", len(u.bytes), sp.name.Topic, string(v.Judgement)+" "+string(v.Reason))
	switch {
	case v.Judgement == judge.Accept:
		n.someone(sp, o, u, w.now+neighbourWait)
	case n.topics.hub.Awaits(sp.name) && w.now < until:
		n.await(o, func() { n.utter(sp, u, until) })
	default:
		w.figures.talk.Unsaid(w.now, string(v.Reason))
	}
}
