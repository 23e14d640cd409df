// SPDX-License-Identifier: Apache-2.0

// Package croft_test holds the rules of this repository that a machine can
// check. A message names the rule and how to mend what breaks it.
package croft_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A room is a package and its place in the house.
type room struct {
	floor int
	pure  bool     // a machine or plain rules: time, randomness and I/O come in with the input
	may   []string // for a pure room: the only import prefixes from outside std and croft
}

// rooms is the house, from docs/architecture.md. Imports point to lower floors,
// or stay on the floor within the same tree (the first element of the path).
var rooms = map[string]room{
	"lease":           {0, true, []string{"github.com/fxamacker/cbor/v2"}},
	"lease/sign":      {0, true, []string{"golang.org/x/crypto/ssh"}},
	"lease/offer":     {0, true, []string{"github.com/fxamacker/cbor/v2"}},
	"lease/purse":     {0, true, nil},
	"lease/judge":     {0, true, []string{"github.com/fxamacker/cbor/v2"}},
	"lease/policy":    {0, true, []string{"github.com/pelletier/go-toml/v2"}},
	"lease/leasetest": {floor: 0},
	"lease/oracle":    {0, true, nil},
	"lease/adversary": {floor: 0}, // tests only

	"dht":                  {1, true, []string{"github.com/fxamacker/cbor/v2"}},
	"dht/contact":          {1, true, nil},
	"dht/kad":              {floor: 1},
	"dht/index":            {floor: 1},
	"dht/dhttest":          {floor: 1},
	"gossip":               {1, true, nil},
	"gossip/topic":         {1, true, []string{"golang.org/x/time/rate"}},
	"gossip/alive":         {1, true, nil},
	"gossip/vivaldi":       {1, true, nil},
	"gossip/pubsub":        {floor: 1},
	"sandbox":              {1, true, []string{"github.com/opencontainers/runtime-spec/specs-go", "github.com/moby/profiles/seccomp"}},
	"sandbox/oci":          {floor: 1},
	"sandbox/image":        {floor: 1},
	"sandbox/swarm":        {1, true, nil},
	"sandbox/swarm/stream": {floor: 1},
	"sandbox/warden":       {floor: 1},
	"sandbox/sandboxtest":  {floor: 1},
	"ebpf":                 {1, true, nil},
	"ebpf/audit":           {1, true, []string{"golang.org/x/mod/sumdb/tlog"}},
	"ebpf/optout":          {1, true, nil},
	"ebpf/audit/store":     {floor: 1},
	"ebpf/audit/export":    {floor: 1},
	"ebpf/kernel":          {floor: 1},
	"ebpf/net":             {floor: 1},
	"ebpf/verdict":         {floor: 1},
	"ebpf/pace":            {floor: 1},
	"ebpf/model":           {floor: 1},
	"ebpf/bypass":          {floor: 1},
	"ebpf/ebpftest":        {floor: 1},

	"node":               {2, true, nil},
	"node/role":          {2, true, nil},
	"node/keep":          {2, true, nil},
	"node/release":       {2, true, nil},
	"node/agent":         {2, true, []string{"github.com/pelletier/go-toml/v2"}},
	"node/slice":         {2, true, nil},
	"node/journal":       {floor: 2},
	"node/safe":          {floor: 2},
	"node/release/shelf": {floor: 2},
	"node/wire":          {floor: 2},

	"node/journal/journaltest": {floor: 2},

	"node/daemon":     {floor: 3},
	"node/door":       {floor: 3},
	"node/agent/host": {floor: 3},
	"node/api":        {floor: 3},
	"node/web":        {floor: 3},
	"node/client":     {floor: 3},
	"shim":            {floor: 3}, // what a service imports: std only
	"node/desk":       {floor: 3},

	"sim":                 {floor: 4},
	"sim/scenario":        {4, true, nil},
	"sim/profile":         {4, true, nil},
	"sim/central":         {4, true, nil},
	"sim/cost":            {floor: 4},
	"sim/wires":           {4, true, nil},
	"sim/report":          {4, true, nil},
	"sim/report/page":     {4, true, nil},
	"sim/scenarios":       {floor: 4},
	"sim/world":           {floor: 4},
	"sim/hostile":         {4, true, nil},
	"sim/stack":           {floor: 4},
	"sim/stack/lean":      {floor: 4},
	"sim/lab":             {floor: 4},
	"sim/lab/play":        {floor: 4},
	"sim/market":          {4, true, nil},
	"sim/market/binomial": {4, true, nil},
	"sim/market/burst":    {4, true, nil},
	"sim/market/play":     {floor: 4},

	"examples/auction":   {floor: 5},
	"examples/bootstrap": {floor: 5}, // tenants of roles, services; of croft they know the shim alone
	"examples/cast":      {floor: 5},
	"examples/packets":   {floor: 5},
	"examples/probe":     {floor: 5},
	"examples/pulse":     {floor: 5},
	"examples/query":     {floor: 5},
	"examples/ron":       {floor: 5},
	"examples/topology":  {floor: 5},
	"examples/tracker":   {floor: 5},
	"examples/updates":   {floor: 5},

	"cmd/croft":   {floor: 5},
	"cmd/bench":   {floor: 5}, // measures; no part of the product
	"cmd/packets": {floor: 5}, // attacks and counts, for a demonstration; no part of the product
}

