// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"croft/lease"
	"croft/lease/sign"
)

// mine returns the person's key, made at first use.
func (a *app) mine() (*sign.Key, error) {
	path := a.keyPath()
	key, err := a.readKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	key, err = makeKey(path, "croft")
	if errors.Is(err, fs.ErrExist) { // another command has made one meanwhile
		return a.readKey(path)
	}
	if err != nil {
		return nil, err
	}
	a.say("made your key: %s (principal %s); keep it, nobody can replace it", path, key.Principal().Short())
	return key, nil
}

// known returns the person's key, or nil where there is none yet: who only looks
// makes none.
func (a *app) known() (*sign.Key, error) {
	key, err := a.readKey(a.keyPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return key, err
}

// principalOf is whose key it is: nobody's if there is none.
func principalOf(key *sign.Key) lease.Principal {
	if key == nil {
		return lease.Principal{}
	}
	return key.Principal()
}

// asking returns the key to ask nodes a question with that they answer to anybody:
// one for this once if the person has none.
func (a *app) asking() (*sign.Key, error) {
	key, err := a.known()
	if key == nil && err == nil {
		return sign.Generate(rand.Reader)
	}
	return key, err
}

func (a *app) keyPath() string {
	if a.keyFile != "" {
		return a.keyFile
	}
	return filepath.Join(a.home, "key")
}

// makeKey writes a new key, whole or not at all, and never over another.
func makeKey(path, comment string) (*sign.Key, error) {
	key, err := sign.Generate(rand.Reader)
	if err != nil {
		return nil, err
	}
	text, err := key.Marshal(comment, nil)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	return key, writeNew(path, text, 0o600)
}

// writeNew makes a file that was not there, with all its bytes durable before
// anybody sees it.
func writeNew(path string, b []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Link(f.Name(), path)
	}
	return errors.Join(err, os.Remove(f.Name()))
}

func (a *app) key() *cobra.Command {
	c := &cobra.Command{Use: "key", Short: "Make, import, show and certify keys; grants for your devices"}
	c.AddCommand(a.keyShow(), a.keyNew(), a.keyImport(), a.keyCertify(), a.keyDevice())
	return c
}

func (a *app) keyNew() *cobra.Command {
	var site bool
	c := &cobra.Command{
		Use: "new FILE", Short: "Make a key in OpenSSH form", Args: cobra.ExactArgs(1),
		Long: "Make an Ed25519 key in OpenSSH form, mode 0600. With --site it is a site's: it certifies nodes and does nothing else, so keep it off the nodes.",
		RunE: func(_ *cobra.Command, args []string) error {
			comment := "croft"
			if site {
				comment = "croft site"
			}
			key, err := makeKey(args[0], comment)
			if errors.Is(err, fs.ErrExist) {
				return fail(exitFailed, "name another file", "%s exists", args[0])
			}
			if err != nil {
				return err
			}
			return a.print(struct {
				Principal lease.Principal `json:"principal"`
				File      string          `json:"file"`
			}{key.Principal(), args[0]}, func(w io.Writer) { fmt.Fprintln(w, key.Principal()) })
		},
	}
	c.Flags().BoolVar(&site, "site", false, "a site's key")
	return c
}

func (a *app) keyCertify() *cobra.Command {
	var name, out string
	var term time.Duration
	c := &cobra.Command{
		Use: "certify NODE", Short: "Sign that a node is your site's", Args: cobra.ExactArgs(1),
		Long: "Sign with your site's key (--key) that the node with this principal is one of the site's own. Name the file in the node's croft.toml as site_cert.",
		RunE: func(_ *cobra.Command, args []string) error {
			node, err := principal("`croft up` prints a node's principal", args[0])
			if err != nil {
				return err
			}
			key, err := a.readKey(a.keyPath())
			if err != nil {
				return err
			}
			now := time.Now().Unix()
			cert, err := sign.SealSite(sign.SiteCert{Site: key.Principal(), Node: node, Name: name, From: now - 60, Until: now + int64(term.Seconds())}, key)
			if err != nil {
				return usage("", "%w", err)
			}
			if err := writeNew(out, cert.Bytes(), 0o644); err != nil {
				return err
			}
			return a.print(struct {
				Site lease.Principal `json:"site"`
				Node lease.Principal `json:"node"`
				File string          `json:"file"`
			}{key.Principal(), node, out}, func(w io.Writer) { fmt.Fprintln(w, out) })
		},
	}
	c.Flags().StringVar(&name, "name", "", "the site's name, such as uni-a")
	c.Flags().StringVar(&out, "out", "site.cert", "file to write")
	c.Flags().DurationVar(&term, "for", 365*24*time.Hour, "term of the certificate")
	if err := c.MarkFlagRequired("name"); err != nil {
		panic(err) // the flag is defined above
	}
	return c
}
