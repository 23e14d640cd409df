// SPDX-License-Identifier: Apache-2.0

// Package sign holds the keys of principals and what keys certify.
//
// A principal is an Ed25519 public key and nothing more, so any such key will
// do: one that Croft makes, or the OpenSSH key that its owner has already. The
// file format is OpenSSH's in both cases; PKCS #8 is read as well. A site says
// by certificate which nodes are its own, under what name and for what term;
// whoever trusts the site's key can check that offline.
//
//	key, err := sign.Generate(rand.Reader)
//	file, err := key.Marshal("alice@lab", nil)
//	...
//	key, err = sign.Parse(file, nil)
//	signed, err := lease.Seal(&lease.Ask{...}, key)
//
// The package reads no files: bytes come in and go out. A Key does not change
// and is safe for concurrent use.
package sign

import (
	"crypto/ed25519"
	"encoding/pem"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/ssh"

	"croft/lease"
)

var (
	// ErrNotEd25519 is returned for a key of another kind, such as RSA.
	ErrNotEd25519 = errors.New("not an Ed25519 key")
	// ErrPassphrase is returned for an encrypted key when no passphrase, or the
	// wrong one, came with it.
	ErrPassphrase = errors.New("key is encrypted: wrong or no passphrase")
	// ErrEncrypted is returned for a key that is encrypted as PKCS #8, which has
	// many ways of it; OpenSSH's one way is read.
	ErrEncrypted = errors.New("key is encrypted as PKCS #8")
	// ErrKeyFile is returned for bytes that are no key at all.
	ErrKeyFile = errors.New("no private key in OpenSSH or PKCS #8 form")
	// ErrExpired is returned for a certificate outside its term.
	ErrExpired = errors.New("certificate is outside its term")
)

// MaxKeyFile bounds what is read as a key, in bytes: an Ed25519 key takes about
// 400, and a comment of any sensible length fits.
const MaxKeyFile = 16 << 10

// Key is one principal's private key. It implements [lease.Signer].
type Key struct {
	private   ed25519.PrivateKey
	principal lease.Principal
}

// Generate makes a key from 32 bytes of random, which must be unpredictable.
func Generate(random io.Reader) (*Key, error) {
	var seed [ed25519.SeedSize]byte
	if _, err := io.ReadFull(random, seed[:]); err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	return FromSeed(seed), nil
}

// FromSeed returns the key of an RFC 8032 seed: the same seed, the same key.
func FromSeed(seed [ed25519.SeedSize]byte) *Key {
	return fromPrivate(ed25519.NewKeyFromSeed(seed[:]))
}

func fromPrivate(k ed25519.PrivateKey) *Key {
	return &Key{private: k, principal: lease.Principal(k.Public().(ed25519.PublicKey))}
}

// Principal returns the public key.
func (k *Key) Principal() lease.Principal { return k.principal }

// Sign returns the Ed25519 signature of message.
func (k *Key) Sign(message []byte) []byte { return ed25519.Sign(k.private, message) }

// Private returns the key for other uses of the standard library, such as the
// identity of an encrypted channel. Whoever has it is the principal.
func (k *Key) Private() ed25519.PrivateKey { return k.private }

// String shows the principal, so that a logged key gives nothing away.
func (k *Key) String() string { return "key of " + k.principal.String() }

// Format keeps every verb, %x and %#v too, from printing the secret.
func (k *Key) Format(f fmt.State, _ rune) { io.WriteString(f, k.String()) }

// Marshal returns the OpenSSH private key file, encrypted if a passphrase is
// given. It belongs in a file of mode 0600.
func (k *Key) Marshal(comment string, passphrase []byte) ([]byte, error) {
	var block *pem.Block
	var err error
	if len(passphrase) == 0 {
		block, err = ssh.MarshalPrivateKey(k.private, comment)
	} else {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(k.private, comment, passphrase)
	}
	if err != nil {
		return nil, fmt.Errorf("writing %s: %w", k, err)
	}
	return pem.EncodeToMemory(block), nil
}

// Parse reads a private key file in OpenSSH or PKCS #8 form. The passphrase is
// only looked at when the file is encrypted.
func Parse(file, passphrase []byte) (*Key, error) {
	if len(file) > MaxKeyFile {
		return nil, fmt.Errorf("%d bytes, limit %d: %w", len(file), MaxKeyFile, ErrKeyFile)
	}
	if block, _ := pem.Decode(file); block != nil && block.Type == "ENCRYPTED PRIVATE KEY" {
		return nil, ErrEncrypted
	}
	raw, err := ssh.ParseRawPrivateKey(file)
	var missing *ssh.PassphraseMissingError
	if errors.As(err, &missing) {
		if len(passphrase) == 0 {
			return nil, ErrPassphrase
		}
		if raw, err = ssh.ParseRawPrivateKeyWithPassphrase(file, passphrase); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrPassphrase, err)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeyFile, err)
	}
	switch k := raw.(type) {
	case *ed25519.PrivateKey: // OpenSSH form
		return fromPrivate(*k), nil
	case ed25519.PrivateKey: // PKCS #8
		return fromPrivate(k), nil
	}
	return nil, fmt.Errorf("%T: %w", raw, ErrNotEd25519)
}

// AuthorizedKey returns the principal as OpenSSH writes a public key, in one line.
func AuthorizedKey(p lease.Principal, comment string) (string, error) {
	public, err := ssh.NewPublicKey(ed25519.PublicKey(p[:]))
	if err != nil {
		return "", fmt.Errorf("writing public key %s: %w", p.Short(), err)
	}
	line := string(ssh.MarshalAuthorizedKey(public))
	if line = line[:len(line)-1]; comment != "" {
		line += " " + comment
	}
	return line, nil
}

// ParsePrincipal reads a principal in either form that people have at hand: 52
// characters of base32, or a line "ssh-ed25519 AAAA… comment" of a .pub file.
func ParsePrincipal(s string) (lease.Principal, error) {
	public, _, _, _, err := ssh.ParseAuthorizedKey([]byte(s))
	if err != nil {
		return lease.ParsePrincipal(s)
	}
	if crypto, ok := public.(ssh.CryptoPublicKey); ok {
		if key, ok := crypto.CryptoPublicKey().(ed25519.PublicKey); ok && public.Type() == ssh.KeyAlgoED25519 {
			return lease.Principal(key), nil
		}
	}
	return lease.Principal{}, fmt.Errorf("%s: %w", public.Type(), ErrNotEd25519)
}
