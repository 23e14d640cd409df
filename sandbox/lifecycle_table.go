// SPDX-License-Identifier: Apache-2.0

package sandbox

// transitions is the whole life of a sliver. A state that is not named on the
// left is an end.
var transitions = map[State][]State{
	Created:  {Starting, Stopping},
	Starting: {Running, Failed, Stopping},
	Running:  {Stopped, Stopping},
	Stopped:  {Stopping},
	Failed:   {Gone},
	Stopping: {Gone},
}

func (s State) mayBecome(to State) bool {
	for _, next := range transitions[s] {
		if next == to {
			return true
		}
	}
	return false
}

// ending reports that a Teardown is under way or done.
func (s State) ending() bool { return s == Stopping || s == Failed || s == Gone }
