// SPDX-License-Identifier: Apache-2.0

package net

import (
	"bufio"
	"fmt"
	stdnet "net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
)

// fill puts entries of somebody's into a namespace's table of connections, until
// it has as many as the kernel lets a namespace have. They are as those of flows
// that both ends have used, which the kernel gives up for nobody.
func fill(t *testing.T, w *testWorld, entries uint64) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "entries")
	f, err := os.Create(path)
	must(t, err)
	defer f.Close()
	b := bufio.NewWriter(f)
	for i := range uint32(entries) {
		to := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		fmt.Fprintf(b, "-A -p udp -s 10.255.255.1 -d %s --sport 1 --dport 1 -t 600 -u SEEN_REPLY,ASSURED\n", to)
	}
	must(t, b.Flush())
	command(w.host, "conntrack", "--load-file", path) // ends with the first one that finds no room
}

// A host whose table of connections is full, of its own or of somebody else's
// flows, has no room for new ones of slivers. Those that are open go on, what
// comes to nothing is within what the guard has counted, and when there is room
// again nothing has to be mended.
func TestRootTheHostsTableIsFull(t *testing.T) {
	w := newWorld(t)
	n := w.mustOpen(Config{Places: 4})
	_, in := running(t, n, Sliver{Name: "aaaa", Place: 1, Live: 100})
	var outside stdnet.PacketConn
	must(t, within(w.outside, func() (err error) { outside, err = stdnet.ListenPacket("udp", "192.0.2.2:7000"); return err }))
	t.Cleanup(func() { outside.Close() })
	open := datagrams(t, in, "192.0.2.2:7000", 1)[0]
	from := arrivals(outside)
	if len(from) != 1 {
		t.Fatalf("before: %d of 1 arrived", len(from))
	}
	_, err := outside.WriteTo([]byte("answered"), from[0]) // so that the kernel does not give it up for another
	must(t, err)
	_, err = open.Write([]byte("twice"))
	must(t, err)
	arrivals(outside)

	fill(t, w, n.entries)
	if got := uint64(entriesOf(t, w.host, "udp")); got < n.entries-1 {
		t.Fatalf("the table has %d of %d entries", got, n.entries)
	}
	datagrams(t, in, "192.0.2.2:7000", 10)
	if got := arrivals(outside); len(got) > 0 {
		t.Errorf("%d new flows left through a table that is full", len(got))
	}
	_, err = open.Write([]byte("goes on"))
	must(t, err)
	if got := arrivals(outside); len(got) != 1 || got[0].String() != from[0].String() {
		t.Errorf("of the open flow arrived %v, want one from %v", got, from[0])
	}
	if _, err := command(w.host, "conntrack", "-D", "-s", "10.255.255.1"); err != nil {
		t.Fatal(err)
	}
	datagrams(t, in, "192.0.2.2:7000", 10)
	if got := arrivals(outside); len(got) != 10 {
		t.Errorf("with room again %d of 10 new flows arrived", len(got))
	}
}
