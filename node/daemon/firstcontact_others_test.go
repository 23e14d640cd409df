// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"croft/dht/contact"
	"croft/lease/leasetest"
	"croft/node/role"
	"croft/node/wire"
)

// Whoever fills the role, of those whom he names only they are told of who answer, and by
// what they say of themselves.
func TestOthersAreThoseWhoAnswer(t *testing.T) {
	a, b, gone := newJoiner(t, "a", t.TempDir(), true), newJoiner(t, "b", t.TempDir(), true), newJoiner(t, "gone", t.TempDir(), true)
	a.live(t)
	b.first.given = mustContacts(t, a.at())
	b.live(t)
	named := mustContacts(t, a.at(), gone.at(), b.at())
	gone.host.Close()
	named[2].Addrs = append([]string{"/ip4/203.0.113.9/tcp/9"}, named[2].Addrs...) // of somebody else
	c := newJoiner(t, "c", t.TempDir(), true)
	asked := 0
	c.first.Others(func(context.Context, int) ([]contact.Contact, role.Tenant, error) {
		asked++
		return named, "x@y", nil
	})
	list := c.first.others(t.Context(), 4)
	if len(list) != 2 || list[0].Node != named[0].Node || list[1].Node != named[2].Node || slices.Contains(list[1].Addrs, named[2].Addrs[0]) {
		t.Errorf("%v", list)
	}
	for range 3 { // strangers do not have it dial each time
		if list := c.first.othersOfLate(t.Context()); len(list) != 2 || asked != 2 {
			t.Errorf("%v, asked %d times", list, asked)
		}
	}
	c.first.Others(func(context.Context, int) ([]contact.Contact, role.Tenant, error) {
		return nil, "", errors.New("nobody is there")
	})
	if list := c.first.others(t.Context(), 4); slices.ContainsFunc(list, func(o contact.Contact) bool { return o.Node == named[1].Node }) {
		t.Errorf("by nobody: %v", list)
	}
}

