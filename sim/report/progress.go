// SPDX-License-Identifier: Apache-2.0

package report

import "time"

// Progress is how far a run is.
type Progress struct {
	Now, End time.Duration // of the run's own time
	Events   uint64        // 0: this world does not count them
	Up       int           // nodes
}
