// SPDX-License-Identifier: Apache-2.0

package bypass

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Whoever adds a way for the node to move bytes for slivers adds its line.
func TestEveryChannelHasALine(t *testing.T) {
	var routes []string
	for _, c := range Channels {
		routes = append(routes, c.Routes...)
	}
	files, err := filepath.Glob("../../node/api/*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no routes: %v, %v", files, err)
	}
	raw := regexp.MustCompile(`(?s)\braw\(api, .*?OperationID: "(\w+)"`)
	found := 0
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range raw.FindAllStringSubmatch(string(text), -1) {
			if found++; !slices.Contains(routes, m[1]) {
				t.Errorf("operation %s of the node's interface carries bytes and has no line in Channels", m[1])
			}
		}
	}
	if found == 0 {
		t.Error("no operation carries bytes: this test looks for them in the wrong way")
	}
}

func TestChannelsAreTried(t *testing.T) {
	names := map[string]bool{}
	for _, c := range Channels {
		if c.Name == "" || names[c.Name] {
			t.Errorf("channel %q twice", c.Name)
		}
		names[c.Name] = true
		said := 0
		for _, s := range []string{c.Item, c.Test, c.Open} {
			if s != "" {
				said++
			}
		}
		if said != 1 {
			t.Errorf("%s: want one of an item, a test, and what is open: %+v", c.Name, c)
		}
		if c.Item != "" {
			if _, err := Select([]string{c.Item}); err != nil {
				t.Errorf("%s: %v", c.Name, err)
			}
		}
		if c.Test != "" && !declared(t, c.Test) {
			t.Errorf("%s: there is no test %s", c.Name, c.Test)
		}
	}
	if !declared(t, "ebpf/bypass.TestChannelsAreTried") || declared(t, "ebpf/bypass.TestNobody") {
		t.Error("tests are not found")
	}
}

// declared looks for directory.TestName in the repository.
func declared(t *testing.T, test string) bool {
	t.Helper()
	dot := strings.LastIndex(test, ".")
	files, err := filepath.Glob(filepath.Join("../..", test[:dot], "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(files, func(f string) bool {
		text, err := os.ReadFile(f)
		return err == nil && strings.Contains(string(text), "func "+test[dot+1:]+"(")
	})
}
