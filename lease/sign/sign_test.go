// SPDX-License-Identifier: Apache-2.0

package sign_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"croft/lease"
	"croft/lease/sign"
)

func key(b byte) *sign.Key { return sign.FromSeed([32]byte{b}) }

func TestKeyFilesReadBack(t *testing.T) {
	k := key(1)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(k.Private())
	if err != nil {
		t.Fatal(err)
	}
	plain, err := k.Marshal("alice@lab", nil)
	if err != nil {
		t.Fatal(err)
	}
	locked, err := k.Marshal("", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ file, pass []byte }{
		"openssh":                                {plain, nil},
		"openssh, a passphrase it does not need": {plain, []byte("x")},
		"openssh, encrypted":                     {locked, []byte("secret")},
		"pkcs8":                                  {pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), nil},
	} {
		got, err := sign.Parse(c.file, c.pass)
		if err != nil || got.Principal() != k.Principal() || !got.Private().Equal(k.Private()) {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
	}
	for name, c := range map[string]struct {
		file, pass []byte
		want       error
	}{
		"no passphrase":    {locked, nil, sign.ErrPassphrase},
		"wrong passphrase": {locked, []byte("guess"), sign.ErrPassphrase},
		"garbage":          {[]byte("hello"), nil, sign.ErrKeyFile},
		"nothing":          {nil, nil, sign.ErrKeyFile},
		"too large":        {bytes.Repeat([]byte("-"), sign.MaxKeyFile+1), nil, sign.ErrKeyFile},
		"rsa":              {rsaFile(t), nil, sign.ErrNotEd25519},
	} {
		if k, err := sign.Parse(c.file, c.pass); !errors.Is(err, c.want) || k != nil {
			t.Errorf("%s: got %v, %v, want %v", name, k, err, c.want)
		}
	}
}

func rsaFile(t *testing.T) []byte {
	k, err := rsa.GenerateKey(rand.NewChaCha8([32]byte{}), 1024)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(k)})
}

func TestPrincipalFromEitherForm(t *testing.T) {
	p := key(2).Principal()
	line, err := sign.AuthorizedKey(p, "bob@office")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(line, "ssh-ed25519 AAAA") || !strings.HasSuffix(line, " bob@office") {
		t.Fatalf("got %q", line)
	}
	for _, s := range []string{line, p.String()} {
		if got, err := sign.ParsePrincipal(s); err != nil || got != p {
			t.Errorf("%q: got %s, %v", s, got, err)
		}
	}
	for s, want := range map[string]error{
		"":                          lease.ErrSyntax,
		"bob":                       lease.ErrSyntax,
		"ssh-ed25519 AAAA":          lease.ErrSyntax,
		ecdsaLine:                   sign.ErrNotEd25519,
		strings.ToUpper(p.String()): lease.ErrSyntax,
	} {
		if _, err := sign.ParsePrincipal(s); !errors.Is(err, want) {
			t.Errorf("%q: got %v, want %v", s, err, want)
		}
	}
}

const ecdsaLine = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBGsX0fLhLEJH+Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWT+NC4v4af5uO5+tKfA+eFivOM1drMV7Oy7ZAaDe/UfU="

func TestKeyNeverPrintsItsSecret(t *testing.T) {
	k := key(3)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x", "%q"} {
		if got := fmt.Sprintf(verb, k); got != k.String() {
			t.Errorf("%s prints %q", verb, got)
		}
	}
	if b, err := json.Marshal(map[string]any{"key": k}); err != nil || string(b) != `{"key":{}}` {
		t.Errorf("JSON: %s, %v", b, err)
	}
}

func TestGenerateNeedsRandomness(t *testing.T) {
	if _, err := sign.Generate(strings.NewReader("too short")); err == nil {
		t.Error("a key from nine bytes")
	}
	a, err := sign.Generate(rand.NewChaCha8([32]byte{1}))
	if err != nil {
		t.Fatal(err)
	}
	if p := a.Principal(); !ed25519.Verify(p[:], []byte("m"), a.Sign([]byte("m"))) {
		t.Error("own signature does not verify")
	}
}

