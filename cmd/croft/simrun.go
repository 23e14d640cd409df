// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"croft/sim/cost"
	simreport "croft/sim/report"
	simpage "croft/sim/report/page"
	"croft/sim/scenario"
)

// planned is a scenario that will be played.
type planned struct {
	name string
	*scenario.Scenario
}

func (a *app) simRun() *cobra.Command {
	var nodes int
	var seed uint64
	var worlds []string
	var html string
	c := &cobra.Command{
		Use: "run FILE|NAME…", Short: "Play scenarios, and hold what comes of them against what they expect", Args: cobra.MinimumNArgs(1),
		Long: `Play a scenario: one of ` + "`croft sim list`" + ` by its name, or a file. Exit code 1 if an
expectation fails, a promise is broken, or the run is interrupted; what there was
until then is reported. A run that failed writes NAME.replay, with which
` + "`croft sim replay`" + ` plays the same history. Several runs are laid over one another.`,
		Example: `  croft sim run safety --seed 7
  croft sim run my.sim --nodes 200 --html my.html
  croft sim run three --world world,lab
  croft sim run rates --baseline
  croft sim run oversubscription agents burst --html market.html`,
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, w := range worlds {
				if a.worlds()[w] == nil {
					return usage("docs/simulation.md says what each is", "--world %s: want %s", w, strings.Join(worldNames, " or "))
				}
			}
			if a.baseline && slices.Contains(worlds, "lab") {
				return usage("docs/simulation.md says what a baseline is", "--baseline: the lab has nothing to compare with")
			}
			var list []planned
			for _, arg := range args {
				name, s, err := a.scenario(arg)
				if err != nil {
					return err
				}
				if cmd.Flags().Changed("seed") {
					s.Seed = seed
				}
				if cmd.Flags().Changed("nodes") {
					s.Nodes.Count = nodes
				}
				if err := s.Check(); err != nil {
					return usage("`croft sim run --help`", "with --nodes %d: %w", nodes, err)
				}
				list = append(list, planned{name, s})
			}
			return a.playAll(cmd.Context(), list, worlds, html)
		},
	}
	c.Flags().IntVarP(&nodes, "nodes", "n", 0, "this number of nodes instead of the scenario's")
	c.Flags().Uint64Var(&seed, "seed", 0, "this seed instead of the scenario's")
	c.Flags().StringSliceVar(&worlds, "world", []string{worldNames[0]}, "where it is played: "+strings.Join(worldNames, ", ")+" (several, with commas between them)")
	c.Flags().StringVar(&html, "html", "", "write the report with plots into this file, too")
	c.Flags().BoolVar(&a.baseline, "baseline", false, "play what it is to be compared with, too: in the world finds against one and two index servers, in the stack a bare DHT and one topic")
	return c
}

// playAll plays each scenario in each world, until one is interrupted.
func (a *app) playAll(ctx context.Context, list []planned, worlds []string, html string) error {
	var runs []*simreport.Report
	var failed []string
	hint := ""
play:
	for _, s := range list {
		for _, w := range worlds {
			if len(runs) > 0 && !a.json {
				fmt.Fprintln(a.out)
			}
			r, err := a.play(ctx, w, s)
			if err != nil {
				return err
			}
			runs = append(runs, r)
			if r.Partial {
				break play
			}
			if r.OK() {
				continue
			}
			if failed = append(failed, s.name); r.History == "" {
				continue
			}
			file, err := writeReplay(s, r.History)
			if err != nil {
				return fail(exitFailed, "", "%s failed, and its replay could not be written: %w", s.name, err)
			}
			if hint == "" {
				hint = "`croft sim replay " + file + "` plays it again"
			}
		}
	}
	if err := a.sum(runs, html); err != nil {
		return err
	}
	switch {
	case runs[len(runs)-1].Partial:
		return fail(exitFailed, "", "interrupted: the report is of a part of the run")
	case len(failed) > 0:
		return fail(exitFailed, hint, "%s failed", strings.Join(failed, ", "))
	}
	return nil
}

// writeReplay writes down a run that failed, with its history.
func writeReplay(s planned, history string) (file string, err error) {
	again := *s.Scenario
	again.History = history
	file = strings.TrimSuffix(filepath.Base(s.name), ".sim") + ".replay"
	text := fmt.Sprintf("# a failed run of %s\n%s", s.name, &again)
	return file, os.WriteFile(file, []byte(text), 0o644)
}

