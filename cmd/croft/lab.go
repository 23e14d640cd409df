// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"croft/lease"
	"croft/lease/sign"
	"croft/node/daemon"
	"croft/sim/lab"
)

const defaultLab = "/var/lib/croft-lab"

func (a *app) lab() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use: "lab", Short: "Real nodes on one machine, each in a network namespace of its own",
		Long: `A lab is a small network of real nodes on this machine: every daemon is a process
in a network namespace of its own, every site a bridge behind one uplink, and
packets between sites take as long as light in fibre would. Root only. Nothing
in it reaches any other network.`,
	}
	c.PersistentFlags().StringVar(&dir, "dir", envOr("CROFT_LAB_DIR", defaultLab), "the lab's directory ($CROFT_LAB_DIR)")
	c.AddCommand(a.labUp(&dir), a.labDown(&dir), a.labStatus(&dir), a.labExec(&dir), a.labSocket(&dir),
		a.labDaemon(&dir, "kill", "Kill a node's daemon, as a crash would", (*lab.Lab).Kill),
		a.labDaemon(&dir, "stop", "Stop a node's daemon; its slivers run on", (*lab.Lab).Stop),
		a.labDaemon(&dir, "start", "Start a node's daemon again", (*lab.Lab).Start))
	return c
}

func (a *app) labUp(dir *string) *cobra.Command {
	var nodes int
	var segment time.Duration
	var nats map[string]string
	c := &cobra.Command{
		Use: "up", Short: "Make the lab", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			self, err := os.Executable()
			if err != nil {
				return err
			}
			sites, err := translated(nats)
			if err != nil {
				return err
			}
			start := time.Now()
			l, err := lab.Up(cmd.Context(), lab.Config{
				Dir: *dir, Croft: self, Sites: sites, N: nodes, Segment: segment, Env: os.Environ(),
				Identity: identity, Certify: certify, Destroy: daemon.Wipe,
				Progress: func(step string) { a.say("%5.2fs  %s", time.Since(start).Seconds(), step) },
			})
			if err != nil {
				return labError(err)
			}
			return a.labShow(cmd.Context(), l)
		},
	}
	c.Flags().IntVarP(&nodes, "nodes", "n", 5, "number of nodes")
	c.Flags().DurationVar(&segment, "segment", 0, "after how long nodes commit to what they recorded, 10s to 5m (default 5m)")
	c.Flags().StringToStringVar(&nats, "nat", nil, "sites behind NAT, as uni-a=cone; none, cone, symmetric or cgnat")
	return c
}

// translated are the default sites, some of them behind NAT.
func translated(nats map[string]string) ([]lab.Site, error) {
	sites := lab.DefaultSites()
	var names, kinds []string
	for i := range sites {
		names = append(names, sites[i].Name)
		sites[i].NAT = lab.NAT(nats[sites[i].Name])
	}
	for _, k := range lab.NATs() {
		kinds = append(kinds, string(k))
	}
	for site, kind := range nats {
		if !slices.Contains(names, site) {
			return nil, usage(didYouMean(site, names), "--nat: no site %q in the lab", site)
		}
		if !slices.Contains(kinds, kind) {
			return nil, usage(didYouMean(kind, kinds), "--nat %s=%s: want none, cone, symmetric or cgnat", site, kind)
		}
	}
	return sites, nil
}

// identity makes a lab node's key before its daemon starts, so that its site can
// certify it.
func identity(state string) (lease.Principal, error) {
	key, err := daemon.NodeKey(state)
	if err != nil {
		return lease.Principal{}, err
	}
	return key.Principal(), nil
}

// certify signs for a lab's site that a node is its own. The site's name is the
// part of the node's name before the slash, which the offer states.
func certify(seed []byte, node lease.Principal) ([]byte, error) {
	if len(seed) != 32 {
		return nil, fmt.Errorf("site's seed of %d bytes", len(seed))
	}
	site := sign.FromSeed([32]byte(seed))
	now := time.Now().Unix()
	cert, err := sign.SealSite(sign.SiteCert{Site: site.Principal(), Node: node, Name: "lab",
		From: now - 60, Until: now + 30*24*3600}, site)
	return cert.Bytes(), err
}

