// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"croft/lease"
)

type imported struct {
	Principal lease.Principal `json:"principal"`
	File      string          `json:"file"`
	From      string          `json:"from"`
	Copied    bool            `json:"copied"`
}

func (a *app) keyImport() *cobra.Command {
	var cp bool
	c := &cobra.Command{
		Use: "import FILE", Short: "Use an SSH key that you have as your principal", Args: cobra.ExactArgs(1),
		Long: `Use an Ed25519 key that you have already, in OpenSSH or PKCS #8 form. The key stays
where it is: HOME/key says where, so there is one secret in one place, and a new
passphrase counts here too. With --copy its bytes are copied, encrypted if they are.
An encrypted key asks for its passphrase on the terminal, or takes it from
CROFT_PASSPHRASE.`,
		Example: "  croft key import ~/.ssh/id_ed25519",
		RunE: func(_ *cobra.Command, args []string) error {
			if strings.HasSuffix(args[0], ".pub") {
				return usage("name the private key beside it: "+strings.TrimSuffix(args[0], ".pub"), "%s is a public key", args[0])
			}
			from, err := tilde(args[0])
			if err != nil {
				return err
			}
			b, err := readSecret(from)
			if errors.Is(err, fs.ErrNotExist) {
				return usage("`ssh-keygen -t ed25519` makes one", "no file %q", args[0])
			}
			if err != nil {
				return err
			}
			key, err := a.parseKey(from, b)
			if err != nil {
				return err
			}
			to := a.keyPath()
			if !cp {
				b = []byte(keyReference + from + "\n")
			}
			if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
				return err
			}
			err = writeNew(to, b, 0o600)
			if errors.Is(err, fs.ErrExist) {
				return fail(exitFailed, "leases and tickets are in its name: move it away if you mean it", "you have a key already, %s", to)
			}
			if err != nil {
				return fmt.Errorf("importing %s: %w", from, err)
			}
			return a.print(imported{key.Principal(), to, from, cp}, func(w io.Writer) { fmt.Fprintln(w, key.Principal()) })
		},
	}
	c.Flags().BoolVar(&cp, "copy", false, "copy the key instead of naming it")
	return c
}
