// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"croft/lease"
	"croft/lease/purse"
	"croft/node/api"
	"croft/sandbox"
)

// portion is how much of what, and when, as flags say it.
type portion struct {
	amount   string
	rset     lease.RSet
	term, in time.Duration
	degree   uint16
	fanOut   uint16 // 0: as the parent's
	slot     int    // of the ticket it is of, or purse.AnySlot
	flag     string // that names the amount
	whole    bool   // no --for: as long as the ticket that it is of
}

func (p *portion) flags(c *cobra.Command, amount, what string) {
	p.flag = amount
	c.Flags().StringVar(&p.amount, amount, "", what+": cpu=1000,memory=512MiB,…")
	c.Flags().DurationVar(&p.in, "in", 0, "when its term begins, from now")
	c.Flags().Uint16Var(&p.degree, "degree", lease.MinDegree, "oversubscription that its holder may sign, in hundredths")
	c.Flags().Uint16Var(&p.fanOut, "fan-out", 0, "to how many distinct addresses a sliver on it may open flows in a minute (1 to 1024; default: as many as the parent gives)")
	must(c.MarkFlagRequired(amount))
}

// read reads what was typed before anything is done.
func (p *portion) read(c *cobra.Command) (err error) {
	if p.rset, err = lease.ParseRSet(p.amount); err != nil {
		return badAmounts(p.flag, p.amount, err)
	}
	switch {
	case p.rset.IsZero():
		return because(lease.ErrRSet, usage("such as --"+p.flag+" cpu=500,memory=256MiB,pids=64", "--%s promises nothing", p.flag))
	case p.degree < lease.MinDegree || p.degree > lease.MaxDegree:
		return because(lease.ErrDegree, usage("100 is no oversubscription, 150 half as much again", "--degree %d: want %d to %d", p.degree, lease.MinDegree, lease.MaxDegree))
	}
	if p.fanOut > lease.MaxFanOut {
		return usage("", "--fan-out %d: want 1 to %d", p.fanOut, lease.MaxFanOut)
	}
	p.whole = !c.Flags().Changed("for")
	if s := int64(p.term / time.Second); !p.whole && (s < 1 || s > lease.MaxTerm) {
		return because(lease.ErrTerm, usage("such as --for 90s, 45m or 36h", "--for %s: want 1 s to %d days", p.term, int64(lease.MaxTerm)/86400))
	}
	return nil
}

// within is the term under a ticket: never before it begins.
func (p *portion) within(t lease.Term, now time.Time) lease.Term {
	from := max(now.Add(p.in).Unix(), t.From)
	if p.whole {
		return lease.Term{From: from, Until: t.Until}
	}
	return lease.Term{From: from, Until: from + int64(p.term/time.Second)}
}

// offered is a ticket that was signed or kept.
type offered struct {
	Ticket lease.ID        `json:"ticket"`
	Holder lease.Principal `json:"holder"`
	Node   lease.Principal `json:"node"`
	Slot   uint8           `json:"slot"`
	RSet   lease.RSet      `json:"rset"`
	From   int64           `json:"from"`
	Until  int64           `json:"until"`
	Degree uint16          `json:"degree"`
	FanOut uint16          `json:"fan_out,omitempty"`
	File   string          `json:"file,omitempty"`
	Text   string          `json:"text,omitempty"` // if it went into no file
}

func newOffered(id lease.ID, t *lease.Ticket, file string) offered {
	return offered{Ticket: id, Holder: t.Holder, Node: t.Node, Slot: t.Slot, RSet: t.RSet, From: t.From, Until: t.Until, Degree: t.Degree, FanOut: t.FanOut, File: file}
}

