// SPDX-License-Identifier: Apache-2.0

package model

import (
	"net/netip"

	"croft/ebpf"
)

// Judge has a packet pass the port, or says why it did not.
func (k *Kernel) Judge(ifindex int, d ebpf.Direction, p Packet) ebpf.Reason {
	k.mu.Lock()
	defer k.mu.Unlock()
	p.Segments = max(p.Segments, 1)
	k.identity.Seen += p.Segments
	s := k.ports[ifindex]
	if s == nil {
		k.identity.NoSliver += p.Segments
		return ebpf.ReasonNoSliver
	}
	w := s.ways[d]
	w.count.SeenPackets += p.Segments
	w.count.SeenBytes += p.Bytes
	reason := k.judge(s, d, p)
	if reason != ebpf.ReasonNone {
		w.count.Dropped[reason] += p.Segments
		k.identity.Dropped[reason] += p.Segments
		return reason
	}
	w.count.PassedPackets += p.Segments
	w.count.PassedBytes += p.Bytes
	return ebpf.ReasonNone
}

// judge goes through the checks in their order.
func (k *Kernel) judge(s *sliver, d ebpf.Direction, p Packet) ebpf.Reason {
	now := k.boot()
	if now >= s.limits.Deadline {
		return ebpf.ReasonDeadline
	}
	if r := s.wellFormed(d, p); r != ebpf.ReasonNone {
		return r
	}
	if d == ebpf.Egress {
		if !k.rules.Allow(p.Proto, p.Dst) {
			return ebpf.ReasonClosed
		}
		if k.optout[p.Dst.Addr()] {
			return ebpf.ReasonOptOut
		}
	}
	t := s.recall(d, p, uint64(now)>>tickShift)
	key := rowKey{s.port.Sliver, s.port.Place, d, p.Proto, p.Src, p.Dst}
	if p.Fragment {
		key.proto, key.src, key.dst = ebpf.ProtoFragment, netip.AddrPort{}, netip.AddrPort{}
	}
	w, overflow := s.ways[d], false
	keeps := w.leaves.Sparse(key, s.limits.Way(d), uint64(now), p.Segments, p.Bytes)
	sparse := keeps
	reserve := k.rows[key] == nil
	reason := w.meter.ChargeIf(uint64(now), p.Segments, p.Bytes, t.fresh, &sparse, func() ebpf.Reason {
		if t.noteOpened && s.limits.FanOut > 0 && !s.mayReach(t.far, t.tick) {
			return ebpf.ReasonFanOut
		}
		return ebpf.ReasonNone
	}, func() ebpf.Reason {
		if w.epoch != k.number {
			w.epoch, w.rows = k.number, [3]uint64{}
		}
		switch {
		case !reserve || w.rows[t.kind] < quota(s.limits):
		case d == ebpf.Ingress || t.kind == rowReply:
			overflow = true
		default:
			return ebpf.ReasonRows
		}
		return ebpf.ReasonNone
	})
	if reason != ebpf.ReasonNone {
		return reason
	}
	if keeps && !sparse {
		w.leaves.Full(key, s.limits.Way(d), uint64(now))
	}
	s.note(t)
	if overflow {
		key.proto, key.src, key.dst = ebpf.ProtoOverflow, netip.AddrPort{}, netip.AddrPort{}
	} else if reserve && k.record(key, now, p) {
		w.rows[t.kind]++
		return ebpf.ReasonNone
	} else if reserve {
		k.identity.Unrecorded += p.Segments
		return ebpf.ReasonNone
	}
	if !k.record(key, now, p) {
		k.identity.Unrecorded += p.Segments
	}
	return ebpf.ReasonNone
}

