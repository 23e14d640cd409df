// SPDX-License-Identifier: Apache-2.0

// Package pace makes what a node moves for a sliver on the host's side wait for
// the sliver's lease: the output that is read, commands and their input, names
// that are resolved. Such bytes pass no veth and so no guard; they are charged
// to the same buckets and recorded as moved by the node.
//
//	          pays first, in pieces
//	reader ──▶ Meter.Writer ──▶ writer
//	              │
//	              └─ Charge ──▶ ebpf.Guard: taken, or a Wait
//
// A piece is paid for before it is moved, so that nothing is ever moved that the
// lease does not hold. While there is too little the mover waits; what produces
// the bytes is held up by it, as by a slow link.
//
//	m := pace.Meter{Guard: guard, Sliver: name, Channel: ebpf.ChannelLogs}
//	err := runtime.Logs(ctx, name, opt, m.Writer(ctx, ebpf.Egress, w))
//
// A Meter is a value and may be used by any number of goroutines; what its Writer
// and Reader return is for one at a time, like what they wrap.
package pace
