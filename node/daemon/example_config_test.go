// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

// The example is a file that croft up takes, it has every key there is, and so
// does the document.
func TestExampleConfig(t *testing.T) {
	cfg, err := ReadConfig(DefaultConfig(), "../../examples/croft.toml")
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Name != "uni-a/n1" || cfg.Labels["ixp"] != "yes" || cfg.Bounds.Places != 64 {
		t.Errorf("read %+v", cfg)
	}
	example, err := os.ReadFile("../../examples/croft.toml")
	if err != nil {
		t.Fatal(err)
	}
	document, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range append(keys(reflect.TypeFor[file]()), keys(reflect.TypeFor[Attributes]())...) {
		if !strings.Contains(string(example), "\n"+key+" = ") && !strings.Contains(string(example), "\n["+key+"]") {
			t.Errorf("examples/croft.toml has no %s", key)
		}
		if !strings.Contains(string(document), "`"+key+"`") && !strings.Contains(string(document), "`["+key+"]`") {
			t.Errorf("docs/configuration.md has no %s", key)
		}
	}
}

func keys(t reflect.Type) (names []string) {
	for _, f := range reflect.VisibleFields(t) {
		names = append(names, f.Tag.Get("toml"))
	}
	return names
}
