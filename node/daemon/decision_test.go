// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"croft/lease/leasetest"
	"croft/node/api"
	"croft/node/door"
	"croft/node/role"
)

// suite is what any tenant of a role whose answers are one line is held against: in
// testdata/conformance, for other implementations too.
type suite struct {
	About   string          `json:"about"`
	Given   json.RawMessage `json:"given"`
	Cases   []exchange      `json:"cases"`
	Refuted []exchange      `json:"refuted"`
}

// exchange is a question and its answer.
type exchange struct {
	Call      string          `json:"call"`
	Ask       json.RawMessage `json:"ask"`
	Done      json.RawMessage `json:"done"`
	Agreement float64         `json:"agreement"` // at least; absent: 1
	Why       string          `json:"why"`       // no node takes it
}

// suites are the roles that have one, with the file of each.
var suites = map[string]string{
	"allocator": "testdata/conformance/allocator.json",
	"bootstrap": "testdata/conformance/bootstrap.json",
	"keeper":    "testdata/conformance/keeper.json",
	"monitor":   "testdata/conformance/monitor.json",
	"names":     "testdata/conformance/names.json",
	"packets":   "testdata/conformance/packets.json",
	"topology":  "testdata/conformance/topology.json",
	"updates":   "testdata/conformance/updates.json",
}

// heirs are the tenants of the examples: what runs one in a directory that has the
// given.
var heirs = map[string]func(t testing.TB, dir string) *exec.Cmd{
	"allocator": func(t testing.TB, dir string) *exec.Cmd { return example(t, dir, "auction") },
	"bootstrap": func(t testing.TB, dir string) *exec.Cmd { return example(t, dir, "bootstrap") },
	"topology":  func(t testing.TB, dir string) *exec.Cmd { return example(t, dir, "topology") },
	"updates": func(t testing.TB, dir string) *exec.Cmd {
		c := example(t, dir, "updates")
		c.Args = append(c.Args, "-dir", filepath.Join(dir, releasesDir))
		return c
	},
	"keeper": func(testing.TB, string) *exec.Cmd {
		return exec.Command("python3", "../../examples/keeper/keeper.py")
	},
	"packets": func(t testing.TB, dir string) *exec.Cmd {
		c := example(t, dir, "packets")
		c.Args = append(c.Args, string(calm(t, leasetest.Key("alice"), "heir")))
		return c
	},
	"monitor": func(testing.TB, string) *exec.Cmd {
		return exec.Command("python3", "../../examples/monitor/monitor.py")
	},
	"names": func(_ testing.TB, dir string) *exec.Cmd {
		return exec.Command("python3", "../../examples/names/names.py", filepath.Join(dir, "book.json"))
	},
}

// example builds a program of the examples.
func example(t testing.TB, dir, name string) *exec.Cmd {
	t.Helper()
	at := filepath.Join(dir, name)
	if out, err := exec.Command("go", "build", "-o", at, "croft/examples/"+name).CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v: %s", name, err, out)
	}
	return exec.Command(at)
}

// judge verifies an answer to a question that was made already.
func (c decision[Q, A]) judge(ask, done json.RawMessage) (any, error) {
	var q Q
	if err := exact(ask, &q); err != nil {
		return nil, err
	}
	c.whose = nil // who answers is not known here
	return decided[Q, A]{decision: c, q: q}.end(done)
}

// agreed is how far two verified answers agree.
func (c decision[Q, A]) agreed(ask json.RawMessage, given, other any) (float64, error) {
	var q Q
	err := exact(ask, &q)
	return c.agree(q, given.(A), other.(A)), err
}

type judged interface {
	judge(ask, done json.RawMessage) (any, error)
	agreed(ask json.RawMessage, given, other any) (float64, error)
}

func (d *Daemon) judged(t testing.TB, name, call string) judged {
	t.Helper()
	c, ok := d.decisions()[name][call]
	if !ok {
		t.Fatalf("role %s has no call %s", name, call)
	}
	return c.(judged)
}

