// SPDX-License-Identifier: Apache-2.0

package gossip

import "croft/lease"

// judged remembers what the latest maxJudged messages are by themselves, which
// never changes: the same bytes are verified once.
type judged struct {
	of   map[lease.Digest]judgement
	ring []lease.Digest
	next int
}

type judgement struct {
	verdict Verdict // zero for a proof that holds
	id      lease.ID
	shown   Shown
}

func newJudged() judged { return judged{of: map[lease.Digest]judgement{}} }

func (j *judged) get(name lease.Digest) (judgement, bool) {
	known, ok := j.of[name]
	return known, ok
}

func (j *judged) put(name lease.Digest, known judgement) Verdict {
	if len(j.ring) < maxJudged {
		j.ring = append(j.ring, name)
	} else {
		delete(j.of, j.ring[j.next])
		j.ring[j.next] = name
	}
	j.next = (j.next + 1) % maxJudged
	j.of[name] = known
	return known.verdict
}
