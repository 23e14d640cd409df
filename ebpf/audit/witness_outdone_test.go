// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"fmt"
	"slices"
	"testing"

	"croft/lease/leasetest"
)

// Whoever is outdone is no witness, however nodes are spread over sites, and of those
// that are none nearly all are seen to be.
func TestTheOutdoneAreNoWitnesses(t *testing.T) {
	for sites, least := range map[int]int{2: 0, 3: 0, 4: 75, 40: 85} {
		var known []Candidate
		for i := range 120 {
			site := i % sites
			if i%3 > 0 {
				site = 0 // has most
			}
			known = append(known, Candidate{Node: leasetest.Who(fmt.Sprint("n", i)), Site: fmt.Sprint(site)})
		}
		seen, none := 0, 0
		for i := range known {
			chosen := Witnesses(known[i].Node, known)
			for _, c := range known {
				is, out := slices.Contains(chosen, c.Node), outdone(c.Node, &known[i], known)
				if is && out {
					t.Fatalf("%d sites: a witness of %s is outdone", sites, known[i].Node.Short())
				}
				if !is {
					none++
				}
				if out {
					seen++
				}
			}
		}
		if seen*100 < least*none {
			t.Errorf("%d sites: of %d that are no witnesses %d are seen to be none", sites, none, seen)
		}
	}
}

// Of many candidates the first few are looked at first: what is chosen is the same as
// of all in order, also where one site has nearly all of them, or all.
func TestOfManyTheFewSuffice(t *testing.T) {
	for _, small := range []int{0, 1, 3, 100, 400} {
		var known []Candidate
		for i := range 700 {
			site := "large"
			if i < small {
				site = fmt.Sprint("small", i%50)
			}
			known = append(known, Candidate{Node: leasetest.Who(fmt.Sprint("n", i)), Site: site})
		}
		for i := 0; i < len(known); i += 70 {
			of := known[i]
			var all []scored
			sites := map[string]bool{}
			for j := range known {
				if c := &known[j]; c.Node != of.Node {
					sites[c.Site] = true
					all = append(all, scored{c, score(of.Node, c.Node), c.Site == of.Site})
				}
			}
			if got, want := Witnesses(of.Node, known), choose(all, min(WitnessSites, len(sites))); !slices.Equal(got, want) {
				t.Fatalf("%d of small sites: chosen are %v, want %v", small, got, want)
			}
		}
	}
}
