// SPDX-License-Identifier: Apache-2.0

package role

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"strings"

	"croft/lease"
)

// ProgramDomain separates signatures over packet programs from every other use of a key.
const ProgramDomain = "croft/packets/1\n"

// Program is what the role packets is answered with: eBPF, an ELF object, and the
// signature of the owner of the slice whose it is.
type Program struct {
	Object    []byte `json:"object"`
	Signature []byte `json:"signature"`
}

// SignProgram signs an object as the packet program of a slice of the key's.
func SignProgram(key lease.Signer, label string, object []byte) (Program, error) {
	if err := lease.CheckLabel(label); err != nil {
		return Program{}, fmt.Errorf("signing a packet program: %w", err)
	}
	return Program{object, key.Sign(signedProgram(label, object))}, nil
}

// Verify reports whether a program is signed for a tenant, by its owner. The error is
// [ErrProgram], or [ErrTenant] for one that is no slice.
func (p Program) Verify(t Tenant) error {
	label, owner, err := t.Slice()
	if err != nil {
		return err
	}
	if len(p.Signature) != ed25519.SignatureSize || !ed25519.Verify(owner[:], signedProgram(label, p.Object), p.Signature) {
		return fmt.Errorf("%w: not by %s for its slice %s", ErrProgram, owner.Short(), label)
	}
	return nil
}

// signedProgram is what the signature is over.
func signedProgram(label string, object []byte) []byte {
	sum := sha256.Sum256(object)
	return append([]byte(ProgramDomain+label+"\n"), sum[:]...)
}

// Slice returns the label and the owner of a slice; [ErrTenant] for the built-in.
func (t Tenant) Slice() (label string, owner lease.Principal, err error) {
	label, principal, ok := strings.Cut(string(t), "@")
	if !ok {
		return "", owner, fmt.Errorf("%s is no slice: %w", t, ErrTenant)
	}
	if owner, err = lease.ParsePrincipal(principal); err == nil {
		err = owner.Check() // for which somebody can sign
	}
	if err != nil {
		return "", owner, fmt.Errorf("%w: %w", ErrTenant, err)
	}
	return label, owner, nil
}
