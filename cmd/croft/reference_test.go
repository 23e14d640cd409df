// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

// The reference in docs/ is what the commands say now.
func TestReferenceIsCurrent(t *testing.T) {
	want, err := os.ReadFile("../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	writeReference(&got, new(app).root())
	if !bytes.Equal(got.Bytes(), want) {
		t.Error("docs/cli.md is not what the commands say: run `make generate`")
	}
}

// Every command says what it does, and how it is used.
func TestEveryCommandIsExplained(t *testing.T) {
	for _, c := range everyCommand(new(app).root()) {
		if c.Short == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: short help %q", c.CommandPath(), c.Short)
		}
		if !c.HasSubCommands() && c.Runnable() && c.Args == nil && c.Name() != "help" {
			t.Errorf("%s takes any arguments", c.CommandPath())
		}
	}
}
