// SPDX-License-Identifier: Apache-2.0

package topic

import (
	"encoding/binary"
	"testing"
	"time"

	"croft/lease"
)

// flood has so many messages a second come for so long, and returns how many of them
// found no room.
func (j *joined) flood(from time.Time, a, rate, seconds int) (crowded int) {
	for i := range rate * seconds {
		var id lease.ID
		binary.BigEndian.PutUint64(id[:], uint64(a)<<32|uint64(i))
		if !j.remember(from.Add(time.Duration(i)*time.Second/time.Duration(rate)), id) {
			crowded++
		}
	}
	return crowded
}

// Messages of 400 bytes at the topic's rate are all recognised for as long as they
// could come again, and none finds the topic full; nor after the clock was stepped back.
func TestATopicAtItsRateIsNeverFull(t *testing.T) {
	j := &joined{seen: map[lease.ID]struct{}{}}
	const rate = topicRate / 400
	for i, from := range []time.Time{noon, noon.Add(-time.Hour)} {
		if crowded := j.flood(from, i, rate, 700); crowded > 0 {
			t.Errorf("from %s: %d found no room", from, crowded)
		}
		if n, want := len(j.recent), rate*int(memory/time.Second); n < want || n != len(j.seen) {
			t.Errorf("%d are recognised, %d of them in order; want %d", len(j.seen), n, want)
		}
	}
}

func TestSoManyMessagesAreRecognised(t *testing.T) {
	j := &joined{seen: map[lease.ID]struct{}{}}
	if crowded := j.flood(noon, 0, maxSeen+10, 1); crowded != 10 || len(j.seen) != maxSeen {
		t.Errorf("%d found no room beside %d", crowded, len(j.seen))
	}
	if j.flood(noon.Add(memory+2*time.Second), 1, 1, 1) != 0 || len(j.seen) != 1 {
		t.Errorf("%d are recognised when all are over", len(j.seen))
	}
}
