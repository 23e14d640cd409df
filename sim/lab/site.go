// SPDX-License-Identifier: Apache-2.0

package lab

// Site is a place with an uplink and an owner. Each has its own key.
type Site struct {
	Name    string  `json:"name"`    // lower-case letters, digits and inner hyphens
	Country string  `json:"country"` // ISO 3166-1 alpha-2
	Region  string  `json:"region"`
	City    string  `json:"city"`
	Lat     float64 `json:"lat"` // degrees north
	Lon     float64 `json:"lon"` // degrees east
	AS      uint32  `json:"as"`  // autonomous system; the default ones are for documentation (RFC 5398)
	NAT     NAT     `json:"nat,omitempty"`
}

// NodeSpec asks for one node.
type NodeSpec struct {
	Site     string            `json:"site"`
	Labels   map[string]string `json:"labels,omitempty"`
	Capacity map[string]string `json:"capacity,omitempty"` // nil: DefaultCapacity
}

// DefaultSites are three owners in three places; two of them share a continent.
func DefaultSites() []Site {
	return []Site{
		{Name: "uni-a", Country: "NL", Region: "eu", City: "Amsterdam", Lat: 52.37, Lon: 4.90, AS: 64496},
		{Name: "isp-b", Country: "DE", Region: "eu", City: "Frankfurt", Lat: 50.11, Lon: 8.68, AS: 64497},
		{Name: "lab-c", Country: "US", Region: "na", City: "Boston", Lat: 42.36, Lon: -71.06, AS: 64498},
	}
}

// DefaultCapacity is what a node of the lab lets, unless its spec says
// otherwise: something of every resource. The nodes share one machine, so this
// is a promise on paper.
func DefaultCapacity() map[string]string {
	return map[string]string{
		"cpu": "4000", "memory": "2GiB", "disk": "8GiB", "pids": "4096", "io": "100MiB",
		"egress.rate": "100mbit", "ingress.rate": "100mbit",
		"egress.packets": "50k", "ingress.packets": "50k", "egress.daily": "100GiB",
		"flows.new": "10k", "flows.live": "65536", "ports.in": "256", "ports.out": "16384",
	}
}

// outside is where the host that belongs to nobody stands.
var outside = Site{Name: outsideName, Country: "SG", Region: "as", City: "Singapore", Lat: 1.35, Lon: 103.82, AS: 64511}

const outsideName = "outside"

// spread deals n nodes to the sites in turn: five make 2, 2, 1.
func spread(n int, sites []Site) []NodeSpec {
	var specs []NodeSpec
	for i, site := range sites {
		share := n / len(sites)
		if i < n%len(sites) {
			share++
		}
		for range share {
			specs = append(specs, NodeSpec{Site: site.Name})
		}
	}
	return specs
}
