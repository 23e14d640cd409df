// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"encoding/binary"
	"net/netip"
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

// Who asks again and again gets a full view, and then a little; a crowd of one network
// gets two, and what comes first.
func TestAnswersAreBounded(t *testing.T) {
	var i Intake
	home := netip.MustParsePrefix("192.0.2.0/24")
	got, crowd := 0, 0
	for range 1000 {
		if i.Answer(noon, Views, numbered(-1), home, MaxPage) {
			got += MaxPage
		}
	}
	for n := range 50 {
		for range 200 {
			if i.Answer(noon, Views, numbered(n), home, MaxPage) {
				crowd += MaxPage
			}
		}
	}
	if got > AnswerBurst || got < AnswerBurst-MaxPage || got+crowd > AnswerBurstAll+AnswerBurstFirst || got+crowd < AnswerBurstAll {
		t.Errorf("one got %d bytes, a crowd %d", got, crowd)
	}
	if i.Answer(noon, Views, numbered(-2), home, MaxPage) || !i.Answer(noon.Add(time.Minute), Views, numbered(-2), home, AnswerRateAll) {
		t.Error("there is more at once, or nothing comes back")
	}
	// Whatever they had, there is a first part for another network, and for each kind.
	away, first := netip.MustParsePrefix("2001:db8:1::/48"), 0
	for n := range 200 {
		if i.Answer(noon, Views, numbered(100+n), away, MaxPage) {
			first += MaxPage
		}
	}
	if first > AnswerBurstFirst || first < AnswerBurstFirst-MaxPage {
		t.Errorf("another network got %d bytes", first)
	}
	for _, kind := range []Kind{OptOuts, Meetings} {
		if !i.Answer(noon, kind, numbered(-1), home, AnswerBurst) {
			t.Errorf("kind %d is used up with the views", kind)
		}
	}
}
