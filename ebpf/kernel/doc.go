// SPDX-License-Identifier: Apache-2.0

// Package kernel is the guard in the Linux kernel: one eBPF program for each
// direction, shared by all slivers of a node and attached by TCX to the host
// end of each veth, with every sliver's state in maps.
//
//	sliver ═ veth ═ TCX ingress: guard_egress ─▶ IFB (shaper) ─▶ node
//	       ◀ shaper on the veth ◀─ TCX egress: guard_ingress ◀── node
//
// Maps and links are pinned under <bpffs>/croft-<tag>, so the guard holds when
// the daemon dies; [Open] finds it again. State is written before a link, and a
// port without state drops everything. Changing a lease writes one map element.
//
// A packet is counted in the one epoch that it read at its start. A drain makes
// the other table live, waits until no program can still see the old one, reads
// it, has it made durable, notes that, and only then clears it.
//
//	guard, err := kernel.Open(kernel.Config{Tag: tag})
//	defer guard.Close()                          // slivers stay guarded
//	err = guard.Attach(ctx, port, limits)        // then the veth goes up
//	err = guard.Drain(ctx, store.Append)
//
// Not seen through: a packet that a sliver encapsulates itself with segments
// still to be cut counts the inner headers once. That needs a tunnel device,
// for which a sliver has no capability.
//
// Methods of [Guard] may be called at once. One process at a time may have a
// tag open; the daemon's state directory lock sees to that.
package kernel
