// SPDX-License-Identifier: Apache-2.0

package offer

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"croft/lease"
)

// Measured is what the seeker itself knows of a node.
type Measured struct {
	RTT       time.Duration // round trip to the node; 0 is not known
	Estimated bool          // from coordinates; else it was measured
}

type kind uint8

const (
	words    kind = iota // = and != only
	amount               // of a resource
	count                // a whole number
	span                 // a duration
	revision             // a dotted version
)

// attribute is one name that a query may use. Texts or number reads it from an
// offer; false is "not stated".
type attribute struct {
	kind     kind
	resource lease.Resource
	texts    func(*Offer) []string
	number   func(*Offer, Measured) (uint64, bool)
}

var attributes = map[string]attribute{
	"country": {texts: func(o *Offer) []string { return []string{o.Attributes.Country} }},
	"region":  {texts: func(o *Offer) []string { return []string{o.Attributes.Region} }},
	"city":    {texts: func(o *Offer) []string { return []string{o.Attributes.City} }},
	"site":    {texts: sites},
	"name":    {texts: func(o *Offer) []string { return []string{o.Name} }},
	"pool":    {texts: pools},
	"node":    {texts: func(o *Offer) []string { return []string{o.Node.String(), o.Node.Short()} }},
	"arch":    {texts: func(o *Offer) []string { return []string{o.Attributes.Arch} }},
	"runtime": {texts: func(o *Offer) []string { return o.Attributes.Runtimes }},
	"network": {texts: func(o *Offer) []string { return []string{o.Attributes.Network} }},
	"as": {kind: count, number: func(o *Offer, _ Measured) (uint64, bool) {
		return uint64(o.Attributes.AS), o.Attributes.AS != 0
	}},
	"kernel": {kind: revision, number: func(o *Offer, _ Measured) (uint64, bool) {
		return parseRevision(o.Attributes.Kernel)
	}},
	"uptime": {kind: span, number: func(o *Offer, _ Measured) (uint64, bool) {
		return uint64(min(o.Uptime, int64(maxSpan/time.Second))) * uint64(time.Second), o.Uptime > 0
	}},
	"rtt": {kind: span, number: func(_ *Offer, m Measured) (uint64, bool) {
		return uint64(m.RTT), m.RTT > 0
	}},
}

const maxSpan = time.Duration(1<<63 - 1)

func sites(o *Offer) []string {
	if o.Site.IsZero() {
		return []string{o.SiteName()}
	}
	return []string{o.Site.String(), o.Site.Short(), o.SiteName()}
}

func pools(o *Offer) (names []string) {
	for _, f := range o.Free {
		names = append(names, string(f.Pool))
	}
	return names
}

// freeIn takes the name of an amount apart: a resource by itself, or after "free.",
// is of the commons; else a pool stands between the two.
func freeIn(name string) (lease.Pool, lease.Resource, bool) {
	name, free := strings.CutPrefix(name, "free.")
	if r, err := lease.ParseResource(name); err == nil {
		return lease.PoolCommons, r, true
	}
	pool, rest, ok := strings.Cut(name, ".")
	r, err := lease.ParseResource(rest)
	return lease.Pool(pool), r, free && ok && err == nil && lease.CheckLabel(pool) == nil
}

// lookup finds an attribute by the name that a query uses.
func lookup(name string) (attribute, bool) {
	if a, ok := attributes[name]; ok {
		return a, true
	}
	if key, ok := strings.CutPrefix(name, "label."); ok && labelKey(key) {
		return attribute{texts: func(o *Offer) []string { return []string{o.Attributes.Labels[key]} }}, true
	}
	pool, r, ok := freeIn(name)
	if !ok {
		return attribute{}, false
	}
	return attribute{kind: amount, resource: r, number: func(o *Offer, _ Measured) (uint64, bool) {
		return o.FreeIn(pool)[r], pool == lease.PoolCommons || slices.Contains(pools(o), string(pool))
	}}, true
}

// names lists what may be typed, for hints.
func names() []string {
	all := lease.ResourceNames()
	for _, r := range lease.ResourceNames() {
		all = append(all, "free."+r)
	}
	return append(all, "as", "arch", "city", "country", "kernel", "label.", "name", "network", "node", "pool",
		"region", "rtt", "runtime", "site", "uptime")
}

// parse reads a value of a numeric attribute.
func (a attribute) parse(s string) (uint64, error) {
	switch a.kind {
	case amount:
		v, err := a.resource.ParseAmount(s)
		if err != nil || v > lease.MaxAmount {
			return 0, fmt.Errorf("an amount of %s such as %s", a.resource, a.resource.Format(1<<20))
		}
		return v, nil
	case count:
		v, err := strconv.ParseUint(s, 10, 32)
		if err != nil {
			return 0, fmt.Errorf("a whole number")
		}
		return v, nil
	case revision:
		if v, ok := parseRevision(s); ok {
			return v, nil
		}
		return 0, fmt.Errorf("a version such as 6.1")
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if v, err := strconv.ParseUint(days, 10, 16); err == nil {
			return v * uint64(24*time.Hour), nil
		}
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return uint64(d), nil
	}
	return 0, fmt.Errorf("a duration such as 80ms, 2h or 30d")
}

// format prints a value so that parse reads it.
func (a attribute) format(v uint64) string {
	switch a.kind {
	case amount:
		return a.resource.Format(v)
	case span:
		return time.Duration(v).String()
	case revision:
		return fmt.Sprintf("%d.%d.%d", v>>40, v>>20&0xfffff, v&0xfffff)
	}
	return strconv.FormatUint(v, 10)
}

// parseRevision packs the first three numbers of "6.1.0-31-amd64", twenty bits
// each, so that versions compare as numbers do.
func parseRevision(s string) (v uint64, ok bool) {
	for i := range 3 {
		digits := 0
		for digits < len(s) && '0' <= s[digits] && s[digits] <= '9' {
			digits++
		}
		n, err := strconv.ParseUint(s[:digits], 10, 20)
		if err != nil {
			return 0, false
		}
		v |= n << (20 * (2 - i))
		if s = s[digits:]; i == 2 || !strings.HasPrefix(s, ".") {
			return v, true
		}
		s = s[1:]
	}
	return v, true
}