func (a *app) ticketGive() *cobra.Command {
	var p portion
	var out, from string
	c := &cobra.Command{
		Use: "give HOLDER", Short: "Sign a ticket for a principal", Args: cobra.ExactArgs(1),
		Long:    "Sign a ticket: a promise that its holder may redeem with `croft run --ticket FILE`. With --from it passes on a part of a ticket that you hold, or all of it; without, it is out of the capacity of your own node. What is given is spent until its term ends: there is no return. The text can be mailed.",
		Example: "  croft ticket give \"$(cat alice.pub)\" --rset cpu=2000,memory=1GiB,pids=256,egress.rate=20mbit,egress.packets=8000 --for 48h --out alice.ticket\n  croft ticket give \"$(cat bob.pub)\" --from alice.ticket --rset cpu=500,memory=256MiB,pids=64 --degree 120 | mail -s ticket bob",
		RunE: func(cmd *cobra.Command, args []string) error {
			holder, err := a.person(cmd.Context(), "`croft key show` prints a principal", args[0])
			if err != nil {
				return err
			}
			if err := p.read(cmd); err != nil {
				return err
			}
			if out != "" && exists(out) { // before anything is signed
				return fail(exitFailed, "name another file", "%s exists", out)
			}
			var chain [][]byte
			if from == "" {
				chain, err = a.giveOwn(cmd.Context(), holder, &p)
			} else {
				chain, err = a.giveOn(cmd.Context(), from, holder, &p)
			}
			if err != nil {
				return err
			}
			return a.handOut(chain, out)
		},
	}
	p.flags(c, "rset", "what it promises")
	c.Flags().DurationVar(&p.term, "for", 24*time.Hour, "its term; with --from as long as that one, unless told")
	c.Flags().StringVar(&from, "from", "", "the ticket to pass on: "+ticketArg)
	c.Flags().IntVar(&p.slot, "slot", purse.AnySlot, "with --from: which of its 64 slots; the first that is free if negative")
	c.Flags().StringVar(&out, "out", "", "file to write (default: stdout)")
	return c
}

// giveOwn has the own node sign.
func (a *app) giveOwn(ctx context.Context, holder lease.Principal, p *portion) ([][]byte, error) {
	from := time.Now().Add(p.in).Unix()
	answer, err := a.way().Issue(ctx, api.IssueRequest{Holder: holder, RSet: p.rset, From: from,
		Until: from + int64(p.term.Seconds()), Degree: p.degree, FanOut: p.fanOut})
	if err != nil {
		return nil, err
	}
	if answer.Refusal != nil {
		return nil, answer.Refusal
	}
	return answer.Statements, nil
}

// giveOn passes a part of a ticket on.
func (a *app) giveOn(ctx context.Context, from string, holder lease.Principal, p *portion) ([][]byte, error) {
	chains, err := a.pass(ctx, from, holder, p, 1)
	if err != nil {
		return nil, err
	}
	return chains[0], nil
}

// pass signs n tickets of the same portion under one that is held, or none.
func (a *app) pass(ctx context.Context, from string, holder lease.Principal, p *portion, n int) (chains [][][]byte, err error) {
	raw, err := a.tickets(ctx, from)
	if err != nil {
		return nil, err
	}
	if len(raw) != 1 {
		return nil, usage("`croft ticket keep` takes them, then name the one", "%s holds %d tickets", from, len(raw))
	}
	key, err := a.mine()
	if err != nil {
		return nil, err
	}
	o, err := a.keepTicket(ctx, key, raw[0])
	if err != nil {
		return nil, err
	}
	parent, ok := o.Statement.(*lease.Ticket)
	if !ok {
		return nil, fmt.Errorf("the purse kept a %s", o.Kind())
	}
	s, err := a.openPurse(ctx, key)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if p.slot < 0 {
		p.slot = purse.AnySlot
	}
	now := time.Now()
	var ins []purse.Input
	for range n {
		in := purse.Give{Ticket: o.ID, Slot: p.slot, Holder: holder, RSet: p.rset, Term: p.within(parent.Term(), now), Degree: p.degree, FanOut: p.fanOut}
		rand.Read(in.Request[:]) // never fails
		ins = append(ins, in)
	}
	if chains, err = s.DoAll(now, ins); err != nil {
		return nil, unsigned(err)
	}
	return chains, nil
}

