// SPDX-License-Identifier: Apache-2.0

package export

const (
	// maxName bounds a name in bytes. A slice's, label@principal, has less than
	// 256; the rest is room for others' nodes.
	maxName = 1024

	// rowGroup is how many rows of Parquet are in memory before they are written:
	// about 10 MB, and groups long enough to compress well.
	rowGroup = 1 << 16

	// maxMessage is the size of an IPFIX message in bytes. The format's limit is
	// 65,535; this leaves room for the headers of UDP, IPv6 and a VLAN, so that
	// the messages of a file can be sent as they are.
	maxMessage = 65_000

	// maxDomains is how many nodes one IPFIX file tells apart: a counter is kept
	// of each.
	maxDomains = 1 << 16
)
