// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"croft/lease"
	"croft/lease/offer"
	"croft/node/api"
)

// strict makes a wrong argument a usage error, and a typo in a command one that
// names what was meant.
func strict(c *cobra.Command) {
	c.SuggestionsMinimumDistance = 2
	if check := c.Args; check != nil {
		c.Args = func(cmd *cobra.Command, args []string) error {
			if check(cmd, args) == nil {
				return nil
			}
			line := strings.TrimSuffix(cmd.UseLine(), " [flags]")
			if len(args) == 0 {
				return usage("type `"+line+"`", "something is missing after `%s`", cmd.CommandPath())
			}
			return usage("type `"+line+"`", "%d arguments to `%s` are too many or too few", len(args), cmd.CommandPath())
		}
	}
	if c.RunE != nil && c.PreRunE == nil {
		c.PreRunE = missingFlag
	}
	if c.HasSubCommands() && c.RunE == nil {
		c.Args = cobra.ArbitraryArgs
		c.RunE = func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return unknown(cmd, args[0])
		}
	}
	for _, sub := range c.Commands() {
		strict(sub)
	}
}

// missingFlag refuses a command line without a flag that there must be, before
// cobra does, which knows no exit codes.
func missingFlag(cmd *cobra.Command, _ []string) error {
	var err error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if must := f.Annotations[cobra.BashCompOneRequiredFlag]; len(must) > 0 && must[0] == "true" && !f.Changed && err == nil {
			err = usage("--"+f.Name+" is "+f.Usage, "`%s` wants --%s", cmd.CommandPath(), f.Name)
		}
	})
	return err
}

func unknown(cmd *cobra.Command, word string) error {
	hint := "`" + cmd.CommandPath() + " --help` lists the commands"
	if s := cmd.SuggestionsFor(word); len(s) > 0 {
		hint = "did you mean `" + cmd.CommandPath() + " " + strings.Join(s, "`, `") + "`?"
	}
	return usage(hint, "no command %q", cmd.CommandPath()+" "+word)
}

// badFlag says what is wrong with a flag as people say it.
func badFlag(cmd *cobra.Command, err error) error {
	hint := "`" + cmd.CommandPath() + " --help` lists the flags"
	var none *pflag.NotExistError
	var bad *pflag.InvalidValueError
	var bare *pflag.ValueRequiredError
	switch {
	case errors.As(err, &none) && none.GetSpecifiedShortnames() != "":
		return usage(hint, "`%s` has no flag -%s", cmd.CommandPath(), none.GetSpecifiedName())
	case errors.As(err, &none):
		if near := didYouMean("--"+none.GetSpecifiedName(), flagsOf(cmd)); near != "" {
			hint = near
		}
		return usage(hint, "`%s` has no flag --%s", cmd.CommandPath(), none.GetSpecifiedName())
	case errors.As(err, &bad):
		return usage(valueHint(bad.GetFlag()), "--%s %q is not %s", bad.GetFlag().Name, bad.GetValue(), valueKind(bad.GetFlag()))
	case errors.As(err, &bare):
		return usage(hint, "--%s wants %s", bare.GetFlag().Name, valueKind(bare.GetFlag()))
	}
	return usage(hint, "%w", err)
}

func flagsOf(cmd *cobra.Command) (names []string) {
	add := func(f *pflag.Flag) { names = append(names, "--"+f.Name) }
	cmd.LocalFlags().VisitAll(add)
	cmd.InheritedFlags().VisitAll(add)
	return names
}

func valueKind(f *pflag.Flag) string {
	switch f.Value.Type() {
	case "duration":
		return "a span of time"
	case "int", "uint16":
		return "a whole number"
	case "bool":
		return "true or false"
	}
	return "a value"
}

func valueHint(f *pflag.Flag) string {
	switch f.Value.Type() {
	case "duration":
		return "such as --" + f.Name + " 90s, 45m or 36h"
	case "int", "uint16":
		return "such as --" + f.Name + " 3"
	}
	return ""
}

// didYouMean names what is nearest to a word.
func didYouMean(word string, known []string) string {
	if near := offer.Meant(word, known); near != "" {
		return "did you mean `" + near + "`?"
	}
	return ""
}

// badAmounts explains what is wrong with an --rset.
func badAmounts(flag, text string, err error) error {
	hint := "such as --" + flag + " cpu=500,memory=256MiB"
	if errors.Is(err, lease.ErrUnknownResource) {
		for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == ' ' }) {
			name, _, _ := strings.Cut(word, "=")
			if _, err := lease.ParseResource(name); err != nil {
				hint = "they are " + strings.Join(lease.ResourceNames(), ", ")
				if near := didYouMean(name, lease.ResourceNames()); near != "" {
					hint = near
				}
				return usage(hint, "--%s: no resource %q", flag, name)
			}
		}
	}
	return usage(hint, "--%s: %w", flag, err)
}

// plain is an error's text as people need it: without the word for its class,
// which is for programs, and without the many ways in which a node was not
// reached.
func plain(err error) string {
	text := err.Error()
	if errors.Is(err, api.ErrUnreachable) {
		name := ""
		if at, ok := err.(*nodeError); ok {
			name = at.node + ": "
		}
		switch {
		case strings.Contains(text, "connection refused"):
			return name + "cannot be reached: connection refused"
		case strings.Contains(text, "deadline exceeded"), strings.Contains(text, "EOF"):
			return name + "cannot be reached: it does not answer"
		}
		return name + "cannot be reached"
	}
	for _, class := range []error{lease.ErrSyntax, lease.ErrField, lease.ErrRSet, lease.ErrTerm, lease.ErrDegree} {
		text = strings.TrimSuffix(text, ": "+class.Error())
	}
	return text
}

// nodeError is what went wrong at one node.
type nodeError struct {
	node string
	err  error
}

func (e *nodeError) Error() string { return e.node + ": " + e.err.Error() }
func (e *nodeError) Unwrap() error { return e.err }

// arrows drops the "->" that people put between two addresses, which would be
// taken for flags.
func arrows(args []string) []string {
	if len(args) < 2 || args[0] != "audit" {
		return args
	}
	var out []string
	for i, a := range args {
		if a == "--" {
			return append(out, args[i:]...)
		}
		if from, to, ok := strings.Cut(a, "->"); ok {
			for _, part := range []string{strings.TrimSpace(from), strings.TrimSpace(to)} {
				if part != "" {
					out = append(out, part)
				}
			}
			continue
		}
		out = append(out, a)
	}
	return out
}

var exitNames = map[int]string{exitOK: "ok", exitFailed: "failed", exitUsage: "usage", exitNothing: "nothing-matched",
	exitNoneKept: "none-kept", exitPartial: "partial", exitRefused: "refused", exitTimeout: "timed-out", exitUnreachable: "unreachable"}

// trouble is an error under --json, one line on stderr.
type trouble struct {
	Error string `json:"error"`
	Hint  string `json:"hint,omitempty"`
	Code  int    `json:"code"`
	Class string `json:"class"`

	Reason string `json:"reason,omitempty"` // of a ticket that is not what it should be
}

func (t trouble) String() string {
	s := fmt.Sprintf("croft: error: %s\n", t.Error)
	if t.Hint != "" {
		s += fmt.Sprintf("croft: hint: %s\n", t.Hint)
	}
	return s
}
