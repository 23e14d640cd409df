// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"croft/ebpf"
	"croft/lease"
)

// By default slivers reach nothing of the lab, and in the lab's profile its
// fabric and nothing besides that is closed: not their own addresses, nor those
// between a node and its host.
func TestTheProfileOpensTheFabricAlone(t *testing.T) {
	byDefault, err := ebpf.NewRules(nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	inLab, err := ebpf.NewRules([]netip.Prefix{fabric}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]struct{ byDefault, inLab bool }{
		"198.18.0.0": {false, true}, "198.18.1.11": {false, true}, "198.18.255.255": {false, true},
		"198.17.255.255": {true, true}, "198.19.0.0": {}, "198.19.0.17": {}, "198.19.128.1": {}, "10.0.0.1": {}, "169.254.169.254": {},
		"64:ff9b::c612:10b": {}, "2002:c612:10b::1": {}, "fd00::1": {}, "8.8.8.8": {true, true}, "2600::1": {true, true},
	} {
		to := netip.AddrPortFrom(netip.MustParseAddr(addr), 443)
		if a, b := byDefault.Allow(6, to), inLab.Allow(6, to); a != want.byDefault || b != want.inLab {
			t.Errorf("%s: open by default %v, in the lab %v; want %+v", addr, a, b, want)
		}
	}
}

func TestDrawDefault(t *testing.T) {
	p, err := draw(Config{Name: "demo", Dir: "/tmp/demo"})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, n := range p.Nodes {
		got = append(got, n.Name+" "+n.Address.String()+" "+n.NetNS)
	}
	want := `uni-a/n1 198.18.1.11 croftlab-demo-uni-a-1
uni-a/n2 198.18.1.12 croftlab-demo-uni-a-2
isp-b/n1 198.18.2.11 croftlab-demo-isp-b-1
isp-b/n2 198.18.2.12 croftlab-demo-isp-b-2
lab-c/n1 198.18.3.11 croftlab-demo-lab-c-1`
	if strings.Join(got, "\n") != want {
		t.Errorf("nodes:\n%s\nwant:\n%s", strings.Join(got, "\n"), want)
	}
	out := p.Sites[len(p.Sites)-1]
	if out.Name != outsideName || out.Gateway.String() != "198.18.255.1" {
		t.Errorf("outside is %s at %s", out.Name, out.Gateway)
	}
	for _, n := range p.Nodes {
		if !fabric.Contains(n.Address) {
			t.Errorf("%s: %s is not of %s", n.Name, n.Address, fabric)
		}
	}
}

func TestDrawRefuses(t *testing.T) {
	for what, c := range map[string]Config{
		"name \"a-b\"":                  {Name: "a-b"},
		"name \"\"":                     {},
		"0 nodes":                       {Name: "x", N: -1},
		"65 nodes":                      {Name: "x", N: 65},
		"site \"A\": want":              {Name: "x", Sites: []Site{{Name: "A"}}},
		"site \"../x\": want":           {Name: "x", Sites: []Site{{Name: "../x"}}},
		"site \"a\": named twice":       {Name: "x", Sites: []Site{{Name: "a"}, {Name: "a"}}},
		"site \"outside\": named twice": {Name: "x", Sites: []Site{{Name: "outside"}}},
		"site \"nowhere\" of a node":    {Name: "x", Nodes: []NodeSpec{{Site: "nowhere"}}},
		"site \"outside\" of a node":    {Name: "x", Nodes: []NodeSpec{{Site: "outside"}}},
		"croftlab-x-a-1: needed twice":  {Name: "x", Sites: []Site{{Name: "a"}, {Name: "a-1"}}, N: 2},
		"too long a path":               {Name: "x", Dir: "/" + strings.Repeat("d", 100)},
		"nat \"conic\"":                 {Name: "x", Sites: []Site{{Name: "a", NAT: "conic"}}},
		"every node is behind NAT":      {Name: "x", Sites: []Site{{Name: "a", NAT: NATCone}, {Name: "b", NAT: NATCarrier}}},
		"croftlab-x-a-carrier: needed":  {Name: "x", Sites: []Site{{Name: "a", NAT: NATCarrier}, {Name: "a-carrier"}}},
		"is not within 0 and 10s":       {Name: "x", OneWay: func(a, b Site) time.Duration { return time.Minute }},
	} {
		if _, err := draw(c); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("want an error with %q, got %v", what, err)
		}
	}
}

func TestSpread(t *testing.T) {
	for n, want := range map[int]string{
		1: "uni-a", 3: "uni-a isp-b lab-c", 5: "uni-a uni-a isp-b isp-b lab-c",
	} {
		var got []string
		for _, s := range spread(n, DefaultSites()) {
			got = append(got, s.Site)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%d nodes: %v, want %s", n, got, want)
		}
	}
}

// TestDistance holds the formula against great circles known from elsewhere.
func TestDistance(t *testing.T) {
	s := DefaultSites()
	for _, c := range []struct {
		a, b       Site
		kilometres float64
	}{
		{s[0], s[1], 365},  // Amsterdam – Frankfurt
		{s[0], s[2], 5560}, // Amsterdam – Boston
		{Site{Lat: 0, Lon: 0}, Site{Lat: 0, Lon: 180}, 20015}, // half way round
		{Site{Lat: 90}, Site{Lat: 90, Lon: 77}, 0},            // a pole is one place
	} {
		if got := greatCircle(c.a, c.b) / 1000; got < c.kilometres*0.99-1 || got > c.kilometres*1.01+1 {
			t.Errorf("%s to %s: %.0f km, want %.0f", c.a.City, c.b.City, got, c.kilometres)
		}
		if Distance(c.a, c.b) != Distance(c.b, c.a) {
			t.Errorf("%s to %s: not symmetric", c.a.City, c.b.City)
		}
	}
	if got := Distance(s[0], s[2]); got.Round(time.Millisecond) != 29*time.Millisecond {
		t.Errorf("Amsterdam to Boston takes %v, want 29ms", got)
	}
}

func TestDefaultCapacityHasEveryResource(t *testing.T) {
	capacity := DefaultCapacity()
	for r := range lease.Resource(lease.NumResources) {
		if v, err := r.ParseAmount(capacity[r.String()]); err != nil || v == 0 {
			t.Errorf("%s = %q: %d, %v", r, capacity[r.String()], v, err)
		}
	}
	if len(capacity) != lease.NumResources {
		t.Errorf("%d entries for %d resources", len(capacity), lease.NumResources)
	}
}
