// SPDX-License-Identifier: Apache-2.0

package dht

import (
	"testing"
	"time"

	"croft/lease/offer"
)

// Who looks up what is being looked up waits for the same answer.
func TestTwoWaitForOneLookUp(t *testing.T) {
	e, heard := errand{}, 0
	k := Every.Key()
	effects := e.step(time.Unix(1, 0), Tick{}, func() {
		for range 2 {
			e.route(Route{Key: k}, func(in Routed) {
				if !in.Failed && len(in.Peers) == 1 {
					heard++
				}
			})
		}
	})
	if len(effects) != 1 {
		t.Errorf("%d look-ups", len(effects))
	}
	for range 2 { // the second answer is to nobody
		e.step(time.Unix(1, 0), Routed{Key: k, Peers: []Key{{1}}}, nil)
	}
	if heard != 2 {
		t.Errorf("%d of two were told", heard)
	}
}

// Two bounds on one attribute are two ranges, which share classes.
func TestEachBucketIsSampledOnce(t *testing.T) {
	q, err := offer.ParseQuery("cpu>=1000 & cpu<4000")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[Bucket]bool{}
	for _, b := range Sample(Plans(q)) {
		if seen[b] {
			t.Errorf("%s twice", b)
		}
		seen[b] = true
	}
	if len(seen) < 4 {
		t.Errorf("%d buckets", len(seen))
	}
}
