// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"croft/lease"
	"croft/lease/sign"
	"croft/node/agent"
	"croft/node/agent/host"
	"croft/node/client"
)

const agentHelp = `An agent reads DIR/agent.toml:

  nodes = ["m4ain…"]                    # of your own site, by principal: they give it tickets

  [[person]]                            # who may ask it for tickets
  name = "ann"
  key = "ssh-ed25519 AAAA…"             # a principal, or a line of an OpenSSH .pub file
  most = { cpu = 2000, memory = "4GiB", pids = 512 }   # at once, on all nodes together
  longest = "2h"                        # of one ticket; 1h unless told

  [guests]                              # anybody else, such as the people of a peer whose agent is dead
  most = { cpu = 500, memory = "256MiB", pids = 64 }
  longest = "10m"

  [[peer]]
  name = "uni-b"
  key = "bdekp…"                        # its agent's principal
  nodes = ["dkedm…"]                    # its nodes that give to you
  share = 20                            # per cent of each ticket on your own nodes that it gets
  degree = 100                          # oversubscription that it may sign, in hundredths
  for = "1h"                            # term of what it gets, renewed by half of that

What a node gives to an agent is in the node's policy. With a degree above 100 there
the agent may promise more than there is: shares may then come to more than 100 per
cent together, and what stays idle anywhere is used.`

func (a *app) agent() *cobra.Command {
	var dir string
	c := &cobra.Command{Use: "agent", Short: "Your site's online hand: it keeps peering, and gives tickets to your people",
		Long: "Run an agent, or ask one. An agent has a key of its own, to which the nodes of your site and of your peers\ngive tickets by their policies.\n\n" + agentHelp}
	c.PersistentFlags().StringVar(&dir, "dir", "", "directory of the agent (default HOME/agent)")
	where := func() string {
		if dir != "" {
			return dir
		}
		return filepath.Join(a.home, "agent")
	}
	c.AddCommand(a.agentUp(where), a.agentCheck(where), a.agentAccount(where), a.agentAsk(where))
	return c
}

// agentConfig reads DIR/agent.toml.
func agentConfig(dir string) (agent.Config, error) {
	path := filepath.Join(dir, "agent.toml")
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return agent.Config{}, usage("`croft agent --help` shows one", "no file %s", path)
	}
	if err != nil {
		return agent.Config{}, err
	}
	cfg, err := agent.Read(text)
	if err != nil {
		return agent.Config{}, usage("`croft agent --help` shows one that is right", "%s: %w", path, err)
	}
	return cfg, nil
}

func (a *app) agentUp(where func() string) *cobra.Command {
	var level string
	c := &cobra.Command{
		Use: "up", Short: "Run the agent, in the foreground", Args: cobra.NoArgs,
		Long: `Run the agent of DIR: fetch tickets from the nodes of your site and your peers through
the way in, pass a share on to the peers, answer your people at DIR/agent.sock. Tickets
for peers are put into DIR/out/PEER/ as text that can be mailed, and tickets that you
put into DIR/in/ are taken. It makes its key at the first start and prints its
principal: that is whom nodes give to.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := agentConfig(where())
			if err != nil {
				return err
			}
			log, err := logger(a, level)
			if err != nil {
				return err
			}
			path := filepath.Join(where(), "key")
			key, err := a.readKey(path)
			if errors.Is(err, os.ErrNotExist) {
				key, err = makeKey(path, "croft agent")
			}
			if err != nil {
				return err
			}
			h, err := host.Open(cmd.Context(), host.Config{Dir: where(), Key: key, Agent: cfg, Nodes: &agentNodes{a.way(), key}, Log: log})
			if err != nil {
				return err
			}
			a.say("agent %s\nsocket %s", key.Principal(), host.Socket(where()))
			return h.Run(cmd.Context())
		},
	}
	c.Flags().StringVar(&level, "log", "info", "debug, info, warn or error")
	return c
}

// agentNodes reaches nodes through the way in.
type agentNodes struct {
	way *client.Way
	key *sign.Key
}

func (n *agentNodes) Tickets(ctx context.Context, node lease.Principal) ([][][]byte, error) {
	c := n.way.Node(node, n.key)
	defer c.Close()
	held, err := c.Tickets(ctx)
	chains := make([][][]byte, len(held))
	for i, t := range held {
		chains[i] = t.Chain
	}
	return chains, err
}

func (n *agentNodes) Quarantined(ctx context.Context) ([]agent.Proved, error) {
	list, err := n.way.Conflicts(ctx)
	var out []agent.Proved
	for _, c := range list {
		if c.Quarantine > 0 {
			out = append(out, agent.Proved{ID: c.ID, Principal: c.Principal, Until: c.Quarantine})
		}
	}
	return out, err
}

func (a *app) agentCheck(where func() string) *cobra.Command {
	return &cobra.Command{
		Use: "check", Short: "Read agent.toml and say what it means", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			cfg, err := agentConfig(where())
			if err != nil {
				return err
			}
			return a.print(cfg, func(w io.Writer) {
				fmt.Fprintf(w, "asks\t%d nodes of the own site\n", len(cfg.Nodes))
				for _, p := range cfg.People {
					fmt.Fprintf(w, "person\t%s\tat most %s, each for %s\n", p.Name, p.Most, left(p.Longest))
				}
				if !cfg.Guests.Most.IsZero() {
					fmt.Fprintf(w, "guests\t\tat most %s each, for %s\n", cfg.Guests.Most, left(cfg.Guests.Longest))
				}
				for _, p := range cfg.Peers {
					fmt.Fprintf(w, "peer\t%s\tgets %d %% of each own ticket at degree %d for %s; %d nodes of it are asked\n", p.Name, p.Share, p.Degree,
						left(p.Term), len(p.Nodes))
				}
			})
		},
	}
}

func (a *app) agentAccount(where func() string) *cobra.Command {
	return &cobra.Command{
		Use: "account", Short: "Who gave how much to whom, and what is held and promised now", Args: cobra.NoArgs,
		Long: `Print the agent's account: what was given to and taken from each party, in resource·hours
of what was promised, whether it was used or not; wishes that the agent refused; refusals
by the party's nodes; times that they did not answer; proofs that it broke a promise. Then the
tickets that are held, and how much of each is promised now: more than 100 % is
oversubscribed.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := host.NewClient(where()).Account(cmd.Context())
			if err != nil {
				return noAgent(err)
			}
			return a.print(r, func(w io.Writer) {
				fmt.Fprintln(w, "PARTY\tGIVEN\tTAKEN\tREFUSED\tREFUSALS\tSILENT\tCONFLICTS")
				for _, p := range r.Parties {
					fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%d\t%d\n", p.Name, hours(p.Given), hours(p.Taken), p.Refused, p.Refusals, p.Silent, p.Conflicts)
				}
				fmt.Fprintln(w, "\nTICKET\tNODE\tFROM\tDEGREE\tLEFT\tHELD\tPROMISED NOW")
				now := time.Now().Unix()
				for _, h := range r.Held {
					fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\t%s\n", h.Ticket.Short(), h.Node.Short(), h.From.Short(), h.Degree, left(h.Until-now), h.RSet, promised(h))
				}
			})
		},
	}
}