// hold holds a tenant against a suite.
func (s suite) hold(t *testing.T, d *Daemon, name string, by tenant) {
	t.Helper()
	job, err := role.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range s.Cases {
		call, ok := job.Call(x.Call)
		if !ok {
			t.Fatalf("no call %s", x.Call)
		}
		c := d.judged(t, name, x.Call)
		want, err := c.judge(x.Ask, x.Done)
		if err != nil {
			t.Fatalf("%s %s: the suite's own answer: %v", x.Call, x.Ask, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		done, err := by.Call(ctx, call, x.Ask, func(json.RawMessage) error { return errLie })
		cancel()
		if err != nil {
			t.Errorf("%s %s: %v", x.Call, x.Ask, err)
			continue
		}
		got, err := c.judge(x.Ask, done)
		if err != nil {
			t.Errorf("%s %s: it answers %s: %v", x.Call, x.Ask, done, err)
			continue
		}
		least := x.Agreement
		if least == 0 {
			least = 1
		}
		if agrees, err := c.agreed(x.Ask, want, got); err != nil || agrees < least {
			t.Errorf("%s %s: it answers %s, which agrees with %s to %g, %v", x.Call, x.Ask, done, x.Done, agrees, err)
		}
	}
}

// Each tenant passes the suite of its role: what is built in, and that of the examples,
// which was written from the role's page, over a socket of its own.
func TestConformance(t *testing.T) {
	for _, name := range sortedKeys(suites) {
		t.Run(name, func(t *testing.T) {
			s, d := stage(t, name)
			if builtins[name] != nil {
				t.Run("builtin", func(t *testing.T) { s.hold(t, d, name, builtins[name](d)) })
			}
			t.Run("example", func(t *testing.T) {
				s.hold(t, d, name, heirAtDoor(t, d, name))
			})
		})
	}
}

func sortedKeys[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// heirAtDoor runs the example of a role at a door of its own.
func heirAtDoor(t *testing.T, d *Daemon, name string) tenant {
	t.Helper()
	c := heirs[name](t, d.cfg.State)
	if _, err := exec.LookPath(c.Path); err != nil {
		t.Skipf("needs %s: %v", c.Path, err)
	}
	top, err := os.MkdirTemp("", "doors") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(top) })
	l, at, err := door.Dir(filepath.Join(top, "n", "d")).Open("abcd", door.Users{First: uint32(os.Getuid()), Count: 1})
	if err != nil {
		t.Fatal(err)
	}
	who := door.Sliver{Name: "abcd", Label: "heir", Owner: leasetest.Who("alice")}
	house := &door.House{Node: d.deps.Key.Principal(), Guard: noCharge{}, Roles: d.roles, Log: d.deps.Log,
		HTTP: func(who door.Sliver) *http.Server { return api.Server(api.Door(newShim(d, who), Version)) }}
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() { over <- house.Serve(ctx, l, who) }()
	var said bytes.Buffer
	c.Env = append(os.Environ(), "CROFT_SOCKET="+filepath.Join(at, door.SocketName))
	c.Stdout, c.Stderr = &said, &said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
		cancel()
		<-over
	})
	o := d.roles.offices[name]
	ready := time.NewTicker(10 * time.Millisecond)
	defer ready.Stop()
	for limit := time.After(time.Minute); ; {
		o.mu.Lock()
		by := o.tenants[who.Tenant()]
		o.mu.Unlock()
		if by != nil {
			return by
		}
		select {
		case <-ready.C:
		case <-limit:
			t.Fatalf("%s does not serve: %s", name, said.String())
		}
	}
}

// What a suite has as refuted no node takes.
func TestRefuted(t *testing.T) {
	for _, name := range sortedKeys(suites) {
		s, d := stage(t, name)
		if len(s.Refuted) == 0 {
			t.Errorf("%s: nothing is refuted", name)
		}
		for _, x := range s.Refuted {
			if got, err := d.judged(t, name, x.Call).judge(x.Ask, x.Done); err == nil || !strings.Contains(err.Error(), x.Why) {
				t.Errorf("%s %s %s: %v, %v; want %q", name, x.Call, x.Done, got, err, x.Why)
			}
		}
	}
}

// What the pages of these roles show is said so: their questions are answered by the
// built-in as they say, on what the suites give.
func TestPagesShowWhatIsSaid(t *testing.T) {
	for _, name := range sortedKeys(suites) {
		page, err := os.ReadFile("../../docs/roles/" + name + ".md")
		if err != nil {
			t.Fatal(err)
		}
		s, d := stage(t, name)
		said := suite{Given: s.Given}
		call, ask := "", ""
		for _, line := range strings.Split(string(page), "\n") {
			switch {
			case strings.HasPrefix(line, "## "):
				call = strings.TrimPrefix(line, "## ")
			case strings.HasPrefix(line, "    ask   "):
				ask = strings.TrimPrefix(line, "    ask   ")
			case strings.HasPrefix(line, "    done  ") && !strings.Contains(line, "…"):
				said.Cases = append(said.Cases, exchange{Call: call, Ask: json.RawMessage(ask), Done: json.RawMessage(strings.TrimPrefix(line, "    done  "))})
			}
		}
		if len(said.Cases) == 0 {
			t.Errorf("%s: the page shows no answer", name)
		}
		if builtins[name] == nil {
			continue
		}
		t.Run(name, func(t *testing.T) { said.hold(t, d, name, builtins[name](d)) })
	}
}

