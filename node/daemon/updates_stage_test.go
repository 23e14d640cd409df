// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"croft/lease"
	"croft/lease/leasetest"
	"croft/node/api"
	"croft/node/release"
	"croft/node/release/shelf"
)

// releasesIn puts releases in place of {release:VERSION KIND}, as the suite says of them.
func releasesIn(t testing.TB, text []byte) []byte {
	t.Helper()
	return regexp.MustCompile(`\{release:[a-z0-9. ]*\}`).ReplaceAllFunc(text, func(m []byte) []byte {
		version, kind, _ := strings.Cut(string(m[len("{release:"):len(m)-1]), " ")
		quoted, err := json.Marshal(string(releaseFor(t, version, kind).Text()))
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Trim(quoted, `"`)
	})
}

// releaseFor is a release by ann and bob, but for what its kind says.
func releaseFor(t testing.TB, version, kind string) *release.Signed {
	t.Helper()
	v, err := release.ParseVersion(version)
	if err != nil {
		t.Fatal(err)
	}
	said, by, size := time.Now().Truncate(time.Second).Add(-time.Hour), []string{"ann", "bob"}, int64(1000)
	switch kind {
	case "":
	case "ann":
		by = by[:1]
	case "eve":
		by[1] = "eve"
	case "lapsed":
		said = said.Add(-25 * time.Hour)
	case "early":
		said = said.Add(2 * time.Hour)
	case "other":
		size++
	default:
		t.Fatalf("no kind %q", kind)
	}
	s, err := release.New(release.Release{Version: v, Said: said, Until: said.Add(24 * time.Hour),
		Builds: []release.Build{{Platform: "linux/amd64", Size: size, Digest: lease.Digest{byte(v[1])}}}})
	for _, who := range by {
		if err == nil {
			s, err = s.Sign(leasetest.Key(who))
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// giveReleases is what an owner chose and was sent, and what the node heard.
func giveReleases(t testing.TB, d *Daemon, given json.RawMessage) {
	t.Helper()
	var g struct {
		Publishers []string `json:"publishers"`
		Need       int      `json:"need"`
		Heard      string   `json:"heard"`
		Releases   []string `json:"releases"`
	}
	if err := exact(given, &g); err != nil {
		t.Fatal(err)
	}
	d.cfg.Updates = UpdatesConfig{Rules: release.Rules{Need: g.Need}, Apply: ApplyAsk, Every: updatesEvery}
	for _, who := range g.Publishers {
		d.cfg.Updates.Publishers = append(d.cfg.Updates.Publishers, leasetest.Who(who))
	}
	for i, text := range g.Releases {
		write(t, filepath.Join(d.cfg.State, releasesDir, fmt.Sprint(i, releaseSuffix)), []byte(text))
	}
	if err := d.updates.change(func(b *release.Book) (bool, error) { b.Newest = g.Heard; return true, nil }); err != nil {
		t.Fatal(err)
	}
}

// A book that cannot be read is not taken for an empty one: which is the highest version
// that was heard of is not known, so nothing is heard or run, and the book stays.
func TestDamagedBookOfReleases(t *testing.T) {
	for name, text := range map[string]string{
		"no JSON":              `{"newest": "croft`,
		"no release":           `{"newest": "croft/release/2\n"}`,
		"another kind of file": "\x00\x00\x00\x00",
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(Versions(dir), "book.json")
			write(t, path, []byte(text))
			d := quiet(t, dir, Deps{})
			d.cfg.Updates = UpdatesConfig{Rules: release.Rules{Publishers: []lease.Principal{leasetest.Who("ann"), leasetest.Who("bob")}, Need: 2}, Every: updatesEvery}
			for _, do := range []api.UpdateWish{
				{Do: "check"},
				{Do: "check", Release: string(releaseFor(t, "0.2.0", "").Text())},
				{Do: "apply", Release: string(releaseFor(t, "0.2.0", "").Text())},
				{Do: "pin"}, {Do: "rollback"},
			} {
				if _, err := d.updates.Update(t.Context(), do); !errors.Is(err, api.ErrUpdate) || !errors.Is(err, shelf.ErrBook) {
					t.Errorf("%s: %v", do.Do, err)
				}
			}
			if got, err := d.updates.Updates(t.Context()); err != nil || !strings.Contains(got.Fault, path[:len(path)-len("/book.json")]) {
				t.Errorf("%+v, %v", got, err)
			}
			if left, err := os.ReadFile(path); err != nil || string(left) != text {
				t.Errorf("the book is %q, %v", left, err)
			}
		})
	}
}

// Who signed what runs is told if it is the newest release, taken from the shelf.
func TestSignersOfWhatRuns(t *testing.T) {
	d := quiet(t, t.TempDir(), Deps{})
	d.cfg.Updates.Rules = release.Rules{Publishers: []lease.Principal{leasetest.Who("ann"), leasetest.Who("bob")}, Need: 1}
	s := releaseFor(t, "0.2.0", "eve")
	b, err := s.Build("linux/amd64")
	if err != nil || platformHere != b.Platform {
		t.Skip("the release is for another platform")
	}
	k := release.Kept{Version: s.Version, Digest: b.Digest, Size: b.Size}
	if err := d.updates.change(func(book *release.Book) (bool, error) {
		book.Newest, book.Current = string(s.Text()), &k
		return true, nil
	}); err != nil {
		t.Fatal(err)
	}
	if by := d.updates.signers(); by != nil {
		t.Errorf("of a program that is not on the shelf: %v", by)
	}
	d.updates.exe = d.updates.path(k)
	if by := d.updates.signers(); !slices.Equal(by, []lease.Principal{leasetest.Who("ann")}) {
		t.Errorf("%v", by)
	}
	if got := (obsolescence{d}).running(); got.Founders != api.ShareNone || !strings.Contains(got.Holder, "signed by "+leasetest.Who("ann").Short()) {
		t.Errorf("%+v", got)
	}
}
