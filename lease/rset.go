// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"fmt"
	"math"
	"sort"
	"strconv"
	"strings"
)

// Resource is one dimension of an [RSet]. The numbers are the keys on the wire
// and never change meaning.
type Resource uint8

// The resources: only what adds. What does not (fan-out, open files) is an
// attribute, and a child has at most its parent's.
const (
	CPU            Resource = iota // thousandths of a core
	Memory                         // bytes
	Disk                           // bytes of private writable layer
	Pids                           // processes and threads
	IO                             // bytes/s of block I/O
	EgressRate                     // bit/s at L3, from the sliver
	IngressRate                    // bit/s at L3, towards the sliver
	EgressPackets                  // packets/s from the sliver
	IngressPackets                 // packets/s towards the sliver
	EgressDaily                    // bytes per 24 h from term.from, pro rata
	FlowsNew                       // new flows/s
	FlowsLive                      // flows at once
	PortsIn                        // public ports
	PortsOut                       // source ports in the sliver's block

	NumResources int = iota
)

type unit uint8

const (
	counted unit = iota // thousandths or counts: decimal suffixes k, M, G
	octets              // KiB, MiB, GiB, TiB
	bits                // kbit, mbit, gbit
)

var resources = [NumResources]struct {
	name string
	unit unit
}{
	CPU:            {"cpu", counted},
	Memory:         {"memory", octets},
	Disk:           {"disk", octets},
	Pids:           {"pids", counted},
	IO:             {"io", octets},
	EgressRate:     {"egress.rate", bits},
	IngressRate:    {"ingress.rate", bits},
	EgressPackets:  {"egress.packets", counted},
	IngressPackets: {"ingress.packets", counted},
	EgressDaily:    {"egress.daily", octets},
	FlowsNew:       {"flows.new", counted},
	FlowsLive:      {"flows.live", counted},
	PortsIn:        {"ports.in", counted},
	PortsOut:       {"ports.out", counted},
}

func (r Resource) String() string {
	if int(r) < NumResources {
		return resources[r].name
	}
	return fmt.Sprintf("resource(%d)", uint8(r))
}

// ParseResource reads a resource's name, such as "egress.rate".
func ParseResource(s string) (Resource, error) {
	for r := range resources {
		if resources[r].name == s {
			return Resource(r), nil
		}
	}
	return 0, fmt.Errorf("resource %q: %w", s, ErrUnknownResource)
}

// RSet is a resource vector: how much of what. The zero value is nothing.
type RSet [NumResources]uint64

// IsZero reports whether s is nothing of everything.
func (s RSet) IsZero() bool { return s == RSet{} }

// Within reports whether s is at most o in every resource.
func (s RSet) Within(o RSet) bool { _, over := s.Exceeds(o); return !over }

// Exceeds returns the first resource, in wire order, of which s has more than o.
func (s RSet) Exceeds(o RSet) (Resource, bool) {
	for r := range s {
		if s[r] > o[r] {
			return Resource(r), true
		}
	}
	return 0, false
}

// Plus returns s + o; a sum that does not fit stands still at the largest value.
func (s RSet) Plus(o RSet) RSet {
	for r := range s {
		if s[r] += o[r]; s[r] < o[r] {
			s[r] = math.MaxUint64
		}
	}
	return s
}

// Minus returns s − o, never below zero.
func (s RSet) Minus(o RSet) RSet {
	for r := range s {
		s[r] -= min(s[r], o[r])
	}
	return s
}

// Max returns the larger of the two in each resource.
func (s RSet) Max(o RSet) RSet {
	for r := range s {
		s[r] = max(s[r], o[r])
	}
	return s
}

// String prints the resources that are not zero in wire order, in a form that
// [ParseRSet] reads: "cpu=500 memory=256MiB egress.rate=5mbit".
func (s RSet) String() string {
	var parts []string
	for r, v := range s {
		if v != 0 {
			parts = append(parts, Resource(r).String()+"="+Resource(r).Format(v))
		}
	}
	return strings.Join(parts, " ")
}

// Format prints an amount of r exactly, in the largest unit that divides it:
// binary for bytes, decimal for rates.
func (r Resource) Format(v uint64) string {
	suffixes := unitSuffixes(resources[r].unit)
	for i := len(suffixes) - 1; i >= 0; i-- {
		if s := suffixes[i]; s.print && v != 0 && v%s.factor == 0 {
			return strconv.FormatUint(v/s.factor, 10) + s.name
		}
	}
	return strconv.FormatUint(v, 10)
}

// ParseAmount reads an amount of r: an integer with an optional unit, without
// regard to case ("256MiB", "5mbit", "2k").
func (r Resource) ParseAmount(s string) (uint64, error) {
	digits := strings.TrimRight(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
	factor := uint64(1)
	if suffix := s[len(digits):]; suffix != "" {
		factor = 0
		for _, u := range unitSuffixes(resources[r].unit) {
			if strings.EqualFold(u.name, suffix) {
				factor = u.factor
			}
		}
		if factor == 0 {
			return 0, fmt.Errorf("%s=%q: unknown unit %q: %w", r, s, suffix, ErrSyntax)
		}
	}
	v, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || v > math.MaxUint64/factor {
		return 0, fmt.Errorf("%s=%q: want a whole number with an optional unit: %w", r, s, ErrSyntax)
	}
	return v * factor, nil
}

type suffix struct {
	name   string
	factor uint64
	print  bool
}

var suffixTable = [...][]suffix{
	counted: {{"k", 1e3, false}, {"M", 1e6, false}},
	octets: {{"KiB", 1 << 10, true}, {"MiB", 1 << 20, true}, {"GiB", 1 << 30, true}, {"TiB", 1 << 40, true},
		{"kB", 1e3, false}, {"MB", 1e6, false}, {"GB", 1e9, false}},
	bits: {{"kbit", 1e3, true}, {"mbit", 1e6, true}, {"gbit", 1e9, true}},
}

func unitSuffixes(u unit) []suffix { return suffixTable[u] }

// ParseRSet reads "cpu=500,memory=256MiB egress.rate=5mbit": resources apart by
// commas or spaces, each at most once.
func ParseRSet(s string) (RSet, error) { return RSet{}.With(s) }

// With returns set with the amounts that text names, also those that it says are
// nothing; text is in the form that [ParseRSet] reads.
func (set RSet) With(text string) (RSet, error) {
	var seen [NumResources]bool
	for _, part := range strings.FieldsFunc(text, func(c rune) bool { return c == ',' || c == ' ' }) {
		name, amount, ok := strings.Cut(part, "=")
		if !ok {
			return RSet{}, fmt.Errorf("%q: want resource=amount: %w", part, ErrSyntax)
		}
		r, err := ParseResource(name)
		if err != nil {
			return RSet{}, err
		}
		if seen[r] {
			return RSet{}, fmt.Errorf("%s is named twice: %w", r, ErrSyntax)
		}
		seen[r] = true
		if set[r], err = r.ParseAmount(amount); err != nil {
			return RSet{}, err
		}
	}
	return set, nil
}

// ResourceNames returns every resource's name in alphabetical order, for hints.
func ResourceNames() []string {
	names := make([]string, 0, NumResources)
	for _, r := range resources {
		names = append(names, r.name)
	}
	sort.Strings(names)
	return names
}