func TestSiteCertificate(t *testing.T) {
	site, node := key(4), key(5)
	good := sign.SiteCert{Site: site.Principal(), Node: node.Principal(), From: 1000, Until: 2000, Name: "uni-wien"}
	signed, err := sign.SealSite(good, site)
	if err != nil {
		t.Fatal(err)
	}
	got, err := sign.OpenSite(signed.Bytes())
	if err != nil || got != good {
		t.Fatalf("got %+v, %v", got, err)
	}
	for name, c := range map[string]struct {
		node lease.Principal
		at   int64
		want error
	}{
		"first second": {node.Principal(), 1000, nil},
		"last second":  {node.Principal(), 1999, nil},
		"before":       {node.Principal(), 999, sign.ErrExpired},
		"after":        {node.Principal(), 2000, sign.ErrExpired},
		"another node": {site.Principal(), 1500, lease.ErrWrongNode},
	} {
		if err := got.Holds(c.node, c.at); !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}

	change := func(f func(*sign.SiteCert)) sign.SiteCert { c := good; f(&c); return c }
	for name, c := range map[string]struct {
		cert   sign.SiteCert
		domain string
		want   error
	}{
		"no name":      {change(func(c *sign.SiteCert) { c.Name = "" }), sign.SiteDomain, lease.ErrField},
		"no node":      {change(func(c *sign.SiteCert) { c.Node = lease.Principal{} }), sign.SiteDomain, lease.ErrField},
		"empty term":   {change(func(c *sign.SiteCert) { c.Until = c.From }), sign.SiteDomain, lease.ErrField},
		"endless term": {change(func(c *sign.SiteCert) { c.Until = 1 << 62 }), sign.SiteDomain, lease.ErrField},
		"other signer": {change(func(c *sign.SiteCert) { c.Site = node.Principal() }), sign.SiteDomain, lease.ErrSignature},
		"other domain": {good, lease.Domain, lease.ErrSignature},
	} {
		if c.domain == sign.SiteDomain {
			if _, err := sign.SealSite(c.cert, site); !errors.Is(err, c.want) {
				t.Errorf("%s: sealing: got %v, want %v", name, err, c.want)
			}
		}
		s, err := lease.SealAs(c.domain, c.cert, site)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := sign.OpenSite(s.Bytes()); !errors.Is(err, c.want) {
			t.Errorf("%s: opening: got %v, want %v", name, err, c.want)
		}
	}
	if _, err := sign.OpenSite(make([]byte, sign.MaxSiteCert+1)); !errors.Is(err, lease.ErrTooBig) {
		t.Errorf("oversize: got %v", err)
	}
}

// A site's key may be an OpenSSH key: what we write, x/crypto/ssh reads as a
// signer of the same public key.
func TestMarshalIsAnOpenSSHKey(t *testing.T) {
	k := key(6)
	file, err := k.Marshal("c", nil)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.ParsePrivateKey(file)
	if err != nil {
		t.Fatal(err)
	}
	line, err := sign.AuthorizedKey(k.Principal(), "")
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey()))); got != line {
		t.Errorf("got %q, want %q", got, line)
	}
}

func FuzzOpenSite(f *testing.F) {
	s, err := sign.SealSite(sign.SiteCert{Site: key(4).Principal(), Node: key(5).Principal(), From: 1, Until: 2, Name: "a"}, key(4))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(s.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := sign.OpenSite(b)
		if err != nil {
			return
		}
		if err := c.Holds(c.Node, c.From); err != nil {
			t.Errorf("opened, but does not hold: %v", err)
		}
	})
}

// What is read as a principal prints in a form that reads as the same one.
func FuzzParsePrincipal(f *testing.F) {
	line, err := sign.AuthorizedKey(key(2).Principal(), "c")
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{"", line, key(2).Principal().String(), ecdsaLine, `command="x" ` + line} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := sign.ParsePrincipal(s)
		if err != nil {
			return
		}
		if again, err := sign.ParsePrincipal(p.String()); err != nil || again != p {
			t.Errorf("%q reads as %s, that as %s, %v", s, p, again, err)
		}
	})
}

func FuzzParse(f *testing.F) {
	file, err := key(1).Marshal("alice", nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(file)
	f.Fuzz(func(t *testing.T, b []byte) {
		if k, err := sign.Parse(b, nil); (k == nil) == (err == nil) {
			t.Errorf("got %v and %v", k, err)
		}
	})
}
