// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"croft/lease/leasetest"
	"croft/lease/offer"
	"croft/node/role"
)

// findSuite is what any tenant of discovery is held against, for other implementations
// too.
type findSuite struct {
	About   string
	Given   []offer.Offer
	Cases   []findCase
	Refuted []struct {
		Query string
		Parts []string
		Done  string
		Why   string
	}
}

type findCase struct {
	Query   string
	Names   []string
	Some    int // any so many of the names, and no account; 0: all
	Known   int
	Matched int
	Removed [][2]int // of each constraint: count, alone
}

// stageFinds is a node that knows what the suite gives, and nobody who fills the role
// but what builtin makes of that.
func stageFinds(t *testing.T) (findSuite, *Daemon) {
	t.Helper()
	raw, err := os.ReadFile("testdata/conformance/discovery.json")
	if err != nil {
		t.Fatal(err)
	}
	var s findSuite
	if err := exact(raw, &s); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	var view []*offer.Opened
	for _, o := range s.Given {
		o.Node, o.Sequence, o.Made, o.Until = leasetest.Who(o.Name), 1, now.Unix(), now.Unix()+600
		sealed, err := offer.Seal(&o, leasetest.Key(o.Name))
		if err != nil {
			t.Fatalf("%s: %v", o.Name, err)
		}
		view = append(view, &sealed)
	}
	d := &Daemon{book: &namesBook{dir: t.TempDir(), log: slog.New(slog.DiscardHandler)}, cfg: Config{State: t.TempDir()}, deps: Deps{Key: leasetest.Key("node"), Clock: machineClock{}, Log: slog.New(slog.DiscardHandler),
		View: func() []*offer.Opened { return view }}}
	d.opened = newOpenedOffers(&d.deps)
	if d.roles, err = newRoles(d); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.roles.close() })
	return s, d
}

// inquire has a tenant answer a query, and verifies the answer as the node does.
func inquire(t *testing.T, d *Daemon, query string, by tenant) (*findAnswer, error) {
	t.Helper()
	req := offer.FindRequest{Query: query, View: true, Explain: true}
	q, err := req.Parse()
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	ask, err := json.Marshal(findAskOf(req, q))
	if err != nil {
		t.Fatal(err)
	}
	r := newFindReading(&seeking{d: d, query: q}, "heir", true)
	call, _ := role.Discovery().Call("find")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	done, err := by.Call(ctx, call, ask, r.part)
	if err != nil {
		return nil, err
	}
	a, err := r.end(done)
	if err != nil {
		return nil, err
	}
	return a.(*findAnswer), nil
}

// hold holds a tenant against the suite.
func (s findSuite) hold(t *testing.T, d *Daemon, by tenant) {
	t.Helper()
	for _, c := range s.Cases {
		a, err := inquire(t, d, c.Query, by)
		if err != nil {
			t.Errorf("%s: %v", c.Query, err)
			continue
		}
		res := a.result(t.Context())
		var names []string
		for _, f := range res.Offers {
			names = append(names, f.Offer.Name)
		}
		if a.wrong > 0 {
			t.Errorf("%s: %d are sent that do not match", c.Query, a.wrong)
		}
		if c.Some > 0 {
			if strange := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return slices.Contains(c.Names, n) }); len(names) != c.Some || len(strange) > 0 {
				t.Errorf("%s: %v, want any %d of %v", c.Query, names, c.Some, c.Names)
			}
			continue
		}
		want := slices.Clone(c.Names)
		if !a.reading.query.Ordered() {
			slices.Sort(names)
			slices.Sort(want)
		}
		if !slices.Equal(names, want) {
			t.Errorf("%s: %v, want %v", c.Query, names, want)
		}
		removed, ok := accounted(a.reading.query, a.done)
		if a.done.Known != c.Known || a.done.Matched != c.Matched || !ok && len(c.Removed) > 0 {
			t.Errorf("%s: of %d known %d match, want %d of %d: %+v", c.Query, a.done.Known, a.done.Matched, c.Matched, c.Known, a.done)
			continue
		}
		for i, r := range c.Removed {
			if removed[i].Count != r[0] || removed[i].Alone != r[1] {
				t.Errorf("%s: %+v, want %v", c.Query, removed[i], r)
			}
		}
	}
}

