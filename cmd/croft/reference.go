// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

//go:generate go run . reference ../../docs/cli.md

// reference writes docs/cli.md from the commands themselves.
func reference() *cobra.Command {
	return &cobra.Command{
		Use: "reference FILE", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var b strings.Builder
			writeReference(&b, cmd.Root())
			return os.WriteFile(args[0], []byte(b.String()), 0o644)
		},
	}
}

func writeReference(w io.Writer, root *cobra.Command) {
	fmt.Fprint(w, `<!-- Generated from the commands by `+"`make generate`"+`; do not edit. -->

# The command line

stdout is the result, stderr the talk. `+"`--json`"+` makes results one object a line. Exit
codes are at the [end](#croft-exit-codes). These flags are known to every command:

`)
	root.InitDefaultHelpFlag()
	root.InitDefaultVersionFlag()
	block(w, root.PersistentFlags().FlagUsages())
	for _, group := range root.Groups() {
		fmt.Fprintf(w, "\n%s\n\n", strings.TrimSuffix(group.Title, ":"))
		for _, c := range root.Commands() {
			if c.GroupID == group.ID {
				fmt.Fprintf(w, "- [%s](#%s): %s\n", c.CommandPath(), anchor(c), c.Short)
			}
		}
	}
	for _, c := range root.Commands() {
		page(w, c)
	}
}

func anchor(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

// page writes a command and those below it.
func page(w io.Writer, c *cobra.Command) {
	if c.Hidden || c.Name() == "help" {
		return
	}
	fmt.Fprintf(w, "\n## %s\n\n", c.CommandPath())
	text := c.Long
	if text == "" {
		text = c.Short
	}
	switch {
	case strings.Contains(text, "\n  "): // laid out in columns
		fmt.Fprintf(w, "%s.\n\n", c.Short)
		block(w, text)
	default:
		fmt.Fprintf(w, "%s\n", strings.TrimSuffix(text, ".")+".")
	}
	if c.Runnable() && !c.HasSubCommands() {
		fmt.Fprintln(w)
		block(w, c.UseLine())
	}
	if flags := c.NonInheritedFlags(); flags.HasAvailableFlags() {
		fmt.Fprintln(w)
		block(w, flags.FlagUsages())
	}
	if c.Example != "" {
		fmt.Fprintf(w, "\nSuch as\n\n")
		block(w, c.Example)
	}
	for _, sub := range c.Commands() {
		page(w, sub)
	}
}

func block(w io.Writer, text string) {
	fmt.Fprintf(w, "```\n%s\n```\n", strings.Trim(text, "\n"))
}

// everyCommand lists a command and those below it, but for hidden ones.
func everyCommand(c *cobra.Command) []*cobra.Command {
	list := []*cobra.Command{c}
	for _, sub := range c.Commands() {
		if !sub.Hidden {
			list = append(list, everyCommand(sub)...)
		}
	}
	return list
}
