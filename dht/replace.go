// SPDX-License-Identifier: Apache-2.0

package dht

import "slices"

// replace looks anew where a look-up took holders of before for there and one of them
// is silent now, and tells those who take the places: that is found out here and not by
// the look-up, and the next time is minutes away. Where nobody at all answered it is
// this node that is cut off.
func (r *Registration) replace(keys []Key, found [][]Key, verdicts map[Key]verdict, done func()) {
	silent := func(p Key) bool { return r.now.Asked[p].Silent }
	var gone []Key   // buckets
	var held [][]Key // who was asked for each
	for i, k := range keys {
		if r.reg.Holders > 0 && len(r.begin(k)) > 0 && slices.ContainsFunc(found[i], silent) {
			gone, held = append(gone, k), append(held, found[i])
		}
	}
	come := make([][]Key, len(gone))
	each(ParallelWalks, len(gone), func(i int, next func()) {
		k := gone[i]
		r.route(Route{k, true, nil}, func(in Routed) {
			peers := in.Peers[:min(Replicas, len(in.Peers))]
			if !in.Failed {
				r.settle(k, in)
				v := verdicts[k]
				for _, p := range held[i] {
					if silent(p) && !slices.Contains(peers, p) {
						v.asked-- // others are in its place
					}
				}
				verdicts[k] = v
			}
			for _, p := range peers {
				if !slices.Contains(held[i], p) {
					come[i] = append(come[i], p)
				}
			}
			next()
		})
	}, func() { r.tell(targets(gone, come), verdicts, done) })
}
