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
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"croft/node/client"
	"croft/sandbox"
	"croft/sandbox/oci"
	"croft/sim/lab"
)

// The soak's node may let more than its machine has: the slivers' programs sleep,
// and their traffic is made from outside of their cgroups. 64 places are what
// MaxFlows has room for at a full quota of rows each.
const (
	soakPlaces = 64
	soakBudget = 48 << 20 // bytes of the record, so that on a machine of its own old segments go before half an hour is over
	soakPolicy = `
[pool.commons]
part = "95%"
each = { cpu = "any", memory = "any", disk = "any", pids = "any", egress.rate = "any", ingress.rate = "any", egress.packets = "any", ingress.packets = "any", egress.daily = "any", flows.new = "any", flows.live = "any", ports.in = "any" }
`
)

var soakCapacity = map[string]string{
	"cpu": "64000", "memory": "64GiB", "disk": "8GiB", "pids": "16k", "io": "100MiB",
	"egress.rate": "1000gbit", "ingress.rate": "1000gbit", "egress.packets": "1000M", "ingress.packets": "1000M",
	"egress.daily": "1000TiB", "flows.new": "1M", "flows.live": "1M", "ports.in": "256", "ports.out": "16384",
}

// sinks are addresses behind the node's gateway that swallow what comes.
var sinks = netip.MustParsePrefix("198.18.192.0/20")

// soakNode is a lab of one node.
type soakNode struct {
	b       *bench
	lab     *lab.Lab
	env     []string
	home    string
	state   string
	name    string
	netns   string
	tag     string
	log     string
	way     *client.Way
	address netip.Addr
	world   space      // the site's router: everybody whom slivers meet
	gateway netip.Addr // its address
	groups  oci.Cgroups
}

// bringUp makes the lab, and starts its daemon anew with a configuration that lets
// what the soak wants, telling of each of its collections.
func (s *soak) bringUp(ctx context.Context, home string) (n *soakNode, err error) {
	if _, _, err := s.command(ctx, nil, "lab", "--dir", s.lab, "up", "-n", "1"); err != nil {
		return nil, err
	}
	n = &soakNode{b: &s.bench, home: home}
	if n.lab, err = lab.Open(s.lab); err != nil {
		return nil, err
	}
	st, err := n.lab.Status(ctx)
	if err != nil {
		return nil, err
	}
	node := st.Nodes[0]
	n.name, n.state, n.netns, n.address, n.log = node.Name, node.State, node.NetNS, node.Address, node.Log
	n.env = []string{"CROFT_SOCKET=" + node.Socket, "CROFT_HOME=" + home}
	file := filepath.Join(n.state, "croft.toml")
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	config := map[string]any{}
	if err := toml.Unmarshal(raw, &config); err != nil {
		return nil, err
	}
	config["places"], config["audit_quota"], config["capacity"] = soakPlaces, strconv.Itoa(soakBudget), soakCapacity
	if raw, err = toml.Marshal(config); err != nil {
		return nil, err
	}
	err = errors.Join(os.WriteFile(file, raw, 0o600), os.WriteFile(filepath.Join(n.state, "policy.toml"), []byte(soakPolicy), 0o600),
		n.lab.Kill(ctx, n.name))
	if err != nil {
		return nil, err
	}
	// The daemon is a child of this process and has its environment; so have the
	// runtime's own words about the heap, which a daemon does not tell otherwise.
	os.Setenv("GODEBUG", "gctrace=1")
	err = n.lab.Start(ctx, n.name)
	os.Unsetenv("GODEBUG")
	if err != nil {
		return nil, err
	}
	n.way = client.New(node.Socket)
	status, err := n.way.Status(ctx)
	if err != nil {
		return nil, err
	}
	n.tag = status.Tag
	if n.groups, err = oci.HostCgroups(); err != nil {
		return nil, err
	}
	return n, n.meetWorld("croftlab-" + st.Name + "-" + node.Site)
}

