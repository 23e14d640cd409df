// SPDX-License-Identifier: Apache-2.0

// Package sandbox says what the sandbox of a sliver is, and how it lives and
// ends, without making one.
//
// A [Spec] is what a node wants run: a [Program], the leased [lease.RSet], a
// network namespace and a deadline on the boot clock. [Bundle] renders it into
// an OCI runtime configuration for a [Host], whose cgroup mounts [ParseLayout]
// reads. A [Runtime] runs specs: package warden has the real one, and package
// sandboxtest holds the promises that every Runtime keeps. The [Lifecycle] minds
// all slivers of a node, from Begin to Cleared; [Transitions] is its table:
//
//	created ──▶ starting ──▶ running ──▶ stopped ──▶ stopping ──▶ gone
//	                └──▶ failed ──▶ gone
//
// What is created, starting or running can be told to end, and is then stopping.
// A sliver that is stopped or failed has no process, mount, loop device or
// cgroup left; its status and its last output stay until it is removed.
//
//	spec := sandbox.Bundle(want, sandbox.Host{Layout: layout, Tag: "k3v5qa", ...})
//
// A Lifecycle is a machine for one goroutine. Everything else is a pure function
// of its arguments; a Runtime is safe for concurrent use.
package sandbox
