// SPDX-License-Identifier: Apache-2.0

package central

import "errors"

// ErrSetup: a setup or a workload that cannot be played.
var ErrSetup = errors.New("cannot be played")
