// SPDX-License-Identifier: Apache-2.0

package audit

import "time"

const (
	// MaxRows bounds the rows of one answer: what one message carries. An
	// answer that was cut says so.
	MaxRows = 4096

	// MaxWithin bounds a question's uncertainty of time, so that it cannot ask
	// for everything.
	MaxWithin = time.Hour

	// MaxTenure is the size in bytes of an encoded tenure: names, and the most
	// ports that a lease has.
	MaxTenure = 1024

	// MaxTenures is how many tenures a node keeps at once: every place given
	// away anew each minute for a week, with 64 places.
	MaxTenures = 1 << 20

	// MaxHead is the size in bytes of a signed head. One takes under 170.
	MaxHead = 256

	// MaxSegments bounds the log of one node: one segment a second for 34,000
	// years, and sums stay far from 64 bits.
	MaxSegments = 1 << 40
)