// meetWorld opens the router of the node's site, where packets to the sinks end.
func (n *soakNode) meetWorld(name string) (err error) {
	if n.world.NsHandle, err = netns.GetFromName(name); err != nil {
		return fmt.Errorf("opening %s: %w", name, err)
	}
	if n.world.links, err = netlink.NewHandleAt(n.world.NsHandle); err != nil {
		return err
	}
	a := n.address.As4()
	a[3] = 1
	n.gateway = netip.AddrFrom4(a)
	dst := &net.IPNet{IP: sinks.Addr().AsSlice(), Mask: net.CIDRMask(sinks.Bits(), 32)}
	return n.world.links.RouteAdd(&netlink.Route{Dst: dst, Type: 6}) // RTN_BLACKHOLE
}

func (n *soakNode) close() {
	if n.world.links != nil {
		n.world.close()
	}
}

func (n *soakNode) croft(ctx context.Context, args ...string) ([]byte, error) {
	out, _, err := n.b.command(ctx, n.env, args...)
	return out, err
}

// A guest is one sliver that runs, with its network open.
type guest struct {
	slice, sliver string
	space         space
	source        netip.Addr
	mac, next     net.HardwareAddr // its own and its gateway's
	index         int
}

// run leases a sliver that sleeps, and opens its network.
func (n *soakNode) run(ctx context.Context, name, rset string, span time.Duration, more ...string) (*guest, error) {
	args := append([]string{"run", "--name", name, "--for", span.String(), "--rset", "cpu=20,memory=16MiB,disk=0,pids=8," + rset}, more...)
	if _, err := n.croft(ctx, append(args, busyboxPath, "--", "busybox", "sleep", "86400")...); err != nil {
		return nil, err
	}
	g := &guest{slice: name}
	raw, err := os.ReadFile(filepath.Join(n.home, "slices", name+".json"))
	if err != nil {
		return nil, err
	}
	var slice struct {
		Slivers []struct{ Sliver string } `json:"slivers"`
	}
	if err := json.Unmarshal(raw, &slice); err != nil || len(slice.Slivers) != 1 {
		return nil, fmt.Errorf("slice %s has %d slivers: %w", name, len(slice.Slivers), err)
	}
	g.sliver = slice.Slivers[0].Sliver
	pids, err := n.groups.Procs(sandbox.Cgroup(n.tag, g.sliver))
	if err != nil || len(pids) == 0 {
		return nil, fmt.Errorf("sliver %s has no process: %w", g.sliver, err)
	}
	return g, g.open(pids[0])
}

func (g *guest) open(pid int) (err error) {
	if g.space.NsHandle, err = netns.GetFromPid(pid); err != nil {
		return err
	}
	if g.space.links, err = netlink.NewHandleAt(g.space.NsHandle); err != nil {
		return err
	}
	dev, err := g.space.links.LinkByName("eth0")
	if err != nil {
		return err
	}
	g.index, g.mac = dev.Attrs().Index, dev.Attrs().HardwareAddr
	addrs, err := g.space.links.AddrList(dev, netlink.FAMILY_V4)
	if err != nil || len(addrs) == 0 {
		return fmt.Errorf("sliver %s has no address: %w", g.sliver, err)
	}
	g.source, _ = netip.AddrFromSlice(addrs[0].IP.To4())
	neighbours, err := g.space.links.NeighList(g.index, netlink.FAMILY_V4)
	if err != nil || len(neighbours) == 0 {
		return fmt.Errorf("sliver %s has no neighbour: %w", g.sliver, err)
	}
	g.next = neighbours[0].HardwareAddr
	return nil
}

// sent is what the sliver's own device says that it has sent.
func (g *guest) sent() (uint64, error) {
	dev, err := g.space.links.LinkByName("eth0")
	if err != nil {
		return 0, err
	}
	return dev.Attrs().Statistics.TxPackets, nil
}

// pid is the daemon's.
func (n *soakNode) pid(ctx context.Context) (int, error) {
	st, err := n.lab.Status(ctx)
	if err != nil {
		return 0, err
	}
	if st.Nodes[0].Pid == 0 {
		text, _ := os.ReadFile(n.log)
		return 0, fmt.Errorf("the daemon is gone: %s", strings.TrimSpace(string(text[max(0, len(text)-2000):])))
	}
	return st.Nodes[0].Pid, nil
}
