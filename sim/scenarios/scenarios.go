// SPDX-License-Identifier: Apache-2.0

// Package scenarios holds the scenarios that Croft ships, by name: each shows one
// thing that must hold, and fails if it does not.
//
//	text, err := scenarios.Text("join")
//
// They are files beside this one, NAME.sim, and never change while a program runs.
package scenarios

import (
	"embed"
	"errors"
	"fmt"
	"strings"
)

//go:embed *.sim
var files embed.FS

// ErrName: no scenario of that name is shipped.
var ErrName = errors.New("no such scenario")

// Names returns the names, sorted.
func Names() (names []string) {
	list, err := files.ReadDir(".")
	if err != nil {
		panic(err) // it is in the binary
	}
	for _, f := range list {
		names = append(names, strings.TrimSuffix(f.Name(), ".sim"))
	}
	return names
}

// Text returns a scenario. The error is ErrName.
func Text(name string) (string, error) {
	b, err := files.ReadFile(name + ".sim")
	if err != nil {
		return "", fmt.Errorf("%q: %w", name, ErrName)
	}
	return string(b), nil
}

// About returns what a scenario shows: its first line.
func About(text string) string {
	first, _, _ := strings.Cut(text, "\n")
	return strings.TrimSpace(strings.TrimLeft(first, "# "))
}
