// SPDX-License-Identifier: Apache-2.0

package offer

import (
	"slices"
	"strings"

	"croft/lease"
)

// telling are the resources by which a seeker chooses: what an offer still says of
// a pool where it has no room for all of them.
var telling = []lease.Resource{lease.CPU, lease.Memory, lease.Disk, lease.EgressRate, lease.IngressRate}

// frame is what a signature adds to a payload, in bytes: an array of two, two heads
// of byte strings, and the signature itself.
const frame = 1 + 3 + 2 + 64

// Fit states what is free in each pool, those that matter most given first, as far
// as MaxOffer lets it: first all resources but those of the last pools are left
// out that are not telling, then the last pools themselves. It reports whether
// every pool is named.
func (o *Offer) Fit(free []Free) bool {
	list := slices.Clone(free[:min(len(free), MaxPools)])
	for i := len(list) - 1; i >= 0 && !o.fits(list); i-- {
		list[i].RSet = only(list[i].RSet, telling)
	}
	for len(list) > 0 && !o.fits(list) {
		list = list[:len(list)-1]
	}
	o.Free = sorted(list)
	return len(list) == len(free)
}

func (o *Offer) fits(free []Free) bool {
	tried := *o
	tried.Free = sorted(free)
	b, err := lease.Encode(&tried)
	return err == nil && len(b)+frame <= MaxOffer
}

func sorted(free []Free) []Free {
	return slices.SortedFunc(slices.Values(free), func(a, b Free) int { return strings.Compare(string(a.Pool), string(b.Pool)) })
}

func only(s lease.RSet, keep []lease.Resource) (out lease.RSet) {
	for _, r := range keep {
		out[r] = s[r]
	}
	return out
}
