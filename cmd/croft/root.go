// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"croft/node/client"
	"croft/node/daemon"
)

// app is what every command shares.
type app struct {
	in       io.Reader
	out, err io.Writer
	json     bool
	socket   string
	home     string // of the person: key and slices
	keyFile  string
}

// Main runs one command line and returns its exit code.
func Main(ctx context.Context, args []string, in io.Reader, out, errs io.Writer) int {
	a := &app{in: in, out: out, err: errs}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errs)
	return report(errs, root.ExecuteContext(ctx))
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "croft",
		Short:         "Lease shares of machines from their owners, with no authority between",
		Version:       daemon.Version,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return cmd.Help()
		},
	}
	root.SetVersionTemplate("croft {{.Version}}\n")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage("`"+cmd.CommandPath()+" --help` lists the flags", "%w", err)
	})
	flags := root.PersistentFlags()
	flags.BoolVar(&a.json, "json", false, "print one JSON object a line")
	flags.StringVar(&a.socket, "socket", envOr("CROFT_SOCKET", daemon.Socket(daemon.DefaultConfig().State)), "unix socket of the way in ($CROFT_SOCKET)")
	flags.StringVar(&a.home, "home", envOr("CROFT_HOME", defaultHome()), "where your key and your slices are kept ($CROFT_HOME)")
	flags.StringVar(&a.keyFile, "key", os.Getenv("CROFT_KEY"), "your Ed25519 key, also in OpenSSH form ($CROFT_KEY; default HOME/key)")
	root.AddGroup(&cobra.Group{ID: "daily", Title: "Every day:"}, &cobra.Group{ID: "books", Title: "Claims, keys and records:"},
		&cobra.Group{ID: "machine", Title: "Machines:"})
	add := func(group string, cmds ...*cobra.Command) {
		for _, c := range cmds {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add("daily", a.find(), a.run(), a.ps(), a.logs(), a.exec(), a.stop(), a.renew())
	add("books", a.ticket(), a.lease(), a.audit(), a.key())
	add("machine", a.up(), a.doctor(), a.lab(), a.net())
	for _, c := range root.Commands() {
		strict(c)
	}
	return root
}

// strict makes a wrong argument a usage error, and a typo in a sub-command one
// that names what was meant.
func strict(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return usage("`"+cmd.UseLine()+"`", "%w", err)
			}
			return nil
		}
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

func unknown(cmd *cobra.Command, word string) error {
	hint := "`" + cmd.CommandPath() + " --help` lists the commands"
	if s := cmd.SuggestionsFor(word); len(s) > 0 {
		hint = "did you mean `" + cmd.CommandPath() + " " + strings.Join(s, "`, `") + "`?"
	}
	return usage(hint, "no command %q", cmd.CommandPath()+" "+word)
}

// command returns what follows the first argument: flags in it are not ours, and
// a "--" before it is only there to be seen.
func command(args []string) []string {
	rest := args[1:]
	if len(rest) > 0 && rest[0] == "--" {
		return rest[1:]
	}
	return rest
}

// way is the node behind the socket.
func (a *app) way() *client.Way { return client.New(a.socket) }

func envOr(name, def string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return def
}

func defaultHome() string {
	dir, err := os.UserConfigDir()
	if err != nil {
		return ".croft"
	}
	return filepath.Join(dir, "croft")
}

var errNoKey = errors.New("no key")
