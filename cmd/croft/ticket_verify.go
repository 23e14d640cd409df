// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"croft/lease"
	"croft/lease/purse"
)

// verdict is what can be said of a ticket without asking anybody.
type verdict struct {
	Name    string         `json:"name"`
	Verdict string         `json:"verdict"` // "holds", "ended" or "refused"
	Reason  string         `json:"reason,omitempty"`
	Error   string         `json:"error,omitempty"`
	At      *int           `json:"at,omitempty"` // the statement that is wrong; 0 is the capacity
	Node    string         `json:"node,omitempty"`
	Claims  []claimOnChain `json:"claims"`
	Chance  float64        `json:"chance_of_refusal"`
	Others  float64        `json:"others_draw"` // what the chance assumes
	err     error
}

// claimOnChain is one statement of it that can be read.
type claimOnChain struct {
	ID     lease.ID        `json:"id"`
	Kind   string          `json:"kind"`
	By     lease.Principal `json:"by"`
	Holder lease.Principal `json:"holder"`
	Slot   uint8           `json:"slot"`
	RSet   lease.RSet      `json:"rset"`
	From   int64           `json:"from"`
	Until  int64           `json:"until"`
	Degree uint16          `json:"degree"`
	FanOut uint16          `json:"fan_out,omitempty"`
	// Left is how much one more child could have, as far as can be seen from
	// here: others may have been given more.
	Left lease.RSet `json:"left"`
}

func (a *app) ticketVerify() *cobra.Command {
	var node string
	var others float64
	c := &cobra.Command{
		Use: "verify TICKET", Short: "Check a ticket offline, and draw its chain", Args: cobra.ExactArgs(1),
		Long: "Verify a ticket's chain with no daemon and no network: signatures, holders, amounts, terms, degrees, depth. Print the chain as a tree, what is left under each claim as far as can be seen, and how likely a redeem is refused because a claim above is oversubscribed. TICKET is " + ticketArg + ". Exit code 1 says that it does not hold, or has ended; --json names the reason in a word.",
		Example: `  croft ticket verify alice.ticket
  croft ticket verify - < mail`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if others < 0 || others > 1 {
				return usage("such as --others 0.7", "--others %g: want 0 to 1", others)
			}
			var at lease.Principal
			if node != "" {
				var err error
				if at, err = principal("`croft find` prints nodes", node); err != nil {
					return err
				}
			}
			raw, err := a.tickets(cmd.Context(), args[0])
			if err != nil {
				if reasonOf(err) != "" { // it is there, and is none
					return because(err, fail(exitFailed, "ask its issuer for it again", "%w", err))
				}
				return err
			}
			var bad error
			for _, r := range raw {
				v := judge(r, at, others, time.Now().Unix(), a.leftInPurse(cmd.Context()))
				if err := a.print(v, v.draw); err != nil {
					return err
				}
				if bad == nil && v.err != nil {
					bad = because(v.err, fail(exitFailed, "", "%s: %w", r.name, v.err))
				}
			}
			return bad
		},
	}
	c.Flags().StringVar(&node, "node", "", "the node that it must be for, by its principal")
	c.Flags().Float64Var(&others, "others", 0.7, "how much of what others hold they are assumed to draw")
	return c
}

// leftInPurse knows more of what is left under those claims that are one's own.
func (a *app) leftInPurse(ctx context.Context) map[lease.ID]purse.Held {
	held, _, err := a.lookIntoPurse(ctx)
	if err != nil {
		return nil // a ticket can be verified without
	}
	own := map[lease.ID]purse.Held{}
	for _, h := range held {
		own[h.ID] = h
	}
	return own
}

func judge(r rawTicket, node lease.Principal, others float64, now int64, own map[lease.ID]purse.Held) verdict {
	v := verdict{Name: r.name, Verdict: "refused", Others: others, Claims: []claimOnChain{}}
	var opened []lease.Opened
	for _, s := range r.chain {
		o, err := lease.Open(s)
		if err != nil {
			break // VerifyChain says what is wrong
		}
		opened = append(opened, o)
	}
	if node.IsZero() && len(opened) > 0 {
		node = opened[0].By()
	}
	chain, err := lease.VerifyChain(r.chain, node)
	if err == nil {
		if _, ok := chain.Leaf().Statement.(*lease.Ticket); !ok {
			err = fmt.Errorf("it ends with a %s: %w", chain.Leaf().Kind(), lease.ErrKind)
		}
	}
	for i, o := range opened {
		v.Claims = append(v.Claims, onChain(o, opened[i+1:], own, now))
	}
	if err != nil {
		v.err, v.Reason, v.Error = err, reasonOf(err), err.Error()
		var at *lease.ChainError
		if errors.As(err, &at) {
			v.At = &at.Position
			v.Claims = v.Claims[:min(len(v.Claims), at.Position+1)]
		}
		return v
	}
	v.Verdict, v.Node, v.Chance = "holds", node.String(), lease.RefusalChance(chain, others)
	if until := v.Claims[len(v.Claims)-1].Until; until <= now {
		v.err = fmt.Errorf("its term %w", purse.ErrEnded)
		v.Verdict, v.Reason, v.Error = "ended", reasonOf(v.err), v.err.Error()
	}
	return v
}

