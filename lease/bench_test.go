// SPDX-License-Identifier: Apache-2.0

package lease_test

import (
	"crypto/ed25519"
	"slices"
	"testing"
	"time"

	"croft/lease"
	"croft/lease/leasetest"
)

// benchmarkChain alternates the chain and the bare checks, so that a machine
// that slows down in the middle slows down both, and reports medians, which
// other work on the machine moves less than means.
func benchmarkChain(b *testing.B, chain [][]byte) {
	n1 := leasetest.Who("n1")
	type check struct{ message, sig []byte }
	var bare []check
	for _, raw := range chain {
		s, err := lease.ParseSigned(raw, lease.MaxStatement)
		if err != nil {
			b.Fatal(err)
		}
		bare = append(bare, check{append([]byte(lease.Domain), s.Payload...), s.Sig})
	}
	bytes := 0
	for _, raw := range chain {
		bytes += len(raw)
	}
	var ours, theirs []time.Duration
	for b.Loop() {
		start := time.Now()
		for _, c := range bare {
			if !ed25519.Verify(n1[:], c.message, c.sig) {
				b.Fatal("bare signature does not verify")
			}
		}
		middle := time.Now()
		if _, err := lease.VerifyChain(chain, n1); err != nil {
			b.Fatal(err)
		}
		theirs = append(theirs, middle.Sub(start))
		ours = append(ours, time.Since(middle))
	}
	b.ReportMetric(float64(median(ours))/float64(median(theirs)), "ratio")
	b.ReportMetric(float64(bytes)/float64(len(chain)), "bytes/statement")
	b.ReportMetric(float64(median(ours).Nanoseconds())/float64(len(chain)), "ns/statement")
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}