// Whatever a tenant of these roles does, who asks has the built-in's answer within the
// same request.
func TestHostileDecisions(t *testing.T) {
	for _, name := range sortedKeys(suites) {
		if builtins[name] == nil {
			continue
		}
		s, _ := stage(t, name)
		x := s.Cases[0]
		endless := []string{`{"id":%d,"done":{` + strings.Repeat(" ", role.MaxLine)}
		for does, c := range map[string]struct {
			lines []string
			why   string
			stays bool
		}{
			"hangs":             {nil, "was silent", true},
			"vanishes":          {[]string{"hang up"}, "hung up", false},
			"answers in parts":  {[]string{`{"id":%d,"part":{}}`, `{"id":%d,"done":{}}`}, "lied: a part", true},
			"answers garbage":   {[]string{`{"id":%d,"done":{"x":1}}`}, "lied: an end that is none", true},
			"answers no object": {[]string{`{"id":%d,"done":7}`}, "lied: an end that is none", true},
			"lies":              {[]string{`{"id":%d,"done":` + compact(t, s.Refuted[0].Done) + `}`}, "lied: ", true},
			"gives up":          {[]string{`{"id":%d,"error":{"code":"busy","text":"not now"}}`}, "answered busy: not now", true},
			"has no end":        {endless, "a line of more than", false},
			"answers another":   {[]string{`{"id":999,"done":{}}`}, "broke the role protocol", false},
		} {
			t.Run(name+" "+does, func(t *testing.T) {
				inOffice(t, func(t *testing.T, h *hired) {
					giveState(t, h, name, s)
					serveAs(t, h.m.doors.dial(t, h.sliver), name+"/1", func(role.Question) []string { return c.lines })
					h.decideOn(name, "try", h.slice)
					h.decideOn(name, "promote", h.slice)
					for _, ask := range []json.RawMessage{x.Ask, s.Refuted[0].Ask} {
						if does == "lies" {
							ask = s.Refuted[0].Ask
						}
						a, err := h.d.roles.AskRole(t.Context(), name, x.Call, ask)
						if err != nil || a.Tenant != "builtin" || !strings.HasPrefix(a.Instead, "ron@") {
							t.Fatalf("%+v, %v", a, err)
						}
						if !strings.Contains(a.Instead, c.why) && !strings.Contains(a.Instead, "failed just now") && !strings.Contains(a.Instead, "is not there") {
							t.Errorf("instead: %s", a.Instead)
						}
					}
					h.m.pass(time.Second)
					if got := h.tenantOf(name, h.slice); got.Failed != 1 || got.Here != c.stays || !strings.Contains(got.Last, c.why) {
						t.Errorf("%+v", got)
					}
				})
			})
		}
	}
}

func compact(t *testing.T, raw json.RawMessage) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// giveState gives a node in a bubble what a suite gives.
func giveState(t *testing.T, h *hired, name string, s suite) {
	t.Helper()
	switch name {
	case "names":
		giveBook(t, h.m.state, s.Given, map[string]grantText{"": grantOver(t, ""), "web": grantOver(t, "web")})
	case "bootstrap":
		h.d.deps.Contacts, _ = giveContacts(t, s.Given)
	case "updates":
		giveReleases(t, h.d, s.Given)
	}
}

func (h *hired) decideOn(name, do, tenant string) {
	h.t.Helper()
	if _, err := h.d.Node().Roles.Decide(h.t.Context(), name, api.RoleWish{Do: do, Tenant: tenant}); err != nil {
		h.t.Fatalf("%s %s: %v", do, tenant, err)
	}
}

