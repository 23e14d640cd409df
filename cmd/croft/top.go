// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"croft/lease"
	"croft/node/api"
	"croft/node/client"
)

// minInterval is how often a node may be asked: for as long it gives the same
// answer.
const minInterval = 500 * time.Millisecond

func (a *app) top() *cobra.Command {
	var interval time.Duration
	var count int
	c := &cobra.Command{
		Use: "top [SLICE]", Short: "What slivers send, receive and lose, live", Args: cobra.MaximumNArgs(1),
		Long: `Rates, drops, open flows and what is left of the day's bytes, sliver by sliver:
of a slice, as its nodes count; without one, of every sliver on the node behind the
socket, for its owner. On a terminal the table is redrawn until q or Ctrl-C; else one
table follows the other, and with --json one object a sliver. Rates are those of the
last interval. DROPPED is by reason, packets in the last interval; DELAY is what a
packet waits in its queue now.`,
		Example: "  croft top\n  croft top myslice --interval 1s\n  croft --json top myslice -n 1",
		RunE: func(cmd *cobra.Command, args []string) error {
			if interval < minInterval || count < 0 {
				return usage("", "--interval is %s at the least, -n 0 or more", minInterval)
			}
			look := a.topOwner
			if len(args) == 1 {
				t, err := a.target(cmd.Context(), args[0], lease.VerbLogs|lease.VerbAudit)
				if err != nil {
					return err
				}
				watch := a.watchSlice(t)
				defer watch.close()
				look = watch.look
			}
			show, stop, err := a.screen(cmd.Context(), interval)
			if err != nil {
				return err
			}
			defer stop.restore()
			return top(stop.ctx, look, interval, count, show)
		},
	}
	c.Flags().DurationVar(&interval, "interval", 2*time.Second, "between two looks")
	c.Flags().IntVarP(&count, "count", "n", 0, "end after so many tables (0: q or Ctrl-C ends)")
	return c
}

// topLook is one look at every node, and who did not answer.
type topLook func(ctx context.Context) ([]api.Figures, []outcome, error)

// top looks again and again and shows what changed between two looks. The first
// look must succeed somewhere; later, who does not answer is shown.
func top(ctx context.Context, look topLook, interval time.Duration, count int, show func([]topRow, []outcome) error) error {
	before, _, err := look(ctx)
	if err != nil {
		return ended(ctx, err)
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return nil // that is how one ends it
		case <-tick.C:
		}
		now, bad, err := look(ctx)
		if err != nil {
			return ended(ctx, err)
		}
		if err := show(topRows(before, now), bad); err != nil {
			return err
		}
		if n == count {
			return nil
		}
		before = now
	}
}

// ended is nil where it is the person who ended it.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// topOwner asks the node behind the socket for all its slivers.
func (a *app) topOwner(ctx context.Context) ([]api.Figures, []outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	all, err := a.way().Figures(ctx)
	return all, nil, err
}

// sliceWatch keeps a channel to each node of a slice.
type sliceWatch struct {
	app   *app
	t     target
	nodes []lease.Principal
	open  []*client.Node
}

func (a *app) watchSlice(t target) *sliceWatch {
	w := &sliceWatch{app: a, t: t, nodes: nodesOf(t.Record)}
	slices.SortFunc(w.nodes, func(x, y lease.Principal) int { return cmp.Compare(x.String(), y.String()) })
	w.nodes = slices.Compact(w.nodes)
	for _, node := range w.nodes {
		w.open = append(w.open, a.node(t, node))
	}
	return w
}

func (w *sliceWatch) close() {
	for _, n := range w.open {
		n.Close()
	}
}

// look asks all nodes at once. It fails where nobody answers.
func (w *sliceWatch) look(ctx context.Context) (all []api.Figures, out []outcome, err error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	got := make([][]api.Figures, len(w.open))
	out = make([]outcome, len(w.open))
	var wg sync.WaitGroup
	for i, n := range w.open {
		wg.Go(func() {
			out[i].name = w.name(w.nodes[i])
			got[i], out[i].err = n.Figures(ctx, w.t.Slice)
		})
	}
	wg.Wait()
	owner := w.t.owner()
	for _, list := range got {
		for _, f := range list {
			if f.Owner == owner {
				all = append(all, f)
			}
		}
	}
	if len(out) > 0 && !slices.ContainsFunc(out, func(o outcome) bool { return o.err == nil }) {
		return nil, out, w.app.summary(out)
	}
	return all, slices.DeleteFunc(out, func(o outcome) bool { return o.err == nil }), nil
}

func (w *sliceWatch) name(node lease.Principal) string {
	for _, s := range w.t.Slivers {
		if s.Node == node {
			return s.Name
		}
	}
	return node.Short()
}

func (t target) owner() lease.Principal {
	if t.Owner.IsZero() {
		return t.key.Principal()
	}
	return t.Owner
}

// watching is a screen until it is restored; its context ends with q.
type watching struct {
	ctx     context.Context
	restore func()
}

// screen returns how tables are shown: in place where a person looks on, one
// after the other else.
func (a *app) screen(ctx context.Context, interval time.Duration) (func([]topRow, []outcome) error, watching, error) {
	plain := watching{ctx, func() {}}
	if a.json {
		return a.topJSON, plain, nil
	}
	f, ok := a.out.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return func(rows []topRow, bad []outcome) error { return topTable(a.out, rows, bad) }, plain, nil
	}
	ctx, cancel := context.WithCancel(ctx)
	restore, err := a.raw(nil)
	if err != nil {
		cancel()
		return nil, plain, err
	}
	if in, ok := a.in.(*os.File); ok && term.IsTerminal(int(in.Fd())) {
		go untilQuit(in, cancel) // it ends with the process: nothing wakes who reads a terminal
	}
	s := &canvas{to: f, size: func() (int, int) { return sizeOf(int(f.Fd())) }, interval: interval}
	s.begin()
	return s.draw, watching{ctx, func() { cancel(); s.end(); restore() }}, nil
}

// untilQuit reads keys until one of them means the end.
func untilQuit(in *os.File, quit func()) {
	key := make([]byte, 1)
	for {
		n, err := in.Read(key)
		if err != nil {
			return
		}
		const ctrlC, ctrlD = 3, 4
		if n == 1 && (key[0] == 'q' || key[0] == 'Q' || key[0] == ctrlC || key[0] == ctrlD) {
			quit()
			return
		}
	}
}

func sizeOf(fd int) (cols, rows int) {
	cols, rows, err := term.GetSize(fd)
	if err != nil || cols <= 0 || rows <= 0 {
		return 80, 24
	}
	return cols, rows
}
