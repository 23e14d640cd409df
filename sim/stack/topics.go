// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"croft/gossip/topic"
	"croft/lease"
	"croft/node/api"
	"croft/node/daemon"
	"croft/sim/report"
	"croft/sim/scenario"
)

// speech is a topic on which the slivers of a slice speak: each subscribes at its own
// node, as `croft topic sub` does there, and what it says is signed with the key of
// that node, which the slice's record lists.
type speech struct {
	s       *Stack
	do      *scenario.Publish
	name    topic.Name
	members []*node
	ends    time.Duration // when nobody listens any more
}

// publish has the slivers of a slice speak.
func (s *Stack) publish(do *scenario.Publish) {
	s.mu.Lock()
	r := s.slices[do.Slice]
	s.mu.Unlock()
	if r == nil {
		return
	}
	r.mu.Lock()
	kept := r.record
	r.mu.Unlock()
	sp := &speech{s: s, do: do, name: topic.Name{Owner: r.key.Principal(), Slice: do.Slice, Topic: do.Topic},
		ends: s.now() + do.After + time.Duration(do.Count)*do.Every + report.HeardWithin}
	for _, sl := range kept.Slivers {
		if n, ok := s.keyed(sl.Node); ok && !slices.Contains(sp.members, n) {
			sp.members = append(sp.members, n)
		}
	}
	if len(sp.members) == 0 {
		return
	}
	for i := range do.Count { // it is time that they wait for, whatever the owner's record takes
		s.in(do.After+time.Duration(i)*do.Every, func() { sp.say(i) })
	}
	if err := r.allow(sp); err != nil {
		s.unsaid("no record: " + err.Error())
		return
	}
	for _, n := range sp.members {
		s.in(0, func() { sp.listen(n) })
	}
}

// allow signs the next record of the slice, by which its slivers may speak on one
// topic more, and has the DHT keep it.
func (r *researcher) allow(sp *speech) error {
	deps := r.way()
	if deps == nil {
		return errors.New("the way in is down")
	}
	now := time.Now().Unix()
	r.mu.Lock()
	r.topics = slices.DeleteFunc(r.topics, func(t lease.Topic) bool { return t.Name == sp.do.Topic })
	r.topics = append(r.topics, lease.Topic{Name: sp.do.Topic, Publishers: lease.BySlivers})
	slices.SortFunc(r.topics, func(a, b lease.Topic) int { return strings.Compare(a.Name, b.Name) })
	r.said = max(r.said+1, uint64(now))
	rec := lease.SliceRecord{Owner: r.key.Principal(), Slice: sp.do.Slice, Sequence: r.said, Made: now, Until: now + 24*3600, Topics: slices.Clone(r.topics)}
	r.mu.Unlock()
	for _, n := range sp.members {
		rec.Nodes = append(rec.Nodes, n.key.Principal())
	}
	slices.SortFunc(rec.Nodes, func(a, b lease.Principal) int { return bytes.Compare(a[:], b[:]) })
	signed, err := lease.SealSlice(rec, r.key)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), findLimit)
	defer cancel()
	return deps.Slices.PutRecord(ctx, signed)
}

// listen hears the topic at a node, and again when its daemon is back.
func (sp *speech) listen(n *node) {
	s := sp.s
	for s.now() < sp.ends && !s.over() {
		if deps := n.way(); deps != nil {
			ctx, cancel := context.WithTimeout(context.Background(), sp.ends-s.now())
			for m, err := range deps.Topics.Hear(ctx, sp.name, func() {}) {
				if err != nil {
					break
				}
				s.figures.Lock()
				s.figures.talk.Hear(m.ID.String(), n.index, s.now())
				s.figures.Unlock()
			}
			cancel()
		}
		<-time.After(beat)
	}
}

// say has one sliver say something: the next in turn whose daemon is up.
func (sp *speech) say(i int) {
	s := sp.s
	var deps *daemon.Deps
	var n *node
	for k := range sp.members {
		n = sp.members[(i+k)%len(sp.members)]
		if deps = n.way(); deps != nil {
			break
		}
	}
	if deps == nil {
		s.unsaid("nobody is up")
		return
	}
	m := topic.Message{Author: n.key.Principal(), Owner: sp.name.Owner, Slice: sp.name.Slice, Topic: sp.name.Topic,
		Made: n.machine.Wall().UnixMilli(), Data: binary.BigEndian.AppendUint64(make([]byte, 0, sp.do.Bytes), uint64(i))[:sp.do.Bytes]}
	signed, err := topic.Seal(m, n.key)
	if err != nil {
		s.fail(fmt.Errorf("signing what is said on %s: %w", sp.name, err))
		return
	}
	var to []int
	for _, o := range sp.members {
		if o != n {
			to = append(to, o.index)
		}
	}
	s.figures.Lock()
	s.figures.talk.Say(signed.ID.String(), s.now(), to, sp.do.After)
	s.figures.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), findLimit)
	defer cancel()
	if _, err := deps.Topics.Say(ctx, signed.Bytes); err != nil {
		s.unsaid(reason(err))
	}
}

// reason is why a node did not take a message, in a word or two.
func reason(err error) string {
	for _, known := range []error{api.ErrNotGranted, api.ErrNoRecord, api.ErrBusy, api.ErrStopping} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return err.Error()
}

func (s *Stack) unsaid(reason string) {
	s.figures.Lock()
	defer s.figures.Unlock()
	s.figures.talk.Unsaid(s.now(), reason)
}

// way is what the node's daemon has; nil: it is down.
func (n *node) way() *daemon.Deps {
	n.books.Lock()
	defer n.books.Unlock()
	return n.deps
}

// there says since when a node is up, for the books of what is said.
func (s *Stack) there(i int) (time.Duration, bool) {
	n := s.nodes[i]
	n.books.Lock()
	defer n.books.Unlock()
	return n.since, n.up
}
