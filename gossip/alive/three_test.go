// SPDX-License-Identifier: Apache-2.0

package alive

import "testing"

// Of three that follow one another and die at once, no site that stands right before them
// says anything, as it takes that for a fault of its own: most of those that it probes are
// silent. Whoever probes only two of them says so, and leaves them out by itself, also when
// no other site does. That is what docs/protocol/alive.md promises.
func TestOfThreeThatDieAtOnce(t *testing.T) {
	for _, c := range []struct {
		name  string
		dead  []int
		told  int
		stand Standing
	}{
		{"three of its five", []int{1, 2, 3}, 0, Present},
		{"two of its five, and one beyond", []int{4, 5, 6}, 3, Absent},
		{"two of its five", []int{4, 5}, 2, Absent},
	} {
		v := newVillage(t, 14)
		for _, i := range c.dead {
			v.down[v.id(i)] = true
		}
		v.run(8 * Period)
		if len(v.told) != c.told {
			t.Errorf("%s: %d are told of", c.name, len(v.told))
		}
		for _, i := range c.dead {
			v.stand(i, c.stand)
		}
	}
}
