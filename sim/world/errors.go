// SPDX-License-Identifier: Apache-2.0

package world

import "errors"

// ErrCannot: the scenario wants what this world does not have.
var ErrCannot = errors.New("this world cannot do that")
