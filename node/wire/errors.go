// SPDX-License-Identifier: Apache-2.0

package wire

import "errors"

var (
	// ErrHandshake: the other side did not prove who it is: garbage, a replay,
	// bytes altered on the way, or it took too long.
	ErrHandshake = errors.New("channel could not be secured")

	// ErrWrongNode: the other side proved to be somebody else than the target.
	ErrWrongNode = errors.New("another node answered")

	// ErrUnreachable: no pipe to the target node could be had.
	ErrUnreachable = errors.New("node cannot be reached")

	// ErrBusy: the bounds on pipes are used up.
	ErrBusy = errors.New("too many pipes")

	// ErrIdle: nothing moved in either direction for too long.
	ErrIdle = errors.New("pipe was idle for too long")

	// ErrPortTaken: another program listens on the port.
	ErrPortTaken = errors.New("port is in use")

	// ErrNotPrincipal: a peer id that is not an Ed25519 key.
	ErrNotPrincipal = errors.New("peer id is no principal")
)
