// SPDX-License-Identifier: Apache-2.0

package bypass

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// benches is how many items run at once in tests. What is counted on one does
// not see the others; they share the processors, and the pace is such that two
// processors have time to spare.
const benches = 6

func TestRootSuite(t *testing.T) {
	needRoot(t)
	err := Run(t.Context(), Config{Benches: benches, Control: 500 * time.Millisecond}, func(r Result) {
		t.Log(r)
		it, err := Select([]string{r.Item})
		if err != nil {
			t.Fatal(err)
		}
		switch known := it[0].Known != ""; {
		case known && r.Verdict != Known:
			t.Errorf("%s: %s: is the hole mended? Then it is known no longer", r.Item, r.Verdict)
		case !known && r.Err() != nil:
			t.Error(r.Err())
		case r.Seconds < Window.Seconds():
			t.Errorf("%s: counted for %.2f s", r.Item, r.Seconds)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The ways that design and issue name. What is taken out of the suite is missed
// here.
func TestItems(t *testing.T) {
	var names []string
	for _, it := range Items() {
		if slices.Contains(names, it.Name) {
			t.Errorf("%s is there twice", it.Name)
		}
		names = append(names, it.Name)
		if it.About == "" || it.At == "" || it.attack == nil {
			t.Errorf("%s is not whole", it.Name)
		}
	}
	for way, items := range map[string]string{
		"same node": "same-node in-same-node", "IPv6": "ipv6 in-ipv6", "extension headers": "extension-headers source-route",
		"fragments": "fragments in-fragments", "GSO": "gso gso-small gso-crafted tso in-gso", "tunnels": "tunnels udp-tunnels",
		"VLAN tags": "vlan", "raw and packet sockets": "raw lengths ethertypes", "ARP and ND games": "arp discovery",
		"multicast and broadcast": "groups", "MAC and address change": "mac-change address-change spoofed",
		"veth renamed or moved": "veth-renamed veth-moved", "many flows": "many-flows in-many-flows", "tiny packets": "tiny",
		"loopback through a public port": "own-port", "DNS": "dns", "daemon dead": "daemon-dead", "lease changes": "lease-changes",
		"at start": "at-start", "at stop": "at-deadline at-removal",
	} {
		for name := range strings.FieldsSeq(items) {
			if !slices.Contains(names, name) {
				t.Errorf("%s: there is no %s", way, name)
			}
		}
	}
	if _, err := Select([]string{"udp", "nobody"}); !errors.Is(err, ErrNoItem) {
		t.Errorf("an item that is none: %v", err)
	}
	if got, err := Select([]string{"ipv6", "udp"}); err != nil || len(got) != 2 || got[0].Name != "udp" {
		t.Errorf("selected %v, %v", got, err)
	}
}

// docs/packets.md has a line for each item, and no other.
func TestItemsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/packets.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## The bypass suite\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var want, got []string
	for _, it := range Items() {
		note := "" // what stops it without a guard, or who can
		if it.Stops != "" {
			note = "moot: " + it.Stops
		}
		if it.Known != "" {
			note = "known: " + it.Known
		}
		want = append(want, fmt.Sprintf("| `%s` | %s | %s | %s |", it.Name, it.About, it.At, note))
	}
	for line := range strings.Lines(section) {
		if strings.HasPrefix(line, "| `") {
			got = append(got, strings.TrimSuffix(line, "\n"))
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("docs/packets.md has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
