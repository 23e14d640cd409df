// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"slices"

	"croft/lease"
)

// Candidate is a node that may witness another's log. Site is what it has in
// common with those that one owner can make at will: a site that has certified
// it, else its network.
type Candidate struct {
	_    struct{} `cbor:",toarray"`
	Node lease.Principal
	Site string
}

// Witnesses chooses those of a node by rendezvous hash: of all candidates the
// eight of the least SHA-256(domain ‖ node ‖ candidate), as far as they are of at
// least three sites where there are so many; the node itself never, and others of
// its own site only where eight cannot be had without. Whoever knows the same
// nodes chooses the same; whoever knows others differs in the few that he lacks,
// for a newcomer takes one's place and no more.
//
// A node cannot choose its witnesses. It can make keys until some hash well, but
// not more than six of one site are taken.
func Witnesses(of lease.Principal, known []Candidate) []lease.Principal {
	own := ""
	for _, c := range known {
		if c.Node == of {
			own = c.Site
		}
	}
	type scored struct {
		Candidate
		score [sha256.Size]byte
		own   bool
	}
	all := make([]scored, 0, len(known))
	for _, c := range known {
		if c.Node == of {
			continue
		}
		all = append(all, scored{c, score(of, c.Node), own != "" && c.Site == own})
	}
	slices.SortFunc(all, func(a, b scored) int {
		if a.own != b.own {
			if a.own {
				return 1
			}
			return -1
		}
		return bytes.Compare(a.score[:], b.score[:])
	})
	total := map[string]bool{}
	for _, c := range all {
		total[c.Site] = true
	}
	wanted := min(WitnessSites, len(total))
	var chosen []lease.Principal
	sites := map[string]bool{}
	for _, c := range all {
		// A place that another site must have is not given to one that is in already.
		room := WitnessCount - len(chosen)
		if room == 0 {
			break
		}
		if sites[c.Site] && room <= wanted-len(sites) || slices.Contains(chosen, c.Node) {
			continue
		}
		sites[c.Site] = true
		chosen = append(chosen, c.Node)
	}
	return chosen
}

func score(of, candidate lease.Principal) [sha256.Size]byte {
	var b [len(WitnessDomain) + 2*len(of)]byte
	n := copy(b[:], WitnessDomain)
	n += copy(b[n:], of[:])
	copy(b[n:], candidate[:])
	return sha256.Sum256(b[:])
}

// likely reports whether a node can be among the first likelyRank of n: looking
// closely at all pairs of a large view would take seconds.
func likely(of, candidate lease.Principal, n int) bool {
	if n <= likelyRank {
		return true
	}
	s := score(of, candidate)
	return binary.BigEndian.Uint64(s[:]) <= math.MaxUint64/uint64(n)*likelyRank
}
