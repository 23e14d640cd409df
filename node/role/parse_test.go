// SPDX-License-Identifier: Apache-2.0

package role_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"croft/node/role"
)

func TestRules(t *testing.T) {
	for text, want := range map[string]string{
		"": "",
		"after 1000 requests, agreement >= 0.99, p95 <= incumbent": "after 1000 requests, agreement >= 0.99, p95 <= incumbent",
		"p95 <= incumbent,after 1 request":                         "after 1 requests, p95 <= incumbent",
	} {
		r, err := role.ParseRule(text)
		if err != nil || r.String() != want {
			t.Errorf("%q: %q, %v", text, r, err)
		}
	}
	for _, text := range []string{"agreement >= 0.9", "after 0 requests", "after 5", "after 5 requests, agreement >= 1.1", "after 5 requests, agreement >= NaN",
		"after 5 requests, after 6 requests", "after 5 requests, p50 <= incumbent", "after -1 requests", ","} {
		if r, err := role.ParseRule(text); !errors.Is(err, role.ErrRule) {
			t.Errorf("%q: %v, %v", text, r, err)
		}
	}
}

func TestQuantiles(t *testing.T) {
	s := role.New(role.Config{Role: role.Discovery(), Builtin: true})
	for id := range uint64(100) {
		s.Step(start, role.Ask{ID: id + 1, Call: "find"})
		took := time.Millisecond
		if id >= 94 {
			took = time.Second
		}
		s.Step(start, role.Answered{ID: id + 1, Tenant: role.Builtin, Took: took})
	}
	sc := s.Standings()[0].Score
	if p := sc.Quantile(0.5); p < time.Millisecond || p > 1500*time.Microsecond {
		t.Errorf("p50 %s", p)
	}
	if p := sc.Quantile(0.95); p < time.Second || p > 1500*time.Millisecond {
		t.Errorf("p95 %s", p)
	}
	if p := sc.Quantile(0.94); p > 1500*time.Microsecond {
		t.Errorf("p94 %s", p)
	}
}

func TestLines(t *testing.T) {
	for line, want := range map[string]string{
		`{"id":7,"part":{"a":1}}`:                     "",
		`{"id":0,"done":{}}`:                          "",
		`{"id":7,"error":{"code":"busy","text":"x"}}`: "",
		`{"part":{}}`:                                 "no id",
		`{"id":7}`:                                    "want one of",
		`{"id":7,"part":{},"done":{}}`:                "want one of",
		`{"id":-7,"part":{}}`:                         "not understood",
		`{"id":7,"part":{},"more":1}`:                 "unknown field",
		`{"id":7,"part":{}}}`:                         "more than one",
		`{"id":7,"part":{}} {}`:                       "more than one",
		"{\"id\":7,\"part\":\"\xff\"}":                "UTF-8",
		"":                                            "not understood",
		`{"id":7,"part":"` + strings.Repeat("x", role.MaxLine) + `"}`: "limit",
	} {
		_, err := role.ParseReply([]byte(line))
		if (err == nil) != (want == "") || err != nil && (!errors.Is(err, role.ErrLine) || !strings.Contains(err.Error(), want)) {
			t.Errorf("%.60q: %v", line, err)
		}
	}
	r, err := role.ParseReply([]byte(`{"id":7,"error":{"code":"a\u001b[2Jb","text":"` + strings.Repeat("ä", 300) + `"}}`))
	if err != nil || r.Error.Code != "a[2Jb" || len(r.Error.Text) > role.MaxText || !utf8.ValidString(r.Error.Text) {
		t.Errorf("%+v, %v", r.Error, err)
	}
	for line, ok := range map[string]bool{`{"serve":"discovery/1"}`: true, `{"serve":"discovery/2"}`: false, `{"serve":"discovery"}`: false,
		`{"serve":"keeper/1"}`: true, `{"serve":"keeper/0"}`: false, `{"serve":"emperor/1"}`: false, `{}`: false, `{"serve":"discovery/1","as":"bob"}`: false} {
		if _, err := role.ParseServe([]byte(line)); (err == nil) != ok {
			t.Errorf("%s: %v", line, err)
		}
	}
}

func TestFactsAreReadStrictly(t *testing.T) {
	f := role.Fact{Role: "discovery", Kind: role.FactHeld, Tenant: tenant("finder"), At: start, Why: "rule"}
	back, err := role.ParseFact(f.Record())
	if err != nil || back != f {
		t.Errorf("%v, %v", back, err)
	}
	for _, s := range []string{"", "{}", `{"role":"emperor"}`, strings.Replace(string(f.Record()), "held", "lost", 1),
		strings.Replace(string(f.Record()), "finder@", "Finder@", 1), string(f.Record()) + "x", strings.Replace(string(f.Record()), `"why"`, `"how"`, 1)} {
		if f, err := role.ParseFact([]byte(s)); !errors.Is(err, role.ErrFact) {
			t.Errorf("%q: %v, %v", s, f, err)
		}
	}
}

func FuzzReply(f *testing.F) {
	f.Add([]byte(`{"id":7,"part":{"offers":["aGVsbG8="]}}`))
	f.Add([]byte(`{"id":7,"done":{"known":3}}`))
	f.Add([]byte(`{"id":7,"error":{"code":"busy","text":"later"}}`))
	f.Add([]byte(`{"serve":"discovery/1"}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		_, _ = role.ParseServe(line)
		r, err := role.ParseReply(line)
		if err != nil {
			if !errors.Is(err, role.ErrLine) {
				t.Fatal(err)
			}
			return
		}
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := role.ParseReply(b); len(b) <= role.MaxLine && (err != nil || again.ID != r.ID) {
			t.Fatalf("%q is read back as %+v, %v", b, again, err)
		}
	})
}

func FuzzFact(f *testing.F) {
	f.Add(role.Fact{Role: "discovery", Kind: role.FactTried, Tenant: role.Builtin, At: start}.Record())
	f.Fuzz(func(t *testing.T, b []byte) {
		fact, err := role.ParseFact(b)
		if err != nil {
			return
		}
		back, err := role.ParseFact(fact.Record())
		if err != nil || !back.At.Equal(fact.At) || back.Tenant != fact.Tenant || back.Kind != fact.Kind {
			t.Fatalf("%v is read back as %v, %v", fact, back, err)
		}
	})
}

func FuzzRule(f *testing.F) {
	f.Add("after 1000 requests, agreement >= 0.99, p95 <= incumbent")
	f.Fuzz(func(t *testing.T, s string) {
		r, err := role.ParseRule(s)
		if err != nil {
			return
		}
		if again, err := role.ParseRule(r.String()); err != nil || again != r {
			t.Fatalf("%q: %v, again %v, %v", s, r, again, err)
		}
	})
}