// warnBare says what keeps slivers from running on a ticket of such a size. It may
// be meant so, and is better known before it is mailed.
func (a *app) warnBare(r lease.RSet) {
	if err := sandbox.CheckLimits(r); err != nil {
		a.say("note: no sliver can run on that: %s; it wants cpu, memory and pids, and to be heard egress.rate and egress.packets", strings.TrimPrefix(err.Error(), sandbox.ErrSpec.Error()+": "))
	}
}

// handOut writes a ticket to a file, or to stdout.
func (a *app) handOut(chain [][]byte, out string) error {
	o, err := lease.Open(chain[len(chain)-1])
	if err != nil {
		return err
	}
	t, ok := o.Statement.(*lease.Ticket)
	if !ok {
		return fmt.Errorf("a %s where a ticket belongs", o.Kind())
	}
	a.warnBare(t.RSet)
	told := newOffered(o.ID, t, out)
	if out == "" {
		told.Text = text(chain)
		if a.json {
			return a.print(told, nil)
		}
		_, err := io.WriteString(a.out, told.Text)
		return err
	}
	if err := writeNew(out, []byte(text(chain)), 0o600); err != nil {
		return fail(exitFailed, "it is signed: `croft ticket show "+o.ID.Short()+" --text` prints it again", "%w", err)
	}
	if a.json {
		return a.print(told, nil)
	}
	a.say("ticket for %s in %s", t.Holder.Short(), out)
	return nil
}

func (a *app) ticketSplit() *cobra.Command {
	var p portion
	var n int
	var out string
	c := &cobra.Command{
		Use: "split TICKET", Short: "Sign tickets to yourself under one that you hold", Args: cobra.ExactArgs(1),
		Long:    "Split a ticket into several of one size, each in a slot of its own and held by your own key: all of them, or none. They are in your purse by name; with --out they are written to PREFIX-1.ticket and so on. TICKET is " + ticketArg + ".",
		Example: "  croft ticket split alice.ticket --into cpu=500,memory=256MiB,pids=64 -n 3",
		RunE: func(cmd *cobra.Command, args []string) error {
			p.slot = purse.AnySlot
			if n < 1 || n > lease.Slots {
				return usage("more than 64: split one of the parts again", "-n %d: want 1 to %d", n, lease.Slots)
			}
			if err := p.read(cmd); err != nil {
				return err
			}
			file := func(i int) string { return fmt.Sprintf("%s-%d.ticket", out, i+1) }
			for i := range n {
				if out != "" && exists(file(i)) {
					return fail(exitFailed, "name another prefix", "%s exists", file(i))
				}
			}
			key, err := a.mine()
			if err != nil {
				return err
			}
			chains, err := a.pass(cmd.Context(), args[0], key.Principal(), &p, n)
			if err != nil {
				return err
			}
			a.warnBare(p.rset)
			list := make([]offered, n)
			for i, chain := range chains {
				o, err := lease.Open(chain[len(chain)-1])
				if err != nil {
					return err
				}
				t, ok := o.Statement.(*lease.Ticket)
				if !ok {
					return fmt.Errorf("a %s where a ticket belongs", o.Kind())
				}
				if list[i] = newOffered(o.ID, t, ""); out == "" {
					continue
				}
				list[i].File = file(i)
				if err := writeNew(file(i), []byte(text(chain)), 0o600); err != nil {
					return fail(exitFailed, "they are signed, and in your purse: see `croft ticket list`", "%w", err)
				}
			}
			return printEach(a, list, "TICKET\tSLOT\tRSET\tUNTIL\tDEGREE\tFILE", func(w io.Writer, o offered) {
				if o.File == "" {
					o.File = "-"
				}
				fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%d\t%s\n", o.Ticket.Short(), o.Slot, o.RSet, day(o.Until), o.Degree, o.File)
			})
		},
	}
	p.flags(c, "into", "the size of a part")
	c.Flags().DurationVar(&p.term, "for", 0, "their term (default: as long as the ticket)")
	c.Flags().IntVarP(&n, "number", "n", 2, "how many")
	c.Flags().StringVar(&out, "out", "", "write them to files of this prefix")
	return c
}
