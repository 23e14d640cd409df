// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"croft/sim/cost"
	simreport "croft/sim/report"
)

// swept is what one size of a network cost.
type swept struct {
	Nodes    int     `json:"nodes"`
	Wall     float64 `json:"wall_s"`
	Events   uint64  `json:"events"`
	CPU      float64 `json:"cpu_s_per_node_hour"` // of this machine, to play a node for an hour
	Memory   float64 `json:"bytes_per_node"`      // of this machine
	Sent     float64 `json:"sent_bytes_per_node_second"`
	Messages float64 `json:"messages_per_node_second"`
	Delivery float64 `json:"delivery_p99_s"` // 0: nothing was delivered
	Known    float64 `json:"known_mean"`     // nodes in a view
	History  string  `json:"history"`
	OK       bool    `json:"ok"`

	Finds *sweptFinds `json:"finds,omitempty"`
}

// sweepColumn is what is fitted, and how it is printed.
type sweepColumn struct {
	head string
	of   func(swept) float64
	text func(float64) string
}

var sweepColumns = []sweepColumn{
	{"SENT", func(s swept) float64 { return s.Sent }, func(v float64) string { return octets(uint64(v)) + "/s" }},
	{"MESSAGES", func(s swept) float64 { return s.Messages }, func(v float64) string { return fmt.Sprintf("%.3g/s", v) }},
	{"KNOWS", func(s swept) float64 { return s.Known }, func(v float64) string { return fmt.Sprintf("%.0f", v) }},
	{"DELIVERY p99", func(s swept) float64 { return s.Delivery }, milliseconds},
	{"CPU", func(s swept) float64 { return s.CPU }, func(v float64) string { return fmt.Sprintf("%.3g s/h", v) }},
	{"MEMORY", func(s swept) float64 { return s.Memory }, func(v float64) string { return octets(uint64(v)) }},
}

func (a *app) simSweep() *cobra.Command {
	var sizes []string
	c := &cobra.Command{
		Use: "sweep FILE|NAME --nodes N,N,…", Short: "Play a scenario with ever more nodes, and say how the cost of each node grows", Args: cobra.ExactArgs(1),
		Long: `Play a scenario once for every number of nodes, and print what each node cost:
bytes and messages a second that it sends, nodes that it knows, and the processor time
and memory that playing it takes here. The last line is the power of N with which each
grows, fitted to the logarithms: 0 is not at all, 1 in proportion. Joins take as
many waves as in the file. Exit code 1 if a run does not come to what it expects.`,
		Example: `  croft sim sweep scale --nodes 1000,3000,10000`,
		RunE: func(cmd *cobra.Command, args []string) error {
			list, err := numbers(sizes)
			if err != nil {
				return err
			}
			var rows []swept
			for _, n := range list {
				row, err := a.sweepOne(cmd, args[0], n)
				if err != nil {
					return err
				}
				rows = append(rows, row)
			}
			slopes := map[string]simreport.Slope{}
			for _, c := range slices.Concat(sweepColumns, findColumns) {
				var points []simreport.Point
				for _, r := range rows {
					points = append(points, simreport.Point{X: float64(r.Nodes), Y: c.of(r)})
				}
				if s, ok := simreport.Grows(points); ok {
					slopes[c.head] = s
				}
			}
			err = a.print(struct {
				Rows   []swept                    `json:"rows"`
				Slopes map[string]simreport.Slope `json:"grows"`
			}{rows, slopes}, func(w io.Writer) { printSweep(w, rows, slopes) })
			if err == nil && slices.ContainsFunc(rows, func(r swept) bool { return !r.OK }) {
				return fail(exitFailed, "`croft sim run` says what it was", "a run did not come to what it expects")
			}
			return err
		},
	}
	c.Flags().StringSliceVarP(&sizes, "nodes", "n", []string{"100", "300", "1000"}, "the numbers of nodes")
	return c
}

func numbers(words []string) (list []int, err error) {
	for _, word := range words {
		n, err := strconv.Atoi(strings.TrimSpace(word))
		if err != nil {
			return nil, usage("`croft sim sweep --help`", "--nodes %q: want whole numbers such as 1000,3000", word)
		}
		list = append(list, n)
	}
	slices.Sort(list)
	return slices.Compact(list), nil
}

// sweepOne plays one size.
func (a *app) sweepOne(cmd *cobra.Command, arg string, nodes int) (swept, error) {
	name, s, err := a.scenario(arg)
	if err != nil {
		return swept{}, err
	}
	waves := max((s.Nodes.Count+s.Join.Wave-1)/s.Join.Wave, 1)
	s.Nodes.Count, s.Join.Wave = nodes, (nodes+waves-1)/waves
	if err := s.Check(); err != nil {
		return swept{}, usage("`croft sim sweep --help`", "with %d nodes: %w", nodes, err)
	}
	debug.FreeOSMemory()
	meter := cost.Begin()
	line := a.progressLine(fmt.Sprint(name, " ", nodes))
	r, err := a.worlds()[worldNames[0]](cmd.Context(), s, line.show)
	line.clear()
	if errors.Is(err, simreport.ErrCannot) {
		return swept{}, fail(exitUsage, "docs/simulation.md says what a world has", "playing %s with %d nodes: %w", name, nodes, err)
	} else if err != nil {
		return swept{}, err
	}
	if r.Partial {
		return swept{}, fail(exitFailed, "", "interrupted at %d nodes", nodes)
	}
	n, spent := float64(nodes), meter.Spent()
	row := swept{Nodes: nodes, Wall: r.Wall.Seconds(), Events: r.Events, History: r.History, OK: r.OK(),
		CPU: spent.CPU.Seconds() / n / r.Virtual.Hours(), Memory: float64(spent.Peak) / n}
	row.Finds = findsOf(r)
	for _, v := range r.Figures {
		if v.Of != "" { // of a part
			continue
		}
		switch v.Figure + " " + v.Stat {
		case "bytes mean":
			row.Sent = v.Value
		case "delivery p99":
			row.Delivery = v.Value
		case "known mean":
			row.Known = v.Value
		}
	}
	for _, count := range r.Counts {
		if count.What == "messages gossip" || count.What == "messages requests and answers" {
			row.Messages += float64(count.Count) / n / r.Virtual.Seconds()
		}
	}
	return row, nil
}

func printSweep(w io.Writer, rows []swept, slopes map[string]simreport.Slope) {
	printColumns(w, sweepColumns, rows, slopes)
	if slices.ContainsFunc(rows, func(r swept) bool { return r.Finds != nil }) {
		fmt.Fprintln(w)
		printColumns(w, findColumns, rows, slopes)
	}
}

func printColumns(w io.Writer, columns []sweepColumn, rows []swept, slopes map[string]simreport.Slope) {
	fmt.Fprint(w, "NODES\tWALL\tEVENTS")
	for _, c := range columns {
		fmt.Fprint(w, "\t"+c.head)
	}
	fmt.Fprintln(w)
	for _, r := range rows {
		fmt.Fprintf(w, "%d\t%.1fs\t%d", r.Nodes, r.Wall, r.Events)
		for _, c := range columns {
			fmt.Fprint(w, "\t"+c.text(c.of(r)))
		}
		fmt.Fprintln(w)
	}
	fmt.Fprint(w, "a node's\t\t")
	for _, c := range columns {
		s, ok := slopes[c.head]
		switch {
		case !ok || math.IsNaN(s.Exponent):
			fmt.Fprint(w, "\t-")
		default:
			fmt.Fprintf(w, "\tN^%.2f", s.Exponent)
		}
	}
	fmt.Fprintln(w)
}
