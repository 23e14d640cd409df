// SPDX-License-Identifier: Apache-2.0

package release_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"croft/lease"
	"croft/lease/leasetest"
	"croft/node/release"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func signedBy(t testing.TB, version string, said time.Time, digest byte, names ...string) *release.Signed {
	t.Helper()
	v, err := release.ParseVersion(version)
	if err != nil {
		t.Fatal(err)
	}
	s, err := release.New(release.Release{Version: v, Said: said, Until: said.Add(24 * time.Hour), Note: "mends a hole",
		Builds: []release.Build{{Platform: "linux/amd64", Size: 7, Digest: lease.Digest{digest}}}})
	for _, n := range names {
		if err == nil {
			s, err = s.Sign(leasetest.Key(n))
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	if s, err = release.Parse(s.Text()); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestEnoughPublishersSign(t *testing.T) {
	rules := release.Rules{Publishers: []lease.Principal{leasetest.Who("ann"), leasetest.Who("bob"), leasetest.Who("carl")}, Need: 2}
	forged, err := release.Parse([]byte(strings.Replace(string(signedBy(t, "0.2.0", now, 1, "ann", "bob").Text()), "0.2.0", "0.3.0", 1)))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		s    *release.Signed
		at   time.Time
		want error
	}{
		"two of three":     {signedBy(t, "0.2.0", now, 1, "ann", "carl"), now, nil},
		"one of three":     {signedBy(t, "0.2.0", now, 1, "ann"), now, release.ErrSignature},
		"one twice":        {signedBy(t, "0.2.0", now, 1, "ann", "ann"), now, release.ErrSignature},
		"one and a nobody": {signedBy(t, "0.2.0", now, 1, "ann", "eve"), now, release.ErrSignature},
		"another text":     {forged, now, release.ErrSignature},
		"too late":         {signedBy(t, "0.2.0", now, 1, "ann", "bob"), now.Add(25 * time.Hour), release.ErrTerm},
		"too early":        {signedBy(t, "0.2.0", now, 1, "ann", "bob"), now.Add(-time.Hour), release.ErrTerm},
	} {
		if err := rules.Check(c.s, c.at); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestNobodyIsLedBack(t *testing.T) {
	var b release.Book
	running := release.Version{0, 1, 0}
	if news, err := b.Hear(signedBy(t, "0.3.0", now, 3, "ann"), running); !news || err != nil {
		t.Fatal(news, err)
	}
	for name, c := range map[string]struct {
		s    *release.Signed
		want error
	}{
		"lower than what was heard": {signedBy(t, "0.2.0", now, 2, "ann"), release.ErrLower},
		"lower than what runs":      {signedBy(t, "0.0.9", now, 2, "ann"), release.ErrLower},
		"the same, other builds":    {signedBy(t, "0.3.0", now, 4, "ann"), release.ErrTwo},
		"the same, said again":      {signedBy(t, "0.3.0", now.Add(time.Hour), 3, "ann"), nil},
	} {
		if news, err := b.Hear(c.s, running); news || !errors.Is(err, c.want) {
			t.Errorf("%s: %v, %v, want %v", name, news, err, c.want)
		}
	}
	if got := b.Last(); got == nil || !got.Said.Equal(now.Add(time.Hour)) {
		t.Errorf("remembered %+v", got)
	}
}

func TestTrials(t *testing.T) {
	var b release.Book
	running := release.Version{0, 1, 0}
	s := signedBy(t, "0.2.0", now, 2, "ann")
	k, err := b.May(s, running, "linux/amd64", false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.May(s, running, "plan9/386", false); !errors.Is(err, release.ErrPlatform) {
		t.Error(err)
	}
	for n := 1; n <= release.MaxTries; n++ { // the machine goes down in each
		if _, err := b.May(s, running, "linux/amd64", false); err != nil {
			t.Fatalf("try %d: %v", n, err)
		}
		if err := b.Try(k, now); err != nil || !b.Interrupted(now) {
			t.Fatal(n, err)
		}
	}
	if _, err := b.May(s, running, "linux/amd64", false); !errors.Is(err, release.ErrFailed) {
		t.Errorf("after %d: %v", release.MaxTries, err)
	}
	if _, err := b.May(s, running, "linux/amd64", true); err != nil {
		t.Errorf("the owner asks for it: %v", err)
	}
	if err := errors.Join(b.Try(k, now)); err != nil {
		t.Fatal(err)
	}
	b.Confirm()
	if b.Current == nil || *b.Current != k || b.Trial != nil || len(b.Failed) != 0 {
		t.Errorf("%+v", b)
	}
	if err := b.Back("its owner went back", now); err != nil || b.Current != nil {
		t.Errorf("%+v, %v", b, err)
	}
	if _, err := b.May(s, running, "linux/amd64", false); !errors.Is(err, release.ErrFailed) {
		t.Errorf("it is run again by itself: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(signedBy(f, "0.2.0", now, 1, "ann", "bob").Text())
	f.Add([]byte(release.Domain + "version 1.2.3\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := release.Parse(text)
		if err != nil {
			return
		}
		if string(s.Text()) != string(text) {
			t.Fatalf("%q is written as %q", text, s.Text())
		}
	})
}