func labError(err error) error {
	switch {
	case errors.Is(err, lab.ErrNotRoot):
		return fail(exitFailed, "run it as root: it makes network namespaces", "%w", err)
	case errors.Is(err, lab.ErrExists):
		return fail(exitFailed, "`croft lab down` takes the old one away", "%w", err)
	case errors.Is(err, lab.ErrNoLab):
		return fail(exitNothing, "`croft lab up` makes one", "%w", err)
	}
	return err
}

func (a *app) labDown(dir *string) *cobra.Command {
	var keep bool
	c := &cobra.Command{
		Use: "down", Short: "Take the lab away, also after a crash", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return labError(lab.Down(cmd.Context(), *dir, lab.DownOptions{Destroy: daemon.Wipe, Keep: keep}))
		},
	}
	c.Flags().BoolVar(&keep, "keep", false, "leave the nodes' directories, with their logs")
	return c
}

func (a *app) labStatus(dir *string) *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "What there is and what of it runs", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := lab.Open(*dir)
			if err != nil {
				return labError(err)
			}
			return a.labShow(cmd.Context(), l)
		},
	}
}

func (a *app) labShow(ctx context.Context, l *lab.Lab) error {
	s, err := l.Status(ctx)
	if err != nil {
		return labError(err)
	}
	return a.print(s, func(w io.Writer) {
		fmt.Fprintln(w, "NODE\tADDRESS\tDAEMON\tSOCKET")
		for _, n := range s.Nodes {
			state := "down"
			if n.Pid != 0 {
				state = fmt.Sprintf("pid %d", n.Pid)
			}
			at := n.Address.String()
			if n.NAT != "" {
				at += fmt.Sprintf(" (%s at %s)", n.NAT, n.Outside)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", n.Name, at, state, n.Socket)
		}
		fmt.Fprintf(w, "outside\t%s\t-\t-\n", s.Outside)
	})
}

func (a *app) labExec(dir *string) *cobra.Command {
	c := &cobra.Command{
		Use: "exec WHERE -- COMMAND…", Short: "Run a command in the network of a node, or of outside", Args: cobra.MinimumNArgs(2),
		Long: "Run a command in the network namespace of a node, and with that node as its way in. Files and processes are this machine's own.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := dashAfter(cmd, 1); err != nil {
				return err
			}
			l, err := lab.Open(*dir)
			if err != nil {
				return labError(err)
			}
			if s, err := l.Status(cmd.Context()); err == nil {
				for _, n := range s.Nodes {
					if n.Name == args[0] {
						os.Setenv("CROFT_SOCKET", n.Socket)
					}
				}
			}
			status, err := l.Exec(cmd.Context(), args[0], args[1:], lab.IO{In: a.in, Out: a.out, Err: a.err})
			if err != nil {
				return err
			}
			if status != 0 {
				return &failure{code: status, err: errors.New("")}
			}
			return nil
		},
	}
	return c
}

func (a *app) labSocket(dir *string) *cobra.Command {
	return &cobra.Command{
		Use: "socket NODE", Short: "Print the path of a node's socket, for --socket", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := lab.Open(*dir)
			if err != nil {
				return labError(err)
			}
			s, err := l.Status(cmd.Context())
			if err != nil {
				return labError(err)
			}
			var names []string
			for _, n := range s.Nodes {
				if n.Name == args[0] {
					return a.print(struct {
						Socket string `json:"socket"`
					}{n.Socket}, func(w io.Writer) { fmt.Fprintln(w, filepath.Clean(n.Socket)) })
				}
				names = append(names, n.Name)
			}
			return fail(exitNothing, didYouMean(args[0], names), "no node %q in the lab", args[0])
		},
	}
}

func (a *app) labDaemon(dir *string, verb, short string, act func(*lab.Lab, context.Context, string) error) *cobra.Command {
	return &cobra.Command{
		Use: verb + " NODE", Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := lab.Open(*dir)
			if err != nil {
				return labError(err)
			}
			return act(l, cmd.Context(), args[0])
		},
	}
}
