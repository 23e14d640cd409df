// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"croft/lease"
	"croft/lease/offer"
	"croft/lease/sign"
)

// reader turns a tree into a Source and collects what is wrong with it.
type reader struct {
	complaints
	s *Source
}

// must returns a field of the wanted kind, or nil: absent, or complained of.
func (r *reader) must(t *node, key string, want kind) *node {
	f := t.field(key)
	if f == nil {
		return nil
	}
	f.used = true
	if f.kind != want {
		r.add(f.value, "want "+string(want), "%s is %s", key, f.kind)
		return nil
	}
	return f
}

// rest complains of every key that nobody asked for.
func (r *reader) rest(t *node, where string, known ...string) {
	for _, f := range t.fields {
		if !f.used {
			r.unknown(f.at, f.key, where, known)
		}
	}
}

func (r *reader) unknown(at Mark, key, where string, known []string) {
	want := "want " + strings.Join(known, ", ")
	if near := offer.Meant(key, known); near != "" {
		want = "did you mean " + near + "?"
	}
	r.add(at, want, "unknown key %q in %s", clipped(key), where)
}

// clipped keeps a mistake readable.
func clipped(s string) string {
	if len(s) > 80 {
		return strings.ToValidUTF8(s[:80], "") + "…"
	}
	return s
}

// tables returns the elements of a list of tables.
func (r *reader) tables(t *node, key string) []*node {
	f := r.must(t, key, aList)
	if f == nil {
		return nil
	}
	for _, item := range f.items {
		if item.kind != aTable {
			r.add(item.value, "write [["+key+"]]", "%s holds %s", key, item.kind)
			return nil
		}
	}
	return f.items
}

func (r *reader) span(t *node, key string, least, most int64) (out said[int64]) {
	f := r.must(t, key, aString)
	if f == nil {
		return out
	}
	v, err := ParseSpan(f.text)
	if err != nil || v < least || v > most {
		r.add(f.value, fmt.Sprintf("want a span from %s to %s, such as 90s, 45m, 36h or 30d", FormatSpan(least), FormatSpan(most)),
			"%s = %q", key, clipped(f.text))
		return out
	}
	return said[int64]{v, f.at, true}
}

// ParseSpan reads a span of time in seconds: "30d", or what [time.ParseDuration]
// reads.
func ParseSpan(s string) (int64, error) {
	if digits, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(digits, 10, 16)
		if err != nil {
			return 0, fmt.Errorf("%q: want whole days: %w", clipped(s), lease.ErrSyntax)
		}
		return int64(n) * day, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 || d%time.Second != 0 {
		return 0, fmt.Errorf("%q: want a span of whole seconds: %w", clipped(s), lease.ErrSyntax)
	}
	return int64(d / time.Second), nil
}

// FormatSpan prints seconds in the largest unit that divides them.
func FormatSpan(sec int64) string {
	switch {
	case sec != 0 && sec%day == 0:
		return strconv.FormatInt(sec/day, 10) + "d"
	case sec != 0 && sec%3600 == 0:
		return strconv.FormatInt(sec/3600, 10) + "h"
	case sec != 0 && sec%60 == 0:
		return strconv.FormatInt(sec/60, 10) + "m"
	}
	return strconv.FormatInt(sec, 10) + "s"
}

func (r *reader) number(t *node, key string, least, most int64) (out said[int64]) {
	f := r.must(t, key, aNumber)
	if f == nil {
		return out
	}
	v, err := strconv.ParseInt(strings.ReplaceAll(f.text, "_", ""), 0, 64)
	if err != nil || v < least || v > most {
		r.add(f.value, fmt.Sprintf("want %d to %d", least, most), "%s = %s", key, clipped(f.text))
		return out
	}
	return said[int64]{v, f.at, true}
}

func (r *reader) flag(t *node, key string) (out said[bool]) {
	if f := r.must(t, key, aBool); f != nil {
		return said[bool]{f.text == "true", f.at, true}
	}
	return out
}

func (r *reader) word(t *node, key string) (out said[string]) {
	if f := r.must(t, key, aString); f != nil {
		return said[string]{f.text, f.value, true}
	}
	return out
}

// Groups of resources whose names have a dot: in TOML a key such as egress.rate
// is a table within a table.
var groups = func() map[string]bool {
	m := map[string]bool{}
	for _, name := range lease.ResourceNames() {
		if group, _, ok := strings.Cut(name, "."); ok {
			m[group] = true
		}
	}
	return m
}()