// The finder of the examples, which was written from the role's page, passes the suite
// over a socket of its own.
func TestFinderConforms(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("needs python3")
	}
	s, d := stageFinds(t)
	office := d.roles.offices["discovery"]
	who := office.atDoor(t, d, finderAt)
	office.mu.Lock()
	by := office.tenants[who]
	office.mu.Unlock()
	s.hold(t, d, by)
}

// told is a tenant that says what it is told to.
type told struct {
	parts []string
	done  string
}

func (w told) Call(_ context.Context, _ role.Call, _ json.RawMessage, part func(json.RawMessage) error) (json.RawMessage, error) {
	for _, p := range w.parts {
		if err := part(json.RawMessage(p)); err != nil {
			return nil, err
		}
	}
	return json.RawMessage(w.done), nil
}

// What the suite has as refuted no node takes.
func TestRefutedFinds(t *testing.T) {
	s, d := stageFinds(t)
	if len(s.Refuted) == 0 {
		t.Fatal("nothing is refuted")
	}
	signed := base64.StdEncoding.EncodeToString(d.view()[0].Bytes)
	for _, x := range s.Refuted {
		for i, p := range x.Parts {
			x.Parts[i] = strings.ReplaceAll(p, "$a", signed)
		}
		if x.Done == "" {
			x.Done = "{}"
		}
		if a, err := inquire(t, d, x.Query, told{x.Parts, x.Done}); err == nil || !strings.Contains(err.Error(), x.Why) {
			t.Errorf("%q, %s: %+v, %v; want %q", x.Parts, x.Done, a, err, x.Why)
		}
	}
	if a, err := inquire(t, d, "", told{[]string{`{"offers":[{"signed":"` + signed + `"}]}`}, "{}"}); err != nil || len(a.first) != 1 {
		t.Errorf("what is not to be refuted: %+v, %v", a, err)
	}
}

// The question on the role's page is the one that is put for its query, and the end of
// the answer there is one.
func TestThePageOfDiscoveryShowsWhatIsSaid(t *testing.T) {
	page, err := os.ReadFile("../../docs/roles/discovery.md")
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]string{}
	word := ""
	for line := range strings.Lines(string(page)) {
		code, ok := strings.CutPrefix(line, "    ")
		if !ok {
			word = ""
			continue
		}
		if w, rest, ok := strings.Cut(code, " "); ok && w != "" {
			word, code = w, rest
		}
		said[word] += strings.TrimSpace(code)
	}
	var ask findAsk
	if err := exact([]byte(said["ask"]), &ask); err != nil {
		t.Fatalf("%s: %v", said["ask"], err)
	}
	q, err := ask.request().Parse()
	if err != nil {
		t.Fatal(err)
	}
	if put, err := json.Marshal(findAskOf(ask.request(), q)); err != nil || !sameJSON(put, []byte(said["ask"])) {
		t.Errorf("put is\n%s, the page has\n%s", put, said["ask"])
	}
	var done findDone
	if err := exact([]byte(said["done"]), &done); err != nil {
		t.Fatalf("%s: %v", said["done"], err)
	}
	if _, ok := accounted(q, done); !ok || done.Matched > done.Known {
		t.Errorf("%s is no account of %s", said["done"], ask.Query)
	}
	var part findPart
	if err := exact([]byte(strings.ReplaceAll(said["part"], "base64…", "AAAA")), &part); err != nil || len(part.Offers) != 1 {
		t.Errorf("%s: %v", said["part"], err)
	}
}

func sameJSON(a, b []byte) bool {
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return false
	}
	one, _ := json.Marshal(x)
	other, _ := json.Marshal(y)
	return string(one) == string(other)
}
