// SPDX-License-Identifier: Apache-2.0

package verdict

import "errors"

var (
	// ErrProgram: an object that no node takes; the text says why.
	ErrProgram = errors.New("packet program refused")
	// ErrFull: there are [MaxPrograms] already.
	ErrFull = errors.New("as many packet programs are loaded as may be")
	// ErrUnknown: a program that is not loaded.
	ErrUnknown = errors.New("no such packet program is loaded")
)

// errSlow is why a loader is ended whose time is up.
var errSlow = errors.New("reading and verifying it took too long")