// owners says which trees alone import a library, so that it can be replaced.
var owners = []struct {
	library string
	rooms   []string // exact, or a tree when it ends in a slash
}{
	{"github.com/libp2p/", []string{"dht/kad", "dht/index", "dht/dhttest", "gossip/pubsub", "sandbox/swarm/stream", "node/wire", "node/daemon", "sim", "sim/"}},
	{"github.com/cilium/ebpf", []string{"ebpf/kernel", "ebpf/verdict"}},
	{"github.com/containerd/go-runc", []string{"sandbox/oci", "sandbox/warden"}},
	{"github.com/parquet-go/", []string{"ebpf/audit/export"}},
	{"github.com/gopacket/", []string{"ebpf/net"}},
}

// What a pure package does without. Map iteration that reaches output cannot be
// told from any other by looking; the tests of each package find it.
var (
	impureImports = []string{"os", "net", "sync", "syscall", "unsafe", "plugin", "runtime", "log", "crypto/rand"}
	impureTime    = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}
	seededRandom  = []string{"New", "NewPCG", "NewChaCha8", "NewZipf", "Rand", "Source", "PCG", "ChaCha8", "Zipf"}
	bannedNames   = []string{"util", "utils", "common", "types", "helper", "helpers", "manager", "misc", "base"}
)

const (
	maxLines = 600
	module   = "croft/"
)

// A source is one file of the repository: its path from the root and its text.
type source struct{ path, text string }

func (s source) dir() string { return path.Dir(s.path) }
func (s source) test() bool  { return strings.HasSuffix(s.path, "_test.go") }
func (s source) generated() bool {
	return strings.Contains(s.text[:min(len(s.text), 1000)], "// Code generated ")
}

