// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// ErrProfile: there is no profile of that name or size.
var ErrProfile = errors.New("unknown profile")

// Names are the profiles that there are.
var Names = []string{"planetlab", "flat"}

// Place is where a node is. Nodes of a site have its number and its AS.
type Place struct {
	Country, Region, City string
	Lat, Lon              float64 // degrees
	AS                    uint32
	Site                  int
	CPU                   uint64 // thousandths of a core that the machine has
	Memory                uint64 // bytes
}

// Profile is the places of a network.
type Profile struct {
	Name   string
	places []Place
	miles  []time.Duration // the last mile of each node
	cities []int           // of each node, an index; flat: none
	ways   [][]time.Duration
}

const (
	firstAS = 64_512 // private numbers: these networks are nobody's
	flatWay = 25 * time.Millisecond
)

// Regions returns the regions of a profile, sorted.
func Regions(name string) (list []string) {
	if name != "planetlab" {
		return nil
	}
	for _, c := range cities {
		list = append(list, c.region)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// New makes a profile for n nodes. The error is ErrProfile.
func New(name string, n int, seed uint64) (*Profile, error) {
	if n < 1 || !slices.Contains(Names, name) {
		return nil, fmt.Errorf("profile %q of %d nodes: %w", name, n, ErrProfile)
	}
	p := &Profile{Name: name}
	rng := rand.New(rand.NewPCG(seed, 0x70726f66))
	if name == "planetlab" {
		p.spread(n, rng)
	} else {
		p.places = make([]Place, n)
		for i := range p.places {
			p.places[i] = Place{Country: "XX", Region: "xx", City: "Flat", AS: firstAS}
		}
	}
	for i := range p.places {
		cores := 1 << rng.IntN(5) // 1 to 16
		p.places[i].CPU, p.places[i].Memory = uint64(cores)*1000, uint64(cores)*2<<30
		mile := time.Duration(0)
		if name == "planetlab" {
			mile = min(200*time.Microsecond+time.Duration(rng.ExpFloat64()*float64(time.Millisecond)), 8*time.Millisecond)
		}
		p.miles = append(p.miles, mile)
	}
	return p, nil
}

// spread puts 125 sites for every 340 nodes into cities, and the nodes at the
// sites in turn.
func (p *Profile) spread(n int, rng *rand.Rand) {
	var order []int // the cities of the first 125 sites
	for round := 0; len(order) < firstSites(); round++ {
		for i, c := range cities {
			if round < c.sites {
				order = append(order, i)
			}
		}
	}
	sites := (n*125 + 339) / 340
	for i := range n {
		site := i % sites
		at := order[site%len(order)]
		c := cities[at]
		p.cities = append(p.cities, at)
		p.places = append(p.places, Place{Country: c.country, Region: c.region, City: c.name, Lat: c.lat, Lon: c.lon,
			AS: firstAS + uint32(site), Site: site})
	}
	p.ways = make([][]time.Duration, len(cities))
	for a := range cities {
		p.ways[a] = make([]time.Duration, len(cities))
		for b := range a {
			detour := 1.2 + rng.Float64()
			p.ways[a][b] = time.Duration(detour * float64(light(cities[a], cities[b])))
			p.ways[b][a] = p.ways[a][b]
		}
		p.ways[a][a] = time.Duration((0.1 + rng.Float64()) * float64(time.Millisecond)) // across a city
	}
}

func firstSites() (n int) {
	for _, c := range cities {
		n += c.sites
	}
	return n
}

// light is how long light in glass takes along the great circle.
func light(a, b city) time.Duration {
	const earth, speed = 6371.0, 200_000.0 // km, km/s
	rad := math.Pi / 180
	dlat, dlon := (b.lat-a.lat)*rad, (b.lon-a.lon)*rad
	h := math.Pow(math.Sin(dlat/2), 2) + math.Cos(a.lat*rad)*math.Cos(b.lat*rad)*math.Pow(math.Sin(dlon/2), 2)
	return time.Duration(2 * earth * math.Asin(math.Min(1, math.Sqrt(h))) / speed * float64(time.Second))
}

// Len returns the number of nodes.
func (p *Profile) Len() int { return len(p.places) }

// Place returns where a node is.
func (p *Profile) Place(i int) Place { return p.places[i] }

// OneWay returns how long a packet takes between two nodes. It is the same both
// ways.
func (p *Profile) OneWay(a, b int) time.Duration {
	switch {
	case a == b:
		return 20 * time.Microsecond // a loopback
	case p.cities == nil:
		return flatWay
	case p.places[a].Site == p.places[b].Site:
		return (p.miles[a] + p.miles[b]) / 2
	}
	return p.ways[p.cities[a]][p.cities[b]] + p.miles[a] + p.miles[b]
}
