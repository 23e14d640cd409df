// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"croft/lease"
	"croft/lease/policy"
	"croft/node/api"
	"croft/node/daemon"
)

func (a *app) policy() *cobra.Command {
	c := &cobra.Command{Use: "policy", Short: "What a node's owner wants: check, show, reload, sign"}
	c.AddCommand(a.policyCheck(), a.policyShow(), a.policyReload(), a.policySign())
	return c
}

func (a *app) policyCheck() *cobra.Command {
	var config, has string
	c := &cobra.Command{
		Use: "check FILE", Short: "Say in words what a policy means, or what is wrong with it and where", Args: cobra.ExactArgs(1),
		Long: `Read a policy as a node would, offline and without a daemon. What it means is told
pool by pool and peer by peer; every mistake with its line and column, and what
would be right. Exit code 1 if there is any.`,
		Example: "  croft policy check /var/lib/croft/policy.toml",
		RunE: func(_ *cobra.Command, args []string) error {
			cfg := daemon.DefaultConfig()
			if config != "" {
				var err error
				if cfg, err = daemon.ReadConfig(cfg, config); err != nil {
					return usage("`croft help config` lists the keys", "%w", err)
				}
			}
			base := daemon.Base(cfg)
			if has != "" {
				measured, err := lease.ParseRSet(has)
				if err != nil {
					return badAmounts("machine", has, err)
				}
				base = policy.NewBase(measured)
			}
			p, err := daemon.LoadPolicy(args[0], base, time.Now())
			if err != nil {
				if d, ok := signedPolicy(args[0]); ok {
					return usage("name it in [[follow]] of a policy.toml, and check that", "%s is a signed policy, %s of %s", args[0], d.Name, d.Issuer)
				}
				return a.mistakes(args[0], err)
			}
			for _, err := range p.Lapsed {
				a.say("not followed: %v", err)
			}
			return printEach(a, p.Words(), "", sentence)
		},
	}
	c.Flags().StringVar(&config, "config", "", "croft.toml of the node, which may say what is leased in all")
	c.Flags().StringVar(&has, "machine", "", "what the machine has: cpu=8000,memory=16GiB,… (default: this one)")
	return c
}

// signedPolicy looks whether a file is what `croft policy sign` writes.
func signedPolicy(path string) (policy.Opened, bool) {
	b, err := readBounded(path, policy.MaxDocument)
	if err != nil {
		return policy.Opened{}, false
	}
	d, err := policy.Open(b)
	return d, err == nil
}

func sentence(w io.Writer, s policy.Sentence) { fmt.Fprintf(w, "%s\t%s\n", s.About, s.Text) }

// mistakes prints what is wrong with a policy, each under its line of the text.
// What is no mistake in the text is returned as it is.
func (a *app) mistakes(path string, err error) error {
	var list policy.Errors
	if !errors.As(err, &list) {
		return err
	}
	text, readErr := os.ReadFile(path)
	if readErr != nil {
		return err
	}
	lines := strings.Split(string(text), "\n")
	printErr := printEach(a, list, "", func(w io.Writer, e *policy.Error) {
		says := e.Text
		if e.Want != "" {
			says += ": " + e.Want
		}
		pointAt(w, path, lines, e.Line, e.Column, says)
	})
	if printErr != nil {
		return printErr
	}
	return fail(exitFailed, "`croft help policy-file` lists the keys", "%s has %s", path, counted(len(list), "mistake"))
}

// pointAt shows where in a file something is wrong; line 0 is all of it.
func pointAt(w io.Writer, path string, lines []string, line, column int, says string) {
	if line < 1 || line > len(lines) {
		fmt.Fprintf(w, "%s: %s\n", path, says)
		return
	}
	text := strings.TrimRight(lines[line-1], "\r")
	fmt.Fprintf(w, "%s:%d:%d: %s\n  %s\n  %s^\n", path, line, column, says, spaced(text), indent(text, column-1))
}

func counted(n int, what string) string {
	if n == 1 {
		return "one " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// spaced keeps a tabulator, or worse, from moving what stands below it.
func spaced(line string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, line)
}

func indent(line string, characters int) string {
	return strings.Repeat(" ", min(characters, len([]rune(line))))
}

func (a *app) policyShow() *cobra.Command {
	return &cobra.Command{
		Use: "show", Short: "What the node behind the socket goes by now, and where each rule comes from", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := a.way().Policy(cmd.Context())
			if err != nil {
				return err
			}
			return a.print(p, func(w io.Writer) { policyTable(w, p) })
		},
	}
}

