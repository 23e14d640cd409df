// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// docs/policy.md explains every key, and the help page on the command line
// shows it.
func TestEveryKeyIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	help, err := os.ReadFile("../../cmd/croft/topics.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range slices.Concat(topKeys, timeKeys, poolKeys, giveKeys, mechanisms) {
		if !strings.Contains(string(page), "`"+key) && !strings.Contains(string(page), "["+key) && !strings.Contains(string(page), " "+key+" = ") {
			t.Errorf("docs/policy.md has no %s", key)
		}
		if !strings.Contains(string(help), key) {
			t.Errorf("`croft help policy-file` has no %s", key)
		}
	}
}
