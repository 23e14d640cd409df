// SPDX-License-Identifier: Apache-2.0

package ebpf

import "fmt"

// Reason is why a packet was dropped. The numbers are the kernel program's
// (reason.h) and those in stored records; they never change meaning.
type Reason uint8

const (
	ReasonNone      Reason = iota // passed
	ReasonNoSliver                // nobody's port: closed
	ReasonDeadline                // the lease is over
	ReasonMalformed               // headers do not parse or contradict the length
	ReasonProtocol                // neither IPv4 nor IPv6 nor the port's own ARP, or a VLAN tag
	ReasonSource                  // not from the sliver's own MAC or address
	ReasonHeader                  // IPv4 options, an IPv6 routing header, or too many headers
	ReasonFragment                // an outbound fragment: its flow cannot be told
	ReasonClosed                  // the destination is closed
	ReasonPackets                 // over the packets/s
	ReasonBytes                   // over the bit/s
	ReasonFlows                   // over the new flows/s
	ReasonFanOut                  // over the distinct remote addresses in a window
	ReasonDaily                   // the day's bytes are spent
	ReasonRows                    // a new outbound flow over the sliver's own quota of rows
	ReasonOptOut                  // the destination asked to be left alone

	NumReasons int = iota
)

var reasons = [NumReasons]struct{ name, meaning string }{
	ReasonNone:      {"none", "passed"},
	ReasonNoSliver:  {"no-sliver", "the port belongs to no sliver"},
	ReasonDeadline:  {"deadline", "the lease is over"},
	ReasonMalformed: {"malformed", "headers do not parse or contradict the length"},
	ReasonProtocol:  {"protocol", "neither IPv4 nor IPv6 nor the sliver's own ARP, or a VLAN tag"},
	ReasonSource:    {"source", "not from the sliver's own MAC or address"},
	ReasonHeader:    {"header", "IPv4 options, an IPv6 routing header, or too many headers"},
	ReasonFragment:  {"fragment", "an outbound fragment, whose flow cannot be told"},
	ReasonClosed:    {"closed", "the destination is closed to slivers"},
	ReasonPackets:   {"packets", "over the leased packets/s"},
	ReasonBytes:     {"bytes", "over the leased bit/s"},
	ReasonFlows:     {"flows", "over the leased new flows/s"},
	ReasonFanOut:    {"fanout", "over the distinct addresses that a sliver may reach in a minute"},
	ReasonDaily:     {"daily", "the day's leased bytes are spent"},
	ReasonRows:      {"rows", "a new flow over the sliver's own quota of flow records"},
	ReasonOptOut:    {"optout", "the destination asked to be left alone"},
}

func (r Reason) String() string {
	if int(r) < NumReasons {
		return reasons[r].name
	}
	return fmt.Sprintf("reason(%d)", uint8(r))
}

// Meaning returns a clause that a person can read.
func (r Reason) Meaning() string {
	if int(r) < NumReasons {
		return reasons[r].meaning
	}
	return "unknown to this version"
}

// ParseReason reads a reason's name.
func ParseReason(s string) (Reason, error) {
	for r := range reasons {
		if reasons[r].name == s {
			return Reason(r), nil
		}
	}
	return 0, fmt.Errorf("drop reason %q: %w", s, ErrField)
}
