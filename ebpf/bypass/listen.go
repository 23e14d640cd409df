// SPDX-License-Identifier: Apache-2.0

package bypass

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"sync"
	"time"

	"croft/ebpf"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// A Reading is what an interface has received since the counting began, between
// two instants of the boot clock.
type Reading struct {
	Before int64 `json:"before_ns"`
	After  int64 `json:"after_ns"`
	Traffic
	// Of UDP to the port that is listened for: packets by source, super-packets as
	// one, and where the last came from.
	From map[netip.Addr]uint64 `json:"from"`
	Last netip.AddrPort        `json:"last"`
}

// Listen counts what an interface of the calling process's network namespace
// receives, as the suite does, and hands over a reading every 100 ms until ctx
// ends; who sends IPv4 to a UDP port it tells apart. An interface without link
// headers (a TUN) will do. It needs CAP_NET_RAW.
func Listen(ctx context.Context, device string, port uint16, each func(Reading) error) (err error) {
	h, err := netlink.NewHandle()
	if err != nil {
		return fmt.Errorf("counting at %s: %w", device, err)
	}
	defer h.Close()
	link, err := h.LinkByName(device)
	if err != nil {
		return fmt.Errorf("counting at %s: %w", device, err)
	}
	var mu sync.Mutex
	from, last := map[netip.Addr]uint64{}, netip.AddrPort{}
	source := func(ip []byte) string {
		if len(ip) < 28 || ip[0] != 4<<4|5 || ip[9] != unix.IPPROTO_UDP || binary.BigEndian.Uint16(ip[22:]) != port {
			return ""
		}
		mu.Lock()
		defer mu.Unlock()
		last = netip.AddrPortFrom(netip.AddrFrom4([4]byte(ip[12:16])), binary.BigEndian.Uint16(ip[20:]))
		if _, known := from[last.Addr()]; known || len(from) < maxSources {
			from[last.Addr()]++
		}
		return ""
	}
	header := etherHeader
	if link.Type() == "tuntap" && len(link.Attrs().HardwareAddr) == 0 {
		header = 0
	}
	t, err := newTap(netns.None(), h, link.Attrs().Index, header, false, source)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	tick := time.NewTicker(sampling)
	defer tick.Stop()
	for {
		r := Reading{Before: boot()}
		c, err := t.received()
		if err != nil {
			return err
		}
		r.After, r.Traffic = boot(), Traffic{c.packets, c.octets}
		mu.Lock()
		r.From, r.Last = maps.Clone(from), last
		mu.Unlock()
		if err := each(r); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// A Weight is what of the readings lies between two instants, and what a lease
// allows for that time.
type Weight struct {
	Seconds  float64 `json:"seconds"`
	Received Traffic `json:"received"`
	Allowed  Traffic `json:"allowed"` // rate × t + burst
	Used     float64 `json:"used"`    // received ÷ allowed, in the worst window of at least a second
}

// Weigh holds readings against a lease.
func Weigh(readings []Reading, lease ebpf.Way) (w Weight, err error) {
	if len(readings) < 2 {
		return w, fmt.Errorf("%d readings: %w", len(readings), ErrWeak)
	}
	all := make([]sample, len(readings))
	for i, r := range readings {
		all[i] = sample{r.Before, r.After, count{r.Packets, r.Octets}}
	}
	got, ns := span(all[0], all[len(all)-1])
	return Weight{float64(ns) / 1e9, Traffic{got.packets, got.octets}, allowed(lease, ns), worst(all, lease, 0)}, nil
}

// Small is the lease that attacks try to exceed.
func Small() ebpf.Way { return small }
