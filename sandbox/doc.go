// SPDX-License-Identifier: Apache-2.0

// Package sandbox says what the sandbox of a sliver is, without making one.
//
// A [Spec] is what a node wants run: a [Program], the leased [lease.RSet], a
// network namespace and a deadline on the boot clock. [Bundle] renders it into
// an OCI runtime configuration for a [Host], whose cgroup mounts [ParseLayout]
// reads. A [Runtime] runs specs: package warden has the real one, and package
// sandboxtest holds the promises that every Runtime keeps.
//
//	created → starting → running → stopping → stopped → gone
//	              └─────────┴──→ failed ──────────────→ gone
//
// A sliver that is stopped or failed has no process, mount, loop device or
// cgroup left; its status and its last output stay until it is removed.
//
//	spec := sandbox.Bundle(want, sandbox.Host{Layout: layout, Tag: "k3v5qa", ...})
//
// Everything here is a pure function of its arguments and safe for concurrent
// use; whether a Runtime is, its contract says.
package sandbox
