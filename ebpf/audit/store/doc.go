// SPDX-License-Identifier: Apache-2.0

// Package store keeps a node's audit records on disk: epochs of flow rows and
// tenures, in append-only segments.
//
//	<dir>/0000000000000007.seg   magic │ frame │ frame │ … │ seal
//	frame   length, CRC-32C of the record and of the head, then one record:
//	        state, epoch or tenure
//	state   what older segments said and this one still needs: the newest epoch
//	        of each series, and every tenure; always the first frame
//	seal    the time that the rows span; written when the next segment begins
//
// A record is durable when the call that appended it returns nil. A torn tail
// is what a crash left of a call that never returned, and is cut at [Open]; an
// epoch is one record, so it is there whole or not at all. An epoch that the
// store has already is taken and not written again. Segments go, oldest first,
// by age and by the disk budget; answers say since when records exist.
//
//	s, err := store.Open(dir, store.Options{})
//	err = guard.Drain(ctx, s.Append)
//	finding, err := s.Who(ctx, audit.Who{…})
//
// Methods of [Store] may be called at once; one process has a directory open.
package store
