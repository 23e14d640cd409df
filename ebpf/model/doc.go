// SPDX-License-Identifier: Apache-2.0

// Package model is the guard without a kernel, for simulations and as the second
// opinion on package kernel: both run the suites of ebpftest.
//
// A [Kernel] is what outlives a daemon, a [Guard] one daemon's handle on it. Time
// is what the caller says, and a packet is a value:
//
//	k := model.NewKernel(func() int64 { return boot }, func() int64 { return wall }, series)
//	g, err := model.Open(k, model.Config{})
//	err = g.Attach(ctx, port, limits)
//	reason := k.Judge(port.IfIndex, ebpf.Egress, model.Packet{Proto: 17, Src: src, Dst: dst, Bytes: 100})
//
// Arithmetic is package ebpf's. What the kernel remembers in sets of slots, in
// which the oldest makes room, is remembered here without bound in a tick and
// forgotten when it is idle: the two differ for a sliver that has more flows
// than twice its lease's. A packet here has no bytes to be malformed, and of the
// links no more than their ports.
//
// Methods may be called at once.
package model
