// SPDX-License-Identifier: Apache-2.0

package report

import (
	"slices"
	"time"
)

// Talk keeps the books of what is said on topics of slices: who said what when, who
// should hear it, and when he did. It makes the figure topic.
type Talk struct {
	r           *Recorder
	took        *Measure
	said, heard *Counter
	all         map[string]*saying
	order       []*saying
}

// saying is one message.
type saying struct {
	at    time.Duration
	to    []int                 // nodes that should hear it, if they are there
	lead  time.Duration         // that they were to be there before
	heard map[int]time.Duration // by node: when, since it was said
}

// HeardWithin is by when what is said on a topic must have come.
const HeardWithin = 10 * time.Second

// Talk begins the books.
func (r *Recorder) Talk() *Talk {
	return &Talk{r: r, took: r.Measure("topic", ""), said: r.Counter("topics", "said"), heard: r.Counter("topics", "heard"), all: map[string]*saying{}}
}

// Say notes that a message is said. Nodes in to should hear it that are there since a
// lead before that.
func (t *Talk) Say(id string, at time.Duration, to []int, lead time.Duration) {
	s := &saying{at: at, to: to, lead: lead, heard: map[int]time.Duration{}}
	t.all[id] = s
	t.order = append(t.order, s)
	t.said.Add(at, 1)
}

// Hear notes that a node has heard a message. What comes again, to whom it was not
// said, and what nobody has said counts for nothing.
func (t *Talk) Hear(id string, node int, at time.Duration) {
	s := t.all[id]
	if s == nil || !slices.Contains(s.to, node) {
		return
	}
	if _, again := s.heard[node]; again {
		return
	}
	s.heard[node] = at - s.at
	t.heard.Add(at, 1)
	t.took.Add(at, int64(max(at-s.at, 0)))
}

// Made says when a message was made, by who does not know it when he says it.
func (t *Talk) Made(id string, at time.Duration) {
	if s := t.all[id]; s != nil {
		s.at = at
	}
}

// Unsaid counts a message that its own node did not take, by reason.
func (t *Talk) Unsaid(at time.Duration, reason string) {
	t.r.Counter("topics", "not said: "+reason).Add(at, 1)
}

// Close works out which share of what should have been heard was, in time. since
// says from when on a node has been there; false: it is not.
func (t *Talk) Close(end time.Duration, since func(node int) (time.Duration, bool)) {
	due, reached := 0, 0
	for _, s := range t.order {
		if end-s.at < HeardWithin {
			continue // it may still be on the way
		}
		for _, n := range s.to {
			if from, there := since(n); !there || from > s.at-s.lead {
				continue
			}
			due++
			if took, heard := s.heard[n]; heard && took <= HeardWithin {
				reached++
			}
		}
	}
	if due > 0 {
		t.r.Set("topic", "", "share", float64(reached)/float64(due))
	}
}