func TestArchitecture(t *testing.T) {
	var sources []source
	err := fs.WalkDir(os.DirFS("."), ".", func(name string, d fs.DirEntry, err error) error {
		switch base := path.Base(name); {
		case err != nil:
			return err
		case d.IsDir() && name != "." && (strings.HasPrefix(base, ".") || base == "node_modules"):
			return fs.SkipDir
		case !d.Type().IsRegular():
			return nil
		}
		s := source{path: name}
		if slices.Contains([]string{".go", ".c", ".h", ".sh"}, path.Ext(name)) {
			b, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			s.text = string(b)
		}
		sources = append(sources, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, complaint := range judge(sources) {
		t.Error(complaint)
	}
}

// judge holds every rule against the files and returns what it finds, in order.
func judge(sources []source) []string {
	j := judgement{documented: map[string]bool{}, words: map[string][]string{}}
	for _, s := range sources {
		inTestdata := strings.Contains(s.path, "testdata/")
		switch path.Ext(s.path) {
		case ".go", ".c", ".h", ".sh":
			if !inTestdata {
				j.text(s)
			}
		}
		if path.Ext(s.path) == ".go" && !inTestdata && s.dir() != "." {
			j.goFile(s)
		}
	}
	for _, s := range sources {
		j.testdata(s)
	}
	for dir, ok := range j.documented {
		if !ok {
			j.say(dir, "no package comment: begin one file with // Package %s … (the model in 5 to 15 lines, an example, the concurrency rule)", path.Base(dir))
		}
	}
	slices.Sort(j.complaints)
	return slices.Compact(j.complaints)
}

type judgement struct {
	complaints []string
	documented map[string]bool     // package directory → it has a comment
	words      map[string][]string // package directory → string literals and names of its tests
}

func (j *judgement) say(where, format string, args ...any) {
	j.complaints = append(j.complaints, where+": "+fmt.Sprintf(format, args...))
}

// text holds the rules that are the same for Go, C and shell.
func (j *judgement) text(s source) {
	if s.generated() {
		return
	}
	head, _, _ := strings.Cut(strings.TrimPrefix(s.text, "#!/bin/sh\n"), "\n")
	if strings.HasPrefix(head, "#!") {
		_, rest, _ := strings.Cut(s.text, "\n")
		head, _, _ = strings.Cut(rest, "\n")
	}
	if !strings.Contains(head, "SPDX-License-Identifier: ") {
		j.say(s.path, "no SPDX header: the first line (after #!) is // SPDX-License-Identifier: Apache-2.0")
	}
	if n := strings.Count(s.text, "\n"); n > maxLines {
		j.say(s.path, "%d lines, limit %d: it holds two things, give each a file", n, maxLines)
	}
}

func (j *judgement) goFile(s source) {
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, s.path, s.text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		j.say(s.path, "does not parse: %v", err)
		return
	}
	at := func(n ast.Node) string { return fmt.Sprintf("%s:%d", s.path, set.Position(n.Pos()).Line) }
	dir := s.dir()
	r, known := rooms[dir]
	if !known {
		j.say(dir, "is in no floor: add it to the table of rooms in arch_test.go, and to docs/architecture.md")
	}
	if i := slices.IndexFunc(strings.Split(dir, "/"), func(e string) bool { return slices.Contains(bannedNames, e) }); i >= 0 {
		j.say(dir, "is named for no concept: say what it holds")
	}
	if !s.test() {
		j.documented[dir] = j.documented[dir] || f.Doc != nil && !s.generated()
	}
	imports := map[string]string{} // local name → path
	for _, spec := range f.Imports {
		p, _ := strconv.Unquote(spec.Path.Value)
		name := path.Base(p)
		if name == "v2" {
			name = path.Base(path.Dir(p))
		}
		if spec.Name != nil {
			name = spec.Name.Name
		}
		imports[name] = p
		j.imported(at(spec), dir, p, r, s.test())
	}
	switch {
	case s.test():
		j.tests(dir, f, imports, at)
	case r.pure:
		j.purity(f, imports, at)
	}
}

func (j *judgement) imported(where, dir, p string, r room, test bool) {
	for _, o := range owners {
		mine := slices.ContainsFunc(o.rooms, func(own string) bool {
			return dir == own || strings.HasSuffix(own, "/") && strings.HasPrefix(dir, own)
		})
		if strings.HasPrefix(p, o.library) && !mine {
			j.say(where, "%s is imported only by %s: reach it through their interfaces", p, strings.Join(o.rooms, " "))
		}
	}
	if ours, ok := strings.CutPrefix(p, module); ok {
		j.floors(where, dir, ours, r, test)
		return
	}
	if test {
		return
	}
	outside := strings.Contains(strings.Split(p, "/")[0], ".")
	if tree(dir) == "shim" && outside {
		j.say(where, "shim imports std only, for services to carry: leave out %s", p)
	}
	if !r.pure {
		return
	}
	if outside && !slices.ContainsFunc(r.may, func(m string) bool { return p == m || strings.HasPrefix(p, m+"/") }) {
		j.say(where, "a pure package imports std and what its room lists, not %s: move it into an adapter", p)
	}
	for _, bad := range impureImports {
		if (p == bad || strings.HasPrefix(p, bad+"/")) && p != "net/netip" {
			j.say(where, "a pure package does without %s: let the caller bring what you need with the input", p)
		}
	}
}

func (j *judgement) floors(where, dir, to string, r room, test bool) {
	target, known := rooms[to]
	switch {
	case !known:
		j.say(where, "croft/%s is in no floor: add it to the table of rooms in arch_test.go", to)
	case to == dir: // a package's own outer tests
	case tree(dir) == "examples" && to != "shim":
		j.say(where, "an example is what anybody can write: of croft it imports shim alone, not croft/%s", to)
	case tree(dir) == "shim" && tree(to) != "shim" && !test:
		j.say(where, "shim imports nothing of croft: leave out croft/%s", to)
	case target.floor > r.floor || target.floor == r.floor && tree(to) != tree(dir):
		j.say(where, "imports point down only: %s (floor %d) may not see croft/%s (floor %d); declare an interface where the concept lives and let a higher floor join them", dir, r.floor, to, target.floor)
	case r.pure && !target.pure && !test:
		j.say(where, "a pure package imports only pure ones: croft/%s is an adapter; declare an interface here instead", to)
	case strings.HasSuffix(to, "test") && !strings.HasSuffix(dir, "test") && !test:
		j.say(where, "croft/%s is for tests only", to)
	}
}

func tree(dir string) string { first, _, _ := strings.Cut(dir, "/"); return first }

func (j *judgement) purity(f *ast.File, imports map[string]string, at func(ast.Node) string) {
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			j.say(at(n), "a pure package starts no goroutine: return an effect")
		case *ast.SelectStmt:
			j.say(at(n), "a pure package waits for nothing: take an input")
		case *ast.SelectorExpr:
			p, name := selected(n, imports)
			if p == "time" && slices.Contains(impureTime, name) {
				j.say(at(n), "time.%s in a pure package: time comes in as the now of Step", name)
			}
			if (p == "math/rand" || p == "math/rand/v2") && !slices.Contains(seededRandom, name) {
				j.say(at(n), "%s.%s draws on global randomness: take a seeded *rand.Rand with the input", p, name)
			}
		}
		return true
	})
}

