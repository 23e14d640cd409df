// SPDX-License-Identifier: Apache-2.0

package gossip

import "errors"

// ErrPage: a pull or its answer is larger than the protocol allows.
var ErrPage = errors.New("page is too big")
