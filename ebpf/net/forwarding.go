// SPDX-License-Identifier: Apache-2.0

package net

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// The host forwards for the uplink and for the interfaces with a default route,
// and for nothing else: the switches are those of single interfaces. IPv6 has
// such a switch from Linux 6.17 on; before, IPv6 is used only where the whole
// host forwards already, as the global switch also stops router advertisements.

// outside is how the host reaches the world.
type outside struct {
	devs4, devs6 []string
	v6           bool
}

func (n *Network) outside() (outside, error) {
	var o outside
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		routes, err := again(func() ([]netlink.Route, error) { return n.out.RouteList(nil, family) })
		if err != nil {
			return o, fmt.Errorf("listing the host's routes: %w", err)
		}
		var devs []string
		for _, r := range routes {
			if !isDefault(r) || r.Type != unix.RTN_UNICAST {
				continue
			}
			hops := []int{r.LinkIndex}
			for _, hop := range r.MultiPath {
				hops = append(hops, hop.LinkIndex)
			}
			for _, index := range hops {
				link, err := n.out.LinkByIndex(index)
				if err != nil || strings.HasPrefix(link.Attrs().Name, uplinkDev) || link.Attrs().Name == "lo" {
					continue
				}
				devs = union(devs, []string{link.Attrs().Name})
			}
		}
		if family == unix.AF_INET {
			o.devs4 = union(devs, n.cfg.Outside)
		} else {
			o.devs6 = devs
		}
	}
	if len(o.devs4) == 0 {
		n.log.Warn("the host has no IPv4 default route: slivers reach nothing over IPv4", "node", n.plan.tag)
	}
	if len(o.devs6) == 0 {
		n.log.Info("the host has no IPv6 default route: slivers get no IPv6", "node", n.plan.tag)
		return o, nil
	}
	o.devs6 = union(o.devs6, n.cfg.Outside)
	return o, within(n.host, func() error {
		_, single := conf6("all", "force_forwarding", "").read()
		whole, _ := conf6("all", "forwarding", "").read()
		switch {
		case single == nil:
			o.v6 = true
		case whole == "1":
			o.v6, o.devs6 = true, nil // it forwards everywhere already
		default:
			n.log.Info("this kernel forwards IPv6 on all interfaces or none (before Linux 6.17), and on this host on none: slivers get no IPv6", "node", n.plan.tag)
		}
		return nil
	})
}

func isDefault(r netlink.Route) bool {
	if r.Dst == nil {
		return true
	}
	ones, _ := r.Dst.Mask.Size()
	return ones == 0
}

// openHost switches forwarding on where it is needed. What was off is noted
// first, in the alias and in the set that keeps the host from routing for
// others.
func (n *Network) openHost(o outside) error {
	up, err := n.out.LinkByName(n.plan.uplinkName())
	if err != nil {
		return err
	}
	var wanted []string
	for _, dev := range o.devs4 {
		wanted = append(wanted, "4/"+dev)
	}
	if o.v6 {
		for _, dev := range o.devs6 {
			wanted = append(wanted, "6/"+dev)
		}
	}
	var off []string
	if err := within(n.host, func() (err error) {
		off, err = switchesOff(wanted)
		return err
	}); err != nil {
		return err
	}
	notes := union(parseNotes(up.Attrs().Alias), off)
	if err := n.note(up, notes); err != nil {
		return err
	}
	own := []setting{conf4(up.Attrs().Name, "forwarding", "1")}
	if o.v6 {
		own = append(own, conf6(up.Attrs().Name, "force_forwarding", "1"))
	}
	for _, note := range wanted {
		s, _, err := forwardSetting(note)
		if err != nil {
			return err
		}
		own = append(own, s)
	}
	if err := n.fault("switches"); err != nil {
		return err
	}
	return within(n.host, func() error {
		for _, s := range own {
			err := s.write()
			if err != nil && strings.HasSuffix(s.path, "/force_forwarding") && o.devs6 == nil {
				continue // an older kernel that forwards everywhere
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func (n *Network) note(up netlink.Link, notes []string) error {
	return writeNotes(n.out, n.host, up, notes)
}

// writeNotes makes notes the uplink's: in the table first, as the alias is what
// Destroy goes by.
func writeNotes(h *netlink.Handle, host netns.NsHandle, up netlink.Link, notes []string) error {
	alias, err := formatNotes(notes)
	if err != nil {
		return err
	}
	if err := h.LinkSetAlias(up, alias); err != nil {
		return fmt.Errorf("noting forwarding: %w", err)
	}
	if len(notes) == 0 {
		return nil
	}
	c, err := nftables.New(nftables.WithNetNSFd(int(host)))
	if err != nil {
		return fmt.Errorf("reaching nftables: %w", err)
	}
	var add []nftables.SetElement
	var seen []string
	for _, note := range notes {
		_, dev, err := forwardSetting(note)
		if err != nil {
			return err
		}
		if !slices.Contains(seen, dev) {
			seen = append(seen, dev)
			add = append(add, nftables.SetElement{Key: ifname(dev)})
		}
	}
	table := "croft-" + strings.TrimPrefix(up.Attrs().Name, uplinkDev)
	return change(c, openedSet(&nftables.Table{Name: table, Family: nftables.TableFamilyINet}), add, nil)
}

// switchesOff are the notes whose switch is off now, in the calling thread's
// namespace.
func switchesOff(wanted []string) ([]string, error) {
	var off []string
	for _, note := range wanted {
		s, _, err := forwardSetting(note)
		if err != nil {
			return nil, err
		}
		now, err := s.read()
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", s.path, err)
		}
		if now == "0" {
			off = append(off, note)
		}
	}
	return off, nil
}

// restore turns the noted switches off again. An interface that is gone took
// its switch along.
func restore(notes []string) error {
	var errs []error
	for _, note := range notes {
		s, _, err := forwardSetting(note)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if _, err := s.read(); err != nil {
			continue
		}
		s.value = "0"
		errs = append(errs, s.write())
	}
	return errors.Join(errs...)
}
