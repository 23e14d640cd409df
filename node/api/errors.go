// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"croft/lease/offer"
)

// What can be wrong with a call. Each has an HTTP status of its own.
var (
	ErrBadRequest  = errors.New("bad request")
	ErrNoSliver    = errors.New("no such sliver of yours on this node")
	ErrNotRunning  = errors.New("the sliver is not running")
	ErrNoProof     = errors.New("this node keeps no such proof")
	ErrNoOptOut    = errors.New("this address did not opt out, as far as this node knows")
	ErrNoHead      = errors.New("this node has signed no head of its record yet")
	ErrNoLease     = errors.New("you have no lease on this node")
	ErrNotGranted  = errors.New("the slice's owner does not let you")
	ErrNoRecord    = errors.New("no record of that slice is known")
	ErrVisitor     = errors.New("this node is a visitor and hosts nothing")
	ErrUnreachable = errors.New("cannot reach the node")
	ErrNoRoom      = errors.New("the sliver's lease has no room for it")
	ErrQuota       = errors.New("over the quota")
	ErrOffset      = errors.New("wrong offset")
	ErrNoFetch     = errors.New("this node fetches nothing from others")
	ErrBusy        = errors.New("too many requests at once")
	ErrStopping    = errors.New("the node is stopping")
	ErrUpgrade     = errors.New("this route is a connection")
	ErrPolicy      = errors.New("the policy is refused, and the old one stays in force")
	ErrAgain       = errors.New("the node could not write it down; ask again")
)

var statuses = []struct {
	err    error
	status int
}{
	{ErrBadRequest, http.StatusBadRequest},
	{offer.ErrQuery, http.StatusBadRequest},
	{ErrNoSliver, http.StatusNotFound},
	{ErrNoProof, http.StatusNotFound},
	{ErrNoOptOut, http.StatusNotFound},
	{ErrNoHead, http.StatusNotFound},
	{ErrNoCharge, http.StatusNotFound},
	{ErrNotKept, http.StatusForbidden},
	{ErrNotRunning, http.StatusConflict},
	{ErrNoLease, http.StatusForbidden},
	{ErrNotGranted, http.StatusForbidden},
	{ErrNoRecord, http.StatusGone},
	{ErrVisitor, http.StatusNotImplemented},
	{ErrUnreachable, http.StatusBadGateway},
	{ErrNoRoom, http.StatusForbidden},
	{ErrQuota, http.StatusInsufficientStorage},
	{ErrOffset, http.StatusConflict},
	{ErrNoFetch, http.StatusNotImplemented},
	{ErrBusy, http.StatusTooManyRequests},
	{ErrStopping, http.StatusServiceUnavailable},
	{ErrUpgrade, http.StatusUpgradeRequired},
	{ErrPolicy, http.StatusUnprocessableEntity},
	{ErrAgain, http.StatusServiceUnavailable},
	{ErrNobody, http.StatusServiceUnavailable},
	{ErrNoRole, http.StatusNotFound},
	{ErrRole, http.StatusConflict},
	{ErrUpdate, http.StatusConflict},
	{context.DeadlineExceeded, http.StatusGatewayTimeout},
	{context.Canceled, http.StatusGatewayTimeout}, // who is still there to read it has met callLimit
}

func statusOf(err error) int {
	for _, s := range statuses {
		if errors.Is(err, s.err) {
			return s.status
		}
	}
	return http.StatusInternalServerError
}

// maxDetail is the size in bytes of the sentence in a problem document: quoted,
// it still fits into a frame.
const maxDetail = 4 << 10

// problem makes a problem document of an error; its sentence is the detail.
func problem(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	return huma.NewError(statusOf(err), text[:min(len(text), maxDetail)])
}
