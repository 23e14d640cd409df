// SPDX-License-Identifier: Apache-2.0

package dht

import "errors"

var (
	// ErrMessage: a message that the index protocol does not allow.
	ErrMessage = errors.New("no message of the index protocol")
	// ErrRecordKey: a slice record under the key of another slice.
	ErrRecordKey = errors.New("record is of another slice")
)
