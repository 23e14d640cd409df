// SPDX-License-Identifier: Apache-2.0

// Package image keeps the blobs of programs and makes roots from them.
//
// A [Store] has one directory. Blobs arrive in pieces: Begin says where to go
// on, Append adds, Finish verifies the digest and makes the blob durable; only
// then does Has know it. Root unpacks a program once, read-only by use, and
// shared by all slivers through id-mapped mounts ([Mount]); a kernel without
// those gets a copy for each uid range, counted against the quota.
//
//	dir/blobs/<sha256>          a verified blob
//	dir/partial/<sha256>        one that is arriving; beside it -pieces, if it has holes
//	dir/sums/<sha256>           the sums of its pieces, for other nodes (package swarm)
//	dir/private/<sha256>        a mark: it is not for other nodes
//	dir/roots/<key>/{root,size} an unpacked root and its bytes
//
// What a crash left half done is thrown away by [Open]. A Store is safe for
// concurrent use by one process.
package image
