// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"reflect"
	"testing"
	"time"
)

// PlanetLab in December 2003: 340 nodes at 125 sites in 30 countries.
func TestPlanetLab(t *testing.T) {
	p, err := New("planetlab", 340, 1)
	if err != nil {
		t.Fatal(err)
	}
	sites, countries, na := map[int]string{}, map[string]bool{}, 0
	for i := range p.Len() {
		at := p.Place(i)
		if city, ok := sites[at.Site]; ok && city != at.City {
			t.Errorf("site %d is in %s and %s", at.Site, city, at.City)
		}
		sites[at.Site], countries[at.Country] = at.City, true
		if at.Region == "na" {
			na++
		}
	}
	if len(sites) != 125 || len(countries) != 30 || firstSites() != 125 {
		t.Errorf("%d sites (%d in the table) in %d countries", len(sites), firstSites(), len(countries))
	}
	if na < 340*45/100 || na > 340*60/100 {
		t.Errorf("%d of 340 nodes in North America", na)
	}
}

func TestDistances(t *testing.T) {
	p, err := New("planetlab", 1000, 2)
	if err != nil {
		t.Fatal(err)
	}
	far := map[[2]string]time.Duration{}
	var sum time.Duration
	for a := range 300 {
		for b := range a {
			d := p.OneWay(a, b)
			if d != p.OneWay(b, a) {
				t.Fatalf("%d to %d is %s, back %s", a, b, d, p.OneWay(b, a))
			}
			if d <= 0 || d > 300*time.Millisecond {
				t.Errorf("%s to %s in %s", p.Place(a).City, p.Place(b).City, d)
			}
			far[[2]string{p.Place(a).Region, p.Place(b).Region}] = d
			sum += d
		}
	}
	if mean := sum / (300 * 299 / 2); mean < 20*time.Millisecond || mean > 80*time.Millisecond {
		t.Errorf("one way is %s on average", mean)
	}
	again, err := New("planetlab", 1000, 2)
	if err != nil || !reflect.DeepEqual(p, again) {
		t.Error("the same arguments make another profile")
	}
	other, _ := New("planetlab", 1000, 3)
	if reflect.DeepEqual(p, other) {
		t.Error("another seed makes the same profile")
	}
}

func TestUnknown(t *testing.T) {
	for _, name := range []string{"", "moon"} {
		if _, err := New(name, 3, 1); err == nil {
			t.Errorf("there is a profile %q", name)
		}
	}
	if _, err := New("flat", 0, 1); err == nil {
		t.Error("a profile of nobody")
	}
}
