// SPDX-License-Identifier: Apache-2.0

package play

import (
	"fmt"
	"maps"
	"strings"
	"time"

	"croft/lease"
	"croft/sim/lab"
	"croft/sim/profile"
	"croft/sim/scenario"
)

// layout is the lab in which a scenario is played: its sites and nodes are those of
// the profile, in the same order, and as far apart.
func layout(s *scenario.Scenario, c lab.Config) (lab.Config, error) {
	p, err := profile.New(s.Nodes.Profile, s.Nodes.Count, s.Seed)
	if err != nil {
		return c, err
	}
	first := map[string]int{} // site → its first node
	for i := range p.Len() {
		at := p.Place(i)
		name := fmt.Sprintf("s%d", at.Site)
		if s.Nodes.Profile == "flat" { // everybody is as far from everybody
			name = fmt.Sprintf("f%d", i)
		}
		if _, known := first[name]; !known {
			first[name] = i
			c.Sites = append(c.Sites, lab.Site{Name: name, Country: at.Country, Region: at.Region, City: at.City, Lat: at.Lat, Lon: at.Lon, AS: at.AS})
		}
		c.Nodes = append(c.Nodes, lab.NodeSpec{Site: name, Capacity: capacity(at)})
	}
	c.OneWay = func(a, b lab.Site) time.Duration {
		i, inside := first[a.Name]
		j, both := first[b.Name]
		if !inside || !both {
			return lab.Distance(a, b) // of outside, where nobody of the scenario is
		}
		return p.OneWay(i, j)
	}
	c.Late = func(node int) bool { return node > 0 } // they join in their own time
	return c, nil
}

// capacity is what a place leases out, and of what it does not say what a lab's
// nodes do.
func capacity(at profile.Place) map[string]string {
	all := maps.Clone(lab.DefaultCapacity())
	for r, v := range at.Capacity() {
		if v > 0 {
			all[lease.Resource(r).String()] = lease.Resource(r).Format(v)
		}
	}
	return all
}

// amounts writes a capacity as amounts are read.
func amounts(all map[string]string) string {
	var parts []string
	for name, amount := range all {
		parts = append(parts, name+"="+amount)
	}
	return strings.Join(parts, ",")
}

// joins returns when each node does.
func joins(s *scenario.Scenario) []time.Duration {
	at := make([]time.Duration, s.Nodes.Count)
	for i := range at {
		at[i] = time.Duration(i/s.Join.Wave) * s.Join.Every
	}
	return at
}
