// SPDX-License-Identifier: Apache-2.0

package ebpf

// Leaves are the flows of one way, of which the sparse ones go first and out of
// what the buckets keep. It is the reference of kernel/bpf/leaf.h, which says how
// and why; it forgets no flow.
type Leaves[K comparable] struct {
	window, count, before uint64
	flows                 map[K]*leaf
}

type leaf struct{ octets, packets, bulk, window uint64 }

// sparse reports whether flows of w are told apart.
func (w Way) sparse() bool { return w.Rate > 0 && w.Rate < LinkRate && w.Packets > 0 }

// Sparse counts a packet that was sent at now (boot clock, ns) to its flow, and
// reports whether the flow keeps within its share.
func (s *Leaves[K]) Sparse(flow K, w Way, now, packets, bytes uint64) bool {
	if !w.sparse() {
		return false
	}
	window := now >> leafWindow
	if s.window != window {
		before := s.count
		if s.window+1 != window {
			before = 0
		}
		s.window, s.count, s.before = window, 0, before
	}
	f := s.flows[flow]
	if f == nil {
		if s.count >= LeafNew {
			return false
		}
		if s.flows == nil {
			s.flows = map[K]*leaf{}
		}
		f = &leaf{}
		s.flows[flow] = f
	}
	if f.window != window {
		f.window = window
		s.count++
	}
	if bytes > leafMost || packets > leafMost {
		return false
	}
	active := min(max(s.count, s.before), LeafNew)
	octet, packet := active*2*ByteUnits, active*2*PacketUnits // ns × rate for one at half a share
	octets := pay(&f.octets, now, bytes*octet/w.Rate, leafOctets*octet/w.Rate)
	if !pay(&f.packets, now, packets*packet/w.Packets, leafPackets*packet/w.Packets) || !octets {
		f.bulk = now + uint64(leafPenalty)
	}
	return now >= f.bulk
}

// pay pays out of a credit that is used up at due - depth, or reports that it is.
func pay(due *uint64, now, cost, depth uint64) bool {
	from := max(*due, now)
	if from-now+cost > depth {
		return false
	}
	*due = from + cost
	return true
}

// Full notes that a packet of a sparse flow passed when nothing was left of what
// is kept: the flow is bulk until the bulk queue is through.
func (s *Leaves[K]) Full(flow K, w Way, now uint64) {
	s.flows[flow].bulk = now + max(uint64(leafOrder), leafQueue*ByteUnits/w.Rate)
}
