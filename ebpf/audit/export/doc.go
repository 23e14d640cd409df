// SPDX-License-Identifier: Apache-2.0

// Package export writes recorded flows in forms that other programs read.
//
//	          ┌ Parquet   one table, for pandas, DuckDB, Spark
//	Records ──┼ IPFIX     RFC 7011 messages in a file (RFC 5655), for collectors
//	          └ CSV       for everything else
//
// A [Record] is a row and the node that asserts it. All three forms have the
// same content: what a row is, stays; what it has not (an ICMP row has no
// ports, a row of ARP no addresses) is empty, and not 0.
//
//	direction   out: from the sliver; in: towards it
//	bytes       L3 octets, headers included, each segment of a GSO packet counted
//	first, last nanoseconds since 1970
//
// Rows are read one by one and memory is bounded: a batch of rows of Parquet, a
// message of IPFIX. Nothing is sorted. An error of the rows, or a row that a
// form cannot hold ([ErrRow]), ends the file, which then is of no use.
//
//	err := export.Parquet(file, records)
//
// The functions share nothing and may be called at once.
package export
