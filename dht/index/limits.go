// SPDX-License-Identifier: Apache-2.0

package index

import "time"

const (
	// askTimeout bounds one request with dialling.
	askTimeout = 3 * time.Second
	// serveTimeout bounds one inbound stream.
	serveTimeout = 5 * time.Second
	// maxServed bounds the inbound requests under way; more are reset.
	maxServed = 64
	// maxServedNetwork bounds those of one source network, so that it does not keep
	// the others out.
	maxServedNetwork = maxServed / 4
)
