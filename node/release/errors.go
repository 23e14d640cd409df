// SPDX-License-Identifier: Apache-2.0

package release

import "errors"

var (
	// ErrSyntax says that a text is no release, or no version.
	ErrSyntax = errors.New("not a release")
	// ErrSignature says that fewer publishers signed than the owner wants, or that a
	// signature does not hold.
	ErrSignature = errors.New("not signed by enough publishers")
	// ErrTerm says that a release is of the future, or that its publishers wanted to have
	// been heard again by now.
	ErrTerm = errors.New("out of its term")
	// ErrLower says that a version is lower than one that was heard of or runs.
	ErrLower = errors.New("lower than what was released before")
	// ErrTwo says that a version was signed twice, for other builds.
	ErrTwo = errors.New("another release of the same version")
	// ErrSame says that a release runs already.
	ErrSame = errors.New("it runs already")
	// ErrStep says that a release does not follow on what runs.
	ErrStep = errors.New("another release has to come first")
	// ErrPlatform says that a release has no build for a platform.
	ErrPlatform = errors.New("no build for this platform")
	// ErrFailed says that a release failed here before.
	ErrFailed = errors.New("it failed here before")
	// ErrPinned says that the owner wants another version.
	ErrPinned = errors.New("the owner pinned another version")
	// ErrTrial says that a release is being tried.
	ErrTrial = errors.New("a release is being tried")
	// ErrNothing says that there is nothing to go back to.
	ErrNothing = errors.New("no other version is kept")
)
