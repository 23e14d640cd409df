// SPDX-License-Identifier: Apache-2.0

package bypass

import "errors"

var (
	// ErrHole: an attack got more through than the lease allows.
	ErrHole = errors.New("a way around the limits")
	// ErrWeak: an attack could not be shown to be one, or did not send enough.
	ErrWeak = errors.New("nothing is proved")
	// ErrNoItem: no item of the suite has such a name.
	ErrNoItem = errors.New("no such item")

	// errSwept: somebody's sweep had a claim before it was locked.
	errSwept = errors.New("swept while it was claimed")
)
