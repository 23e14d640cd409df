// SPDX-License-Identifier: Apache-2.0

// Package store keeps a node's audit record on disk and carries out what
// [audit.Log] says is due.
//
//	<dir>/0000000000000007.open  what comes is appended here, durably; there may be
//	                             several that wait to be closed, the newest is filled
//	<dir>/0000000000000006.seg   a closed segment: rows sorted by remote address, port
//	                             and time, in compressed columns, with an index; then
//	                             accounts of epochs, tenures, alarms and the salts' secret
//	<dir>/log                    the node's log: a leaf for each closed segment, for ever,
//	                             and the heads that were signed
//	<dir>/tenures                who held which ports
//	<dir>/reserve                disk space set aside for when others filled the disk
//
// All but .seg are appended to in frames with checksums: a torn tail is what a
// crash left of a call that never returned, and is cut at [Open]; an epoch is one
// frame, so it is there whole or not at all, and one that the store has already is
// taken and not written again. A .seg is made under another name and renamed when
// it is durable; its .open goes only when its leaf is in the log.
//
//	s, err := store.Open(dir, store.Options{Node: node})
//	err = guard.Drain(ctx, s.Append)
//	head, err := s.Turn(ctx, now, key) // closes what is due, signs, drops
//	finding, err := s.Who(ctx, audit.Who{…})
//	proof, err := s.Prove(ctx, row.Ref.Segment, row.Ref.Leaf)
//
// Methods of [Store] may be called at once; one process has a directory open.
package store
