// SPDX-License-Identifier: Apache-2.0

package binomial

const (
	// pace is the seconds from one trial to the next, in the first half of which
	// what was redeemed is leased: trials do not meet.
	pace = 20

	// maxTickets bounds the tickets of one agent: a slot for each in every group.
	maxTickets = 2048
)
