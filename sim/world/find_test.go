// SPDX-License-Identifier: Apache-2.0

package world

import "testing"

// Who asks is no match of his own question: neither of a page, nor the first.
func TestAskerIsNoMatch(t *testing.T) {
	for nodes, pages := range map[string]bool{"nodes 20": false, "nodes 21": true} {
		r := play(t, read(t, nodes+" profile=flat\njoin wave=30\nat 5s find view=off count=5 every=100ms\nend 9s\nexpect lookup success = 1\n"))
		if !r.OK() {
			t.Errorf("%s: %+v", nodes, r.Expects)
		}
		if _, any := r.Value("page", "", "p50"); any != pages {
			t.Errorf("%s, one of which asks: pages of 20 others: %t", nodes, any)
		}
	}
}
