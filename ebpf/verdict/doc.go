// SPDX-License-Identifier: Apache-2.0

// Package verdict runs packet programs of others on the cgroup of slivers:
// eBPF that looks at a packet and says that it may pass, or that it may not.
//
//	sliver's socket ─▶ packet program (out) ─▶ veth ─▶ guard ─▶ world
//	sliver's socket ◀─ packet program (in)  ◀─ veth ◀─ guard ◀─ world
//
// It stands before the guard on the way out and after it on the way in, so all
// that it can do is to take away: limits and records of the guard are what they
// are without it. What a socket of the sliver's did not send or is not to get,
// such as the kernel's own answers, it does not see.
//
// A program is an ELF object from anybody. A process that has CAP_BPF and nothing
// else reads it, holds it against the bounds of limits.go, wraps it into
// instructions of the node's own that count, and has the kernel verify it as it
// does those whom it does not trust with kernel pointers. Its instructions only
// go forward, so their number bounds what a packet costs.
//
//	p, err := verdict.Open(verdict.Config{Tag: tag, Parent: dir, Loader: self})
//	digest, err := p.Load(ctx, object)   // it counts what it would refuse
//	err = p.Enforce(&digest)             // and refuses it from now on
//	err = p.Begin(sliver)                // before the sliver's first process
//
// Everything is pinned below the bpf file system: a program goes on judging while
// the daemon is dead, and the next one finds it. Methods of [Programs] may be
// called at once; one process at a time may have a tag open.
package verdict
