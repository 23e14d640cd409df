// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"croft/ebpf/audit"
	"croft/lease"
	"croft/lease/offer"
	"croft/lease/sign"
	"croft/node/api"
	"croft/node/wire"
)

func (a *app) auditWho() *cobra.Command {
	var at, node, out string
	var within time.Duration
	var wait bool
	c := &cobra.Command{
		Use:   "who SRC:PORT DST:PORT",
		Short: "Name the slice that sent a packet",
		Long: `Ask the nodes at the source address which slice held that source port and sent to
that destination, about an instant. The answer is what each node asserts from its own
record: exact, one of n slices, or not determinable where a translator stands between
the node and its address and chooses the port. A node commits to what it recorded every
five minutes; --wait waits until it has. With -o the answer is written with everything
that bears it out, what the nodes' witnesses saw of their logs included, for
` + "`croft audit verify`" + ` to check on any machine. A node that turns out so to have signed two
logs is told of to the network; an answer of one that is known to have says so.`,
		Example: "  croft audit who 198.51.100.7:20117 203.0.113.9:443 --at 12:04:10\n  croft audit who '198.51.100.7:20117 -> 203.0.113.9:443' --wait -o answer.crofttext",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			q := api.WhoRequest{Within: within.Seconds(), Prove: out != ""}
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
			return a.who(cmd.Context(), q, node, out, wait)
		},
	}
	c.Flags().StringVar(&at, "at", "now", "instant: 15:04:05 (today, local), RFC 3339, or now")
	c.Flags().DurationVar(&within, "within", 5*time.Second, "how far from the instant the packet may be")
	c.Flags().StringVar(&node, "node", "", "ask this node (name or principal) and no other")
	c.Flags().StringVarP(&out, "output", "o", "", "write the answer with its proofs to this new file")
	c.Flags().BoolVar(&wait, "wait", false, "until the nodes have committed to all of it, some five minutes at the most")
	return c
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
func (a *app) who(ctx context.Context, q api.WhoRequest, only, out string, wait bool) error {
	key, err := a.asking()
	if err != nil {
		return err
	}
	nodes, err := a.nodesAt(ctx, q.Src.Addr(), only)
	if err != nil {
		return err
	}
	all := a.askAll(ctx, key, nodes, q)
	if wait {
		if all, err = a.waitFor(ctx, key, q, all); err != nil {
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
		answers = append(answers, audit.Assertion{Slices: s.answer.Slices, NAT: s.answer.NAT})
		if err := a.printAnswer(s); err != nil {
			return err
		}
	}
	if len(answers) == 0 {
		return errors.Join(failed...)
	}
	verdict := audit.Combine(answers)
	if len(all) > 1 {
		a.say("together, of %d nodes at %s: %s", len(all), q.Src.Addr(), verdict)
	}
	if out != "" {
		if err := a.saveDossier(ctx, key, q, all, out); err != nil {
			return err
		}
	}
	switch {
	case len(failed) > 0:
		return fail(exitPartial, "ask again later: a slice there may fit as well", "%d of %d nodes did not answer: %w", len(failed), len(all), errors.Join(failed...))
	case len(verdict.Slices) == 0:
		return fail(exitNothing, "try a wider --within", "no record of that packet")
	}
	return nil
}

func (a *app) askAll(ctx context.Context, key *sign.Key, nodes []offer.Offer, q api.WhoRequest) []said {
	all := make([]said, len(nodes))
	var asking sync.WaitGroup
	for i, n := range nodes {
		asking.Go(func() {
			node := a.way().Node(n.Node, key)
			defer node.Close()
			answer, err := node.Who(ctx, q)
			if err != nil {
				err = fmt.Errorf("asking %s: %w", n.Display(), err)
			}
			all[i] = said{node: n, answer: answer, err: err}
		})
	}
	asking.Wait()
	return all
}

// waitFor asks again until all nodes have committed to what they say.
func (a *app) waitFor(ctx context.Context, key *sign.Key, q api.WhoRequest, all []said) ([]said, error) {
	for {
		var until time.Time
		var nodes []offer.Offer
		for _, s := range all {
			nodes = append(nodes, s.node)
			if p := s.answer.Pending; p != nil && p.After(until) {
				until = *p
			}
		}
		if until.IsZero() {
			return all, nil
		}
		a.say("waiting until %s, when the node has committed to it", clockTime(until.Unix()))
		timer := time.NewTimer(max(time.Second, time.Until(until)))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		case <-timer.C:
		}
		all = a.askAll(ctx, key, nodes, q)
	}
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
		for _, f := range s.answer.Flows {
			flowRow(w, f)
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

// nodesAt finds the nodes whose address that is.
func (a *app) nodesAt(ctx context.Context, addr netip.Addr, only string) ([]offer.Offer, error) {
	if only != "" {
		o, err := a.nodeNamed(ctx, only)
		return []offer.Offer{o}, err
	}
	res, err := a.seek(ctx, offer.FindRequest{View: true})
	if err != nil {
		return nil, err
	}
	var at []offer.Offer
	for _, f := range res.Offers {
		for _, s := range f.Offer.Addrs {
			if ip, ok := wire.IP(s); ok && ip == addr {
				at = append(at, f.Offer)
				break
			}
		}
	}
	if len(at) == 0 {
		return nil, fail(exitNothing, "name the node with --node", "no known node is at %s", addr)
	}
	return at, nil
}
