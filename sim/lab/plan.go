// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// fabric holds every address of every lab (RFC 2544: never routed).
var fabric = netip.MustParsePrefix("198.18.0.0/16")

const (
	prefix       = "croftlab-" // of every namespace that a lab makes
	overlayPort  = 4001        // of the daemons, UDP and TCP
	courtesyPort = 4080        // of their courtesy pages
)

// plan is everything that a lab will make, decided before anything is made.
type plan struct {
	Name  string  `json:"name"`
	Sites []place `json:"sites"` // the last is outside
	Nodes []node  `json:"nodes"`
}

// place is a site with what the lab gives it.
type place struct {
	Site
	NetNS   string        `json:"netns"`
	Edge    string        `json:"edge"`       // namespace of the uplink: NetNS, or its carrier's
	Prefix  netip.Prefix  `json:"prefix"`     // on the fabric
	Gateway netip.Addr    `json:"gateway"`    // on the fabric
	LAN     netip.Prefix  `json:"lan"`        // of the nodes: Prefix, or a private one behind NAT
	Router  netip.Addr    `json:"router"`     // on the LAN
	OneWay  []microsecond `json:"one_way_us"` // to each site, by index
}

// node is one daemon's place in the lab.
type node struct {
	NodeSpec
	Name    string     `json:"name"` // "uni-a/n1"
	NetNS   string     `json:"netns"`
	Address netip.Addr `json:"address"`
	Dir     string     `json:"dir"`    // state, configuration and log
	Listen  int        `json:"listen"` // port of the overlay, UDP and TCP
	Port    string     `json:"port"`   // the bridge's end of the node's veth
}

type microsecond int64

func (m microsecond) duration() time.Duration { return time.Duration(m) * time.Microsecond }

func (n node) socket() string { return filepath.Join(n.Dir, "run", "croft.sock") }
func (n node) config() string { return filepath.Join(n.Dir, "croft.toml") }
func (n node) cert() string   { return filepath.Join(n.Dir, "site.cert") }
func (n node) log() string    { return filepath.Join(n.Dir, "croft.log") }

var (
	goodName = regexp.MustCompile(`^[a-z0-9]{1,12}$`)
	goodSite = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
)

// draw makes the plan of c, whose Name and Dir are set.
func draw(c Config) (*plan, error) {
	if !goodName.MatchString(c.Name) {
		return nil, fmt.Errorf("name %q: want 1 to %d lower-case letters and digits", c.Name, maxName)
	}
	sites, specs := c.Sites, c.Nodes
	if sites == nil {
		sites = DefaultSites()
	}
	if specs == nil {
		n := c.N
		if n == 0 {
			n = 5
		}
		specs = spread(n, sites)
	}
	if len(specs) < 1 || len(specs) > maxNodes {
		return nil, fmt.Errorf("%d nodes: want 1 to %d", len(specs), maxNodes)
	}
	if len(sites) < 1 || len(sites) > maxSites {
		return nil, fmt.Errorf("%d sites: want 1 to %d", len(sites), maxSites)
	}
	p := &plan{Name: c.Name}
	if err := p.settle(sites); err != nil {
		return nil, err
	}
	if err := p.populate(specs, c.Dir); err != nil {
		return nil, err
	}
	return p, p.measure(c.OneWay)
}

// settle gives every site, and outside, its namespace and addresses.
func (p *plan) settle(sites []Site) error {
	seen := map[string]bool{outsideName: true}
	base := fabric.Addr().As4()
	for i, site := range sites {
		if !goodSite.MatchString(site.Name) || len(site.Name) > 24 {
			return fmt.Errorf("site %q: want at most 24 lower-case letters, digits and inner hyphens", site.Name)
		}
		if seen[site.Name] {
			return fmt.Errorf("site %q: named twice", site.Name)
		}
		seen[site.Name] = true
		if err := site.NAT.check(); err != nil {
			return fmt.Errorf("site %q: %w", site.Name, err)
		}
		p.Sites = append(p.Sites, p.place(site, [4]byte{base[0], base[1], byte(i + 1), 0}))
	}
	p.Sites = append(p.Sites, p.place(outside, [4]byte{base[0], base[1], 255, 0}))
	return nil
}

