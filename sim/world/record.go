// SPDX-License-Identifier: Apache-2.0

package world

import (
	"encoding/binary"

	"croft/dht"
)

// record is a value of the DHT, as slices' records are: bytes under a key, kept by
// the nodes nearest to it. To get it is the plain look-up to which finds are
// compared: it is over when the nearest have answered, as the newest of their copies
// counts.
type record struct {
	key   dht.Key
	there map[int32]bool
}

const recordSize = 400

// record has some node put one.
func (w *World) record() *record {
	r := &record{key: keyspace(binary.BigEndian.AppendUint64([]byte("/croft/"), w.rng.Uint64())), there: map[int32]bool{}}
	if i := w.anyUp(); i >= 0 {
		n := w.nodes[i]
		n.walk(r.key, dht.LookupClosest, func(nearest []int32) {
			for _, p := range nearest {
				n.request(int(p), recordSize+findNode, func(o *peer) (func(), int) {
					r.there[int32(o.index)] = true
					return func() {}, findNode
				})
			}
		})
	}
	return r
}

// get looks a record up, once it is there.
func (n *peer) get(r *record) {
	w, began := n.w, n.w.now
	if len(r.there) == 0 {
		return
	}
	n.walk(r.key, dht.LookupClosest, func(nearest []int32) {
		w.figures.Gets++
		for _, p := range nearest {
			if r.there[p] {
				w.figures.Got++
				w.figures.Get.Add(w.now, int64(w.now-began))
				return
			}
		}
	})
}
