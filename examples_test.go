// SPDX-License-Identifier: Apache-2.0

package croft_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"testing"
)

// What is under examples is written as anybody could: of Croft it knows the shim alone.
func TestExamplesKnowTheShimAlone(t *testing.T) {
	seen := 0
	err := fs.WalkDir(os.DirFS("examples"), ".", func(name string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(name, ".go") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), "examples/"+name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, i := range f.Imports {
			path, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			seen++
			if path != "croft/shim" && (strings.HasPrefix(path, module) || strings.Contains(path, ".")) {
				t.Errorf("examples/%s imports %s", name, path)
			}
		}
		return nil
	})
	if err != nil || seen == 0 {
		t.Errorf("%d imports, %v", seen, err)
	}
}
