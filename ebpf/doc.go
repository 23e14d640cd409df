// SPDX-License-Identifier: Apache-2.0

// Package ebpf is the packet contract of a sliver: what its lease allows on the
// wire, how that is judged, why a packet is dropped, and what is recorded.
//
// A guard sits at the host end of each sliver's veth, in both directions, and
// holds the lease in the kernel. This package is the part of it without I/O:
//
//	lease ──Compile──▶ Limits ──Guard.Attach──▶ kernel ──Guard.Drain──▶ Epoch
//
// Egress is from the sliver, ingress towards it. Each direction has a [Way]:
// two token buckets ([Bucket]), one of packets and one of L3 octets, which are
// charged together or not at all. A packet that does not pass is dropped for
// exactly one [Reason]. A packet that passes is added to the row of its flow.
// Rows are gathered in epochs, and each epoch carries an [Identity]: every
// packet that was seen is in a row, in a drop count, or in a stated remainder.
//
// What a sliver may not reach although its lease has room is in [ClosedRanges].
//
//	limits := ebpf.Compile(lease, attachment.Addresses, ebpf.Conditions{Deadline: deadline})
//	err := guard.Attach(ctx, attachment.Guard, limits) // then the veth goes up
//
// Values here are plain data. A [Bucket] is not safe for concurrent use; a
// [Guard] is.
package ebpf
