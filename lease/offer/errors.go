// SPDX-License-Identifier: Apache-2.0

package offer

import "errors"

var (
	// ErrCertificate: the site certificate does not hold. Not every honest node
	// need agree on that at every time, so it is no reason to punish a forwarder.
	ErrCertificate = errors.New("site certificate does not hold")
	// ErrExpired: past its validity.
	ErrExpired = errors.New("offer has expired")
	// ErrEarly: made further in the future than clocks may differ.
	ErrEarly = errors.New("offer is from the future")
	// ErrQuery is matched by every error of [ParseQuery].
	ErrQuery = errors.New("query does not parse")
)
