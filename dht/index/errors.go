// SPDX-License-Identifier: Apache-2.0

package index

import "errors"

// ErrNoHolder: nobody took or answered what was asked.
var ErrNoHolder = errors.New("no holder of the index answered")
