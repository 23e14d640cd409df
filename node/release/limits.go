// SPDX-License-Identifier: Apache-2.0

package release

import "time"

const (
	// MaxText is the size in bytes of a release with its signatures: builds and signatures
	// take some 130 each. It has room in a line of a role.
	MaxText = 8 << 10

	// MaxBuilds is the number of platforms, MaxSignatures that of publishers who sign.
	MaxBuilds     = 16
	MaxSignatures = 16

	// MaxNote is the size in bytes of what is said to a person: a line.
	MaxNote = 300

	// MaxBuild is the size in bytes of a build: ten times what one has today.
	MaxBuild = 512 << 20

	// MaxTerm is how long a release may want to be believed: publishers who are gone for
	// longer cannot say that nothing has changed.
	MaxTerm = 400 * 24 * time.Hour

	// Skew is by how much a publisher's clock may be ahead of the node's.
	Skew = 10 * time.Minute

	// MaxTries is how often a release is tried whose trial was interrupted: by a machine
	// that went down, which may have been its doing.
	MaxTries = 3

	// MaxStarts is how often in a row what runs may start and not become healthy before
	// what ran earlier is started in its place.
	MaxStarts = 3

	// MaxFailed is how many failures are remembered, the newest.
	MaxFailed = 16

	// maxWhy is the size in bytes of a reason that is remembered.
	maxWhy = 300
)
