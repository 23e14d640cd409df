// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"log/slog"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"croft/dht/contact"
	"croft/dht/index"
	"croft/dht/kad"
)

// What any part of the overlay drops is among what croft net shows, under its name.
func TestNetTellsOfAllDrops(t *testing.T) {
	o := netNode(t, "a")
	var err error
	if o.dht, err = kad.New(o.host, kad.Config{Server: true, Now: time.Now}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.dht.Close() })
	if o.index, err = index.New(index.Config{Host: o.host, Router: o.dht, Now: time.Now, Serve: true, Log: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.index.Close() })
	o.first = &firstContact{o: o, heard: make(chan contact.Heard, 1)}

	o.first.hear(contact.Given, make([]contact.Contact, 1))
	o.first.hear(contact.Given, make([]contact.Contact, 3)) // no room
	b := netNode(t, "b")
	if err := b.host.Connect(t.Context(), peer.AddrInfo{ID: o.host.ID(), Addrs: o.host.Addrs()}); err != nil {
		t.Fatal(err)
	}
	s, err := b.host.NewStream(t.Context(), o.host.ID(), index.Protocol)
	if err == nil {
		_, err = s.Write([]byte("no request"))
	}
	if err == nil {
		err = s.CloseWrite()
	}
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "all is counted", func() bool {
		n, err := o.Net(t.Context())
		return err == nil && n.Drops["contacts:crowded"] == 3 && n.Drops["holder:malformed"] == 1
	})
}