// play plays a scenario in a world with a line of progress, and prints the report.
func (a *app) play(ctx context.Context, world string, s planned) (*simreport.Report, error) {
	line := a.progressLine(s.name)
	r, err := a.worlds()[world](ctx, s.Scenario, line.show)
	line.clear()
	if errors.Is(err, simreport.ErrCannot) {
		return nil, fail(exitUsage, "docs/simulation.md says what a world has", "playing %s: %w", s.name, err)
	} else if err != nil {
		return nil, err
	}
	r.Name, r.Machine, r.Peak, r.Date = s.name, thisMachine(), cmp.Or(r.Peak, cost.Peak()), time.Now().UTC().Truncate(time.Second)
	return r, a.present(r)
}

// present prints one report.
func (a *app) present(r *simreport.Report) error {
	if !a.json {
		printReport(a.out, a.paint(), r)
		return nil
	}
	return a.print(struct {
		*simreport.Report
		OK bool `json:"ok"`
	}{r, r.OK()}, nil)
}

// sum lays several reports over one another, and writes them all into a page if
// one is wanted.
func (a *app) sum(runs []*simreport.Report, html string) error {
	if !a.json {
		printOverlays(a.out, a.paint(), runs)
	}
	if html == "" {
		return nil
	}
	f, err := os.Create(html)
	if err != nil {
		return fail(exitFailed, "", "writing the report: %w", err)
	}
	if err := errors.Join(simpage.Write(f, runs), f.Close()); err != nil {
		return fail(exitFailed, "", "writing the report: %w", err)
	}
	a.say("the report with its plots is in %s", html)
	return nil
}

func (a *app) simReplay() *cobra.Command {
	return &cobra.Command{
		Use: "replay FILE", Short: "Play a failed run again, and see that it is the same", Args: cobra.ExactArgs(1),
		Long: `Play what ` + "`croft sim run`" + ` wrote down when a run failed. Exit code 0 if nothing
fails any more, 1 if it fails as it did, or if the history is another one: then
the program has changed since.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			name, s, err := a.scenario(args[0])
			if err != nil {
				return err
			}
			if s.History == "" {
				return usage("`croft sim run` plays any scenario", "%s has no history to repeat", args[0])
			}
			r, err := a.play(cmd.Context(), worldNames[0], planned{name, s})
			switch {
			case err != nil:
				return err
			case r.Partial:
				return fail(exitFailed, "", "interrupted: the report is of a part of the run")
			case r.History != s.History:
				return fail(exitFailed, "the program has changed since", "another history than that of %s", args[0])
			case !r.OK():
				return fail(exitFailed, "", "the same history: it failed as before")
			}
			return nil
		},
	}
}

func (a *app) simReport() *cobra.Command {
	var html string
	c := &cobra.Command{
		Use: "report FILE…", Short: "Read reports again, and lay them over one another", Args: cobra.MinimumNArgs(1),
		Long: `Read what ` + "`croft --json sim run`" + ` printed, one report a line: runs of other days, worlds
or machines. Exit code 0 also if a run had failed.`,
		Example: `  croft --json sim run join > before.json
  croft sim report before.json after.json --html both.html`,
		RunE: func(_ *cobra.Command, args []string) error {
			var runs []*simreport.Report
			for _, name := range args {
				f, err := os.Open(name)
				if err != nil {
					return fail(exitNothing, "", "%w", err)
				}
				list, err := simreport.Read(io.LimitReader(f, maxReports))
				f.Close()
				if err != nil {
					return usage("`croft --json sim run` prints reports", "%s: %w", name, err)
				}
				runs = append(runs, list...)
			}
			for i, r := range runs {
				if i > 0 && !a.json {
					fmt.Fprintln(a.out)
				}
				if err := a.present(r); err != nil {
					return err
				}
			}
			return a.sum(runs, html)
		},
	}
	c.Flags().StringVar(&html, "html", "", "write the reports with plots into this file, too")
	return c
}

// maxReports bounds what is read of a file of reports: one has about 100 kB.
const maxReports = 64 << 20
