// SPDX-License-Identifier: Apache-2.0

// Package oci runs an OCI runtime and looks after its cgroups.
//
// [Runc] is one runtime binary with its state directory; its methods are its
// commands, and an error carries the last line of the runtime's own log.
// [Cgroups] does what runtimes leave to others: it kills whole cgroups, on
// cgroup2 by cgroup.kill and else by freezing, and removes them and their
// parents in every hierarchy.
//
//	runc, err := oci.Find(ctx, "/usr/lib/croft/runc")
//	err = runc.Create(ctx, oci.Create{ID: "x", Bundle: dir, PidFile: pid, Stdout: out, Stderr: out})
//
// Both are safe for concurrent use; calls for one container are the caller's to
// order.
package oci
