// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"net/netip"
	"os"
	"time"

	"github.com/spf13/cobra"

	"croft/ebpf/optout"
	"croft/lease"
	"croft/node/api"
)

func (a *app) optout() *cobra.Command {
	c := &cobra.Command{Use: "optout", Short: "Addresses that no slice sends to, because they asked for it"}
	c.AddCommand(a.optoutRequest(), a.optoutList(), a.optoutShow(), a.optoutVerify(), a.optoutPublish())
	return c
}

func (a *app) optoutList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "Every address that your node leaves alone", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var all []api.OptOut
			for after := ""; ; {
				page, err := a.way().OptOuts(cmd.Context(), after)
				if err != nil {
					return err
				}
				all = append(all, page...)
				if len(page) < api.PageOptOuts {
					break
				}
				after = page[len(page)-1].Addr
			}
			if len(all) == 0 {
				a.say("no address opted out, as far as your node knows")
			}
			return printEach(a, all, "ADDRESS\tSINCE\tUNTIL\tATTESTED BY", func(w io.Writer, o api.OptOut) {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", o.Addr, dayTime(o.From), until(o.Until), attesters(o))
			})
		},
	}
}

func attesters(o api.OptOut) (s string) {
	for i, by := range o.By {
		if i > 0 {
			s += " "
		}
		s += attester(by)
	}
	return s
}

func attester(by api.Attest) string {
	if by.Name != "" {
		return by.Name
	}
	return by.Node.Short()
}

func (a *app) optoutShow() *cobra.Command {
	return &cobra.Command{
		Use: "show ADDRESS", Short: "Who attested that an address wants to be left alone", Args: cobra.ExactArgs(1),
		Long: `Show an opt-out that the node behind the socket keeps: until when it holds, and which
three nodes of which sites each saw a TCP handshake from the address.`,
		Example: "  croft optout show 203.0.113.9",
		RunE: func(cmd *cobra.Command, args []string) error {
			addr, err := netip.ParseAddr(args[0])
			if err != nil {
				return usage("an address, such as 203.0.113.9", "%q: %w", args[0], err)
			}
			o, err := a.way().OptOut(cmd.Context(), addr.Unmap().String())
			if err != nil {
				return err
			}
			return a.print(o, func(w io.Writer) {
				fmt.Fprintf(w, "address\t%s\nsince\t%s\nuntil\t%s\n", o.Addr, dayTime(o.From), dayTime(o.Until))
				if !o.Spared {
					fmt.Fprintf(w, "but\tit is a live node's address now, and not left alone\n")
				}
				for _, by := range o.By {
					site := "site not known any more"
					if !by.Site.IsZero() {
						site = "site " + by.Site.Short()
					}
					fmt.Fprintf(w, "attested\t%s by %s (%s), %s\n", dayTime(by.At), attester(by), by.Node.Short(), site)
				}
			})
		},
	}
}

// optoutText reads attestations from a file, or standard input for "-".
func (a *app) optoutText(arg string) (string, error) {
	in := a.in
	if arg != "-" {
		f, err := os.Open(arg)
		if err != nil {
			return "", err
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, optout.MaxText+1))
	return string(b), err
}

// attested is an opt-out as programs read what was checked offline.
type attested struct {
	Holds bool                 `json:"holds"`
	Addr  netip.Addr           `json:"addr"`
	From  int64                `json:"from"`
	Until int64                `json:"until"`
	ID    lease.ID             `json:"id"`
	By    []optout.Attestation `json:"by"`
}

func (a *app) optoutVerify() *cobra.Command {
	return &cobra.Command{
		Use: "verify FILE|-", Short: "Check attestations offline, with no daemon", Args: cobra.ExactArgs(1),
		Long: `Check that a text has three attestations for one address, each signed by the node that
it names, and that they hold now. Whether the three nodes are of three sites and three
networks, and are those that the hash of address and day names, every node judges by
what it knows of them: see docs/protocol/optout.md.`,
		Example: "  croft optout verify optout.txt",
		RunE: func(_ *cobra.Command, args []string) error {
			text, err := a.optoutText(args[0])
			if err != nil {
				return err
			}
			by, err := optout.ParseText([]byte(text))
			if err != nil {
				return noOptOut(err)
			}
			e, err := optout.Join(by)
			if err != nil {
				return noOptOut(err)
			}
			if now := time.Now().Unix(); now >= e.Until {
				return noOptOut(fmt.Errorf("it ended %s", dayTime(e.Until)))
			}
			out := attested{Holds: true, Addr: e.Addr, From: e.From, Until: e.Until, ID: e.ID}
			for _, o := range e.By {
				out.By = append(out.By, o.Attestation)
			}
			return a.print(out, func(w io.Writer) {
				fmt.Fprintf(w, "holds\tfor %s until %s\n", e.Addr, dayTime(e.Until))
				for _, o := range e.By {
					fmt.Fprintf(w, "attested\t%s by %s\n", dayTime(o.From), o.Node)
				}
			})
		},
	}
}

func noOptOut(err error) error {
	return &failure{code: exitFailed, err: fmt.Errorf("no opt-out (%s): %w", lease.Code(err), err), reason: lease.Code(err)}
}

func (a *app) optoutPublish() *cobra.Command {
	return &cobra.Command{
		Use: "publish FILE|-", Short: "Give attestations to your node, which tells the network", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := a.optoutText(args[0])
			if err != nil {
				return err
			}
			o, err := a.way().TakeOptOut(cmd.Context(), text)
			if err != nil {
				return err
			}
			return a.print(o, func(w io.Writer) { fmt.Fprintf(w, "%s is left alone until %s\n", o.Addr, dayTime(o.Until)) })
		},
	}
}
