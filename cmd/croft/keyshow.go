// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"croft/lease"
	"croft/lease/sign"
)

// shownKey is a principal, as Croft writes it and as SSH does.
type shownKey struct {
	Principal lease.Principal `json:"principal"`
	File      string          `json:"file"`
	SSH       string          `json:"ssh"`
}

// shownCert is a site's certificate for a node.
type shownCert struct {
	Site  lease.Principal `json:"site"`
	Name  string          `json:"name"`
	Node  lease.Principal `json:"node"`
	From  int64           `json:"from"`
	Until int64           `json:"until"`
	Holds bool            `json:"holds"` // at this moment
	File  string          `json:"file"`
}

func (a *app) keyShow() *cobra.Command {
	var ssh bool
	c := &cobra.Command{
		Use: "show [FILE]", Short: "Print your principal, or what is in a key's or certificate's file", Args: cobra.MaximumNArgs(1),
		Long: `Print your principal. With FILE, print the principal of a private or public key, or
what a site certificate says and whether it holds now.`,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 {
				return a.showFile(args[0], ssh)
			}
			key, err := a.mine()
			if err != nil {
				return err
			}
			return a.showKey(key.Principal(), a.keyPath(), ssh)
		},
	}
	c.Flags().BoolVar(&ssh, "ssh", false, "as a line of OpenSSH")
	return c
}

func (a *app) showKey(p lease.Principal, file string, ssh bool) error {
	line, err := sign.AuthorizedKey(p, "")
	if err != nil {
		return err
	}
	return a.print(shownKey{p, file, line}, func(w io.Writer) {
		if ssh {
			fmt.Fprintln(w, line)
			return
		}
		fmt.Fprintln(w, p)
	})
}

// showFile tells what a file is: a certificate, a public key or a private one.
func (a *app) showFile(path string, ssh bool) error {
	b, err := readBounded(path, sign.MaxKeyFile)
	if err != nil {
		return err
	}
	if len(b) > 0 && b[0]&0xe0 == 0x80 { // an array of CBOR; text begins otherwise
		cert, err := sign.OpenSite(b)
		if err != nil {
			return usage("`croft key certify` writes one", "%s: %w", path, err)
		}
		return a.showCert(cert, path)
	}
	if p, err := sign.ParsePrincipal(strings.TrimSpace(string(b))); err == nil && !bytes.Contains(b, []byte("PRIVATE KEY")) {
		return a.showKey(p, path, ssh)
	}
	key, err := a.readKey(path)
	if err != nil {
		return err
	}
	return a.showKey(key.Principal(), path, ssh)
}

func (a *app) showCert(c sign.SiteCert, path string) error {
	now := time.Now().Unix()
	shown := shownCert{c.Site, c.Name, c.Node, c.From, c.Until, c.Term().Covers(now), path}
	return a.print(shown, func(w io.Writer) {
		fmt.Fprintf(w, "site\t%s, %s\n", c.Name, c.Site)
		fmt.Fprintf(w, "node\t%s\n", c.Node)
		fmt.Fprintf(w, "term\t%s\n", c.Term())
		switch {
		case now < c.From:
			fmt.Fprintf(w, "holds\tnot yet\n")
		case now >= c.Until:
			fmt.Fprintf(w, "holds\tno more: `croft key certify` makes another\n")
		default:
			fmt.Fprintf(w, "holds\tfor %s more\n", left(c.Until-now))
		}
	})
}