func (p *plan) place(site Site, net [4]byte) place {
	addr := netip.AddrFrom4(net)
	s := place{Site: site, NetNS: prefix + p.Name + "-" + site.Name,
		Prefix: netip.PrefixFrom(addr, 24), Gateway: addr.Next()}
	s.Edge, s.LAN, s.Router = s.NetNS, s.Prefix, s.Gateway
	if site.NAT.translates() {
		s.LAN = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, net[1], net[2], 0}), 24)
		s.Router = s.LAN.Addr().Next()
	}
	if site.NAT == NATCarrier {
		s.Edge += "-carrier"
	}
	return s
}

// populate gives every node its name, namespace and address.
func (p *plan) populate(specs []NodeSpec, dir string) error {
	count := make(map[string]int)
	for _, spec := range specs {
		at, ok := p.site(spec.Site)
		if !ok || spec.Site == outsideName {
			return fmt.Errorf("site %q of a node: not among the sites", spec.Site)
		}
		count[spec.Site]++
		k := count[spec.Site]
		if spec.Capacity == nil {
			spec.Capacity = DefaultCapacity()
		}
		address := at.LAN.Addr().As4()
		address[3] = byte(10 + k)
		n := node{
			NodeSpec: spec,
			Name:     fmt.Sprintf("%s/n%d", spec.Site, k),
			NetNS:    fmt.Sprintf("%s-%d", at.NetNS, k),
			Address:  netip.AddrFrom4(address),
			Dir:      filepath.Join(dir, "nodes", fmt.Sprintf("%s-%d", spec.Site, k)),
			Port:     fmt.Sprintf("n%d", k),
			Listen:   overlayPort,
		}
		if at.NAT.translates() {
			n.Listen += k - 1 // so that each keeps its own outside
		}
		if s := n.socket(); len(s) > maxSocket {
			return fmt.Errorf("directory %s: too long a path, its sockets would have %d bytes and may have %d", dir, len(s), maxSocket)
		}
		p.Nodes = append(p.Nodes, n)
	}
	if _, err := p.founder(); err != nil {
		return err
	}
	return p.distinct()
}

// founder is the node that the others join by: the first that they can reach.
func (p *plan) founder() (string, error) {
	for _, n := range p.Nodes {
		if s, _ := p.site(n.Site); !s.NAT.translates() {
			return n.Name, nil
		}
	}
	return "", errors.New("every node is behind NAT: nobody could be joined by")
}

// distinct refuses plans in which a site's namespace is another's node's, as
// of a site "a-1" beside the first node of a site "a".
func (p *plan) distinct() error {
	seen := make(map[string]bool)
	for _, name := range p.namespaces() {
		if seen[name] {
			return fmt.Errorf("namespace %s: needed twice; rename a site", name)
		}
		seen[name] = true
	}
	return nil
}

// measure fills in the distances.
func (p *plan) measure(oneWay func(a, b Site) time.Duration) error {
	if oneWay == nil {
		oneWay = Distance
	}
	for i := range p.Sites {
		for j := range p.Sites {
			var d time.Duration
			if i != j {
				d = oneWay(p.Sites[i].Site, p.Sites[j].Site)
			}
			if d < 0 || d > maxOneWay {
				return fmt.Errorf("distance from %s to %s: %v is not within 0 and %v", p.Sites[i].Name, p.Sites[j].Name, d, maxOneWay)
			}
			p.Sites[i].OneWay = append(p.Sites[i].OneWay, microsecond(d.Microseconds()))
		}
	}
	return nil
}

// namespaces lists every namespace of the plan.
func (p *plan) namespaces() []string {
	var names []string
	for _, s := range p.Sites {
		names = append(names, s.NetNS)
		if s.Edge != s.NetNS {
			names = append(names, s.Edge)
		}
	}
	for _, n := range p.Nodes {
		names = append(names, n.NetNS)
	}
	return names
}

func (p *plan) site(name string) (place, bool) {
	for _, s := range p.Sites {
		if s.Name == name {
			return s, true
		}
	}
	return place{}, false
}

func (p *plan) node(name string) (node, error) {
	for _, n := range p.Nodes {
		if n.Name == name {
			return n, nil
		}
	}
	return node{}, p.unknown(name)
}

// netns finds the namespace of a node, of a site's router, or outside's.
func (p *plan) netns(name string) (string, error) {
	if s, ok := p.site(name); ok {
		return s.NetNS, nil
	}
	n, err := p.node(name)
	return n.NetNS, err
}

func (p *plan) unknown(name string) error {
	var names []string
	for _, n := range p.Nodes {
		names = append(names, n.Name)
	}
	return fmt.Errorf("%w %q: there are %s and %s", ErrUnknownNode, name, strings.Join(names, ", "), outsideName)
}
