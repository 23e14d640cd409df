// SPDX-License-Identifier: Apache-2.0

// Package journal keeps a node's facts on disk: what it decided, with the signed
// bytes, in the order in which it decided.
//
//	file journal:  header | frame 0 … frame s-1 | frame s … frame n
//	               magic    the snapshot           one frame an fsync
//	               generation
//	               salt
//
// An [Journal.Append] is durable when it returns, whole or not at all: the
// records of one call lie in one frame, and callers that wait at the same time
// share one frame and one fsync. A frame carries its length, its number and a
// CRC32C that is seeded with the file's secret salt, so that no record that a
// stranger had us write can pass for a frame.
//
// The next frame is written only after the one before it is durable. So a crash
// leaves at most one bad frame, the last, and nothing behind it: [Open] cuts
// that one off. A bad frame with a good one behind it, or inside the snapshot,
// is damage: [ErrCorrupt] with the offset, and the file stays as it is.
//
// [Journal.Snapshot] writes a new file of the next generation and renames it
// over the old one. A failed fsync leaves unclear what is durable: from then on
// every call returns [ErrPoisoned], until the directory is opened anew.
//
// A full disk is [ErrFull] and changes nothing. A ballast file is set aside
// beforehand; [Journal.AppendClosing] spends it, so that a full disk refuses new
// leases and still ends old ones.
//
//	j, facts, err := journal.Open("/var/lib/croft/journal", journal.Options{})
//	…rebuild from facts…
//	err = j.Append(granted, capacityLeft)   // durable from here on
//
// All methods may be called by several goroutines at once.
package journal
