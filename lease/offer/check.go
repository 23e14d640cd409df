// SPDX-License-Identifier: Apache-2.0

package offer

import (
	"fmt"
	"strings"

	"croft/lease"
)

// maxUnix is the year 9999, as in package lease.
const maxUnix = 253402300800

// check judges one offer by itself, at no particular time: what it refuses is
// wrong for every honest node.
func (o *Offer) check() error {
	switch {
	case o.Node.IsZero():
		return field("no node")
	case o.Sequence == 0:
		return field("sequence 0")
	case o.Made <= 0 || o.Until <= o.Made || o.Until >= maxUnix:
		return field("made %d, valid until %d", o.Made, o.Until)
	case o.Until-o.Made > MaxValid:
		return field("valid for %d s, limit %d", o.Until-o.Made, MaxValid)
	case len(o.Certificate) > MaxCertificate:
		return field("certificate of %d bytes, limit %d", len(o.Certificate), MaxCertificate)
	case len(o.Certificate) > 0 && o.Site.IsZero():
		return field("certificate without site")
	case o.Longest < 0 || o.Longest > lease.MaxTerm:
		return field("longest term %d s, limit %d", o.Longest, int64(lease.MaxTerm))
	case o.Uptime < 0 || o.Uptime > maxUnix:
		return field("uptime %d s", o.Uptime)
	case len(o.Addrs) > MaxAddrs:
		return field("%d addresses, limit %d", len(o.Addrs), MaxAddrs)
	case len(o.Free) > MaxPools:
		return field("%d pools, limit %d", len(o.Free), MaxPools)
	}
	if err := text("name", o.Name, MaxName); err != nil {
		return err
	}
	for _, a := range o.Addrs {
		if !strings.HasPrefix(a, "/") {
			return field("address %.40q is no multiaddr", a)
		}
		if err := text("address", a, MaxAddr); err != nil {
			return err
		}
	}
	for i, f := range o.Free {
		if err := lease.CheckLabel(string(f.Pool)); err != nil {
			return fmt.Errorf("pool: %w", err)
		}
		if i > 0 && o.Free[i-1].Pool >= f.Pool {
			return field("pools are not sorted")
		}
		if err := amounts(f.RSet); err != nil {
			return err
		}
	}
	for _, s := range []lease.RSet{o.Total, o.Commons} {
		if err := amounts(s); err != nil {
			return err
		}
	}
	if o.Coordinate != nil {
		if err := o.Coordinate.Check(); err != nil {
			return err
		}
	}
	return o.Attributes.check()
}

func (a *Attributes) check() error {
	if a.Country != "" && (len(a.Country) != 2 || strings.Trim(a.Country, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "") {
		return field("country %.10q: want two capital letters", a.Country)
	}
	if p := a.Position; p != nil && (p.Lat < -90_000 || p.Lat > 90_000 || p.Lon < -180_000 || p.Lon > 180_000) {
		return field("position %d, %d", p.Lat, p.Lon)
	}
	if len(a.Runtimes) > MaxRuntimes {
		return field("%d runtimes, limit %d", len(a.Runtimes), MaxRuntimes)
	}
	if len(a.Labels) > MaxLabels {
		return field("%d labels, limit %d", len(a.Labels), MaxLabels)
	}
	texts := append([]string{a.Region, a.City, a.Kernel, a.Arch, a.Network}, a.Runtimes...)
	for _, key := range sortedKeys(a.Labels) {
		if !labelKey(key) {
			return field("label %.40q: want 1 to %d of a-z, 0-9, '-' and '_'", key, MaxLabelKey)
		}
		texts = append(texts, a.Labels[key])
	}
	for _, s := range texts {
		if err := text("attribute", s, MaxText); err != nil {
			return err
		}
	}
	return nil
}

func labelKey(s string) bool {
	return len(s) > 0 && len(s) <= MaxLabelKey && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}

func amounts(s lease.RSet) error {
	for r, v := range s {
		if v > lease.MaxAmount {
			return field("%s=%d, limit %d", lease.Resource(r), v, uint64(lease.MaxAmount))
		}
	}
	return nil
}

// text refuses control characters: names of strangers reach terminals and logs.
func text(what, s string, limit int) error {
	if len(s) > limit {
		return field("%s of %d bytes, limit %d", what, len(s), limit)
	}
	for _, c := range s {
		if !printable(c) {
			return field("%s %q holds what does not print", what, s)
		}
	}
	return nil
}

func field(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, lease.ErrField)...)
}
