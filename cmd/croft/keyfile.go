// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/term"

	"croft/lease"
	"croft/lease/sign"
)

// A key file is OpenSSH's or PKCS #8, or one line that says where the key is: so
// an SSH key stays the one file that its owner knows and looks after.
const keyReference = "croft-key: "

// passphraseEnv has the passphrase of an encrypted key for programs that have
// no terminal.
const passphraseEnv = "CROFT_PASSPHRASE"

// readKey reads a private key that nobody else can.
func (a *app) readKey(path string) (*sign.Key, error) {
	b, err := readSecret(path)
	if err != nil {
		return nil, err
	}
	if at, ok := strings.CutPrefix(strings.TrimSpace(string(b)), keyReference); ok {
		if b, err = readSecret(at); errors.Is(err, os.ErrNotExist) {
			return nil, fail(exitFailed, "bring it back, or import another after moving "+path+" away", "your key %s, which %s names, is not there", at, path)
		} else if err != nil {
			return nil, err
		}
		path = at
	}
	return a.parseKey(path, b)
}

// parseKey reads a key and asks for the passphrase where it needs one.
func (a *app) parseKey(path string, b []byte) (*sign.Key, error) {
	key, err := sign.Parse(b, nil)
	if errors.Is(err, sign.ErrPassphrase) {
		var phrase []byte
		if phrase, err = a.passphrase(path); err == nil {
			key, err = sign.Parse(b, phrase)
		}
	}
	switch {
	case errors.Is(err, sign.ErrPassphrase):
		return nil, fail(exitFailed, "give it at the prompt, or in "+passphraseEnv, "key %s is encrypted, and that is not its passphrase", path)
	case errors.Is(err, sign.ErrEncrypted):
		return nil, fail(exitFailed, "`openssl pkey -in "+path+"` decrypts it; `croft key import --copy` of a key that `ssh-keygen -p` encrypted keeps it so", "key %s: %w", path, err)
	case errors.Is(err, sign.ErrNotEd25519):
		return nil, fail(exitFailed, "make one with `croft key new` or `ssh-keygen -t ed25519`", "key %s is of another kind: a principal is an Ed25519 key", path)
	case err != nil:
		return nil, fmt.Errorf("reading key %s: %w", path, err)
	}
	return key, nil
}

// passphrase is what the environment or the person at the terminal says.
func (a *app) passphrase(path string) ([]byte, error) {
	if v, ok := os.LookupEnv(passphraseEnv); ok {
		return []byte(v), nil
	}
	tty, ok := a.in.(*os.File)
	if !ok || !term.IsTerminal(int(tty.Fd())) {
		return nil, sign.ErrPassphrase
	}
	fmt.Fprintf(a.err, "passphrase of %s: ", path)
	phrase, err := term.ReadPassword(int(tty.Fd()))
	fmt.Fprintln(a.err)
	return phrase, err
}

// readSecret reads a file that nobody else can.
func readSecret(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if st.Mode().Perm()&0o077 != 0 {
		return nil, fail(exitFailed, "chmod 600 "+path, "key %s can be read by others (mode %04o)", path, st.Mode().Perm())
	}
	return io.ReadAll(io.LimitReader(f, sign.MaxKeyFile+1))
}

// principal reads a principal as people have it: 52 characters, the line of a
// .pub file, or the file itself.
func principal(hint, arg string) (lease.Principal, error) {
	if strings.HasSuffix(arg, ".pub") {
		if b, err := readBounded(arg, sign.MaxKeyFile); err == nil {
			arg = strings.TrimSpace(string(b))
		} else if !errors.Is(err, os.ErrNotExist) {
			return lease.Principal{}, err
		}
	}
	p, err := sign.ParsePrincipal(arg)
	if errors.Is(err, sign.ErrNotEd25519) {
		return p, usage("theirs can be made with `ssh-keygen -t ed25519`", "a principal is an Ed25519 key: %w", err)
	}
	if err != nil {
		return p, usage(hint, "%w", err)
	}
	return p, nil
}

func readBounded(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("%s has more than %d bytes: %w", path, limit, lease.ErrTooBig)
	}
	return b, err
}

// tilde is a path whose first element may be ~, as shells leave it in quotes.
func tilde(path string) (string, error) {
	rest, ok := strings.CutPrefix(path, "~/")
	if !ok {
		return filepath.Abs(path)
	}
	home, err := os.UserHomeDir()
	return filepath.Join(home, rest), err
}
