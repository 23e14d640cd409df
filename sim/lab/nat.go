// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// NAT is how a site's router translates, if it does. Nodes behind it have private
// addresses, and nobody outside begins anything with them.
type NAT string

const (
	// NATNone: public addresses, nothing in between.
	NATNone NAT = "none"
	// NATCone keeps a node's source port whatever the destination, and lets in
	// only answers: by RFC 4787 endpoint-independent mapping with address and
	// port-dependent filtering, of old a port-restricted cone. It is what a Linux
	// router does as long as no two of its hosts use one port, which in the lab
	// they do not.
	NATCone NAT = "cone"
	// NATSymmetric takes a random port for each destination.
	NATSymmetric NAT = "symmetric"
	// NATCarrier is a cone behind another that belongs to the carrier, with a
	// shared address (RFC 6598) in between: CGNAT as RFC 6888 wants it.
	NATCarrier NAT = "cgnat"
)

// NATs are the kinds that there are.
func NATs() []NAT { return []NAT{NATNone, NATCone, NATSymmetric, NATCarrier} }

// translates reports whether there is a translator at all.
func (n NAT) translates() bool { return n != "" && n != NATNone }

func (n NAT) check() error {
	if n == "" || slices.Contains(NATs(), n) {
		return nil
	}
	return fmt.Errorf("nat %q: want none, cone, symmetric or cgnat", n)
}

const (
	wan  = "wan"  // in the router of a site whose carrier translates: towards the carrier
	home = "home" // in the carrier's namespace: towards that router
)

// away is the router's device that leads to the others.
func (s place) away() string {
	if s.NAT == NATCarrier {
		return wan
	}
	return uplink
}

// translate makes a site's router a translator, and its carrier one if it has
// one. The site's namespace is there.
func translate(s place) error {
	if !s.NAT.translates() {
		return nil
	}
	if err := rules(s.NetNS, s.away(), s.NAT); err != nil {
		return fmt.Errorf("translating at site %s: %w", s.Name, err)
	}
	if s.NAT != NATCarrier {
		return nil
	}
	if err := makeCarrier(s); err != nil {
		return fmt.Errorf("making the carrier of site %s: %w", s.Name, err)
	}
	return rules(s.Edge, uplink, NATCone)
}

// rules has a namespace translate what leaves by a device, and let in by it only
// what belongs to what left. What comes unasked is dropped without an entry in
// the table of connections: were there one, it would take the port from the
// connection that a node on this side opens next towards the very same stranger,
// who would then see another port than everybody else.
func rules(ns, device string, kind NAT) error {
	how := "masquerade"
	if kind == NATSymmetric {
		how = "masquerade fully-random"
	}
	text := fmt.Sprintf(`table ip nat {
	chain out { type nat hook postrouting priority srcnat; oifname %[1]q %[2]s; }
	chain here { type filter hook input priority filter; policy drop; iifname != %[1]q accept; ct state established,related accept; }
	chain across { type filter hook forward priority filter; policy drop; iifname != %[1]q accept; ct state established,related accept; }
}
`, device, how)
	return within(ns, func() error {
		cmd := exec.Command("nft", "-f", "-")
		cmd.Stdin = strings.NewReader(text)
		out, err := cmd.CombinedOutput()
		if errors.Is(err, exec.ErrNotFound) {
			return fmt.Errorf("the nft program is needed for sites behind NAT: %w", err)
		}
		if err != nil {
			return fmt.Errorf("loading rules: %w: %s", err, strings.TrimSpace(string(out)))
		}
		return nil
	})
}

// makeCarrier makes the namespace between a site's router and the uplink.
func makeCarrier(s place) error {
	if err := makeNetNS(s.Edge, router); err != nil {
		return err
	}
	edge, err := netns.GetFromPath(netnsPath(s.Edge))
	if err != nil {
		return fmt.Errorf("opening namespace %s: %w", s.Edge, err)
	}
	defer edge.Close()
	outer, inner := s.shared()
	err = within(s.NetNS, func() error {
		wire := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: wan}, PeerName: home, PeerNamespace: netlink.NsFd(edge)}
		if err := netlink.LinkAdd(wire); err != nil {
			return fmt.Errorf("adding wire: %w", err)
		}
		if err := assign(wan, inner); err != nil {
			return err
		}
		return route(fabric, wan, outer.Addr())
	})
	if err != nil {
		return err
	}
	return within(s.Edge, func() error { return assign(home, outer) })
}

// shared are the two addresses between a carrier, the outer, and the router of its
// site.
func (s place) shared() (outer, inner netip.Prefix) {
	a := s.Prefix.Addr().As4()
	at := func(host byte) netip.Prefix {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64, a[2], host}), 24)
	}
	return at(1), at(2)
}
