// SPDX-License-Identifier: Apache-2.0

package export

import "encoding/binary"

// enterprise is the private enterprise number of our own elements: 32473, which
// RFC 5612 reserves for examples in documents. Croft has no number of its own
// yet, and one that belongs to somebody else would be worse: a collector that
// knows that enterprise would read our names as something else. Whoever has a
// number, and wants to tell these elements from others' examples, changes this
// line; every file says by RFC 5610 what the elements are.
const enterprise = 32473

// An element is an information element of IANA's registry, or of ours.
type element struct {
	id       uint16
	private  bool   // of ours
	length   uint16 // octets; variable: with a length before each value
	kind     uint8  // informationElementDataType (RFC 5610)
	meaning  uint8  // informationElementSemantics (RFC 5610)
	name     string
	describe string
}

const variable = 65535

// Numbers of RFC 5610, section 3.
const (
	kindUnsigned16 = 2
	kindString     = 13

	meaningIdentifier = 4
)

var (
	octetDeltaCount          = element{id: 1, length: 8}
	packetDeltaCount         = element{id: 2, length: 8}
	protocolIdentifier       = element{id: 4, length: 1}
	tcpControlBits           = element{id: 6, length: 2}
	sourceTransportPort      = element{id: 7, length: 2}
	sourceIPv4Address        = element{id: 8, length: 4}
	destinationTransportPort = element{id: 11, length: 2}
	destinationIPv4Address   = element{id: 12, length: 4}
	sourceIPv6Address        = element{id: 27, length: 16}
	destinationIPv6Address   = element{id: 28, length: 16}
	icmpTypeCodeIPv4         = element{id: 32, length: 2}
	exportedOctetTotal       = element{id: 40, length: 8}
	exportedMessageTotal     = element{id: 41, length: 8}
	exportedFlowTotal        = element{id: 42, length: 8}
	flowDirection            = element{id: 61, length: 1}
	icmpTypeCodeIPv6         = element{id: 139, length: 2}
	observationDomainID      = element{id: 149, length: 4}
	flowStartNanoseconds     = element{id: 156, length: 8}
	flowEndNanoseconds       = element{id: 157, length: 8}
	observationDomainName    = element{id: 300, length: variable}

	// Of RFC 5610.
	informationElementID        = element{id: 303, length: 2}
	informationElementDataType  = element{id: 339, length: 1}
	informationElementSemantics = element{id: 344, length: 1}
	informationElementName      = element{id: 341, length: variable}
	informationElementText      = element{id: 340, length: variable}
	privateEnterpriseNumber     = element{id: 346, length: 4}

	sliceName = element{1, true, variable, kindString, 0, "croftSliceName",
		"the slice that the packets are of: its label, @ and its owner's principal"}
	sliverName = element{2, true, variable, kindString, 0, "croftSliverName",
		"the sliver that the packets are of"}
	icmpID = element{3, true, 2, kindUnsigned16, meaningIdentifier, "croftIcmpIdentifier",
		"the identifier of an ICMP echo; else 0"}
	rowDetail = element{4, true, 2, kindUnsigned16, meaningIdentifier, "croftRowDetail",
		"of a row without addresses: with protocol 254 the node's channel, else 0"}

	private = []element{sliceName, sliverName, icmpID, rowDetail}
)

// A template is a list of elements with an id; the first scope of an options
// template's are its scope.
type template struct {
	id       uint16
	scope    uint16
	elements []element
}

var (
	counters = []element{protocolIdentifier, flowDirection, packetDeltaCount, octetDeltaCount,
		flowStartNanoseconds, flowEndNanoseconds, sliceName, sliverName}

	ports4 = record(256, sourceIPv4Address, destinationIPv4Address, sourceTransportPort, destinationTransportPort, tcpControlBits)
	ports6 = record(257, sourceIPv6Address, destinationIPv6Address, sourceTransportPort, destinationTransportPort, tcpControlBits)
	icmp4  = record(258, sourceIPv4Address, destinationIPv4Address, icmpTypeCodeIPv4, icmpID)
	icmp6  = record(259, sourceIPv6Address, destinationIPv6Address, icmpTypeCodeIPv6, icmpID)
	bare   = record(260, rowDetail)

	domainOptions = template{261, 1, []element{observationDomainID, observationDomainName}}
	countOptions  = template{262, 1, []element{observationDomainID, exportedMessageTotal, exportedFlowTotal, exportedOctetTotal}}
	typeOptions   = template{263, 2, []element{privateEnterpriseNumber, informationElementID, informationElementDataType,
		informationElementSemantics, informationElementName, informationElementText}}

	templates = []template{ports4, ports6, icmp4, icmp6, bare}
	options   = []template{domainOptions, countOptions, typeOptions}
)

// record makes the template of a row: what is its own, then what all have.
func record(id uint16, own ...element) template {
	return template{id: id, elements: append(own, counters...)}
}

// append writes the template's own record.
func (t template) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, t.id)
	b = binary.BigEndian.AppendUint16(b, uint16(len(t.elements)))
	if t.scope > 0 {
		b = binary.BigEndian.AppendUint16(b, t.scope)
	}
	for _, e := range t.elements {
		if !e.private {
			b = binary.BigEndian.AppendUint16(b, e.id)
			b = binary.BigEndian.AppendUint16(b, e.length)
			continue
		}
		b = binary.BigEndian.AppendUint16(b, e.id|0x8000)
		b = binary.BigEndian.AppendUint16(b, e.length)
		b = binary.BigEndian.AppendUint32(b, enterprise)
	}
	return b
}

// appendString writes a value of variable length (RFC 7011, section 7).
func appendString(b []byte, s string) []byte {
	if len(s) < 255 {
		b = append(b, byte(len(s)))
	} else {
		b = append(b, 255)
		b = binary.BigEndian.AppendUint16(b, uint16(len(s)))
	}
	return append(b, s...)
}
