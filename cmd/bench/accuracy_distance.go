// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/vishvananda/netlink"
)

// distance puts far behind outside, by the relay of the lab in a process of its
// own: a TUN in each of the two, and packets kept for half the round trip.
func (w *shapedWorld) distance(ctx context.Context, croft string, roundTrip time.Duration) (err error) {
	if w.far, err = newSpace(); err != nil {
		return err
	}
	w.undo = append(w.undo, func() error { w.far.close(); return nil })
	w.at = worldFar.Addr().Next()
	dir, err := os.MkdirTemp("", "croft-bench-")
	if err != nil {
		return err
	}
	w.undo = append(w.undo, func() error { return os.RemoveAll(dir) })

	type site struct {
		Name   string       `json:"name"`
		NetNS  string       `json:"netns"`
		Prefix netip.Prefix `json:"prefix"`
		OneWay []int64      `json:"one_way_us"`
	}
	us := roundTrip.Microseconds() / 2
	// The relay looks for names in /run/netns; ours have none.
	path := func(s space) string { return fmt.Sprintf("../../proc/%d/fd/%d", os.Getpid(), int(s.NsHandle)) }
	socket := filepath.Join(dir, "relay.sock")
	raw, err := json.Marshal(map[string]any{"socket": socket, "sites": []site{
		{"near", path(w.outside), worldNet, []int64{0, us}}, {"far", path(w.far), worldFar, []int64{us, 0}}}})
	if err != nil {
		return err
	}
	file := filepath.Join(dir, "relay.json")
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		return err
	}
	relay := exec.Command(croft, "lab", "relay", file)
	relay.Stderr = os.Stderr
	if err := relay.Start(); err != nil {
		return err
	}
	w.undo = append(w.undo, func() error {
		relay.Process.Kill()
		relay.Wait() // killed
		return nil
	})
	if err := within(w.outside.NsHandle, func() error { return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0) }); err != nil {
		return err
	}
	for end := time.Now().Add(10 * time.Second); ; {
		if c, err := net.Dial("unix", socket); err == nil {
			c.Close()
			break
		} else if time.Now().After(end) {
			return fmt.Errorf("the relay does not answer: %w", err)
		}
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
	tun := func(s space, addr netip.Addr, to *net.IPNet) error {
		l, err := s.links.LinkByName("uplink")
		if err != nil {
			return err
		}
		err = s.links.LinkSetUp(l)
		if addr.IsValid() && err == nil {
			err = s.links.AddrAdd(l, &netlink.Addr{IPNet: &net.IPNet{IP: addr.AsSlice(), Mask: net.CIDRMask(32, 32)}})
		}
		return errors.Join(err, s.links.RouteAdd(&netlink.Route{LinkIndex: l.Attrs().Index, Dst: to, Scope: netlink.SCOPE_LINK}))
	}
	return errors.Join(
		tun(w.outside, netip.Addr{}, &net.IPNet{IP: worldFar.Addr().AsSlice(), Mask: net.CIDRMask(30, 32)}),
		tun(w.far, w.at, &net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)}))
}
