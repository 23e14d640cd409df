// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// everything uses each word of the language at least once.
const everything = `
# all that there is
nodes 340 profile=planetlab view=500 publishers=300 seeded=yes
seed 7
join wave=20 every=2s
end 40m
at 1m  slice ron nodes=25 where="cpu>=500 & country!=DE" spread=site term=1h rset=cpu=200,memory=64MiB partial=yes
at 2m  renew ron for=2h
at 2m  find where="cpu>=100 limit 20" count=10 every=500ms view=off
at 3m  publish news slice=ron bytes=100 count=5 every=1s after=20s
at 4m  change fraction=10%
at 4m  leave count=3
at 4m  slice finder nodes=3 serves=discovery
at 5m  try discovery slice=finder
at 5m  ask discovery slice=finder count=5 every=2s
at 5m  fault kill first=5 count=2
at 6m  promote discovery slice=finder
at 5m  fault loss rate=0.05 for=60s
at 5m  fault delay by=100ms jitter=20ms region=eu for=60s
at 5m  fault duplicate rate=1% fraction=0.5 for=1m
at 6m  fault reorder rate=0.1 by=50ms
at 7m  fault partition region=eu for=60s
at 8m  fault kill fraction=0.2 power=yes for=90s
at 9m  fault restart fraction=0.1 after=1s
at 10m fault skew fraction=0.2 by=90s
at 11m fault blackhole fraction=0.2
at 12m fault hostile fraction=0.1 kind=overissue
at 30m stop ron
expect delivery p99 <= 2s
expect delivery share >= 99%
expect bytes mean < 20kB/s
expect slice ron running >= 25
expect lookup success > 0.5
expect lookup p95 <= 2x since 1m
expect proofs count = 0
expect role discovery share >= 90%
expect cpu share <= 1%
expect wall time <= 10m
expect memory max <= 2684
expect delivery p90 <= 300ms in world,stack
expect lookup p95 <= 2x since 1m in world
expect safety in lab
expect safety
history 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
`

func parse(t *testing.T, text string) *Scenario {
	t.Helper()
	s, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// same is equality but for the lines of the file.
func same(a, b *Scenario) bool {
	bare := func(s *Scenario) Scenario {
		out := *s
		out.Steps, out.Expects = append([]Step{}, s.Steps...), append([]Expect{}, s.Expects...)
		for i := range out.Steps {
			out.Steps[i].Line = 0
		}
		out.Trials = append([]Trial{}, s.Trials...)
		for i := range out.Trials {
			out.Trials[i].Line = 0
		}
		for i := range out.Expects {
			out.Expects[i].Line = 0
		}
		return out
	}
	return reflect.DeepEqual(bare(a), bare(b))
}

func TestRoundTrip(t *testing.T) {
	s := parse(t, everything)
	if len(s.Steps) != 22 || len(s.Expects) != 15 {
		t.Fatalf("%d steps, %d expectations", len(s.Steps), len(s.Expects))
	}
	if got := parse(t, s.String()); !same(s, got) {
		t.Errorf("it prints as\n%s\nand reads back as\n%s", s, got)
	}
	said := map[string]bool{}
	for _, step := range s.Steps {
		said[step.Do.word()] = true
	}
	for _, word := range append(names(actions), names(faults)...) {
		if !said[word] {
			t.Errorf("nobody has tried %s", word)
		}
	}
}

// Each file in testdata/wrong has mistakes; a line "# ! place text" says which.
func TestMistakes(t *testing.T) {
	files, err := filepath.Glob("testdata/wrong/*.sim")
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for line := range strings.Lines(string(b)) {
			if rest, ok := strings.CutPrefix(line, "# ! "); ok {
				want = append(want, strings.TrimSpace(rest))
			}
		}
		_, err = Parse(string(b))
		var got Mistakes
		if !errors.As(err, &got) || !errors.Is(err, ErrScenario) {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if g := got.Error(); g != strings.Join(want, "\n") {
			t.Errorf("%s:\n# ! %s", file, strings.ReplaceAll(g, "\n", "\n# ! "))
		}
	}
}

func TestBounds(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"nodes 3\n" + strings.Repeat("#\n", MaxLines), "lines"},
		{"nodes 3\n#" + strings.Repeat("x", MaxFile), "bytes"},
		{"nodes 3\n\xff", "UTF-8"},
		{"nodes 3\n" + strings.Repeat("bogus\n", 100), "bogus"},
		{"nodes 3\nend 1h\n" + strings.Repeat("at 1s find\n", MaxSteps+1), "501 steps"},
	} {
		_, err := Parse(c.text)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.20q: %v", c.text, err)
		}
		var m Mistakes
		if errors.As(err, &m) && len(m) > MaxMistakes {
			t.Errorf("%d mistakes at once", len(m))
		}
	}
}

func TestCheck(t *testing.T) {
	s := parse(t, "nodes 10\nat 1s slice a nodes=5")
	if err := s.Check(); err != nil {
		t.Error(err)
	}
	for _, n := range []int{0, 4, MaxNodes + 1} {
		s.Nodes.Count = n
		if err := s.Check(); !errors.Is(err, ErrScenario) {
			t.Errorf("%d nodes: %v", n, err)
		}
	}
}

func TestDefaultEnd(t *testing.T) {
	if s := parse(t, "nodes 100\njoin wave=10 every=1s"); s.End.String() != "1m9s" {
		t.Errorf("it ends at %s", s.End)
	}
	if s := parse(t, "nodes 10\nat 2m fault loss rate=0.1 for=30s"); s.End.String() != "3m30s" {
		t.Errorf("it ends at %s", s.End)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(everything)
	f.Add(market)
	f.Add("nodes 3 profile=flat\nat 1s slice a nodes=2\nexpect slice a time <= 1.5s")
	f.Add("nodes 1e3\nexpect delivery p99 <= NaN\nat 1s find where=\"\\\"\"")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse(text)
		if err != nil {
			var m Mistakes
			if !errors.As(err, &m) || len(m) == 0 || len(m) > MaxMistakes {
				t.Fatalf("%v", err)
			}
			return
		}
		again, err := Parse(s.String())
		if err != nil {
			t.Fatalf("%q prints as %q: %v", text, s, err)
		}
		if !same(s, again) {
			t.Fatalf("%q prints as %q, which is another", text, s)
		}
	})
}