// amounts reads every key that names a resource; keys are what else stands in
// the table. In a limit "any" is none.
func (r *reader) amounts(t *node, where string, limit bool, keys ...string) (out amounts) {
	known := slices.Concat(keys, lease.ResourceNames())
	put := func(f *node, name string) {
		res, err := lease.ParseResource(name)
		if err != nil {
			r.unknown(f.at, name, where, known)
			return
		}
		if out[res].ok {
			r.add(f.at, "", "%s is there twice", name)
			return
		}
		out[res] = r.amount(f, res, limit)
	}
	for _, f := range t.fields {
		switch {
		case f.used:
		case f.kind == aTable && groups[f.key]:
			for _, inner := range f.fields {
				put(inner, f.key+"."+inner.key)
			}
		default:
			put(f, f.key)
		}
	}
	return out
}

// amount reads 4000, "2GiB" or "12.5%".
func (r *reader) amount(f *node, res lease.Resource, limit bool) (out said[amount]) {
	said := said[amount]{at: f.at, ok: true}
	var err error
	switch {
	case f.kind != aString && f.kind != aNumber:
		r.add(f.value, "want an amount such as "+example(res), "%s is %s", res, f.kind)
		return out
	case limit && f.text == "any":
		return said
	case strings.HasSuffix(f.text, "%") && f.kind == aString:
		said.v.isOf = true
		said.v.share, err = percent(f.text)
	case f.kind == aNumber:
		said.v.fixed, err = strconv.ParseUint(strings.ReplaceAll(strings.TrimPrefix(f.text, "+"), "_", ""), 0, 64)
	default:
		said.v.fixed, err = res.ParseAmount(f.text)
	}
	switch {
	case err != nil || said.v.fixed > lease.MaxAmount:
		r.add(f.value, "want an amount such as "+example(res), "%s = %s", res, quoted(f))
		return out
	case limit && said.v == amount{}:
		r.add(f.value, `"any" is no limit; to have none of it leased, give the pool none`, "%s = 0 as a limit", res)
		return out
	}
	return said
}

func quoted(f *node) string {
	if f.kind == aString {
		return strconv.Quote(clipped(f.text))
	}
	return clipped(f.text)
}

// example is an amount as people write it.
func example(res lease.Resource) string {
	switch res {
	case lease.CPU:
		return `2000 (thousandths of a core) or "25%"`
	case lease.Memory, lease.Disk, lease.EgressDaily, lease.IO:
		return `"2GiB" or "25%"`
	case lease.EgressRate, lease.IngressRate:
		return `"50mbit" or "25%"`
	}
	return `500 or "25%"`
}

// percent reads "12.5%" as hundredths of a percent.
func percent(s string) (uint64, error) {
	whole, part, dotted := strings.Cut(strings.TrimSuffix(s, "%"), ".")
	if dotted && (part == "" || len(part) > 2) {
		return 0, lease.ErrSyntax
	}
	v, err := strconv.ParseUint(whole+(part + "00")[:2], 10, 32)
	if err != nil || whole == "" || v > 100_00 {
		return 0, lease.ErrSyntax
	}
	return v, nil
}

// of resolves an amount against a whole.
func (a amount) of(whole uint64) uint64 {
	if !a.isOf {
		return a.fixed
	}
	if a.share != 0 && whole > math.MaxUint64/a.share {
		return whole / 100_00 * a.share
	}
	return whole * a.share / 100_00
}

// principal resolves a name, or reads a key in either of its forms.
func (r *reader) principal(f *node) (listed, bool) {
	if f.kind != aString {
		r.add(f.value, "want a name of [principals], or a key", "%s", f.kind)
		return listed{}, false
	}
	if p, ok := r.s.principals[f.text]; ok {
		r.s.used[f.text] = true
		return listed{p, f.text, f.value}, true
	}
	p, err := sign.ParsePrincipal(f.text)
	if err != nil || p.IsZero() {
		want := "want a name of [principals], 52 characters of a-z and 2-7, or ssh-ed25519 …"
		if near := offer.Meant(f.text, r.s.names); near != "" {
			want = "did you mean " + near + "?"
		}
		r.add(f.value, want, "no principal %q", clipped(f.text))
		return listed{}, false
	}
	return listed{p, p.Short(), f.value}, true
}

func (r *reader) list(t *node, key string) (out []listed, at Mark, ok bool) {
	f := r.must(t, key, aList)
	if f == nil {
		return nil, Mark{}, false
	}
	if len(f.items) > MaxPrincipals {
		r.add(f.value, fmt.Sprintf("want at most %d", MaxPrincipals), "%d principals", len(f.items))
		return nil, Mark{}, false
	}
	for _, item := range f.items {
		if p, ok := r.principal(item); ok {
			out = append(out, p)
		}
	}
	return out, f.at, true
}