// selected returns the import path and the name of a selector on a package.
func selected(e *ast.SelectorExpr, imports map[string]string) (string, string) {
	if id, ok := e.X.(*ast.Ident); ok {
		return imports[id.Name], e.Sel.Name
	}
	return "", ""
}

// tests holds the rules for test files, and gathers what may name a testdata file.
func (j *judgement) tests(dir string, f *ast.File, imports map[string]string, at func(ast.Node) string) {
	var bubbles []ast.Node // calls of synctest.Test, in which sleeping costs no time
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			if e, ok := n.Fun.(*ast.SelectorExpr); ok {
				if p, name := selected(e, imports); p == "testing/synctest" && name == "Test" {
					bubbles = append(bubbles, n)
				}
			}
		case *ast.FuncDecl:
			j.words[dir] = append(j.words[dir], "testdata/fuzz/"+n.Name.Name)
		case *ast.BasicLit:
			if w, err := strconv.Unquote(n.Value); err == nil && n.Kind == token.STRING {
				j.words[dir] = append(j.words[dir], strings.TrimSuffix(w, "/"))
			}
		case *ast.SelectorExpr:
			if p, name := selected(n, imports); p == "time" && name == "Sleep" {
				inside := slices.ContainsFunc(bubbles, func(b ast.Node) bool { return b.Pos() <= n.Pos() && n.End() <= b.End() })
				if !inside {
					j.say(at(n), "time.Sleep in a test: wait on an event with a deadline, or use testing/synctest")
				}
			}
		}
		return true
	})
}

// testdata wants each file under testdata named by a test of its package: by
// path, by base name, by a pattern, or by a directory above it.
func (j *judgement) testdata(s source) {
	dir, rel, ok := strings.Cut(s.path, "/testdata/")
	if !ok {
		return
	}
	rel = "testdata/" + rel
	used := slices.ContainsFunc(j.words[dir], func(w string) bool {
		if w == rel || w == path.Base(rel) || strings.HasPrefix(w, "testdata") && strings.HasPrefix(rel, w+"/") {
			return true
		}
		if !strings.Contains(w, ".") { // a bare * names nothing
			return false
		}
		whole, _ := path.Match(w, rel)
		last, _ := path.Match(w, path.Base(rel))
		return whole || last
	})
	if !used {
		j.say(s.path, "no test of %s names it: use it or delete it", dir)
	}
}

