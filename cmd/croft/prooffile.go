// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"croft/lease"
)

// proofBlock is the type of the block in which a proof travels as text.
const proofBlock = "CROFT PROOF"

// armour makes text of a proof. What stands before the block is for people, and
// no reader of the block minds it.
func armour(b []byte, p lease.Proof, shown lease.Verdict) string {
	return fmt.Sprintf("%s\naccountable: %s\nconflicts: %s\nproof: %s\n\n%s", what(shown.Kind), shown.Principal, daySpan(shown.Term), p.ID(),
		pem.EncodeToMemory(&pem.Block{Type: proofBlock, Bytes: b}))
}

// readProof reads a proof from a file or, for "-", from standard input: as text,
// or the bytes themselves.
func (a *app) readProof(path string) ([]byte, error) {
	in := a.in
	if path != "-" {
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, usage("a file that `croft conflict export` wrote, or -", "no file %q", path)
		}
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, 2*lease.MaxProof))
	if err != nil {
		return nil, fmt.Errorf("reading a proof: %w", err)
	}
	if !bytes.Contains(b, []byte("-----BEGIN ")) {
		return b, nil
	}
	for block, rest := pem.Decode(b); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == proofBlock {
			return block.Bytes, nil
		}
	}
	return nil, provesNothing(fmt.Errorf("%s has no whole block %q: %w", path, proofBlock, lease.ErrSyntax))
}

// saveProof writes a proof to HOME/proofs and returns where. One that is there
// is the same.
func (a *app) saveProof(p lease.Proof, shown lease.Verdict) (string, error) {
	path := filepath.Join(a.home, "proofs", p.ID().Short()+".proof")
	if exists(path) {
		return path, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", fmt.Errorf("keeping a proof: %w", err)
	}
	if err := writeNew(path, []byte(armour(p.Bytes(), p, shown)), 0o600); err != nil {
		return "", fmt.Errorf("keeping a proof: %w", err)
	}
	return path, nil
}
