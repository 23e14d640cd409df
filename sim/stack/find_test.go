// SPDX-License-Identifier: Apache-2.0

package stack

import "testing"

// Who asks is no match of his own question: 20 nodes have no page of 20 others.
func TestAskerIsNoMatch(t *testing.T) {
	r := play(t, "nodes 20 profile=flat\njoin wave=20\nat 20s find view=off count=3 every=500ms\nend 25s\nexpect lookup success = 1\n")
	if v, any := r.Value("page", "", "p50"); any {
		t.Errorf("a page came after %v s", v.Value)
	}
}
