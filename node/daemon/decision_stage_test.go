// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/pelletier/go-toml/v2"

	"croft/dht/contact"
	"croft/lease"
	"croft/lease/leasetest"
	"croft/lease/offer"
	"croft/node/role"
)

// quiet is a daemon of which nothing runs but its roles, on what a suite gives.
func quiet(t testing.TB, dir string, deps Deps) *Daemon {
	t.Helper()
	deps.Key, deps.Clock, deps.Log = leasetest.Key("node"), machineClock{}, slog.New(slog.DiscardHandler)
	d := &Daemon{cfg: Config{State: dir}, deps: deps}
	d.opened = newOpenedOffers(&d.deps)
	d.book = &namesBook{dir: filepath.Join(dir, "names"), log: deps.Log}
	d.updates = newUpdater(d)
	var err error
	if d.roles, err = newRoles(d); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.roles.close() })
	return d
}

// stage reads a role's suite and makes a daemon with what it gives.
func stage(t testing.TB, name string) (suite, *Daemon) {
	t.Helper()
	text, err := os.ReadFile(suites[name])
	if err != nil {
		t.Fatal(err)
	}
	grants := map[string]grantText{}
	text = regexp.MustCompile(`\{grant:[a-z]*\}`).ReplaceAllFunc(text, func(m []byte) []byte {
		label := string(m[len("{grant:") : len(m)-1])
		if _, ok := grants[label]; !ok {
			grants[label] = grantOver(t, label)
		}
		return []byte(base64.StdEncoding.EncodeToString(lease.SealAuthority(grants[label].Grant, grants[label].Record)))
	})
	text = releasesIn(t, text)
	var s suite
	if err := exact(text, &s); err != nil {
		t.Fatalf("%s: %v", suites[name], err)
	}
	dir, deps := t.TempDir(), Deps{}
	switch name {
	case "names":
		giveBook(t, dir, s.Given, grants)
	case "bootstrap":
		var heard []*offer.Opened
		deps.Contacts, heard = giveContacts(t, s.Given)
		deps.View = func() []*offer.Opened { return heard }
	}
	d := quiet(t, dir, deps)
	if name == "updates" {
		giveReleases(t, d, s.Given)
	}
	return s, d
}

// meets are contacts that a test says are known.
type meets struct{ list []contact.Contact }

func (m meets) Remembered() []contact.Contact { return m.list }
func (m meets) Dials(c contact.Contact) (contact.Contact, bool) {
	return c, c.Node != leasetest.Who("node")
}
func (meets) Others(func(context.Context, int) ([]contact.Contact, role.Tenant, error)) {}

// giveContacts is what a node remembers, and the offers that it heard of the same.
func giveContacts(t testing.TB, given json.RawMessage) (FirstContacts, []*offer.Opened) {
	t.Helper()
	var g struct {
		Nodes []struct {
			Name  string   `json:"name"`
			Addrs []string `json:"addrs"`
		} `json:"nodes"`
	}
	if err := exact(given, &g); err != nil {
		t.Fatal(err)
	}
	var m meets
	var heard []*offer.Opened
	now := time.Now()
	for _, n := range g.Nodes {
		m.list = append(m.list, contact.Contact{Node: leasetest.Who(n.Name), Addrs: n.Addrs})
		o, err := offer.Seal(&offer.Offer{Node: leasetest.Who(n.Name), Name: n.Name, Sequence: 1, Made: now.Unix(), Until: now.Unix() + 600, Addrs: n.Addrs}, leasetest.Key(n.Name))
		if err != nil {
			t.Fatal(err)
		}
		heard = append(heard, &o)
	}
	return m, heard
}

type grantText struct {
	Croft  string `json:"croft"`
	Grant  []byte `json:"grant"`
	Record []byte `json:"record"`
}

// grantOver is a grant by alice to bob over a slice, or over all, in force.
func grantOver(t testing.TB, label string) grantText {
	t.Helper()
	now := time.Now().Unix()
	g, err := lease.Seal(&lease.Grant{K: lease.KindGrant, Issuer: leasetest.Who("alice"), Holder: leasetest.Who("bob"), Slice: label,
		Verbs: lease.VerbRun, From: now - 3600, Until: now + 3600, Sequence: 1}, leasetest.Key("alice"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := lease.SealSlice(lease.SliceRecord{Owner: leasetest.Who("alice"), Slice: label, Sequence: 1, Made: now, Until: now + 3600, Grants: []lease.ID{g.ID()}}, leasetest.Key("alice"))
	if err != nil {
		t.Fatal(err)
	}
	return grantText{"grant/1", g.Bytes(), r.Bytes}
}

// giveBook writes the book of a suite as the node has it, and as the names of the
// examples do.
func giveBook(t testing.TB, dir string, given json.RawMessage, grants map[string]grantText) {
	t.Helper()
	var g struct {
		People map[string]string   `json:"people"`
		Groups map[string][]string `json:"groups"`
		Grants []string            `json:"grants"`
	}
	if err := exact(given, &g); err != nil {
		t.Fatal(err)
	}
	all := []grantText{}
	for i, label := range g.Grants {
		all = append(all, grants[label])
		write(t, filepath.Join(dir, "names", fmt.Sprintf("%d.json", i)), encoded(t, grants[label]))
	}
	book, err := toml.Marshal(map[string]any{"people": g.People, "groups": g.Groups})
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "names", "book.toml"), book)
	write(t, filepath.Join(dir, "book.json"), encoded(t, map[string]any{"people": g.People, "groups": g.Groups, "grants": all}))
}

func encoded(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}
