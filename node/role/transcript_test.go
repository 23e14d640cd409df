// SPDX-License-Identifier: Apache-2.0

package role_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"croft/lease/leasetest"
	"croft/node/role"
)

// start is an instant that every transcript begins at.
var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// TestTranscripts replays testdata/*.txt: what a succession is told, a line each,
// and what it does. Commands:
//
//	new [builtin] [share=all] [rule="…"]   a succession without a past
//	do                                     lines: at OFFSET | tick | try, drop, promote, here, gone TENANT | demote |
//	                                       ask ID [own] [not=TENANT] | abandon ID | ok, compared ID TENANT [VALUE] | err ID TENANT WHY
//	show                                   the tenants
//	restart                                as after a crash: the facts, and nothing else
//
// A tenant is called by its label; all slices are alice's.
func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		s := &stage{t: t}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "new":
				return s.fresh(d)
			case "do":
				var out strings.Builder
				for line := range strings.Lines(d.Input) {
					out.WriteString(s.do(strings.TrimSpace(line)))
				}
				return out.String()
			case "show":
				return s.show()
			case "restart":
				s.restart()
				return s.show()
			}
			d.Fatalf(t, "unknown command %q", d.Cmd)
			return ""
		})
	})
}

type stage struct {
	t     *testing.T
	cfg   role.Config
	s     *role.Succession
	now   time.Time
	facts []role.Fact
	ref   uint64
}

func (s *stage) fresh(d *datadriven.TestData) string {
	s.cfg = role.Config{Role: role.Discovery(), Builtin: d.HasArg("builtin")}
	for _, a := range d.CmdArgs {
		switch a.Key {
		case "share":
			s.cfg.Share = role.Share(a.Vals[0])
		case "rule":
			rule, err := role.ParseRule(strings.Join(strings.Split(a.Vals[0], "_"), " "))
			if err != nil {
				return err.Error()
			}
			s.cfg.Rule = rule
		}
	}
	s.s, s.now, s.facts = role.New(s.cfg), start, nil
	return ""
}

var alice = leasetest.Key("alice").Principal()

func tenant(name string) role.Tenant {
	if name == "builtin" {
		return role.Builtin
	}
	return role.SliceTenant(name, alice)
}

func short(s string) string {
	s = strings.ReplaceAll(s, "@"+alice.String(), "")
	return strings.ReplaceAll(s, "@"+alice.String()[:8], "")
}

func (s *stage) do(line string) string {
	f := strings.Fields(line)
	var id uint64
	var who role.Tenant
	for _, w := range f[1:] {
		if n, err := strconv.ParseUint(w, 10, 64); err == nil && id == 0 {
			id = n
		} else if who == "" {
			who = tenant(w)
		}
	}
	s.ref++
	var in role.Input
	switch f[0] {
	case "at":
		d, err := time.ParseDuration(f[1])
		if err != nil {
			s.t.Fatal(err)
		}
		s.now = start.Add(d)
		in = role.Tick{}
	case "tick":
		if at, ok := s.s.NextWake(); ok {
			s.now = at
		}
		in = role.Tick{}
	case "try":
		in = role.Try{Ref: s.ref, Tenant: who}
	case "drop":
		in = role.Drop{Ref: s.ref, Tenant: who}
	case "promote":
		in = role.Promote{Ref: s.ref, Tenant: who}
	case "demote":
		in = role.Demote{Ref: s.ref}
	case "here":
		in = role.Here{Tenant: who}
	case "gone":
		in = role.Gone{Tenant: who}
	case "ask":
		a := role.Ask{ID: id, Call: "find"}
		for _, w := range f[2:] {
			if w == "own" {
				a.Own = true
			} else if not, ok := strings.CutPrefix(w, "not="); ok {
				a.Not = tenant(not)
			} else {
				a.Call = w
			}
		}
		in = a
	case "abandon":
		in = role.Abandon{ID: id}
	case "ok":
		took := 10 * time.Millisecond
		if len(f) > 3 {
			took, _ = time.ParseDuration(f[3])
		}
		in = role.Answered{ID: id, Tenant: who, Took: took}
	case "err":
		in = role.Answered{ID: id, Tenant: who, Why: strings.Join(f[3:], " ")}
	case "compared":
		if f[3] == "idle" {
			in = role.Compared{ID: id, Tenant: who, Idle: true}
			break
		}
		v, err := strconv.ParseFloat(f[3], 64)
		if err != nil {
			s.t.Fatal(err)
		}
		in = role.Compared{ID: id, Tenant: who, Agreement: v}
	default:
		s.t.Fatalf("unknown line %q", line)
	}
	out := fmt.Sprintf("%s> %s\n", s.now.Format("04:05"), line)
	for _, e := range s.s.Step(s.now, in) {
		if fact, ok := e.(role.Fact); ok {
			s.facts = append(s.facts, fact)
		}
		text := e.String()
		if d, ok := e.(role.Done); ok {
			text = strings.TrimPrefix(text, fmt.Sprintf("done ref=%d", d.Ref))
			text = "done" + text
		}
		out += "  " + short(text) + "\n"
	}
	return out
}

func (s *stage) show() string {
	var out strings.Builder
	for _, st := range s.s.Standings() {
		here := ""
		if !st.Here {
			here = " absent"
		}
		fmt.Fprintf(&out, "%-10s %s%s", st.Place, short(string(st.Tenant)), here)
		if sc := st.Score; sc.Asked > 0 {
			fmt.Fprintf(&out, ": asked %d, failed %d, %d trials, agreement %.2f, p95 %s", sc.Asked, sc.Failed, sc.Trials, sc.Agreement(), sc.Quantile(0.95))
		}
		if st.Why != "" {
			fmt.Fprintf(&out, " (%s)", short(st.Why))
		}
		out.WriteByte('\n')
	}
	return out.String()
}

// restart keeps nothing but the facts, as they are on disk.
func (s *stage) restart() {
	s.s = role.New(s.cfg)
	for _, f := range s.facts {
		back, err := role.ParseFact(f.Record())
		if err != nil {
			s.t.Fatal(err)
		}
		s.s.Restore(back)
	}
}
