// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"encoding/binary"
	"testing"
	"time"

	"croft/lease"
)

// numbered is somebody whose key nobody needs.
func numbered(n int) (p lease.Principal) {
	binary.BigEndian.PutUint64(p[8:], uint64(n))
	return p
}

// Whatever one neighbour sends, what is looked at of it is bounded, and what others
// send is looked at as before.
func TestIntakeBoundsAFlood(t *testing.T) {
	var i Intake
	flood, honest := numbered(1), numbered(2)
	taken, refused := 0, 0
	const seconds = 60
	for s := range seconds {
		now := noon.Add(time.Duration(s) * time.Second)
		for range 10_000 {
			if i.Take(now, flood, 1) {
				taken++
			}
		}
		for range 21 { // ten thousand nodes at rest
			if !i.Take(now, honest, 1) {
				refused++
			}
		}
	}
	if taken > MessageBurst+seconds*MessageRate || taken < MessageBurst || refused != 0 {
		t.Errorf("%d of a flood taken, %d of an honest neighbour refused", taken, refused)
	}
	end := noon.Add(seconds * time.Second)
	if !i.Over(end, flood) || i.Over(end, honest) || i.Over(end.Add(Remembered), flood) {
		t.Error("who is over its allowance is not who floods, or for ever")
	}
	if i.Take(end, flood, MessageBurst+1) || !i.Take(end, flood, 0) {
		t.Error("a packet of more than all, or of none")
	}
}

func TestIntakeIsBoundedItself(t *testing.T) {
	var i Intake
	for n := range 5 * maxSenders {
		i.Take(noon, numbered(n), MessageBurst)
		i.Take(noon, numbered(n), 1)
	}
	if len(i.messages.of) > 2*maxSenders+1 || len(i.over) > maxSenders {
		t.Errorf("%d allowances, %d over", len(i.messages.of), len(i.over))
	}
}

// Who asks again and again gets a full view, and then a little; a crowd gets two.
func TestAnswersAreBounded(t *testing.T) {
	var i Intake
	got, crowd := 0, 0
	for range 1000 {
		if i.Answer(noon, numbered(-1), MaxPage) {
			got += MaxPage
		}
	}
	for n := range 50 {
		for range 200 {
			if i.Answer(noon, numbered(n), MaxPage) {
				crowd += MaxPage
			}
		}
	}
	if got > AnswerBurst || got < AnswerBurst-MaxPage || got+crowd > AnswerBurstAll {
		t.Errorf("one got %d bytes, a crowd %d", got, crowd)
	}
	if !i.Answer(noon.Add(time.Minute), numbered(-2), AnswerRateAll) {
		t.Error("nothing comes back")
	}
}
