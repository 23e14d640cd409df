// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"croft/lease/leasetest"
	"croft/lease/sign"
)

// clockAt is a clock that a test sets.
type clockAt struct{ at time.Time }

func (c *clockAt) Wall() time.Time { return c.at }
func (c *clockAt) Boot() int64     { return c.at.UnixNano() }

// certFor signs that a node is uni-a's for days from Epoch on.
func certFor(t *testing.T, node string, from, until int64) []byte {
	t.Helper()
	s, err := sign.SealSite(sign.SiteCert{Site: leasetest.Who("site"), Node: leasetest.Who(node), Name: "uni-a",
		From: leasetest.Epoch + from*86400, Until: leasetest.Epoch + until*86400}, leasetest.Key("site"))
	if err != nil {
		t.Fatal(err)
	}
	return s.Bytes()
}

func TestACertificateThroughItsTermAndTheNext(t *testing.T) {
	file := filepath.Join(t.TempDir(), "site.cert")
	write := func(b []byte) {
		t.Helper()
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	first := certFor(t, "node", 0, 100)
	write(first)
	clock := &clockAt{time.Unix(leasetest.Epoch, 0)}
	day := func(n int) time.Time {
		clock.at = time.Unix(leasetest.Epoch+int64(n)*86400, 0)
		return clock.at
	}
	var log bytes.Buffer
	d := &Daemon{cfg: Config{Name: "uni-a/n1", SiteCert: first, SiteFile: file},
		deps: Deps{Key: leasetest.Key("node"), Clock: clock, Log: slog.New(slog.NewTextHandler(&log, nil))}}
	c, err := newCertificate(d)
	if err != nil {
		t.Fatal(err)
	}
	wants := func(n int, holds bool, name string, warnings int) {
		t.Helper()
		cert, signed, got := c.now(day(n))
		if (cert != nil) != holds || (signed != nil) != holds || got != name || strings.Count(log.String(), "level=WARN") != warnings {
			t.Errorf("day %d: certificate %v, name %s, log:\n%s", n, cert, got, log.String())
		}
	}
	wants(0, true, "uni-a/n1", 0)
	if check := c.check(day(0)); len(check) != 1 || !check[0].OK {
		t.Errorf("at first: %+v", check)
	}
	wants(89, true, "uni-a/n1", 0)
	wants(91, true, "uni-a/n1", 1) // in the last tenth
	wants(91, true, "uni-a/n1", 1) // not at every look
	wants(99, true, "uni-a/n1", 2)
	if check := c.check(day(99)); check[0].OK || !strings.Contains(check[0].Mend, leasetest.Who("node").String()) {
		t.Errorf("before the end: %+v", check)
	}
	wants(100, false, "n1", 3)

	// The renewed one is taken as it comes; not one of another node, nor one that
	// does not hold yet, nor rubbish.
	for name, bad := range map[string][]byte{"another's": certFor(t, "other", 90, 300), "too early": certFor(t, "node", 200, 300), "rubbish": []byte("x")} {
		write(bad)
		if err := c.reload(); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	second := certFor(t, "node", 99, 200)
	write(second)
	wants(100, true, "uni-a/n1", 3)
	if _, signed, _ := c.now(day(101)); !bytes.Equal(signed, second) {
		t.Error("offers carry the old one")
	}
	write(certFor(t, "node", 99, 150))
	if err := c.reload(); !errors.Is(err, sign.ErrExpired) {
		t.Errorf("one that ends earlier: %v", err)
	}
	os.Remove(file)
	if err := c.reload(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	wants(101, true, "uni-a/n1", 3)
}

func TestACertificateAtTheStart(t *testing.T) {
	clock := &clockAt{time.Unix(leasetest.Epoch+50*86400, 0)}
	open := func(b []byte) (*certificate, error) {
		return newCertificate(&Daemon{cfg: Config{Name: "uni-a/n1", SiteCert: b},
			deps: Deps{Key: leasetest.Key("node"), Clock: clock, Log: slog.New(slog.DiscardHandler)}})
	}
	if c, err := open(nil); err != nil {
		t.Error(err)
	} else if cert, _, name := c.now(clock.at); cert != nil || name != "uni-a/n1" || c.check(clock.at) != nil {
		t.Errorf("without one: %v, %s", cert, name)
	}
	if c, err := open(certFor(t, "node", 0, 10)); err != nil {
		t.Errorf("one that has ended keeps the node from starting: %v", err)
	} else if cert, _, name := c.now(clock.at); cert != nil || name != "n1" {
		t.Errorf("one that has ended: %v, %s", cert, name)
	}
	for name, bad := range map[string][]byte{"another's": certFor(t, "other", 0, 100), "rubbish": []byte("x")} {
		if _, err := open(bad); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
