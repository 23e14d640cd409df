// SPDX-License-Identifier: Apache-2.0

package api

import (
	"testing"
	"time"
)

// In one instant each message has another time, and a clock that is set back is believed.
func TestStamp(t *testing.T) {
	var s Stamp
	now := time.UnixMilli(1_795_442_400_123)
	for i, c := range []struct {
		at   time.Duration
		want int64
	}{{0, 0}, {0, 1}, {-time.Millisecond, 2}, {2 * time.Millisecond, 3}, {time.Second, 1000}, {500 * time.Millisecond, 1001}, {-time.Hour, -3_600_000}, {-time.Hour, -3_599_999}} {
		if got := s.Next(now.Add(c.at)) - now.UnixMilli(); got != c.want {
			t.Errorf("message %d: %d ms, want %d", i, got, c.want)
		}
	}
}
