// SPDX-License-Identifier: Apache-2.0

package contact

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"croft/lease"
)

// Memory is whom to remember over a restart: those that were there longest, since
// who has been up for long will be up for long. At most MaxContacts, PerNetwork of
// one network where that counts.
type Memory struct {
	diverse bool
	entries []entry // longest first
}

// entry is one remembered contact, as it is written.
type entry struct {
	Contact
	Since int64 `json:"since"` // Unix seconds at which it was seen first
	Seen  int64 `json:"seen"`  // and last
}

func (e entry) uptime() int64 { return e.Seen - e.Since }

// NewMemory makes an empty one. Diverse says that no network may have more than
// its share.
func NewMemory(diverse bool) *Memory { return &Memory{diverse: diverse} }

// Saw notes who is there now. One that was away for a while begins anew: its time
// is what it was up at a stretch.
func (m *Memory) Saw(now time.Time, there []Contact, gap time.Duration) {
	for _, c := range there {
		if !c.Fits() {
			continue
		}
		fresh := entry{Contact: Contact{Node: c.Node, Addrs: slices.Clone(c.Addrs)}, Since: now.Unix(), Seen: now.Unix()}
		i := slices.IndexFunc(m.entries, func(e entry) bool { return e.Node == c.Node })
		if i < 0 {
			m.entries = append(m.entries, fresh)
			continue
		}
		if old := m.entries[i]; now.Unix()-old.Seen <= int64(gap/time.Second) && old.Since <= now.Unix() {
			fresh.Since = old.Since
		}
		m.entries[i] = fresh
	}
	m.settle(now)
}

// settle drops what is too old or too much.
func (m *Memory) settle(now time.Time) {
	slices.SortStableFunc(m.entries, func(a, b entry) int {
		if a.uptime() != b.uptime() {
			return int(max(-1, min(1, b.uptime()-a.uptime())))
		}
		return bytes.Compare(a.Node[:], b.Node[:])
	})
	each := map[netip.Prefix]int{}
	m.entries = slices.DeleteFunc(m.entries, func(e entry) bool {
		if now.Unix()-e.Seen > int64(Forgotten/time.Second) {
			return true
		}
		of := network(e.Addrs[0])
		each[of]++
		return m.diverse && each[of] > PerNetwork
	})
	m.entries = m.entries[:min(len(m.entries), MaxContacts)]
}

// network is that of a multiaddr which begins with an IP address; all others count
// as one.
func network(multiaddr string) netip.Prefix {
	part := strings.SplitN(multiaddr, "/", 4)
	if len(part) < 3 || part[1] != "ip4" && part[1] != "ip6" {
		return netip.Prefix{}
	}
	a, err := netip.ParseAddr(part[2])
	if err != nil {
		return netip.Prefix{}
	}
	return lease.Network(a)
}

// Contacts are those remembered, the longest up first.
func (m *Memory) Contacts() []Contact {
	list := make([]Contact, len(m.entries))
	for i, e := range m.entries {
		list[i] = Contact{Node: e.Node, Addrs: slices.Clone(e.Addrs)}
	}
	return list
}

// Bytes is what to write down: a line for each.
func (m *Memory) Bytes() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	for _, e := range m.entries {
		if err := enc.Encode(e); err != nil {
			return nil, fmt.Errorf("writing contacts: %w", err)
		}
	}
	return b.Bytes(), nil
}

// Read takes in what Bytes wrote. A line that is damaged or says what cannot be is
// left out, and counted in the error: what can be read is remembered all the same.
func (m *Memory) Read(now time.Time, b []byte) error {
	if len(b) > MaxMemory {
		return fmt.Errorf("%d bytes, limit %d: %w", len(b), MaxMemory, ErrMemory)
	}
	bad := 0
	for line := range bytes.Lines(b) {
		var e entry
		if json.Unmarshal(line, &e) != nil || !e.Fits() || e.Since > e.Seen || e.Since < 0 || e.Seen > now.Unix() ||
			slices.ContainsFunc(m.entries, func(old entry) bool { return old.Node == e.Node }) {
			bad++
			continue
		}
		m.entries = append(m.entries, e)
	}
	m.settle(now)
	if bad > 0 {
		return fmt.Errorf("%d lines left out: %w", bad, ErrMemory)
	}
	return nil
}
