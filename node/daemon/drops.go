// SPDX-License-Identifier: Apache-2.0

package daemon

import "maps"

// drops is what the overlay dropped, by part and reason: of gossip's own as it names
// them, of look-ups, of what the index's holders said, and of what was asked of this
// node as one of them.
func (o *overlay) drops() map[string]uint64 {
	all := map[string]uint64{}
	if o.carrier != nil {
		maps.Copy(all, o.carrier.Stats().Drops)
	}
	put := func(part, reason string, n uint64) {
		if n > 0 {
			all[part+":"+reason] += n
		}
	}
	if o.dht != nil {
		for reason, n := range o.dht.Stats().Drops() {
			put("lookup", reason, n)
		}
	}
	if o.index != nil {
		s := o.index.Stats()
		for reason, n := range s.Refused {
			put("holder", reason, n)
		}
		for reason, n := range s.Ignored {
			put("index", string(reason), n)
		}
	}
	put("contacts", "crowded", o.first.unheard())
	if o.wired != nil {
		put("relay", "refused", o.wired.Reach().Carried.Refused)
	}
	return all
}