// hours prints resource·hours: the unit of the resource, an hour long.
func hours(h agent.Hours) string {
	var parts []string
	for r, v := range h {
		if v >= 0.5 {
			parts = append(parts, fmt.Sprintf("%s=%s", lease.Resource(r), lease.Resource(r).Format(roughly(lease.Resource(r), v))))
		}
	}
	if len(parts) == 0 {
		return "-"
	}
	return strings.Join(parts, " ") + " h"
}

// roughly rounds an amount to whole MiB or thousands where it has as many: the
// account is for people.
func roughly(r lease.Resource, v float64) uint64 {
	grain := 1.0
	switch r {
	case lease.Memory, lease.Disk, lease.IO, lease.EgressDaily:
		grain = 1 << 20
	case lease.EgressRate, lease.IngressRate:
		grain = 1000
	}
	if v < grain {
		grain = 1
	}
	return uint64(math.Round(v/grain) * grain)
}

// promised prints how much of a ticket is promised, by resource.
func promised(h host.Holding) string {
	var parts []string
	for r, v := range h.Promised {
		if v > 0 {
			parts = append(parts, fmt.Sprintf("%s %.0f %%", lease.Resource(r), 100*float64(v)/float64(h.RSet[r])))
		}
	}
	if len(parts) == 0 {
		return "-"
	}
	return strings.Join(parts, ", ")
}

func noAgent(err error) error {
	if errors.Is(err, host.ErrNoAgent) {
		return fail(exitUnreachable, "start it with `croft agent up`, or name its directory with --dir", "%w", err)
	}
	return err
}

func (a *app) agentAsk(where func() string) *cobra.Command {
	var amount, out string
	var term time.Duration
	var not []string
	c := &cobra.Command{
		Use: "ask", Short: "Ask the agent for a ticket, for yourself", Args: cobra.NoArgs,
		Long:    "Ask the agent of DIR for a ticket that you may redeem at once with `croft run --ticket`. After a node refused it, name that node with --not: the agent then looks elsewhere, and asks that node last for a while.",
		Example: "  croft agent ask --dir /var/lib/croft-agent --rset cpu=500,memory=256MiB,pids=64 --for 30m --out t.ticket",
		RunE: func(cmd *cobra.Command, _ []string) error {
			key, err := a.mine()
			if err != nil {
				return err
			}
			rset, err := lease.ParseRSet(amount)
			if err != nil {
				return badAmounts("rset", amount, err)
			}
			if term < time.Second {
				return usage("such as --for 30m", "--for %s is no time to come", term)
			}
			in := host.WishRequest{By: key.Principal(), RSet: rset, From: time.Now().Unix()}
			in.To = in.From + int64(term.Seconds())
			c := host.NewClient(where())
			for _, s := range not {
				node, err := sign.ParsePrincipal(s)
				if err != nil {
					return usage("the node's principal: `croft ticket show` prints it as that which signed the capacity, `croft --json find` for each name", "--not: %w", err)
				}
				in.Not = append(in.Not, node)
				if err := c.Complain(cmd.Context(), host.ComplaintRequest{By: in.By, Node: node}); err != nil {
					return noAgent(err)
				}
			}
			answer, err := c.Wish(cmd.Context(), in)
			if err != nil {
				return noAgent(err)
			}
			if answer.Refuse != "" {
				return fail(exitRefused, "", "the agent gives no ticket: %s", answer.Refuse)
			}
			return a.handOut(answer.Chain, out)
		},
	}
	c.Flags().StringVar(&amount, "rset", "", "what you want: cpu=1000,memory=512MiB,…")
	c.Flags().DurationVar(&term, "for", 30*time.Minute, "how long")
	c.Flags().StringArrayVar(&not, "not", nil, "a node that refused (may be repeated)")
	c.Flags().StringVar(&out, "out", "", "file to write (default: stdout)")
	must(c.MarkFlagRequired("rset"))
	return c
}
