// SPDX-License-Identifier: Apache-2.0

package offer

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"slices"
	"strconv"

	"croft/lease"
)

// Key is one attribute by which matches are put in order.
type Key struct {
	Attr       string
	Descending bool
}

func (k Key) String() string {
	if k.Descending {
		return "-" + k.Attr
	}
	return k.Attr
}

// Ordered reports whether the first match can be told only when all are known: an
// order or spread compares all, and round trips are measured of those alone who
// would be named.
func (q Query) Ordered() bool {
	return len(q.Order) > 0 || q.Spread != "" || slices.ContainsFunc(q.Constraints, func(c Constraint) bool { return c.Attr == "rtt" })
}

// ranked is a match with what it states of each key.
type ranked struct {
	found Found
	by    []stated
	tie   [sha256.Size]byte
}

type stated struct {
	number uint64
	text   string
	ok     bool
}

// sort orders by the first key in which two differ; what is not stated comes last,
// either way.
func (q Query) sort(found []Found, opt Options) {
	rank := make([]ranked, len(found))
	for i, f := range found {
		rank[i] = ranked{found: f, tie: sha256.Sum256(append(slices.Clone(opt.Salt), f.Offer.Node[:]...))}
		for _, k := range q.Order {
			rank[i].by = append(rank[i].by, k.of(&f.Offer, opt))
		}
	}
	slices.SortFunc(rank, func(x, y ranked) int {
		for i, k := range q.Order {
			if c := k.compare(x.by[i], y.by[i]); c != 0 {
				return c
			}
		}
		return bytes.Compare(x.tie[:], y.tie[:])
	})
	for i := range rank {
		found[i] = rank[i].found
	}
}

func (k Key) of(o *Offer, opt Options) (s stated) {
	a, known := lookup(k.Attr)
	switch {
	case !known:
	case a.kind != words:
		s.number, s.ok = a.number(o, opt.measured(o))
	default:
		if texts := a.texts(o); len(texts) > 0 {
			s.text, s.ok = texts[0], texts[0] != ""
		}
	}
	return s
}

func (k Key) compare(x, y stated) int {
	switch {
	case x.ok != y.ok:
		return map[bool]int{true: -1, false: 1}[x.ok]
	case k.Descending:
		x, y = y, x
	}
	return cmp.Or(cmp.Compare(x.number, y.number), cmp.Compare(x.text, y.text))
}

// spread takes the best of each group, then the second of each, and so on.
func (q Query) spread(found []Found) []Found {
	if q.Spread == "" {
		return found
	}
	seen := map[string]int{}
	turn := make(map[lease.Principal]int, len(found))
	for _, f := range found {
		g := group(q.Spread, &f.Offer)
		turn[f.Offer.Node] = seen[g]
		seen[g]++
	}
	slices.SortStableFunc(found, func(a, b Found) int { return turn[a.Offer.Node] - turn[b.Offer.Node] })
	return found
}

// group names what a node shares with others. Nodes that state nothing form one
// group: silence must not look like diversity.
func group(by string, o *Offer) string {
	switch by {
	case "as":
		return strconv.FormatUint(uint64(o.Attributes.AS), 10)
	case "country":
		return o.Attributes.Country
	}
	if o.Site.IsZero() {
		return o.SiteName()
	}
	return o.Site.String()
}