func (h *hired) tenantOf(name, who string) api.RoleTenant {
	h.t.Helper()
	all, err := h.d.Node().Roles.Roles(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	for _, r := range all {
		for _, t := range r.Tenants {
			if r.Role == name && t.Tenant == who {
				return t
			}
		}
	}
	return api.RoleTenant{}
}

// Whatever a tenant sends as an answer, what is given is verified: taken again it holds
// still, and can be told in a line.
func FuzzDecision(f *testing.F) {
	type at struct{ name, call string }
	var calls []at
	var asks []json.RawMessage
	stages := map[string]*Daemon{}
	for _, name := range sortedKeys(suites) {
		s, d := stage(f, name)
		stages[name] = d
		for _, x := range append(s.Cases, s.Refuted...) {
			f.Add(uint(len(calls)), []byte(x.Done))
			calls, asks = append(calls, at{name, x.Call}), append(asks, x.Ask)
		}
	}
	f.Fuzz(func(t *testing.T, n uint, done []byte) {
		i := n % uint(len(calls))
		c := stages[calls[i].name].judged(t, calls[i].name, calls[i].call)
		got, err := c.judge(asks[i], done)
		if err != nil {
			return
		}
		b, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		again, err := c.judge(asks[i], b)
		if err != nil {
			t.Fatalf("%s holds, and is refuted as %s: %v", done, b, err)
		}
		if agrees, err := c.agreed(asks[i], got, again); err != nil || agrees != 1 {
			t.Fatalf("%s agrees with itself to %g, %v", b, agrees, err)
		}
	})
}

// A question that is none is no tenant's fault.
func TestWishesThatAreNone(t *testing.T) {
	_, d := stage(t, "names")
	for ask, why := range map[string]error{
		`{"name":"Alice"}`: nil, // names are of one case
		`{"name":""}`:      api.ErrBadRequest,
		`{"name":"a b"}`:   api.ErrBadRequest,
		`{"nom":"a"}`:      api.ErrBadRequest,
		`[]`:               api.ErrBadRequest,
		`{"name":"a"}{}`:   api.ErrBadRequest,
		`{"name":"` + strings.Repeat("a", maxPetname+1) + `"}`: api.ErrBadRequest,
	} {
		if a, err := d.roles.AskRole(t.Context(), "names", "lookup", json.RawMessage(ask)); builtins["names"] != nil && !isErr(err, why) {
			t.Errorf("%s: %s, %v", ask, a.Answer, err)
		}
	}
	for _, at := range [][2]string{{"names", "find"}, {"discovery", "find"}, {"keeper", "find"}} {
		if _, err := d.roles.AskRole(t.Context(), at[0], at[1], json.RawMessage(`{}`)); !isErr(err, api.ErrRole) {
			t.Errorf("%v: %v", at, err)
		}
	}
	if _, err := d.roles.AskRole(t.Context(), "king", "rule", json.RawMessage(`{}`)); !isErr(err, api.ErrNoRole) {
		t.Errorf("%v", err)
	}
}

func isErr(err, want error) bool { return err == want || want != nil && errors.Is(err, want) }

// A node that was built without a tenant of one of these roles has nobody for it until a
// slice is promoted, and then that slice alone:
//
//	go test -tags no_builtin_names ./node/daemon -run Without
func TestWithoutBuiltins(t *testing.T) {
	for _, name := range sortedKeys(suites) {
		if builtins[name] != nil {
			continue
		}
		t.Run(name, func(t *testing.T) {
			s, _ := stage(t, name)
			x := s.Cases[0]
			inOffice(t, func(t *testing.T, h *hired) {
				giveState(t, h, name, s)
				if _, err := h.d.roles.AskRole(t.Context(), name, x.Call, x.Ask); !errors.Is(err, api.ErrNobody) {
					t.Errorf("%v", err)
				}
				serveAs(t, h.m.doors.dial(t, h.sliver), name+"/1", func(role.Question) []string { return []string{`{"id":%d,"done":` + compact(t, x.Done) + `}`} })
				h.decideOn(name, "try", h.slice)
				h.decideOn(name, "promote", h.slice)
				if a, err := h.d.roles.AskRole(t.Context(), name, x.Call, x.Ask); err != nil || a.Tenant != h.slice || string(a.Answer) == "{}" && compact(t, x.Done) != "{}" {
					t.Errorf("%+v, %v", a, err)
				}
				if _, err := h.d.roles.Decide(t.Context(), name, api.RoleWish{Do: "try", Tenant: "builtin"}); !errors.Is(err, api.ErrRole) {
					t.Errorf("what is not there is tried: %v", err)
				}
			})
		})
	}
}
