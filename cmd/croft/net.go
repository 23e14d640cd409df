// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"croft/node/api"
	"croft/node/daemon"
)

func (a *app) net() *cobra.Command {
	var require string
	c := &cobra.Command{
		Use: "net [PEER]", Short: "Whom this node is connected to, what that costs, and what was dropped", Args: cobra.MaximumNArgs(1),
		Long: `Show the connections of the node behind the socket: to whom, directly or by a relay,
how far away (measured now), since when; what the overlay took of its budget about the
last minute; bytes by topic of gossip and by protocol since the daemon began; and what
was dropped, by reason. Above the budget the node's periods stretch.

With PEER, a node's name, principal or peer id, only that one; exit code 8 if there is
no connection to it. --require direct makes it 1 if all goes by a relay.`,
		Example: `  croft net
  croft net uni-a/n1 --require direct
  croft net --json | jq .drops`,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) > 0 && len(cmd.SuggestionsFor(args[0])) > 0:
				return unknown(cmd, args[0])
			case require != "" && require != "direct":
				return usage("--require direct is all there is", "--require %s is not known", require)
			case require != "" && len(args) == 0:
				return usage("name it: `croft net PEER --require direct`", "--require is about one peer")
			}
			n, err := a.way().Net(cmd.Context())
			if err != nil {
				return err
			}
			if len(args) == 0 {
				return a.showNet(n)
			}
			p, err := peerCalled(n.Peers, args[0])
			if err != nil {
				return err
			}
			if err := a.printPeers([]api.Peer{p}, n.At); err != nil {
				return err
			}
			if require != "" && !p.Direct {
				return fail(exitFailed, "", "everything to %s goes by a relay", peerName(p))
			}
			return nil
		},
	}
	c.Flags().StringVar(&require, "require", "", "direct: fail if everything goes by a relay")
	c.AddCommand(a.netShow(), a.netDestroy())
	return c
}

