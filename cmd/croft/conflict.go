// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"croft/lease"
	"croft/node/api"
)

func (a *app) conflict() *cobra.Command {
	c := &cobra.Command{Use: "conflict", Short: "Proofs that somebody broke a promise: list, check and publish them"}
	c.AddCommand(a.conflictList(), a.conflictShow(), a.conflictVerify(), a.conflictExport(), a.conflictPublish(), a.conflictFind())
	return c
}

func (a *app) conflictList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "Who is proved to have broken a promise, as far as your node knows", Args: cobra.NoArgs,
		Long: `List the proofs that the node behind the socket keeps: found by itself, heard from a
neighbour, or given by you. A proof counts until 30 days after the term in which the
promises collide. For how long the node gives the principal nothing is its own policy.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := a.way().Conflicts(cmd.Context())
			if err != nil {
				return err
			}
			if len(list) == 0 {
				a.say("no proofs: nobody is known to have broken a promise")
			}
			return printEach(a, list, "PROOF\tWHAT\tPRINCIPAL\tCLAIM\tCONFLICTS\tNOTHING GIVEN UNTIL\tKNOWN BY", func(w io.Writer, c api.Conflict) {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", c.ID.Short(), c.Kind, c.Principal.Short(), orDash(c.About),
					daySpan(lease.Term{From: c.From, Until: c.Until}), until(c.Quarantine), knownBy(c))
			})
		},
	}
}

func orDash(id lease.ID) string {
	if id.IsZero() {
		return "-"
	}
	return id.Short()
}

func until(sec int64) string {
	if sec == 0 {
		return "-"
	}
	return dayTime(sec)
}

func knownBy(c api.Conflict) string {
	if c.By.IsZero() {
		return "this node"
	}
	return "neighbour " + c.By.Short()
}

// dayTime prints an instant with its day, in UTC: proofs travel.
func dayTime(sec int64) string { return time.Unix(sec, 0).UTC().Format("2006-01-02 15:04:05Z") }

func daySpan(t lease.Term) string { return dayTime(t.From) + " – " + dayTime(t.Until) }

func (a *app) conflictShow() *cobra.Command {
	return &cobra.Command{
		Use: "show ID|FILE|-", Short: "Draw a proof: the claim, what was signed under it, and why it is too much", Args: cobra.ExactArgs(1),
		Long:    "Draw a proof that the node behind the socket keeps, by its id or the beginning of it, or one in a file.",
		Example: "  croft conflict show k3vq7o2a\n  croft conflict show k3vq7o2a.proof",
		RunE: func(cmd *cobra.Command, args []string) error {
			b, err := a.findProof(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return a.tellProof(b, true)
		},
	}
}

func (a *app) conflictVerify() *cobra.Command {
	return &cobra.Command{
		Use: "verify FILE|-", Short: "Check a proof offline, with no daemon", Args: cobra.ExactArgs(1),
		Long: `Check a proof by itself: it holds on any machine or on none, now and later, for it is
made of statements that the accountable principal signed. Exit code 0 says that it
holds, 1 that it proves nothing, and by which rule of docs/protocol/claims.md.`,
		Example: "  croft conflict export k3vq7o2a > k3vq7o2a.proof\n  croft conflict verify k3vq7o2a.proof",
		RunE: func(_ *cobra.Command, args []string) error {
			b, err := a.readProof(args[0])
			if err != nil {
				return err
			}
			return a.tellProof(b, false)
		},
	}
}

func (a *app) conflictExport() *cobra.Command {
	return &cobra.Command{
		Use: "export ID", Short: "Print a proof as text that can be mailed", Args: cobra.ExactArgs(1),
		Example: "  croft conflict export k3vq7o2a > k3vq7o2a.proof",
		RunE: func(cmd *cobra.Command, args []string) error {
			b, err := a.findProof(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			p, shown, err := lease.VerifyProof(b)
			if err != nil {
				return provesNothing(err)
			}
			return a.print(provedOf(p, shown, b), func(w io.Writer) { _, _ = io.WriteString(w, armour(b, p, shown)) })
		},
	}
}

func (a *app) conflictPublish() *cobra.Command {
	return &cobra.Command{
		Use: "publish FILE|-", Short: "Give a proof to your node, which tells the network", Args: cobra.ExactArgs(1),
		Long: `Give a proof to the node behind the socket. It verifies and keeps the proof, draws its
