// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"io"
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
	total := map[string]bool{}
	for i := 0; i < len(known) && len(total) < WitnessSites; i++ { // of more it does not matter how many
		if known[i].Node != of {
			total[known[i].Site] = true
		}
	}
	all := make([]scored, 0, min(len(known), 4*firstRank))
	for rank := uint64(firstRank); ; rank = uint64(len(known)) {
		all = all[:0]
		for i := range known {
			c := &known[i]
			if c.Node == of {
				continue
			}
			// Of many, those of the least scores hardly ever leave a place to others.
			s, isOwn := score(of, c.Node), own != "" && c.Site == own
			if whole := rank >= uint64(len(known)); whole || !isOwn && within(s, rank, len(known)) {
				all = append(all, scored{c, s, isOwn})
			}
		}
		if chosen := choose(all, min(WitnessSites, len(total))); len(chosen) == WitnessCount || rank >= uint64(len(known)) {
			return chosen
		}
	}
}

type scored struct {
	*Candidate
	score [sha256.Size]byte
	own   bool
}

// choose takes those of the least scores, of so many sites at least, others of the
// node's own last.
func choose(all []scored, wanted int) (chosen []lease.Principal) {
	slices.SortFunc(all, func(a, b scored) int {
		if a.own != b.own {
			if a.own {
				return 1
			}
			return -1
		}
		return bytes.Compare(a.score[:], b.score[:])
	})
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

// digest is the same for the same candidates in the same order.
func digest(nodes []Candidate) (d [sha256.Size]byte) {
	h := sha256.New()
	for _, c := range nodes {
		h.Write(c.Node[:])
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(c.Site))))
		io.WriteString(h, c.Site)
	}
	h.Sum(d[:0])
	return d
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
	return n <= likelyRank || within(score(of, candidate), likelyRank, n)
}

// within reports whether a score is one of those that some rank of n have.
func within(s [sha256.Size]byte, rank uint64, n int) bool {
	return binary.BigEndian.Uint64(s[:])/rank <= math.MaxUint64/uint64(n)
}
