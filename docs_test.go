// SPDX-License-Identifier: Apache-2.0

package croft_test

import (
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"

	"croft/lease"
	"croft/sandbox"
)

// longest says how long a document may be where a reader is to finish it.
var longest = map[string]int{"README.md": 150, "docs/architecture.md": 60}

const (
	longestProtocol = 120 // a page of docs/protocol; claims.md has its own measure
	longestDecision = 25
)

var (
	link     = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading  = regexp.MustCompile(`(?m)^#+ +(.+)$`)
	codeSpan = regexp.MustCompile("(?s)```.*?```|`[^`\n]*`")
	// Paths that mean something on one machine only.
	machinePath = regexp.MustCompile(`(/home/[a-z]|/root/|/Users/|/tmp/[a-z])`)
	decision    = regexp.MustCompile(`^docs/decisions/20\d{6}-[a-z0-9-]+\.md$`)
)

// documents returns every Markdown file by its path.
func documents(t *testing.T) map[string]string {
	t.Helper()
	docs := map[string]string{}
	err := fs.WalkDir(os.DirFS("."), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != "." && (strings.HasPrefix(path.Base(name), ".") || name == "build"):
			return fs.SkipDir
		case d.IsDir() || path.Ext(name) != ".md":
			return nil
		}
		b, err := os.ReadFile(name)
		docs[name] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return docs
}

// anchor is the fragment by which a heading is reached.
func anchor(heading string) string {
	var b strings.Builder
	for _, c := range strings.ToLower(heading) {
		switch {
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_':
			b.WriteRune(c)
		case c == ' ':
			b.WriteByte('-')
		}
	}
	return b.String()
}

// faults returns what is wrong with one document of several.
func faults(name string, docs map[string]string, exists func(string) bool) (out []string) {
	text := docs[name]
	for _, m := range link.FindAllStringSubmatch(codeSpan.ReplaceAllString(text, ""), -1) {
		if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
			continue
		}
		file, fragment, _ := strings.Cut(m[1], "#")
		to := name
		if file != "" {
			to = path.Join(path.Dir(name), file)
		}
		if !exists(to) {
			out = append(out, name+": link to "+m[1]+", which is not there")
			continue
		}
		if fragment == "" {
			continue
		}
		found := false
		for _, h := range heading.FindAllStringSubmatch(docs[to], -1) {
			found = found || anchor(h[1]) == fragment
		}
		if !found {
			out = append(out, name+": link to "+m[1]+", which has no such heading")
		}
	}
	if m := machinePath.FindString(text); m != "" {
		out = append(out, name+": a path of one machine ("+m+"…)")
	}
	limit := longest[name]
	switch path.Dir(name) {
	case "docs/protocol":
		if path.Base(name) != "claims.md" {
			limit = longestProtocol
		}
	case "docs/decisions":
		limit = longestDecision
		if !decision.MatchString(name) {
			out = append(out, name+": want a name like docs/decisions/20261123-name.md")
		}
		for _, part := range []string{"## Context", "## Decision", "## Consequences"} {
			if !strings.Contains(text, "\n"+part+"\n") {
				out = append(out, name+": no "+part)
			}
		}
	}
	if n := strings.Count(text, "\n"); limit > 0 && n > limit {
		out = append(out, name+": longer than it may be")
	}
	return out
}

func TestDocuments(t *testing.T) {
	docs := documents(t)
	for _, must := range []string{"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/security.md"} {
		if docs[must] == "" {
			t.Errorf("%s is not there", must)
		}
	}
	exists := func(name string) bool { _, err := os.Stat(name); return err == nil }
	for name := range docs {
		for _, fault := range faults(name, docs, exists) {
			t.Error(fault)
		}
	}
}

// Every rule about documents is broken once.
func TestDocumentRules(t *testing.T) {
	decided := "# a\n\n## Context\n\n## Decision\n\n## Consequences\n"
	docs := map[string]string{
		"a.md":                          "# One thing, two\n[b](docs/b.md) [self](#one-thing-two) [web](https://x/y) `[c](c.md)`\n",
		"docs/b.md":                     "[a](../a.md#one-thing-two)\n",
		"docs/decisions/20261123-ok.md": decided,
		"broken.md":                     "[x](nowhere.md)\n",
		"fragment.md":                   "[x](a.md#two)\n",
		"path.md":                       "see /home/me/croft\n",
		"README.md":                     strings.Repeat("\n", 151),
		"docs/protocol/x.md":            strings.Repeat("\n", 121),
		"docs/decisions/name.md":        decided,
		"docs/decisions/20261123-x.md":  "# x\n",
	}
	exists := func(name string) bool { _, ok := docs[name]; return ok }
	for name, want := range map[string]string{
		"a.md": "", "docs/b.md": "", "docs/decisions/20261123-ok.md": "",
		"broken.md": "not there", "fragment.md": "no such heading", "path.md": "one machine",
		"README.md": "longer", "docs/protocol/x.md": "longer",
		"docs/decisions/name.md": "want a name", "docs/decisions/20261123-x.md": "no ## Context",
	} {
		got := strings.Join(faults(name, docs, exists), "\n")
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

// The tables of docs/lifecycle.md are the code's.
func TestLifecycleIsTheCode(t *testing.T) {
	text := documents(t)["docs/lifecycle.md"]
	for name, table := range map[string]string{"a lease": lease.Transitions(), "a sliver": sandbox.Transitions()} {
		if table == "" || !strings.Contains(text, "```\n"+table+"```\n") {
			t.Errorf("docs/lifecycle.md: the table of %s should be:\n%s", name, table)
		}
	}
}

// The README names every package that scripts/setup installs.
func TestPackagesAreDocumented(t *testing.T) {
	b, err := os.ReadFile("scripts/setup")
	if err != nil {
		t.Fatal(err)
	}
	lists := regexp.MustCompile(`(?s)\n(to|for)_[a-z_]+='\n(.*?)'`).FindAllStringSubmatch(string(b), -1)
	if len(lists) < 4 {
		t.Fatalf("%d lists of packages in scripts/setup", len(lists))
	}
	readme := documents(t)["README.md"]
	for _, list := range lists {
		for line := range strings.Lines(list[2]) {
			name := strings.Fields(line)[0]
			if !regexp.MustCompile(`\b` + regexp.QuoteMeta(name) + `\b`).MatchString(readme) {
				t.Errorf("README.md does not name %s, which scripts/setup installs", name)
			}
		}
	}
}
