// SPDX-License-Identifier: Apache-2.0

package net

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// The source ports of a sliver are the first of its place's block, as many as its
// lease has. They are in a table of their own, which a daemon that starts anew
// leaves as it is: rules that are loaded again would give the whole block for a
// moment to a sliver whose lease has less.

// Names in that table. The first two are sets of protocols; the others belong to
// a place.
const (
	natted    = "natted" // what has a port, or an id that NAT treats as one
	ported    = "ported" // what has ports
	portBlock = "block"
	full      = "full"
	towards   = "towards" // and the family
)

// Block is how many source ports each of a node's places has; 0 places are
// [DefaultPlaces].
func Block(places int) uint64 {
	if places <= 0 {
		places = DefaultPlaces
	}
	return uint64((LastSource - FirstSource + 1) / min(places, MaxPlaces))
}

// leased is the part of a place's block, first to last, that a lease of so many
// ports gives; 0 is all of it, and more than it has is no more than that.
func (p plan) leased(place int, out uint64) [2]uint16 {
	b := p.sourcePorts(place)
	if size := uint64(b[1]-b[0]) + 1; out != 0 && out < size {
		b[1] = b[0] + uint16(out) - 1
	}
	return b
}

// SourcePorts returns the first and last port that [Network.Add] has a sliver leave
// by: what is to be written down before one of them is open.
func (n *Network) SourcePorts(s Sliver) [2]uint16 { return n.plan.leased(s.Place, s.Out) }

func (p plan) sourcesTable() string { return p.table() + "-out" }

// sourceRules renders what does not depend on leases. A place whose chain is
// empty sends nothing: what is not translated stays in the node's namespace.
func sourceRules(p plan) string {
	var b strings.Builder
	w := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	var places []string
	w("table inet %s {", p.sourcesTable())
	w("	set %s { type inet_proto; elements = { tcp, udp, icmp, ipv6-icmp }; }", natted)
	w("	set %s { type inet_proto; elements = { tcp, udp }; }", ported)
	for place := range p.places {
		places = append(places, fmt.Sprintf("%q : goto %s%d", p.hostEnd(place), portBlock, place))
		w("	counter %s%d { }", full, place)
		w("	set %s4-%d { type ipv4_addr . inet_proto . inet_service; size %d; flags dynamic; }", towards, place, maxLive)
		w("	set %s6-%d { type ipv6_addr . inet_proto . inet_service; size %d; flags dynamic; }", towards, place, maxLive)
		w("	chain %s%d { }", portBlock, place)
	}
	w("	chain out { type nat hook postrouting priority srcnat; policy accept; }")
	w("}")
	w("flush chain inet %s out", p.sourcesTable())
	w("table inet %s {", p.sourcesTable())
	w("	chain out {")
	w("		oifname %q iifname vmap { %s }", uplinkNS, strings.Join(places, ", "))
	w("	}")
	w("}")
	return b.String()
}

// sources has a place leave by the part of its block that its lease gives, and
// returns that. What is open by other ports of the block ends, also where an
// earlier call, or daemon, had the rules in force and came no further.
func (n *Network) sources(place int, out uint64) ([2]uint16, error) {
	ports := n.plan.leased(place, out)
	c, err := nftables.New(nftables.WithNetNSFd(int(n.space)))
	if err != nil {
		return ports, fmt.Errorf("reaching nftables: %w", err)
	}
	table := &nftables.Table{Name: n.plan.sourcesTable(), Family: nftables.TableFamilyINet}
	chain := &nftables.Chain{Table: table, Name: portBlock + strconv.Itoa(place)}
	rules, err := c.GetRules(table, chain)
	if err != nil {
		return ports, fmt.Errorf("reading chain %s: %w", chain.Name, err)
	}
	said := fmt.Sprintf("ports %d to %d of IPv4", ports[0], ports[1])
	families := []natFamily{{4, unix.NFPROTO_IPV4, n.plan.node4(), 16}}
	if n.v6 {
		said += " and IPv6"
		families = append(families, natFamily{6, unix.NFPROTO_IPV6, n.plan.node6(), 24})
	}
	if len(rules) == 0 || comment(rules[0]) != said {
		c.FlushChain(chain)
		for _, f := range families {
			set := &nftables.Set{Table: table, Name: fmt.Sprintf("%s%d-%d", towards, f.number, place)}
			c.FlushSet(set) // what it counts, it counts against the limit that it was made with
			c.AddRule(f.fullRule(chain, set, place, ports, said))
			c.AddRule(f.natRule(chain, ports))
		}
		if err := c.Flush(); err != nil {
			return ports, fmt.Errorf("setting the source ports of place %d: %w", place, err)
		}
		if err := n.fault("source rules"); err != nil {
			return ports, err
		}
	}
	if whole := n.plan.sourcePorts(place); len(rules) > 0 && ports[1] < whole[1] {
		return ports, n.endBeyond(place, ports[1]+1, whole[1])
	}
	return ports, nil
}