// Every rule is broken once here, so that none of them passes by not looking.
func TestArchitectureRules(t *testing.T) {
	const spdx = "// SPDX-License-Identifier: Apache-2.0\n\n"
	pkg := func(name, text string) source {
		return source{name, spdx + "// Package p is documented.\npackage p\n" + text}
	}
	uses := pkg("dht/p_test.go", "var _ = []string{\"testdata/a\", \"*.txt\", \"one.json\"}\nfunc FuzzX() {}\n")
	for _, c := range []struct {
		want  string // part of a complaint, or empty for none
		files []source
	}{
		{"", []source{pkg("lease/a.go", `import ("net/netip"; "time"; "github.com/fxamacker/cbor/v2"); var _ = time.Unix`)}},
		{"", []source{pkg("dht/kad/a.go", `import ("croft/dht"; "croft/lease"; "os"; "github.com/libp2p/go-libp2p"); func f() { go f() }`)}},
		{"", []source{pkg("node/a.go", `import ("math/rand/v2"; "croft/dht"); var _ = rand.New`)}},
		{"", []source{pkg("gossip/a_test.go", `import ("os"; "croft/lease/leasetest"); func f() { go f() }`)}},
		{"", []source{pkg("dht/a_test.go", `import ("testing/synctest"; "time"); func f() { synctest.Test(nil, func() { time.Sleep(1) }) }`)}},
		{"", []source{uses, {path: "dht/testdata/a/b/c.bin"}, {path: "dht/testdata/x.txt"}, {path: "dht/testdata/one.json"}, {path: "dht/testdata/fuzz/FuzzX/1"}}},
		{"", []source{{"x.sh", "#!/bin/sh\n# SPDX-License-Identifier: Apache-2.0\n"}}},
		{"", []source{{"ebpf/kernel/v.h", "// Code generated by bpftool.\n" + strings.Repeat("\n", 700)}}},

		{"dht/x: is in no floor", []source{pkg("dht/x/a.go", "")}},
		{"util: is named for no concept", []source{{"sim/util/a_test.go", spdx + "package util\n"}}},
		{"no package comment", []source{{"dht/a.go", spdx + "package dht\n"}}},
		{"no SPDX header", []source{{"ebpf/kernel/a.c", "int x;\n"}}},
		{"no SPDX header", []source{{"x.sh", "#!/bin/bash\necho\n"}}},
		{"601 lines", []source{{"x.sh", "# SPDX-License-Identifier: Apache-2.0" + strings.Repeat("\n", 601)}}},
		{"does not parse", []source{{"dht/a.go", spdx + "package\n"}}},
		{"lease/a.go:6: imports point down only", []source{pkg("lease/a.go", "\nimport _ \"croft/dht\"")}},
		{"imports point down only", []source{pkg("dht/a.go", `import _ "croft/gossip"`)}},
		{"imports point down only", []source{pkg("dht/a_test.go", `import _ "croft/gossip"`)}},
		{"imports point down only", []source{pkg("dht/kad/a.go", `import _ "croft/gossip/pubsub"`)}},
		{"imports point down only", []source{pkg("node/wire/a.go", `import _ "croft/node/daemon"`)}},
		{"imports only pure ones", []source{pkg("node/a.go", `import _ "croft/dht/kad"`)}},
		{"imports only pure ones", []source{pkg("lease/a.go", `import _ "croft/lease/leasetest"`)}},
		{"for tests only", []source{pkg("dht/kad/a.go", `import _ "croft/lease/leasetest"`)}},
		{"in no floor", []source{pkg("dht/a.go", `import _ "croft/lease/nowhere"`)}},
		{"imported only by", []source{pkg("node/api/a.go", `import _ "github.com/libp2p/go-libp2p"`)}},
		{"imported only by", []source{pkg("ebpf/net/a.go", `import _ "github.com/cilium/ebpf/link"`)}},
		{"what its room lists", []source{pkg("sandbox/a.go", `import _ "golang.org/x/sys/unix"`)}},
		{"std only", []source{pkg("shim/a.go", `import _ "golang.org/x/sys/unix"`)}},
		{"nothing of croft", []source{pkg("shim/a.go", `import _ "croft/lease"`)}},
		{"does without net/http:", []source{pkg("dht/a.go", `import _ "net/http"`)}},
		{"does without sync", []source{pkg("dht/a.go", `import _ "sync"`)}},
		{"time.Now in a pure", []source{pkg("dht/a.go", `import clock "time"; var _ = clock.Now`)}},
		{"global randomness", []source{pkg("dht/a.go", `import "math/rand/v2"; var _ = rand.IntN(1)`)}},
		{"no goroutine", []source{pkg("dht/a.go", `func f() { go f() }`)}},
		{"waits for nothing", []source{pkg("dht/a.go", `func f() { select {} }`)}},
		{"time.Sleep in a test", []source{pkg("dht/a_test.go", `import "time"; func f() { time.Sleep(1) }`)}},
		{"no test of dht names it", []source{uses, {path: "dht/testdata/b.json"}}},
		{"no test of dht names it", []source{uses, {path: "dht/testdata/fuzz/FuzzY/1"}}},
	} {
		got := judge(c.files)
		if c.want == "" && len(got) != 0 || c.want != "" && !slices.ContainsFunc(got, func(g string) bool { return strings.Contains(g, c.want) }) {
			t.Errorf("%s\n%s\ngot %q, want %q", c.files[0].path, c.files[0].text, got, c.want)
		}
	}
}
