// SPDX-License-Identifier: Apache-2.0

package report

import "time"

const (
	// MaxSlots bounds a course: more points than a plot has pixels show nothing.
	MaxSlots = 600

	// firstSlot is how wide slots are in a run that is not longer than MaxSlots of
	// them; then they double.
	firstSlot = time.Second

	// maxHandles bounds the handles of one group. What a stranger says may name one;
	// those past the bound are counted together, as "other".
	maxHandles = 64

	// maxBreaches is how many are told; the others are counted.
	maxBreaches = 10

	// classBits makes classes of a distribution 2^-7 of their members wide.
	classBits = 7
)
