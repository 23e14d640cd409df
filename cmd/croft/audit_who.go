// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"croft/ebpf/audit"
	"croft/lease"
	"croft/lease/offer"
	"croft/lease/sign"
	"croft/node/api"
)

func (a *app) auditWho() *cobra.Command {
	var at, out string
	var w inquiry
	c := &cobra.Command{
		Use:   "who SRC:PORT DST:PORT",
		Short: "Name the slice that sent a packet",
		Long: `Ask the nodes at the source address which slice held that source port and sent to
that destination, about an instant. The answer is what each node asserts from its own
record: exact, one of n slices, or not determinable where a translator stands between
the node and its address and chooses the port. A node commits to what it recorded within
five minutes; --wait waits until it has. With -o the answer is written with everything
that bears it out, what the nodes' witnesses saw of their logs included, for
` + "`croft audit verify`" + ` to check on any machine. A node that turns out so to have signed two
logs is told of to the network; an answer of one that is known to have says so.

Names are for whoever holds the destination. Run this on the machine that got the
packets: it visits the nodes' courtesy pages to be seen at its address, or those of
three others. Elsewhere bring what they say: --shown FILE, with what
  curl -g 'http://PAGE/seen?for=PRINCIPAL'
printed on that machine, for your principal (` + "`croft key show`" + `). An owner of slices is told
his own, and so is, with --as SLICE, who was granted audit; a node's owner is told all
by the node behind the socket. Others learn how many slices fit. --message has a text of
at most 1,000 bytes kept for the owners of those; whether it is read is not told.`,
		Example: "  croft audit who 198.51.100.7:20117 203.0.113.9:443 --at 12:04:10\n  croft audit who '198.51.100.7:20117 -> 203.0.113.9:443' --wait -o answer.crofttext\n" +
			"  croft audit who 198.51.100.7:20117 203.0.113.9:443 --message 'Please stop: noc@example.org'",
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			q := api.WhoRequest{Within: w.within.Seconds(), Prove: out != ""}
			var err error
			if q.Src, err = netip.ParseAddrPort(args[0]); err != nil {
				return usage("an address and port, such as 198.51.100.7:20117", "source %q: %w", args[0], err)
			}
			if q.Dst, err = netip.ParseAddrPort(args[1]); err != nil {
				return usage("an address and port, such as 203.0.113.9:443", "destination %q: %w", args[1], err)
			}
			if q.At, err = parseInstant(at, time.Now()); err != nil {
				return err
			}
			if w.message != "" {
				if err := audit.CheckMessage(w.message); err != nil {
					return usage("at most 1,000 bytes that can be printed", "--message: %w", err)
				}
			}
			w.WhoRequest, w.out = q, out
			return a.who(cmd.Context(), w)
		},
	}
	c.Flags().StringVar(&at, "at", "now", "instant: 15:04:05 (today, local), RFC 3339, or now")
	c.Flags().DurationVar(&w.within, "within", 5*time.Second, "how far from the instant the packet may be")
	c.Flags().StringVar(&w.only, "node", "", "ask this node (name or principal) and no other")
	c.Flags().StringVarP(&out, "output", "o", "", "write the answer with its proofs to this new file")
	c.Flags().BoolVar(&w.wait, "wait", false, "until the nodes have committed to all of it, some five minutes at the most")
	c.Flags().StringVar(&w.shown, "shown", "", "file (or -) with what courtesy pages said at the destination")
	c.Flags().StringVar(&w.as, "as", "", "slice, of another's, whose record you were granted to read")
	c.Flags().StringVar(&w.message, "message", "", "text for the owners of the slices that fit")
	return c
}

// inquiry is a question with what goes with it.
type inquiry struct {
	api.WhoRequest
	within         time.Duration
	only, out, as  string // the one node to ask; the file to write; the slice in whose name
	shown, message string
	wait           bool
	key            *sign.Key
	authority      []byte          // of the slice in whose name
	behind         lease.Principal // the node behind the socket, whose owner this is
}

