// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"croft/node/api"
	"croft/node/release"
)

func (a *app) update() *cobra.Command {
	c := &cobra.Command{Use: "update", Short: "Which release this node runs: look for one, run it, go back, stay",
		Long: `Which release of Croft the node runs. Publishers whom its owner chose ([updates] of
croft.toml) sign releases; without one nothing is asked and nothing happens. A release
that is applied runs on trial first, watched by the program before it, which comes back
by itself if the release ends, hangs, or lacks what it had. Slivers run on meanwhile.`,
		Example: `  croft update check
  croft update apply
  croft update rollback`}
	do := func(use, short string, args cobra.PositionalArgs, wish func(args []string) (api.UpdateWish, error)) *cobra.Command {
		return &cobra.Command{Use: use, Short: short, Args: args, RunE: func(cmd *cobra.Command, args []string) error {
			w, err := wish(args)
			if err != nil {
				return err
			}
			u, err := a.way().Update(cmd.Context(), w)
			if err != nil {
				return err
			}
			return a.showUpdate(u)
		}}
	}
	sent := func(do string, args []string) (w api.UpdateWish, err error) {
		w.Do = do
		if len(args) > 0 {
			s, err := readRelease(args[0])
			if err != nil {
				return w, err
			}
			w.Release = string(s.Text())
		}
		if len(args) > 1 {
			w.Binary, err = filepath.Abs(args[1])
		}
		return w, err
	}
	plainly := func(do string) func([]string) (api.UpdateWish, error) {
		return func(args []string) (api.UpdateWish, error) {
			w := api.UpdateWish{Do: do}
			if len(args) > 0 {
				w.Version = args[0]
			}
			return w, nil
		}
	}
	c.AddCommand(&cobra.Command{Use: "list", Short: "List what runs, what is kept, what was heard of and what failed", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		u, err := a.way().Updates(cmd.Context())
		if err != nil {
			return err
		}
		return a.showUpdate(u)
	}},
		do("check [RELEASE]", "Ask who fills the role updates, or read a release that you were sent", cobra.MaximumNArgs(1), func(args []string) (api.UpdateWish, error) { return sent("check", args) }),
		do("apply [RELEASE [BINARY]]", "Run the newest release on trial, or the one that you were sent; its build comes from other nodes unless you have it", cobra.MaximumNArgs(2), func(args []string) (api.UpdateWish, error) { return sent("apply", args) }),
		do("rollback", "Run what ran before", cobra.NoArgs, plainly("rollback")),
		do("pin [VERSION]", "Run no other version than this one, or the one that runs", cobra.MaximumNArgs(1), plainly("pin")),
		do("unpin", "Let newer versions be run again", cobra.NoArgs, plainly("unpin")))
	return c
}

func (a *app) showUpdate(u api.Update) error {
	return a.print(u, func(w io.Writer) {
		fmt.Fprintf(w, "runs\t%s on %s\n", u.Running, u.Platform)
		switch len(u.Publishers) {
		case 0:
			fmt.Fprintf(w, "publishers\tnone: nothing is asked\n")
		default:
			fmt.Fprintf(w, "publishers\t%d, of which %d have to sign; apply = %s\n", len(u.Publishers), u.Need, u.Apply)
		}
		if u.Pin != "" {
			fmt.Fprintf(w, "pinned\t%s\n", u.Pin)
		}
		if n := u.Newest; n != nil {
			by := make([]string, 0, len(n.By))
			for _, p := range n.By {
				by = append(by, p.Short())
			}
			fmt.Fprintf(w, "newest\t%s, said %s, good until %s, by %s\n", n.Version, n.Said.Format(time.DateTime), n.Until.Format(time.DateTime), strings.Join(by, " "))
			if n.Note != "" {
				fmt.Fprintf(w, "\t%s\n", printable(n.Note))
			}
		}
		if u.Why != "" {
			fmt.Fprintf(w, "not run\t%s\n", printable(u.Why))
		}
		if u.Stale {
			fmt.Fprintf(w, "stale\tits publishers wanted to be heard again by now: who fills the role is behind, or they are gone\n")
		}
		if u.Fault != "" {
			fmt.Fprintf(w, "fault\t%s\n", printable(u.Fault))
		}
		for _, k := range u.Kept {
			fmt.Fprintf(w, "%s\t%s %s\n", k.What, k.Version, k.Digest)
		}
		for _, f := range u.Failed {
			fmt.Fprintf(w, "failed\t%s at %s: %s\n", f.Version, f.At.Local().Format(time.DateTime), printable(f.Why))
		}
		if u.Begun {
			fmt.Fprintf(w, "now\tthe daemon is changing over; `croft update list` says what came of it\n")
		}
	})
}

// readRelease reads a file with a release.
func readRelease(path string) (*release.Signed, error) {
	text, err := readBounded(path, release.MaxText)
	if err != nil {
		return nil, err
	}
	s, err := release.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", cmp.Or(path, "release"), err)
	}
	return s, nil
}

// freshness is doctor's finding about releases of the node behind the socket.
func freshness(u api.Update) finding {
	f := finding{Kind: "update", Name: "updates", OK: true, Found: "no publisher is chosen: you update this node yourself"}
	switch {
	case len(u.Publishers) == 0:
	case u.Stale:
		f.OK, f.Found = false, fmt.Sprintf("the newest word of the publishers, on %s, was good until %s: who fills the role is behind, or they are gone", u.Newest.Version, u.Newest.Until.Format(time.DateTime))
	case u.Fault != "":
		f.OK, f.Found = false, printable(u.Fault)
	case u.Newest == nil:
		f.OK, f.Found = u.Asked == nil, "nothing was heard of the publishers yet"
	default:
		f.Found = fmt.Sprintf("%s runs; the publishers say %s, good until %s", u.Running, u.Newest.Version, u.Newest.Until.Format(time.DateTime))
	}
	if !f.OK {
		f.Mend = "croft update check; croft role show updates"
	}
	return f
}
