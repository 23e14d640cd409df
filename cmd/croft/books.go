// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"croft/lease"
	"croft/node/api"
)

func (a *app) ticket() *cobra.Command {
	c := &cobra.Command{Use: "ticket", Short: "Give tickets out of your node's capacity, and read them"}
	c.AddCommand(a.ticketGive(), a.show("Print a ticket's statements, checked"))
	return c
}

func (a *app) lease() *cobra.Command {
	c := &cobra.Command{Use: "lease", Short: "Read leases, and your node's books"}
	c.AddCommand(a.leaseBooks(), a.leaseCalendar(), a.leaseRevoke(), a.show("Print a lease's statements, checked"))
	return c
}

// bundle is a ticket as a file: the statements from the capacity down, each
// signed, in base64.
type bundle struct {
	Croft string   `json:"croft"` // what this file is
	Chain [][]byte `json:"chain"`
}

const bundleKind = "ticket/1"

func (a *app) ticketGive() *cobra.Command {
	var out, amount string
	var term, in time.Duration
	var degree uint16
	c := &cobra.Command{
		Use: "give HOLDER", Short: "Sign a ticket for a principal", Args: cobra.ExactArgs(1),
		Long:    "Sign a ticket out of the node's own capacity: a promise that its holder may redeem with `croft run --ticket FILE`.",
		Example: "  croft ticket give \"$(cat alice.pub)\" --rset cpu=2000,memory=1GiB --for 48h --out alice.ticket",
		RunE: func(cmd *cobra.Command, args []string) error {
			holder, err := principal("`croft key show` prints a principal", args[0])
			if err != nil {
				return err
			}
			rset, err := lease.ParseRSet(amount)
			if err != nil {
				return badAmounts("rset", amount, err)
			}
			from := time.Now().Add(in).Unix()
			answer, err := a.way().Issue(cmd.Context(), api.IssueRequest{Holder: holder, RSet: rset, From: from,
				Until: from + int64(term.Seconds()), Degree: degree})
			if err != nil {
				return err
			}
			if answer.Refusal != nil {
				return answer.Refusal
			}
			text, err := json.Marshal(bundle{Croft: bundleKind, Chain: answer.Statements})
			if err != nil {
				return err
			}
			if out != "" {
				if err := writeNew(out, append(text, '\n'), 0o600); err != nil {
					return err
				}
				if a.json {
					return a.print(given{holder, out}, nil)
				}
				a.say("ticket for %s in %s", holder.Short(), out)
				return nil
			}
			_, err = fmt.Fprintf(a.out, "%s\n", text)
			return err
		},
	}
	c.Flags().StringVar(&amount, "rset", "", "what it promises: cpu=1000,memory=512MiB,…")
	c.Flags().DurationVar(&term, "for", 24*time.Hour, "its term")
	c.Flags().DurationVar(&in, "in", 0, "when its term begins, from now")
	c.Flags().Uint16Var(&degree, "degree", lease.MinDegree, "oversubscription that its holder may sign, in hundredths")
	c.Flags().StringVar(&out, "out", "", "file to write (default: stdout)")
	if err := c.MarkFlagRequired("rset"); err != nil {
		panic(err) // the flag is defined above
	}
	return c
}

// given says where a ticket is.
type given struct {
	Holder lease.Principal `json:"holder"`
	File   string          `json:"file"`
}

// readBundle reads a ticket's file and opens what is in it.
func readBundle(path string) ([][]byte, []lease.Opened, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 2*lease.MaxChain))
	if err != nil {
		return nil, nil, err
	}
	var file bundle
	if err := json.Unmarshal(b, &file); err != nil || file.Croft != bundleKind || len(file.Chain) == 0 {
		return nil, nil, fail(exitUsage, "`croft ticket give` writes one", "%s is not a ticket", path)
	}
	opened := make([]lease.Opened, len(file.Chain))
	for i, s := range file.Chain {
		if opened[i], err = lease.Open(s); err != nil {
			return nil, nil, usage("ask its issuer for it again", "%s, statement %d: %w", path, i+1, err)
		}
	}
	return file.Chain, opened, nil
}

// shown is a statement as people and programs read it.
type shown struct {
	ID        lease.ID        `json:"id"`
	Kind      string          `json:"kind"`
	By        lease.Principal `json:"by"`
	Statement lease.Statement `json:"statement"`
	Bytes     int             `json:"bytes"`
}

func (a *app) show(short string) *cobra.Command {
	return &cobra.Command{
		Use: "show FILE|BASE64", Short: short, Args: cobra.ExactArgs(1),
		Long: short + ": signatures and fields, offline, with no daemon. The argument is a ticket's file or one signed statement in base64.",
		RunE: func(_ *cobra.Command, args []string) error {
			opened, err := openAny(args[0])
			if err != nil {
				return err
			}
			list := make([]shown, len(opened))
			for i, o := range opened {
				list[i] = shown{o.ID, o.Kind().String(), o.By(), o.Statement, len(o.Signed.Bytes())}
			}
			return printEach(a, list, "ID\tKIND\tSIGNED BY\tBYTES\tSAYS", func(w io.Writer, s shown) {
				fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\n", s.ID.Short(), s.Kind, s.By.Short(), s.Bytes, says(s.Statement))
			})
		},
	}
}

func openAny(arg string) ([]lease.Opened, error) {
	if b, err := base64.StdEncoding.DecodeString(arg); err == nil && len(b) > 0 && !exists(arg) {
		o, err := lease.Open(b)
		if err != nil {
			return nil, usage("a ticket's file, or a signed statement in base64", "%w", err)
		}
		return []lease.Opened{o}, nil
	}
	_, opened, err := readBundle(arg)
	if errors.Is(err, os.ErrNotExist) {
		return nil, usage("a ticket's file, or a signed statement in base64", "no file %q", arg)
	}
	return opened, err
}

// says puts a claim in a line.
func says(st lease.Statement) string {
	switch s := st.(type) {
	case *lease.Capacity:
		return fmt.Sprintf("tranche %d: %s %s degree %d", s.Tranche, s.RSet, s.Term(), s.Degree)
	case *lease.Ticket:
		return fmt.Sprintf("to %s, slot %d: %s %s degree %d", s.Holder.Short(), s.Slot, s.RSet, s.Term(), s.Degree)
	case *lease.Hold:
		return fmt.Sprintf("to %s: %s %s", s.Holder.Short(), s.RSet, s.Term())
	case *lease.Lease:
		return fmt.Sprintf("to %s for %s: %s %s", s.Holder.Short(), s.Slice, s.RSet, s.Term())
	}
	return ""
}

func (a *app) leaseBooks() *cobra.Command {
	return &cobra.Command{
		Use: "books", Short: "Every hold and lease on the node behind the socket", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			books, err := a.way().Books(cmd.Context())
			if err != nil {
				return err
			}
			return printEach(a, books, "LEASE\tSTATE\tHOLDER\tSLICE\tPOOL\tUNTIL\tRSET", func(w io.Writer, c api.Claim) {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", c.Lease.Short(), c.State, c.Holder.Short(), c.Slice, c.Pool,
					clockTime(c.Until), c.RSet)
			})
		},
	}
}
