// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// relay joins the uplinks of all sites. One thread reads, waits and writes:
// with N descriptors and bulk traffic in packets of 64 KiB it is not what
// limits a lab on one machine.
type relay struct {
	uplinks []int          // descriptors, by site
	routes  []netip.Prefix // by site
	began   time.Time

	mu    sync.Mutex // of all below; held for a batch, so hardly ever contended
	wires *wires
	spare spare
	lost  Lost
}

// Lost counts packets that no distance explains.
type Lost struct {
	NoRoute uint64 `json:"no_route"` // to no site, or not IPv4
	Refused uint64 `json:"refused"`  // by the receiving side's kernel
	Queued  uint64 `json:"queued"`   // by a full uplink: the relay did not come to read it
}

// run relays until a descriptor fails.
func (r *relay) run() error {
	// A sleep ends up to this much late, 50 µs by default.
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("setting timer slack: %w", err)
	}
	ready := make([]unix.PollFd, len(r.uplinks))
	for i, fd := range r.uplinks {
		ready[i] = unix.PollFd{Fd: int32(fd), Events: unix.POLLIN}
	}
	scratch := make([]byte, maxPacket)
	for {
		if _, err := unix.Ppoll(ready, r.patience(), nil); err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("polling uplinks: %w", err)
		}
		r.mu.Lock()
		for site := range ready {
			if ready[site].Revents == 0 {
				continue
			}
			if err := r.receive(site, scratch); err != nil {
				r.mu.Unlock()
				return err
			}
		}
		r.deliver()
		r.mu.Unlock()
	}
}

// patience is how long nothing is due; nil is forever.
func (r *relay) patience() *unix.Timespec {
	r.mu.Lock()
	defer r.mu.Unlock()
	due, ok := r.wires.next()
	if !ok {
		return nil
	}
	t := unix.NsecToTimespec(max(0, int64(due-time.Since(r.began))))
	return &t
}

// receive takes in a burst of what a site sends.
func (r *relay) receive(site int, scratch []byte) error {
	for range maxBurst {
		n, err := unix.Read(r.uplinks[site], scratch)
		switch {
		case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
			return nil
		case err != nil:
			return fmt.Errorf("reading uplink %d: %w", site, err)
		}
		to, ok := r.route(scratch[:n])
		if !ok || to == site {
			r.lost.NoRoute++
			continue
		}
		packet := append(r.spare.get(n), scratch[:n]...)
		if !r.wires.put(time.Since(r.began), site, to, packet) {
			r.spare.put(packet)
		}
	}
	return nil
}

// route finds the site of a packet's destination.
func (r *relay) route(packet []byte) (int, bool) {
	if len(packet) < vnetHeader+20 || packet[vnetHeader]>>4 != 4 {
		return 0, false
	}
	to := netip.AddrFrom4([4]byte(packet[vnetHeader+16:]))
	for site, p := range r.routes {
		if p.Contains(to) {
			return site, true
		}
	}
	return 0, false
}

// deliver hands over what is due.
func (r *relay) deliver() {
	for range maxBurst * len(r.uplinks) {
		to, packet, ok := r.wires.take(time.Since(r.began))
		if !ok {
			return
		}
		if _, err := unix.Write(r.uplinks[to], packet); err != nil {
			r.lost.Refused++
		}
		r.spare.put(packet)
	}
}

// spare keeps buffers of two sizes for use again: most packets are small, and
// what is in flight is counted by the size of its buffer.
type spare struct{ small, large [][]byte }

const (
	smallBuffer = 2 << 10
	largeBuffer = 68 << 10
	maxSpare    = 256 // of each size: the rest is the collector's
)

func (s *spare) get(n int) []byte {
	list, size := &s.small, smallBuffer
	if n > smallBuffer {
		list, size = &s.large, largeBuffer
	}
	if last := len(*list) - 1; last >= 0 {
		b := (*list)[last]
		*list = (*list)[:last]
		return b
	}
	return make([]byte, 0, size)
}

func (s *spare) put(b []byte) {
	list := &s.small
	if cap(b) > smallBuffer {
		list = &s.large
	}
	if len(*list) < maxSpare {
		*list = append(*list, b[:0])
	}
}
