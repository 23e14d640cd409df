// SPDX-License-Identifier: Apache-2.0

package role

import (
	"time"
)

// Score is what is known of a tenant from asking it. It begins anew with the
// daemon, and with a trial.
type Score struct {
	Asked  uint64 // requests
	Failed uint64 // of them: errors, silence, lies, absence in the midst
	Last   string // why the last one failed; empty: none did

	Trials uint64 // requests as a challenger that were compared, or failed
	agreed float64

	took [buckets]uint64
}

// Latencies are counted in buckets whose bounds grow by the square root of two,
// from 100 µs to 100 s: any quantile is known to within 41 %, however many
// there were.
const (
	buckets     = 41
	firstBucket = 100 * time.Microsecond
)

// bound is the upper bound of a bucket.
func bound(i int) time.Duration {
	d := firstBucket << (i / 2)
	if i%2 == 1 {
		d = d * 1414 / 1000
	}
	return d
}

func (s *Score) answered(took time.Duration) {
	i := 0
	for i < buckets-1 && took > bound(i) {
		i++
	}
	s.took[i]++
}

func (s *Score) failed(why string) {
	s.Failed++
	s.Last = why
}

func (s *Score) compared(agreement float64) {
	s.Trials++
	s.agreed += min(max(agreement, 0), 1)
}

// Answers is the number of requests that were answered.
func (s Score) Answers() uint64 {
	var n uint64
	for _, c := range s.took {
		n += c
	}
	return n
}

// Agreement is the mean agreement of the trials, 0 without any.
func (s Score) Agreement() float64 {
	if s.Trials == 0 {
		return 0
	}
	return s.agreed / float64(s.Trials)
}

// Quantile is the time in which the share q of the answers came, rounded up to a
// bucket's bound; 0 without any answer.
func (s Score) Quantile(q float64) time.Duration {
	n := s.Answers()
	if n == 0 {
		return 0
	}
	want := uint64(q * float64(n))
	if float64(want) < q*float64(n) {
		want++
	}
	var sum uint64
	for i, c := range s.took {
		if sum += c; sum >= max(want, 1) {
			return bound(i)
		}
	}
	return bound(buckets - 1)
}