own consequences, and tells the network; so does everybody who hears of it.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			b, err := a.readProof(args[0])
			if err != nil {
				return err
			}
			if _, _, err := lease.VerifyProof(b); err != nil { // with its code, and without a call
				return provesNothing(err)
			}
			c, err := a.way().Accuse(cmd.Context(), b)
			if err != nil {
				return err
			}
			c.Proof = nil
			return a.print(c, func(w io.Writer) { fmt.Fprintf(w, "%s is told to the network\n", c.ID.Short()) })
		},
	}
}

// findProof takes a proof from a file, or by its id from the way in.
func (a *app) findProof(ctx context.Context, arg string) ([]byte, error) {
	if arg == "-" || exists(arg) {
		return a.readProof(arg)
	}
	id, err := lease.ParseID(arg)
	if err != nil {
		if id, err = a.proofByPrefix(ctx, arg); err != nil {
			return nil, err
		}
	}
	c, err := a.way().Proof(ctx, id)
	return c.Proof, err
}

func (a *app) proofByPrefix(ctx context.Context, prefix string) (found lease.ID, err error) {
	list, err := a.way().Conflicts(ctx)
	if err != nil {
		return found, err
	}
	var ids []string
	for _, c := range list {
		if strings.HasPrefix(c.ID.String(), prefix) {
			found = c.ID
			ids = append(ids, c.ID.String())
		}
	}
	switch len(ids) {
	case 1:
		return found, nil
	case 0:
		return found, fail(exitNothing, "`croft conflict list` shows those that your node keeps", "no proof %q, and no such file", prefix)
	}
	return found, usage("one of "+strings.Join(ids, ", "), "%d proofs begin with %q", len(ids), prefix)
}

// proved is a proof that holds, as programs read it.
type proved struct {
	Holds bool     `json:"holds"`
	ID    lease.ID `json:"id"`
	lease.Verdict
	Bytes int    `json:"bytes"`
	Proof []byte `json:"proof"`
}

func provedOf(p lease.Proof, shown lease.Verdict, b []byte) proved {
	return proved{true, p.ID(), shown, len(b), b}
}

// tellProof verifies a proof and says what it shows, drawn if it is asked for.
func (a *app) tellProof(b []byte, drawn bool) error {
	p, shown, err := lease.VerifyProof(b)
	if err != nil {
		return provesNothing(err)
	}
	return a.print(provedOf(p, shown, b), func(w io.Writer) {
		fmt.Fprintf(w, "holds\t%s\n", what(shown.Kind))
		fmt.Fprintf(w, "accountable\t%s\n", shown.Principal)
		if shown.Node != shown.Principal {
			fmt.Fprintf(w, "at node\t%s\n", shown.Node)
		}
		fmt.Fprintf(w, "conflicts\t%s\n", daySpan(shown.Term))
		if shown.Kind == lease.ProofOver {
			fmt.Fprintf(w, "weighs\t%s: %s of %s at %s\n", shown.Resource, shown.Weighed.Format(shown.Resource),
				shown.Limit.Format(shown.Resource), dayTime(shown.At))
		}
		fmt.Fprintf(w, "proof\t%s\n", p.ID())
		if drawn {
			fmt.Fprintf(w, "\n%s", lease.DrawProof(p, shown))
		}
	})
}

// what says in a clause what was done.
func what(k lease.ProofKind) string {
	switch k {
	case lease.ProofTwice:
		return "twice: one slot of a claim was given to two"
	case lease.ProofOver:
		return "over: more was promised under a claim than it carries"
	case lease.ProofCapacity:
		return "capacity: a node set the same tranche aside twice"
	case lease.ProofRefused:
		return "refused: a node refused what it had promised"
	case lease.ProofUnfilled:
		return "unfilled: a node said that a claim is full, and what it shows does not fill it"
	case lease.ProofGrace:
		return "grace: a node took a lease back sooner than it had signed"
	}
	return k.String()
}

// provesNothing is the error of a proof that does not hold, with its code.
func provesNothing(err error) error {
	return &failure{code: exitFailed, err: fmt.Errorf("proves nothing (%s): %w", lease.Code(err), err), reason: lease.Code(err)}
}
