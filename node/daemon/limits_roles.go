// SPDX-License-Identifier: Apache-2.0

package daemon

const (
	// maxRoleFacts is the number of decisions about a role in its journal, before it is
	// shortened to those that have a bearing still.
	maxRoleFacts = 1024

	// maxOpened is the number of offers that were verified and are not again, when
	// another answer brings them: some thousand nodes' newest.
	maxOpened = 4096

	// compared is how many of the first offers of two answers are compared: who asks
	// for more looks at no more.
	compared = 20

	// maxSource is the size in bytes of what a tenant calls where an offer is from.
	maxSource = 16
)