// vacate leaves a place's chain to nobody, and its counter at zero.
func (n *Network) vacate(c *nftables.Conn, place int) error {
	table := &nftables.Table{Name: n.plan.sourcesTable(), Family: nftables.TableFamilyINet}
	c.FlushChain(&nftables.Chain{Table: table, Name: portBlock + strconv.Itoa(place)})
	if _, err := c.ResetObject(&nftables.CounterObj{Table: table, Name: full + strconv.Itoa(place)}); err != nil {
		return fmt.Errorf("counting place %d anew: %w", place, err)
	}
	return nil
}

// endBeyond ends what a place has open by ports that it no longer has.
func (n *Network) endBeyond(place int, first, last uint16) error {
	if err := end(n.out, left{n.plan, first, last}); err != nil {
		return err
	}
	return end(n.node, behind{n.plan, place, first, last})
}

// behind matches, in the node's table, what a place's sliver opened that left by
// some ports.
type behind struct {
	plan        plan
	place       int
	first, last uint16
}

func (b behind) MatchConntrackFlow(f *netlink.ConntrackFlow) bool {
	place, ok := b.plan.placeOfAddr(addrOf(f.Forward.SrcIP))
	return ok && place == b.place && f.Reverse.DstPort >= b.first && f.Reverse.DstPort <= b.last
}

func comment(r *nftables.Rule) string {
	s, _ := userdata.GetString(r.UserData, userdata.TypeComment)
	return s
}

// natFamily is what the rules of IPv4 and IPv6 differ in.
type natFamily struct {
	number int
	proto  byte
	source netip.Addr // the node's own
	daddr  uint32     // where the destination is in the header
}

func (f natFamily) of(protocols string) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{f.proto}},
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Lookup{SourceRegister: 1, SetName: protocols},
	}
}

// fullRule drops, and counts for the sliver, what would be one flow more to a
// destination than there are ports for. Without it such a flow is dropped all the
// same, when its entry is to be made and no port is left, but nobody learns whose
// it was.
func (f natFamily) fullRule(chain *nftables.Chain, set *nftables.Set, place int, ports [2]uint16, said string) *nftables.Rule {
	const counterObject = 1 // NFT_OBJECT_COUNTER
	const key = 8           // NFT_REG32_00, and on: a concatenation
	words := uint32(f.source.BitLen() / 32)
	return &nftables.Rule{Table: chain.Table, Chain: chain, UserData: userdata.AppendString(nil, userdata.TypeComment, said), Exprs: append(f.of(ported),
		&expr.Payload{DestRegister: key, Base: expr.PayloadBaseNetworkHeader, Offset: f.daddr, Len: 4 * words},
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: key + words},
		&expr.Payload{DestRegister: key + words + 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		&expr.Dynset{SrcRegKey: key, SetName: set.Name, Operation: unix.NFT_DYNSET_OP_ADD, Exprs: []expr.Any{
			&expr.Connlimit{Count: uint32(ports[1]-ports[0]) + 1, Flags: expr.NFT_CONNLIMIT_F_INV}}},
		&expr.Objref{Type: counterObject, Name: full + strconv.Itoa(place)},
		&expr.Verdict{Kind: expr.VerdictDrop},
	)}
}

func (f natFamily) natRule(chain *nftables.Chain, ports [2]uint16) *nftables.Rule {
	return &nftables.Rule{Table: chain.Table, Chain: chain, Exprs: append(f.of(natted),
		&expr.Immediate{Register: 1, Data: f.source.AsSlice()},
		&expr.Immediate{Register: 2, Data: binaryutil.BigEndian.PutUint16(ports[0])},
		&expr.Immediate{Register: 3, Data: binaryutil.BigEndian.PutUint16(ports[1])},
		&expr.NAT{Type: expr.NATTypeSourceNAT, Family: uint32(f.proto), RegAddrMin: 1, RegProtoMin: 2, RegProtoMax: 3, Specified: true},
	)}
}