// peerCalled is the peer that goes by a name, or by the beginning of a principal or
// id that no other has.
func peerCalled(peers []api.Peer, name string) (api.Peer, error) {
	var found []api.Peer
	for _, p := range peers {
		switch node := p.Node.String(); {
		case p.Name == name, node == name, p.ID == name:
			return p, nil
		case len(name) >= 8 && (strings.HasPrefix(node, name) || strings.HasPrefix(p.ID, name)):
			found = append(found, p)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return api.Peer{}, fail(exitUnreachable, "`croft net` has who is connected", "no connection to %s", name)
	}
	return api.Peer{}, usage("type more of it", "%d peers begin with %s", len(found), name)
}

func peerName(p api.Peer) string {
	switch {
	case p.Name != "":
		return printable(p.Name)
	case !p.Node.IsZero():
		return p.Node.Short()
	}
	return p.ID
}

func (a *app) showNet(n api.Net) error {
	if a.json {
		return a.print(n, nil)
	}
	if err := a.print(n, func(w io.Writer) { netHead(w, n) }); err != nil {
		return err
	}
	if len(n.Peers) > 0 {
		fmt.Fprintln(a.out)
		if err := a.printPeers(n.Peers, n.At); err != nil {
			return err
		}
	}
	for _, table := range []struct {
		is bool
		of func(io.Writer)
	}{
		{len(n.Topics) > 0, func(w io.Writer) { topicTable(w, n) }},
		{len(n.Protocols) > 0, func(w io.Writer) { protocolTable(w, n) }},
		{len(n.Drops) > 0, func(w io.Writer) {
			fmt.Fprintln(w, "DROPPED\tTIMES")
			for _, reason := range slices.Sorted(maps.Keys(n.Drops)) {
				fmt.Fprintf(w, "%s\t%d\n", reason, n.Drops[reason])
			}
		}},
	} {
		if table.is {
			fmt.Fprintln(a.out)
			if err := a.print(n, table.of); err != nil {
				return err
			}
		}
	}
	return nil
}

func netHead(w io.Writer, n api.Net) {
	relayed := 0
	for _, p := range n.Peers {
		if !p.Direct {
			relayed++
		}
	}
	fmt.Fprintf(w, "peers\t%d direct, %d relayed\n", len(n.Peers)-relayed, relayed)
	fmt.Fprintf(w, "load\t%s/s of %s/s (%.0f %%)\n", octets(uint64(n.Load)), octets(uint64(n.Budget)), 100*n.Load/n.Budget)
	if n.Stretch > 1 {
		fmt.Fprintf(w, "periods\tstretched %.1f times\n", n.Stretch)
	}
	if len(n.Topics) > 0 {
		fmt.Fprintf(w, "messages\t%d accepted, %d came again\n", n.Delivered, n.Doubles)
	}
}

func topicTable(w io.Writer, n api.Net) {
	fmt.Fprintln(w, "TOPIC\tMESH\tIN\tOUT\tOF BUDGET")
	for _, t := range n.Topics {
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\n", t.Topic, t.Mesh, octets(t.In), octets(t.Out), ofBudget(n, max(t.In, t.Out)))
	}
}

func protocolTable(w io.Writer, n api.Net) {
	fmt.Fprintln(w, "PROTOCOL\tIN\tOUT\tNOW IN\tNOW OUT\tOF BUDGET")
	for _, p := range n.Protocols {
		name := p.Protocol
		if name == "" {
			name = "(agreeing)"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s/s\t%s/s\t%s\n", name, octets(uint64(p.In)), octets(uint64(p.Out)),
			octets(uint64(p.InRate)), octets(uint64(p.OutRate)), ofBudget(n, uint64(max(p.In, p.Out))))
	}
}

// ofBudget is what bytes are of the budget since they are counted.
func ofBudget(n api.Net, bytes uint64) string {
	whole := n.Budget * max(n.At.Sub(n.Since).Seconds(), 1)
	return fmt.Sprintf("%.1f %%", 100*float64(bytes)/whole)
}

func (a *app) printPeers(peers []api.Peer, at time.Time) error {
	return printEach(a, peers, "PEER\tPRINCIPAL\tWAY\tRTT\tADDRESS\tFOR\tIN\tOUT\tAGENT", func(w io.Writer, p api.Peer) {
		way, rtt, node := "direct", "-", "-"
		if !p.Direct {
			way = "relayed"
		}
		if p.RTT > 0 {
			rtt = fmt.Sprintf("%.3g ms", p.RTT)
		}
		if !p.Node.IsZero() {
			node = p.Node.Short()
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", peerName(p), node, way, rtt, p.Addr,
			left(max(int64(at.Sub(p.Since).Seconds()), 1)), octets(uint64(p.In)), octets(uint64(p.Out)), printable(p.Agent))
	})
}

func (a *app) netDestroy() *cobra.Command {
	var state string
	c := &cobra.Command{
		Use: "destroy", Short: "Remove every trace of a stopped node from the kernel", Args: cobra.NoArgs,
		Long: "Remove every sliver, namespace, link, limit, cgroup and mount of the node with this state directory, also after a crash. Its keys and records stay. The daemon must not be running.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return daemon.Wipe(cmd.Context(), state)
		},
	}
	c.Flags().StringVar(&state, "state", daemon.DefaultConfig().State, "the node's state directory")
	return c
}

func (a *app) netShow() *cobra.Command {
	return &cobra.Command{
		Use: "show", Short: "Who this node is, and what it hosts", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := a.way().Status(cmd.Context())
			if err != nil {
				return err
			}
			return a.print(s, func(w io.Writer) {
				fmt.Fprintf(w, "node\t%s\t%s\n", s.Name, s.Node)
				for _, addr := range s.Addrs {
					fmt.Fprintf(w, "address\t%s\n", addr)
				}
				if s.PolicyFault != "" {
					fmt.Fprintf(w, "policy\tthe newest is refused: %s\n", s.PolicyFault)
				}
				fmt.Fprintf(w, "peers\t%d\nknown\t%d offers\n", s.Peers, s.Known)
				showReach(w, s.Reach)
				if !s.Hosting {
					fmt.Fprintf(w, "visitor\thosts nothing\n")
					return
				}
				fmt.Fprintf(w, "slivers\t%d\nfree\t%s\n", s.Slivers, s.Free)
			})
		},
	}
}