// wellFormed is what a sliver may send, and a stranger.
func (s *sliver) wellFormed(d ebpf.Direction, p Packet) ebpf.Reason {
	if p.Proto == ebpf.ProtoARP {
		return ebpf.ReasonProtocol
	}
	if d == ebpf.Ingress {
		return ebpf.ReasonNone
	}
	own := s.limits.Source4
	if p.Src.Addr().Is6() {
		own = s.limits.Source6
	}
	switch {
	case p.MAC != [6]byte{} && p.MAC != s.limits.MAC, !own.IsValid() || p.Src.Addr() != own:
		return ebpf.ReasonSource
	case p.Fragment:
		return ebpf.ReasonFragment
	}
	return ebpf.ReasonNone
}

func quota(l ebpf.Limits) uint64 {
	if l.Rows == 0 {
		return ebpf.DefaultRows
	}
	return l.Rows
}

// A track is what a sliver's memory says of a packet's flow.
type track struct {
	flow                  peer
	far                   netip.Addr
	tick                  uint64
	kind                  int
	fresh                 bool
	noteOpened, noteHeard bool
}

func (s *sliver) recall(d ebpf.Direction, p Packet, tick uint64) track {
	t := track{tick: tick, kind: rowOpen}
	if d == ebpf.Ingress {
		t.kind = rowNew
	}
	if p.Fragment {
		return t
	}
	t.flow = ends(d, p)
	t.far = network(t.flow.far.Addr())
	alive := func(of map[peer]uint64) bool {
		last, ok := of[t.flow]
		return ok && tick-last <= idleTicks
	}
	mine, theirs := alive(s.opened), alive(s.heard)
	switch {
	case d == ebpf.Ingress:
		t.noteHeard = !mine // what the sliver opened is kept by what it sends
	case mine:
		t.noteOpened = s.opened[t.flow] != tick
	case theirs:
		t.kind, t.noteHeard = rowReply, true
	default:
		t.kind, t.fresh, t.noteOpened = rowNew, true, true
	}
	return t
}

// ends names a flow. Echoes go by their id; other ICMP by type and code.
func ends(d ebpf.Direction, p Packet) peer {
	near, far := p.Src, p.Dst
	if d == ebpf.Ingress {
		near, far = far, near
	}
	const icmp4, icmp6 = 1, 58
	if p.Proto == icmp4 || p.Proto == icmp6 {
		id := p.Src.Port()
		if kind := id >> 8; p.Proto == icmp4 && (kind == 0 || kind == 8) || p.Proto == icmp6 && (kind == 128 || kind == 129) {
			id = p.Dst.Port()
		}
		return peer{p.Proto, id, netip.AddrPortFrom(far.Addr(), id)}
	}
	return peer{p.Proto, near.Port(), far}
}

// network is what counts as one address: in IPv6 a /64.
func network(a netip.Addr) netip.Addr {
	if a.Is4() {
		return a
	}
	p, _ := a.Prefix(64) // 64 is a length of every IPv6 address
	return p.Addr()
}

// mayReach says whether far counts already or there is room for one more.
func (s *sliver) mayReach(far netip.Addr, tick uint64) bool {
	if last, ok := s.remote[far]; ok && tick-last < fanTicks {
		return true
	}
	n := uint64(0)
	for a, last := range s.remote {
		if tick-last >= fanTicks {
			delete(s.remote, a)
			continue
		}
		n++
	}
	return n < s.limits.FanOut
}

func (s *sliver) note(t track) {
	if t.noteOpened {
		s.opened[t.flow] = t.tick
		if s.limits.FanOut > 0 {
			s.remote[t.far] = t.tick
		}
	}
	if t.noteHeard {
		s.heard[t.flow] = t.tick
	}
}

// record adds to a row and reports whether there was room for it.
func (k *Kernel) record(key rowKey, now int64, p Packet) bool {
	row := k.rows[key]
	if row == nil {
		if len(k.rows) >= k.most {
			return false
		}
		row = &ebpf.Flow{Place: key.place, Sliver: key.sliver, Direction: key.direction, Proto: key.proto, Src: key.src, Dst: key.dst, First: now}
		k.rows[key] = row
	}
	row.Packets += p.Segments
	row.Bytes += p.Bytes
	row.Last = now
	row.TCPFlags |= p.Flags
	return true
}
