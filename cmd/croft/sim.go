// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"croft/sim/report"
	"croft/sim/scenario"
	"croft/sim/scenarios"
	"croft/sim/world"
)

func (a *app) sim() *cobra.Command {
	c := &cobra.Command{
		Use: "sim", Short: "Experiments in virtual time, with the machines that run in daemons",
		Long: `A scenario says who joins, what happens when, and what must come of it. It is
played with the very machines that decide in a daemon, on modelled wires, disks
and sandboxes, in virtual time: the same scenario and seed give the same history.
docs/simulation.md has the language, and what is modelled and left out.`,
	}
	c.AddCommand(a.simRun(), a.simReplay(), a.simList(), a.simNew())
	return c
}

func (a *app) simRun() *cobra.Command {
	var nodes int
	var seed uint64
	c := &cobra.Command{
		Use: "run FILE|NAME", Short: "Play a scenario, and hold what comes of it against what it expects", Args: cobra.ExactArgs(1),
		Long: `Play a scenario: one of ` + "`croft sim list`" + ` by its name, or a file. Exit code 1 if an
expectation fails, a promise is broken, or the run is interrupted; what there was
until then is reported. A run that failed writes NAME.replay, with which
` + "`croft sim replay`" + ` plays the same history.`,
		Example: `  croft sim run safety --seed 7
  croft sim run my.sim --nodes 200`,
		RunE: func(cmd *cobra.Command, args []string) error {
			name, s, err := a.scenario(args[0])
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
			report, err := a.play(cmd.Context(), name, s)
			if err != nil || report.OK() {
				return err
			}
			if report.Partial {
				return fail(exitFailed, "", "interrupted: the report is of a part of the run")
			}
			s.History = report.History
			file := strings.TrimSuffix(filepath.Base(name), ".sim") + ".replay"
			text := fmt.Sprintf("# a failed run of %s\n%s", name, s)
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				return fail(exitFailed, "", "%s failed, and its replay could not be written: %w", name, err)
			}
			return fail(exitFailed, "`croft sim replay "+file+"` plays it again", "%s failed", name)
		},
	}
	c.Flags().IntVarP(&nodes, "nodes", "n", 0, "this number of nodes instead of the scenario's")
	c.Flags().Uint64Var(&seed, "seed", 0, "this seed instead of the scenario's")
	return c
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
			report, err := a.play(cmd.Context(), name, s)
			switch {
			case err != nil:
				return err
			case report.Partial:
				return fail(exitFailed, "", "interrupted: the report is of a part of the run")
			case report.History != s.History:
				return fail(exitFailed, "the program has changed since", "another history than that of %s", args[0])
			case !report.OK():
				return fail(exitFailed, "", "the same history: it failed as before")
			}
			return nil
		},
	}
}

// scenario reads a file, or else a scenario that is shipped.
func (a *app) scenario(arg string) (name string, s *scenario.Scenario, err error) {
	text, err := scenarios.Text(arg)
	if err != nil {
		f, err := os.Open(arg)
		if errors.Is(err, fs.ErrNotExist) {
			return "", nil, fail(exitNothing, "`croft sim list` has the names", "there is no file and no scenario %s", arg)
		} else if err != nil {
			return "", nil, err
		}
		defer f.Close()
		b, err := io.ReadAll(io.LimitReader(f, scenario.MaxFile+1))
		if err != nil {
			return "", nil, err
		}
		text = string(b)
	}
	s, err = scenario.Parse(text)
	var list scenario.Mistakes
	if !errors.As(err, &list) {
		return arg, s, err
	}
	lines := strings.Split(text, "\n")
	err = printEach(a, list, "", func(w io.Writer, m scenario.Mistake) {
		says := m.Text
		if m.Want != "" {
			says += ": " + m.Want
		}
		pointAt(w, arg, lines, m.Line, m.Column, says)
	})
	if err != nil {
		return "", nil, err
	}
	return "", nil, fail(exitUsage, "`croft sim new` prints one that holds", "%s has %s", arg, counted(len(list), "mistake"))
}

// play runs a scenario with a line of progress, and prints the report.
func (a *app) play(ctx context.Context, name string, s *scenario.Scenario) (*report.Report, error) {
	line := a.progressLine()
	r, err := world.Run(ctx, s, world.Options{Progress: line.show})
	line.clear()
	if errors.Is(err, world.ErrCannot) {
		return nil, fail(exitUsage, "docs/simulation.md says what a world has", "playing %s: %w", name, err)
	} else if err != nil {
		return nil, err
	}
	r.Name, r.Peak, r.Date = name, peakMemory(), time.Now().UTC()
	return r, a.print(struct {
		*report.Report
		OK bool `json:"ok"`
	}{r, r.OK()}, func(w io.Writer) { printReport(w, r) })
}

func (a *app) simList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "The scenarios that are shipped", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			type row struct {
				Name  string `json:"name"`
				Nodes int    `json:"nodes"`
				About string `json:"about"`
			}
			var rows []row
			for _, name := range scenarios.Names() {
				text, err := scenarios.Text(name)
				if err != nil {
					return err
				}
				s, err := scenario.Parse(text)
				if err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
				rows = append(rows, row{name, s.Nodes.Count, scenarios.About(text)})
			}
			return printEach(a, rows, "NAME\tNODES\tSHOWS", func(w io.Writer, r row) {
				fmt.Fprintf(w, "%s\t%d\t%s\n", r.Name, r.Nodes, r.About)
			})
		},
	}
}

func (a *app) simNew() *cobra.Command {
	return &cobra.Command{
		Use: "new [FILE]", Short: "A scenario to begin with, in a new file or on stdout", Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				_, err := io.WriteString(a.out, scenarios.Template)
				return err
			}
			f, err := os.OpenFile(args[0], os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
			if errors.Is(err, fs.ErrExist) {
				return usage("name another file", "%s is there already", args[0])
			} else if err != nil {
				return err
			}
			_, err = io.WriteString(f, scenarios.Template)
			return errors.Join(err, f.Close())
		},
	}
}
