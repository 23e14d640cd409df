// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"croft/sim/scenario"
	"croft/sim/scenarios"
)

func (a *app) sim() *cobra.Command {
	c := &cobra.Command{
		Use: "sim", Short: "Experiments in virtual time, with the machines that run in daemons",
		Long: `A scenario says who joins, what happens when, and what must come of it. It is
played with the very machines that decide in a daemon, on modelled wires, disks
and sandboxes, in virtual time: the same scenario and seed give the same history.
docs/simulation.md has the language, the worlds, and what each leaves out.`,
	}
	c.AddCommand(a.simRun(), a.simSweep(), a.simReplay(), a.simReport(), a.simList(), a.simNew())
	return c
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
				nodes := "-" // trials have no network
				if r.Nodes > 0 {
					nodes = fmt.Sprint(r.Nodes)
				}
				fmt.Fprintf(w, "%s\t%s\t%s\n", r.Name, nodes, r.About)
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