func policyTable(w io.Writer, p api.Policy) {
	file := p.File
	if file == "" {
		file = "no file: the defaults"
	}
	fmt.Fprintf(w, "policy\t%s, read %s\n", file, p.Loaded.Local().Format("2006-01-02 15:04:05"))
	if p.Fault != "" {
		fmt.Fprintf(w, "REFUSED\t%s\n", p.Fault)
	}
	for _, s := range p.Lapsed {
		fmt.Fprintf(w, "not followed\t%s\n", s)
	}
	for _, s := range p.Words {
		sentence(w, s)
	}
	givenTable(w, p)
	fmt.Fprintf(w, "\nRULE\tVALUE\tFROM\n")
	for _, s := range p.Settings {
		fmt.Fprintf(w, "%s\t%s\t%s\n", s.Name, s.Value, s.From)
	}
}

// givenTable says how far the tickets of [[give]] are signed, and what keeps the next.
func givenTable(w io.Writer, p api.Policy) {
	for _, g := range p.Given {
		until := "nothing yet"
		if g.Until > 0 {
			until = "signed until " + time.Unix(g.Until, 0).UTC().Format(time.RFC3339)
		}
		if g.Fault != "" {
			until += "; the next: " + g.Fault
		}
		fmt.Fprintf(w, "tickets of %s\t%s\n", g.To, until)
	}
}

func (a *app) policyReload() *cobra.Command {
	return &cobra.Command{
		Use: "reload", Short: "Have the node behind the socket read its policy again", Args: cobra.NoArgs,
		Long: "Have the node read its policy again, as SIGHUP does. What was granted stays; what comes is judged by the new rules. If anything is wrong with it the old one stays in force, and the exit code is 1.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := a.way().ReloadPolicy(cmd.Context())
			if err != nil {
				return err
			}
			return a.print(p, func(w io.Writer) {
				file := p.File
				if file == "" {
					file = "the defaults, as there is no file"
				}
				fmt.Fprintf(w, "in force\t%s\n", file)
				for _, s := range p.Words {
					sentence(w, s)
				}
				givenTable(w, p)
			})
		},
	}
}

func (a *app) policySign() *cobra.Command {
	var name, out string
	var term time.Duration
	c := &cobra.Command{
		Use: "sign FILE", Short: "Sign a policy for others to follow", Args: cobra.ExactArgs(1),
		Long: `Sign a policy with your key. A node follows it by naming the signed file and you in
its own policy:

  [[follow]]
  file = "research-net.policy"
  by = "PRINCIPAL"

Such a policy says nothing of one machine: it may refuse principals, size pools in
shares, and bound what they give. Each owner's own rules go before it.`,
		RunE: func(_ *cobra.Command, args []string) error {
			text, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			key, err := a.mine()
			if err != nil {
				return err
			}
			base := strings.TrimSuffix(filepath.Base(args[0]), filepath.Ext(args[0]))
			if name == "" {
				name = base
			}
			if out == "" {
				out = base + ".policy"
			}
			from := time.Now().Unix() - 60 // the clocks of those who follow
			doc := policy.Document{Issuer: key.Principal(), From: from, Until: from + 60 + int64(term.Seconds()), Name: name, Text: string(bytes.ToValidUTF8(text, []byte("?")))}
			signed, err := policy.Seal(doc, key)
			switch {
			case errors.Is(err, policy.ErrPolicy):
				return a.mistakes(args[0], err)
			case errors.Is(err, lease.ErrField):
				return usage("`croft policy sign --help`", "%w", err)
			case err != nil:
				return err
			}
			if err := writeNew(out, signed.Bytes(), 0o644); err != nil {
				return err
			}
			return a.print(struct {
				Issuer lease.Principal `json:"issuer"`
				Name   string          `json:"name"`
				Until  int64           `json:"until"`
				File   string          `json:"file"`
			}{doc.Issuer, doc.Name, doc.Until, out}, func(w io.Writer) { fmt.Fprintln(w, out) })
		},
	}
	c.Flags().StringVar(&name, "name", "", "what it is called (default: FILE without its ending)")
	c.Flags().StringVar(&out, "out", "", "file to write (default: FILE with the ending .policy, here)")
	c.Flags().DurationVar(&term, "for", 90*24*time.Hour, "how long it holds")
	return c
}
