// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"sync"

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
	baseline bool // of croft sim run

	warned sync.Once // that the purse is a copy
}

// Main runs one command line and returns its exit code.
func Main(ctx context.Context, args []string, in io.Reader, out, errs io.Writer) int {
	a := &app{in: in, out: out, err: errs}
	root := a.root()
	root.SetArgs(arrows(args))
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errs)
	return report(errs, root.ExecuteContext(ctx), wantsJSON(args))
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "croft",
		Short:         "Lease shares of machines from their owners, with no authority between",
		Version:       daemon.Version,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetVersionTemplate("croft {{.Version}}\n")
	root.SetFlagErrorFunc(badFlag)
	root.SetHelpCommand(helpCommand())
	flags := root.PersistentFlags()
	flags.BoolVar(&a.json, "json", false, "print one JSON object a line")
	flags.StringVar(&a.socket, "socket", envOr("CROFT_SOCKET", daemon.Socket(daemon.DefaultConfig().State)), "unix socket of the way in ($CROFT_SOCKET; default "+daemon.Socket(daemon.DefaultConfig().State)+")")
	flags.StringVar(&a.home, "home", envOr("CROFT_HOME", defaultHome()), "where your key, slices and tickets are kept ($CROFT_HOME; default ~/.config/croft)")
	flags.StringVar(&a.keyFile, "key", os.Getenv("CROFT_KEY"), "your Ed25519 key, also in OpenSSH form ($CROFT_KEY; default HOME/key)")
	for _, name := range []string{"socket", "home", "key"} { // told above: help is the same on every machine
		flags.Lookup(name).DefValue = ""
	}
	root.AddGroup(&cobra.Group{ID: "daily", Title: "Every day:"}, &cobra.Group{ID: "books", Title: "Claims, keys and records:"},
		&cobra.Group{ID: "machine", Title: "Machines:"})
	add := func(group string, cmds ...*cobra.Command) {
		for _, c := range cmds {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add("daily", a.find(), a.run(), a.ps(), a.top(), a.logs(), a.exec(), a.stop(), a.renew(), a.keepGroup(), a.reserve(), a.when(), a.desk())
	add("books", a.sliceGroup(), a.topic(), a.ticket(), a.lease(), a.conflict(), a.audit(), a.optout(), a.key(), a.name(), a.release())
	add("machine", a.up(), a.invite(), a.policy(), a.agent(), a.doctor(), a.clock(), a.role(), a.update(), a.lab(), a.sim(), a.net(), a.view())
	root.AddCommand(topics()...)
	root.AddCommand(a.completion(), reference())
	a.complete(root)
	strict(root)
	return root
}

// dashAfter wants a "--", where there is one, right after the first n arguments:
// what follows it is a command for elsewhere, and flags in that are not ours.
func dashAfter(cmd *cobra.Command, n int) error {
	if at := cmd.ArgsLenAtDash(); at >= 0 && at != n {
		return usage("type `"+cmd.UseLine()+"`", "the command goes after --, and nothing else does")
	}
	return nil
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
