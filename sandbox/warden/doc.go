// SPDX-License-Identifier: Apache-2.0

// Package warden runs slivers so that they outlive the daemon and end on time
// without it.
//
// A warden is one small process per sliver. It is started by a [Runtime] with
// [Main] as its program, in a session, a cgroup and a mount namespace of its
// own, and is the parent of the container. It alone owns the container's
// output, exit status, restarts and deadline; the daemon may die, be upgraded
// or be killed meanwhile. The next daemon's Runtime finds it again by its
// directory:
//
//	<state>/slivers/<sliver>/
//	  spec.json     what to run, written before the warden starts
//	  status.json   where it is; replaced whole, before anybody is told
//	  lock          held by the warden as long as it lives
//	  warden.sock   where it answers (mode 0600, same user only)
//	  log/          a ring of files with the program's output
//	  layer.img     the writable layer
//
// The private mount namespace is what makes clean-up sure: when warden and
// container are dead, whoever killed them, the kernel takes the mounts and loop
// devices away. A Runtime that finds a directory without a living warden kills
// what is left of the sliver by its cgroup and calls it failed: a container
// whose output and exit status nobody has is not kept.
//
//	rt, err := warden.Open(ctx, warden.Config{State: "/var/lib/croft", Tag: "k3v5qa",
//		Warden: []string{"/proc/self/exe", "warden"}, Images: images})
//	err = rt.Start(ctx, spec)
//
// A Runtime is safe for concurrent use. Two Runtimes on one state directory at
// a time are not.
package warden
