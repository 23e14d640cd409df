// SPDX-License-Identifier: Apache-2.0

package api

import (
	"errors"
	"net/http"
	"time"
)

// Bounds on what a caller can hold up by sending or reading slowly: each of its
// connections is one of few.
const (
	// headerLimit is the time that a caller has for a request's head, idleLimit
	// that between two requests. maxHeader is the size in bytes of a head: a
	// command in JSON and names.
	headerLimit = 10 * time.Second
	idleLimit   = 2 * time.Minute
	maxHeader   = 64 << 10

	// callLimit bounds a call. Its caller has so long to send the body, and as
	// net/http sees by reading on whether a caller is still there, the same
	// deadline ends the call's context: it leaves room for the longest answer, a
	// walk through the index, and is what our own clients wait.
	callLimit = 30 * time.Second

	// answerLimit is the time for a call and for its answer to be read.
	answerLimit = 2 * callLimit

	// patience is how long a node waits for more of a part of a blob, or for
	// room to write more of a log: both may take hours, and neither may stall.
	patience = 30 * time.Second

	// checkLimit is the time for a blob that has arrived to be checked: the
	// largest, from a slow disk.
	checkLimit = 10 * time.Minute
)

// Server returns a server of h with these bounds. Routes that stream have their
// own, and connections that are taken over have none.
func Server(h http.Handler) *http.Server {
	return &http.Server{Handler: h, ReadHeaderTimeout: headerLimit, ReadTimeout: callLimit, WriteTimeout: answerLimit,
		IdleTimeout: idleLimit, MaxHeaderBytes: maxHeader}
}

// wait sets deadlines on a request's connection, none for a zero time. A
// connection that can have none is one in a test.
func wait(w http.ResponseWriter, read, write time.Time) error {
	control := http.NewResponseController(w)
	err := errors.Join(control.SetReadDeadline(read), control.SetWriteDeadline(write))
	if errors.Is(err, http.ErrNotSupported) {
		return nil
	}
	return err
}