// Half of those whom a newcomer is told of are the node's own acquaintances, whoever fills
// the role, and all of them where it names nobody.
func TestHalfOfTheOthersAreTheNodesOwn(t *testing.T) {
	var all []*joiner
	var at []string
	for _, name := range []string{"a", "b", "x", "y"} {
		j := newJoiner(t, name, t.TempDir(), true)
		all, at = append(all, j), append(at, j.at())
	}
	met, theirs := mustContacts(t, at[:2]...), mustContacts(t, at[2:]...)
	c := newJoiner(t, "c", t.TempDir(), true)
	c.first.known.Store(&met)
	for name, x := range map[string]struct {
		want  int
		named []contact.Contact
		err   error
		nodes []contact.Contact
	}{
		"its confederates":   {2, theirs, nil, []contact.Contact{met[0], theirs[0]}},
		"room for all":       {4, theirs, nil, []contact.Contact{met[0], theirs[0], met[1], theirs[1]}},
		"nobody":             {4, nil, nil, met},
		"an error":           {4, nil, errors.New("nobody is there"), met},
		"whom it met itself": {4, met, nil, met},
	} {
		c.first.Others(func(context.Context, int) ([]contact.Contact, role.Tenant, error) { return x.named, "x@y", x.err })
		if got, want := nodesOf(c.first.others(t.Context(), x.want)), nodesOf(x.nodes); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	for _, j := range all {
		j.host.Close()
	}
	c.first.Others(func(context.Context, int) ([]contact.Contact, role.Tenant, error) { return theirs, "x@y", nil })
	if got := nodesOf(c.first.others(t.Context(), 4)); !slices.Equal(got, nodesOf(met)) {
		t.Errorf("nobody answers: %v", got)
	}
}

// A node whose acquaintances have all gone tells of who is there now, though it has not
// noted them yet: a newcomer told of the gone alone comes in by nobody.
func TestWhoIsThereNowIsToldOfWhenAllOthersAreGone(t *testing.T) {
	a, gone, c := newJoiner(t, "a", t.TempDir(), true), newJoiner(t, "gone", t.TempDir(), true), newJoiner(t, "c", t.TempDir(), true)
	a.live(t)
	c.first.given = mustContacts(t, a.at())
	c.live(t)
	soon(t, "it has noted its neighbour", func() bool { return len(*c.first.known.Load()) == 1 }) // and for a minute notes no more
	old := mustContacts(t, gone.at())
	gone.host.Close()
	c.first.known.Store(&old)
	c.first.Others(func(context.Context, int) ([]contact.Contact, role.Tenant, error) { return nil, "", nil })
	if got, want := nodesOf(c.first.others(t.Context(), 4)), nodesOf(mustContacts(t, a.at())); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// The role is asked when all who are known have been tried in vain.
func TestTheRoleIsAskedByRounds(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // who connects hears nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	id, err := wire.PeerID(leasetest.Who("gone"))
	if err != nil {
		t.Fatal(err)
	}
	at := fmt.Sprintf("/ip4/127.0.0.1/tcp/%d/p2p/%s", silent.Addr().(*net.TCPAddr).Port, id)
	c := newJoiner(t, "c", t.TempDir(), true, at)
	var asked atomic.Int32
	c.first.Others(func(context.Context, int) ([]contact.Contact, role.Tenant, error) {
		asked.Add(1)
		return nil, role.Builtin, nil
	})
	c.live(t)
	soon(t, "it asks", func() bool { return asked.Load() > 0 })
	if !c.logged.has("no neighbour yet") {
		t.Error("it asked before those whom it knows were tried")
	}
}

// A node that knows nobody joins by whom the role names.
func TestJoiningByTheRole(t *testing.T) {
	a := newJoiner(t, "a", t.TempDir(), true)
	a.live(t)
	c := newJoiner(t, "c", t.TempDir(), true)
	c.first.Others(func(context.Context, int) ([]contact.Contact, role.Tenant, error) {
		list, err := Contacts([]string{a.at()}, time.Now())
		return list, "x@y", err
	})
	c.live(t)
	soon(t, "it has a neighbour", func() bool { return c.dht.Neighbours() == 1 })
}

// A name may resolve to what is inside after it was judged.
func TestTheRolesAddressesAreLiteral(t *testing.T) {
	c := newJoiner(t, "c", t.TempDir(), true)
	for addr, want := range map[string]bool{
		"/ip4/192.0.2.7/tcp/4001": true, "/ip6/2001:db8::3/udp/4001/quic-v1": true,
		"/dns4/inside.example/tcp/8080": false, "/dnsaddr/inside.example": false,
		"/ip4/127.0.0.1/tcp/22": false, "/ip6/::1/tcp/22": false, "/ip6/::ffff:127.0.0.1/tcp/22": false, "/ip4/169.254.169.254/tcp/80": false,
	} {
		one := mustContacts(t, c.at())[0]
		one.Node, one.Addrs = leasetest.Who("d"), []string{addr}
		if _, ok := c.first.Dials(one); ok != want {
			t.Errorf("%s: %t", addr, ok)
		}
	}
}

// Nor do they lead to the node's own machine by an address of its network.
func TestTheRoleNamesNotThisMachine(t *testing.T) {
	c := newJoiner(t, "c", t.TempDir(), true)
	if err := c.host.Network().Listen(multiaddr.StringCast("/ip4/0.0.0.0/tcp/0")); err != nil {
		t.Fatal(err)
	}
	own := slices.DeleteFunc(c.host.Addrs(), manet.IsIPLoopback)
	if len(own) == 0 {
		t.Skip("needs a network")
	}
	ip, _ := wire.IP(own[0].String())
	one := contact.Contact{Node: leasetest.Who("d"), Addrs: []string{"/ip4/" + ip.String() + "/tcp/22"}}
	if got, ok := c.first.Dials(one); ok {
		t.Errorf("%v", got)
	}
}

// Whoever is connected and told no address of his own is named by nobody else's.
func TestNobodyIsNamedByAThirdsAddress(t *testing.T) {
	a, c := newJoiner(t, "a", t.TempDir(), true), newJoiner(t, "c", t.TempDir(), true)
	named := mustContacts(t, a.at())
	if err := a.host.Connect(t.Context(), peer.AddrInfo{ID: c.host.ID(), Addrs: c.host.Addrs()}); err != nil {
		t.Fatal(err)
	}
	soon(t, "identified", func() bool { // else its addresses come after they are cleared
		known, err := c.host.Peerstore().GetProtocols(a.host.ID())
		return err == nil && len(known) > 0 && len(c.host.Peerstore().Addrs(a.host.ID())) > 0
	})
	c.host.Peerstore().ClearAddrs(a.host.ID())
	named[0].Addrs = []string{"/ip4/203.0.113.9/tcp/443"}
	if list := c.first.reached(t.Context(), named); len(list) != 0 {
		t.Errorf("%v", list)
	}
}
