// SPDX-License-Identifier: Apache-2.0

package shim

import (
	"encoding/json"
	"errors"
	"net/http"
)

// What a [Refusal] can be. Each matches ErrRefused too.
var (
	ErrRefused    = errors.New("refused by the node")
	ErrNotAllowed = errors.New("not allowed")            // by the slice's owner, or by the lease
	ErrBusy       = errors.New("too often, or too many") // ask again later, and more seldom
	ErrNotKnown   = errors.New("not known")              // such as the record of a slice
	ErrNotRunning = errors.New("the sliver is not running")
	ErrNotNow     = errors.New("not now") // the node is stopping, or nobody fills the role: ask again
)

// Refusal is an answer of the node that is none.
type Refusal struct {
	Status int    // of HTTP
	Text   string // why, a sentence
}

func (r *Refusal) Error() string { return ErrRefused.Error() + ": " + r.Text }

// Is reports whether the refusal is of a kind.
func (r *Refusal) Is(kind error) bool {
	if kind == ErrRefused {
		return true
	}
	switch r.Status {
	case http.StatusForbidden:
		return kind == ErrNotAllowed
	case http.StatusTooManyRequests:
		return kind == ErrBusy
	case http.StatusNotFound, http.StatusGone:
		return kind == ErrNotKnown
	case http.StatusConflict:
		return kind == ErrNotRunning
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return kind == ErrNotNow
	}
	return false
}

// refusal reads a problem document.
func refusal(status int, document []byte) *Refusal {
	var p struct {
		Status int
		Detail string
	}
	if json.Unmarshal(document, &p) != nil || p.Detail == "" {
		return &Refusal{status, http.StatusText(status)}
	}
	if status == http.StatusOK { // of a stream, which had begun
		status = p.Status
	}
	return &Refusal{status, p.Detail}
}
