// SPDX-License-Identifier: Apache-2.0

// Package release says which build of Croft a node runs: what publishers sign, whom a
// node believes, and what it remembers so that nobody can lead it back.
//
// A [Release] is text that names a version and the digest of its build for each platform.
// Publishers sign the same text, each by a line of its own ([Signed]). A node's owner
// says who they are and how many of them it takes ([Rules]). What a node knows, runs and
// gave up is its [Book], a plain value with one rule for each change:
//
//	s, err := release.Parse(text)
//	err = rules.Check(s, now)              // enough signatures, and in its term
//	err = book.Hear(s, running)            // not lower than anything heard before
//	err = book.Try(build, now)             // a trial begins; then Confirm, or Fail
//
// A trial that neither Confirm nor Fail ended was interrupted: what ran before runs, and it
// may be tried again, [MaxTries] times.
//
// The package reads no clock and no disk; node/release/shelf does. A Book is for one
// goroutine.
package release
