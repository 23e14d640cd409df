// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"

	"github.com/spf13/cobra"
)

const queryHelp = `A query is constraints joined by &, then clauses:

  cpu>=1000 & memory>=1GiB & country!=DE & rtt<80ms order by -egress.rate limit 5 spread by site

A constraint is a name, an operator (= != < <= > >=) and a value:
  cpu, memory, disk, pids, egress.rate, …   what is free in the commons: thousandths
                                            of a core, 512MiB, 2GiB, 64, 5mbit
  free.share.cpu, …                         the same of another pool: free.POOL.RESOURCE
  pool                                      a pool that the node has: sharp, share, calendar
  country, region, city, site, name, node   what the node says of itself; = and != only
  arch, runtime, network, label.KEY         the same
  as, kernel, uptime                        a number, a version (6.1), a span (36h, 7d)
  rtt                                       round trip from the way in; who would be
                                            named is measured (23ms), others are
                                            estimated from coordinates (~23ms)

What a node does not state satisfies != and nothing else. Values with other signs
than letters, digits, dots and dashes go in "quotes". The clauses, each at most
once: "order by NAME" or "order by -NAME" for the greatest first, with up to three
more names behind commas for those that are equal, "limit N", and "spread by site"
(or as, or country) to have different ones first.`

const exitHelp = `Every command ends with one of these codes, which never change meaning:

  0  ok
  1  failed: it did not work, or a command in a sliver ended with a status other than 0
  2  usage: the command line is wrong; nothing was done
  3  nothing matched: no such slice, sliver or record, or no node for a query
  4  none kept: nodes held shares for us, but not all could be had, so none was kept
  5  partial: some nodes did it, some did not
  6  refused: the owner of a node, or your own purse, said no, and why
  7  timed out
  8  unreachable: no daemon behind the socket, or no way to a node

An error is two lines on stderr, what was wrong and what to type:

  croft: error: you have no slice "prob"
  croft: hint: did you mean ` + "`probe`" + `?

With --json results on stdout are one object a line, and so is what goes to stderr:
stages of work ("stage"), remarks ("note"), and the error:

  {"error":"you have no slice \"prob\"","hint":"did you mean ` + "`probe`" + `?","code":3,"class":"nothing-matched"}`

const configHelp = `A node reads STATE/croft.toml, or the file of --config. Every key may be left out;
an unknown one is an error.

  name = "uni-a/n1"                     # as others see it; the host's name unless told
  listen = ["/ip4/0.0.0.0/udp/4001/quic-v1", "/ip4/0.0.0.0/tcp/4001"]
  join = ["/ip4/198.51.100.7/udp/4001/quic-v1/p2p/12D3KooW…"]
  profile = "public"                    # public, lan or lab: which addresses count
  open = ["198.18.0.0/16"]              # closed ranges that slivers may reach all the same
  visitor = false                       # true: host nothing
  resolver = ["192.0.2.53:53"]          # for slivers' names; the host's unless told
  runtime = "/usr/local/sbin/runc"      # found unless told
  site_cert = "site.cert"               # from ` + "`croft key certify`" + `
  places = 64                           # slivers at once
  blob_quota = "8GiB"                   # images kept
  audit_quota = "4GiB"                  # record of flows kept

  [attributes]                          # what the node says of itself
  country = "NL"
  region = "EU"
  city = "Amsterdam"
  lat = 52.37
  lon = 4.9
  as = 1103

  [labels]                              # for queries: label.ixp=yes
  ixp = "yes"

  [capacity]                            # what may be leased in all; half the machine unless told
  cpu = "4000"
  memory = "8GiB"

  [commons]                             # what one principal may have without a ticket
  cpu = "500"`

const policyHelp = `A node reads STATE/policy.toml, or the file that policy in croft.toml names: at its
start, on SIGHUP, and by ` + "`croft policy reload`" + `. Every key may be left out, and the
file too; ` + "`croft policy check FILE`" + ` says in words what a file means. Amounts are
numbers (4000), texts with a unit ("2GiB", "50mbit") or shares ("25%").

  refuse = ["rude"]                     # get nothing new
  allow = ["ann"]                       # although a policy that you follow refuses her

  [principals]                          # names for keys, also in OpenSSH form
  ann = "ssh-ed25519 AAAA… ann@lab"

  [capacity]                            # leased in all: shares are of the machine
  cpu = "75%"

  [pool.NAME]                           # commons, sharp, or another: shares are of the capacity
  mechanism = "gang"                    # sharp, gang, share, calendar or allocator
  part = "25%"                          # of all resources that are not named
  cpu = 2000
  only = ["ann"]                        # for whom it is kept
  longest = "24h"                       # term of a lease
  ahead = "7d"                          # how long before its begin it may be asked for
  each = { cpu = 500 }                  # one principal, at any time; "any" is no limit
  network = { cpu = 2000 }              # one /24 or /56, where it is seen directly
  idle_only = true                      # leases go when a ticket's holder needs the room
  notice = "20s"                        # share, idle_only: before an eviction
  max_weight = 100                      # share
  borrow = true                         # share: what tickets have not drawn is lent
  no_show = "10m"                       # calendar: who has not begun by then loses it
  exclusive = true                      # calendar: the whole pool may be reserved

  [[give]]                              # a peer always has this ticket
  to = "isp-b"
  cpu = 500                             # no sliver runs without cpu, memory and pids
  memory = "1GiB"
  pids = 256
  egress.rate = "50mbit"
  degree = 150                          # may be promised 1.5 times
  for = "30d"                           # the next is signed by half of it

  [[follow]]                            # a community's signed policy, for what is left open
  file = "research-net.policy"
  by = "ann"

  [times]
  hold = "30s"
  activation = "60s"
  grace = "60s"
  quarantine = "7d"`

// topics are the pages of help that belong to no command.
func topics() []*cobra.Command {
	return []*cobra.Command{
		{Use: "exit-codes", Short: "What the exit codes and errors mean", Long: exitHelp},
		{Use: "policy-file", Short: "The keys of policy.toml", Long: policyHelp},
		{Use: "config", Short: "The keys of croft.toml", Long: configHelp},
	}
}

// helpCommand is `croft help`, for which an unknown word is a usage error.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND or TOPIC]", Short: "Help on a command or a topic",
		ValidArgsFunction: func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
			at, _, err := cmd.Root().Find(args)
			if err != nil || at == nil {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			var names []string
			for _, c := range at.Commands() {
				if !c.Hidden && strings.HasPrefix(c.Name(), word) {
					names = append(names, cobra.CompletionWithDesc(c.Name(), c.Short))
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			at, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 || at == nil {
				if at == nil {
					at = cmd.Root()
				}
				if len(rest) == 0 {
					rest = args
				}
				return unknown(at, rest[0])
			}
			at.InitDefaultHelpFlag()
			return at.Help()
		},
	}
}