func onChain(o lease.Opened, below []lease.Opened, own map[lease.ID]purse.Held, now int64) claimOnChain {
	c := claimOnChain{ID: o.ID, Kind: o.Kind().String(), By: o.By()}
	switch st := o.Statement.(type) {
	case *lease.Capacity:
		c.Holder, c.RSet, c.From, c.Until, c.Degree, c.FanOut = st.Node, st.RSet, st.From, st.Until, st.Degree, st.FanOut
	case *lease.Ticket:
		c.Holder, c.Slot, c.RSet, c.From, c.Until, c.Degree, c.FanOut = st.Holder, st.Slot, st.RSet, st.From, st.Until, st.Degree, st.FanOut
	default:
		return c
	}
	c.Left = c.RSet
	if h, ok := own[o.ID]; ok {
		if rest := (lease.Term{From: max(now, c.From), Until: c.Until}); rest.Seconds() > 0 {
			c.Left = h.Left(rest)
		}
	} else if len(below) > 0 {
		if t, ok := below[0].Statement.(*lease.Ticket); ok {
			c.Left = leftBeside(c, t)
		}
	}
	return c
}

// leftBeside is what c's budget has left beside one child.
func leftBeside(c claimOnChain, child *lease.Ticket) lease.RSet {
	weight := func(amount uint64, degree uint16) *big.Int {
		return new(big.Int).Mul(new(big.Int).SetUint64(amount), big.NewInt(int64(degree)))
	}
	left := c.RSet
	for r := range left {
		rest := weight(c.RSet[r], c.Degree)
		if rest.Sub(rest, weight(child.RSet[r], child.Degree)); rest.Sign() <= 0 {
			left[r] = 0
			continue
		}
		if rest.Div(rest, big.NewInt(lease.MinDegree)); rest.Cmp(new(big.Int).SetUint64(left[r])) < 0 {
			left[r] = rest.Uint64()
		}
	}
	return left
}

// draw prints the chain as a tree and the verdict under it.
func (v verdict) draw(w io.Writer) {
	for i, c := range v.Claims {
		in := strings.Repeat("   ", max(i-1, 0))
		stem := in
		if i > 0 {
			in, stem = in+"└─ ", stem+"   "
		}
		bar := "│  "
		if i == len(v.Claims)-1 {
			bar = "   "
		}
		fmt.Fprintf(w, "%s%s\n", in, c.title())
		if c.Degree == 0 {
			continue
		}
		fmt.Fprintf(w, "%s%s%s\n", stem, bar, c.RSet)
		fmt.Fprintf(w, "%s%s%s to %s, degree %d", stem, bar, day(c.From), day(c.Until), c.Degree)
		if c.FanOut != 0 {
			fmt.Fprintf(w, ", fan-out %d", c.FanOut)
		}
		fmt.Fprintln(w)
		left := c.Left.String()
		if left == "" {
			left = "nothing"
		}
		fmt.Fprintf(w, "%s%sleft at most: %s\n", stem, bar, left)
	}
	fmt.Fprintln(w)
	switch v.Verdict {
	case "refused":
		fmt.Fprintf(w, "refused: %s: %s\n", v.Reason, plain(v.err))
	case "ended":
		fmt.Fprintf(w, "ended: every statement holds, and its term is over\n")
	default:
		leaf := v.Claims[len(v.Claims)-1]
		fmt.Fprintf(w, "holds: %d statements, %s\n", len(v.Claims), span(leaf.From, leaf.Until, time.Now().Unix()))
		fmt.Fprintf(w, "chance of refusal: %.1f %%, if others draw %.0f %% of what they hold\n", 100*v.Chance, 100*v.Others)
	}
}

func (c claimOnChain) title() string {
	switch {
	case c.Kind == lease.KindCapacity.String():
		return fmt.Sprintf("%s %s of node %s", c.Kind, c.ID.Short(), c.By.Short())
	case c.Degree == 0:
		return fmt.Sprintf("%s %s by %s", c.Kind, c.ID.Short(), c.By.Short())
	}
	return fmt.Sprintf("%s %s to %s, slot %d", c.Kind, c.ID.Short(), c.Holder.Short(), c.Slot)
}

func span(from, until, now int64) string {
	if now < from {
		return fmt.Sprintf("begins in %s, for %s", left(from-now), left(until-from))
	}
	return left(until-now) + " left"
}
