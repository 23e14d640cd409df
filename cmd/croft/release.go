// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"croft/lease"
	"croft/node/release"
)

func (a *app) release() *cobra.Command {
	c := &cobra.Command{Use: "release", Short: "Sign releases of Croft, for nodes whose owners chose you as a publisher",
		Long: `A release is text: a version, the digest of its build for each platform, and by when
publishers want to be heard again. Several may sign the same text, each with a key that
need never be where the builds are made. docs/roles/updates.md has its form.`,
		Example: `  croft release new 0.2.0 --build linux/amd64=build/croft --for 720h --out croft-0.2.0.release
  croft release sign croft-0.2.0.release
  croft release verify croft-0.2.0.release --publisher ann.pub --build linux/amd64=build/croft`}
	c.AddCommand(a.releaseNew(), a.releaseSign(), a.releaseVerify())
	return c
}

func (a *app) releaseNew() *cobra.Command {
	var builds []string
	var out, after, note string
	var lasts time.Duration
	c := &cobra.Command{Use: "new VERSION", Short: "Write the text of a release that nobody signed yet", Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		now := time.Now().UTC().Truncate(time.Second)
		r := release.Release{Said: now, Until: now.Add(lasts.Truncate(time.Second)), Note: note}
		var err error
		if r.Version, err = release.ParseVersion(args[0]); err == nil && after != "" {
			r.After, err = release.ParseVersion(after)
		}
		if err != nil {
			return usage("such as 0.2.0", "%w", err)
		}
		for _, arg := range builds {
			b, err := buildOf(arg)
			if err != nil {
				return err
			}
			r.Builds = append(r.Builds, b)
		}
		slices.SortFunc(r.Builds, func(a, b release.Build) int { return strings.Compare(a.Platform, b.Platform) })
		s, err := release.New(r)
		if err != nil {
			return usage("`croft help release new` lists the flags", "%w", err)
		}
		return a.writeRelease(out, s)
	}}
	c.Flags().StringArrayVar(&builds, "build", nil, "PLATFORM=FILE, as linux/amd64=build/croft (may be repeated)")
	c.Flags().StringVar(&out, "out", "", "file to write (default: print it)")
	c.Flags().StringVar(&after, "after", "", "the lowest version that it follows on (default any)")
	c.Flags().StringVar(&note, "note", "", "a line for people")
	c.Flags().DurationVar(&lasts, "for", 30*24*time.Hour, "by when publishers want to be heard again: sign it anew before")
	return c
}

func (a *app) releaseSign() *cobra.Command {
	return &cobra.Command{Use: "sign FILE", Short: "Add your signature to a release", Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		s, err := readRelease(args[0])
		if err != nil {
			return err
		}
		key, err := a.mine()
		if err != nil {
			return err
		}
		if s, err = s.Sign(key); err != nil {
			return err
		}
		a.say("release %s: %d signatures", s.Version, len(s.Names()))
		return a.writeRelease(args[0], s)
	}}
}

func (a *app) releaseVerify() *cobra.Command {
	var publishers, builds []string
	need := 1
	c := &cobra.Command{Use: "verify FILE", Short: "Check who signed a release, its term, and its builds", Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		s, err := readRelease(args[0])
		if err != nil {
			return err
		}
		rules := release.Rules{Need: need}
		for _, arg := range publishers {
			p, err := principal("52 characters, or the file of a public key", arg)
			if err != nil {
				return err
			}
			rules.Publishers = append(rules.Publishers, p)
		}
		if len(rules.Publishers) == 0 {
			return usage("add --publisher", "a signature says nothing without knowing whose it should be")
		}
		if err := rules.Check(s, time.Now()); err != nil {
			return err
		}
		for _, arg := range builds {
			got, err := buildOf(arg)
			if err != nil {
				return err
			}
			if want, err := s.Build(got.Platform); err != nil || want != got {
				return errors.Join(fmt.Errorf("%s is not the build of release %s", arg, s.Version), err)
			}
		}
		by := s.By(rules.Publishers)
		return a.print(map[string]any{"version": s.Version, "said": s.Said, "until": s.Until, "by": by, "builds": s.Builds}, func(w io.Writer) {
			fmt.Fprintf(w, "release %s holds: %d of %d publishers signed, good until %s\n", s.Version, len(by), len(rules.Publishers), s.Until.Format(time.RFC3339))
		})
	}}
	c.Flags().StringArrayVar(&publishers, "publisher", nil, "principal or .pub file of who may sign (may be repeated)")
	c.Flags().StringArrayVar(&builds, "build", nil, "PLATFORM=FILE to compare (may be repeated)")
	c.Flags().IntVar(&need, "need", need, "how many of them have to have signed")
	return c
}

// writeRelease writes a release to a file, or prints it.
func (a *app) writeRelease(path string, s *release.Signed) error {
	if path == "" {
		_, err := a.out.Write(s.Text())
		return err
	}
	tmp := path + ".new"
	if err := os.WriteFile(tmp, s.Text(), 0o644); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// buildOf reads PLATFORM=FILE.
func buildOf(arg string) (b release.Build, err error) {
	on, path, ok := strings.Cut(arg, "=")
	if !ok {
		return b, usage("such as linux/amd64=build/croft", "--build %q: want PLATFORM=FILE", arg)
	}
	f, err := os.Open(path)
	if err != nil {
		return b, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	return release.Build{Platform: on, Size: n, Digest: lease.Digest(h.Sum(nil))}, err
}