// parseInstant reads "now", a time of today or RFC 3339.
func parseInstant(s string, now time.Time) (time.Time, error) {
	if s == "now" {
		return now, nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	t, err := time.ParseInLocation("15:04:05", s, time.Local)
	if err != nil {
		return t, usage("15:04:05, 2026-11-23T15:04:05Z or now", "--at %s is no instant", s)
	}
	y, m, d := now.Date()
	return time.Date(y, m, d, t.Hour(), t.Minute(), t.Second(), 0, time.Local), nil
}

// said is the answer of one node, or why there is none.
type said struct {
	node   offer.Offer
	answer api.WhoAnswer
	err    error
	fork   *audit.Fork // a proof that the node has signed two logs, as far as the way in knows
}

// who asks every node that answers at the source address, and puts their answers
// together.
func (a *app) who(ctx context.Context, w inquiry) (err error) {
	if w.key, err = a.asking(); err != nil {
		return err
	}
	if w.as != "" {
		t, err := a.target(ctx, w.as, lease.VerbAudit)
		if err != nil {
			return err
		}
		w.key, w.authority = t.key, t.authority
	}
	if w.shown != "" {
		if w.Shown, err = a.readShown(w.shown); err != nil {
			return err
		}
	}
	if status, err := a.way().Status(ctx); err == nil { // else it is asked as any other
		w.behind = status.Node
	}
	nodes, err := a.nodesAt(ctx, w.Src.Addr(), w.only)
	if err != nil {
		return err
	}
	all := a.askAll(ctx, w, nodes)
	if w.Shown == "" && unnamed(all) {
		if w.Shown = a.beSeen(ctx, w.key.Principal(), w.Dst.Addr().Unmap(), all); w.Shown != "" {
			all = a.askAll(ctx, w, nodes)
		}
	}
	if w.wait {
		if all, err = a.waitFor(ctx, w, all); err != nil {
			return err
		}
	}
	forks := a.forks(ctx)
	var answers []audit.Assertion
	var failed []error
	for i := range all {
		all[i].fork = forks[all[i].node.Node]
		s := all[i]
		if s.err != nil {
			failed = append(failed, s.err)
			continue
		}
		answers = append(answers, audit.Assertion{Slices: s.answer.Slices, NAT: s.answer.NAT, Withheld: s.answer.Withheld})
		if err := a.printAnswer(s); err != nil {
			return err
		}
	}
	if len(answers) == 0 {
		return errors.Join(failed...)
	}
	verdict := audit.Combine(answers)
	if len(all) > 1 {
		a.say("together, of %d nodes at %s: %s", len(all), w.Src.Addr(), verdict)
	}
	if verdict.Withheld > 0 {
		a.say("names are for who holds %s: ask from there, or see --shown; --message leaves word", w.Dst.Addr())
	}
	if w.message != "" {
		failed = append(failed, a.leave(ctx, w, all)...)
	}
	if w.out != "" {
		if err := a.saveDossier(ctx, w.key, w.WhoRequest, all, w.out); err != nil {
			return err
		}
	}
	switch {
	case len(failed) > 0:
		return fail(exitPartial, "ask again later: a slice there may fit as well", "%d of %d nodes did not answer: %w", len(failed), len(all), errors.Join(failed...))
	case verdict.Fit() == 0:
		return fail(exitNothing, "try a wider --within", "no record of that packet")
	}
	return nil
}

// unnamed reports whether some node has a name that it did not tell.
func unnamed(all []said) bool {
	return slices.ContainsFunc(all, func(s said) bool { return s.answer.Withheld > 0 })
}

// leave has the nodes at which a slice fits keep the message.
func (a *app) leave(ctx context.Context, w inquiry, all []said) (failed []error) {
	w.Message, w.Prove = w.message, false
	var fit []offer.Offer
	for _, s := range all {
		if s.err == nil && len(s.answer.Slices)+s.answer.Withheld > 0 {
			fit = append(fit, s.node)
		}
	}
	if len(fit) == 0 {
		a.say("nothing fits: the message was not left anywhere")
	}
	for _, s := range a.askAll(ctx, w, fit) {
		if s.err != nil {
			failed = append(failed, s.err)
			continue
		}
		a.say("%s keeps your message for the owners of what fits", s.node.Display())
	}
	return failed
}

func (a *app) printAnswer(s said) error {
	shown := struct {
		api.WhoAnswer
		Forked bool `json:"forked,omitempty"`
	}{s.answer, s.fork != nil}
	shown.Signed, shown.Proofs = nil, nil // for the file
	return a.print(shown, func(w io.Writer) {
		fmt.Fprintf(w, "node %s asserts: %s\n", s.node.Display(), s.answer.Verdict)
		if s.fork != nil {
			fmt.Fprintf(w, "  and has signed two logs of its packets, so that its word is worth little: see `croft audit watched --proofs`\n")
		}
		for _, name := range s.answer.Slices {
			fmt.Fprintf(w, "  %s\n", name)
		}
		if n := s.answer.Withheld; n > 0 {
			fmt.Fprintf(w, "  not named: %d\n", n)
		}
		for _, f := range s.answer.Flows {
			flowRow(w, f)
		}
		if s.answer.Unshown != "" {
			fmt.Fprintf(w, "  %s\n", printable(s.answer.Unshown))
		}
		if s.answer.Contact != "" {
			fmt.Fprintf(w, "  the node's owner: %s\n", printable(s.answer.Contact))
		}
		if s.answer.Pending != nil {
			fmt.Fprintf(w, "  not yet committed to; by %s at the latest\n", clockTime(s.answer.Pending.Unix()))
		}
		if s.answer.Cut {
			fmt.Fprintf(w, "  and there is more: ask for less time, with --within\n")
		}
	})
}

// forks are those that the way in knows of. That it knows of none, or does not say,
// is no reason to answer nothing.
func (a *app) forks(ctx context.Context) map[lease.Principal]*audit.Fork {
	out := map[lease.Principal]*audit.Fork{}
	list, err := a.way().Watched(ctx)
	if err != nil {
		return out
	}
	for _, w := range list {
		p, err := audit.ReadProof(w.Fork)
		if err != nil {
			continue
		}
		f, ok := p.(*audit.Fork)
		if !ok {
			continue
		}
		if s, err := f.Verify(); err == nil && s.Head.Node == w.Node {
			out[w.Node] = f
		}
	}
	return out
}
