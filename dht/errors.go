// SPDX-License-Identifier: Apache-2.0

package dht

import "errors"

// ErrMessage: a message that the index protocol does not allow.
var ErrMessage = errors.New("no message of the index protocol")
