// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"errors"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"croft/lease"
)

// ErrUpdate says that a node does not change what it runs, and why.
var ErrUpdate = errors.New("nothing was changed")

// Updates is which release of Croft the node runs; the unix socket alone serves it.
type Updates interface {
	Updates(ctx context.Context) (Update, error)
	// Update does what the owner wants; the error is [ErrUpdate] with the reason.
	Update(ctx context.Context, wish UpdateWish) (Update, error)
}

// UpdateWish is what a node's owner wants.
type UpdateWish struct {
	Do      string `json:"do" enum:"check,apply,rollback,pin,unpin"`
	Release string `json:"release,omitempty" doc:"of check and apply: the signed text; none: who fills the role is asked, or the newest heard of" maxLength:"8192"`
	Binary  string `json:"binary,omitempty" doc:"of apply: path of the build on the node; none: it comes from other nodes" maxLength:"4096"`
	Version string `json:"version,omitempty" doc:"of pin; none: what runs" maxLength:"40"`
}

// Update is what a node runs, and what it knows of releases.
type Update struct {
	Running    string            `json:"running"`
	Platform   string            `json:"platform"`
	Publishers []lease.Principal `json:"publishers,omitempty" doc:"whom the owner believes; none: nothing is asked"`
	Need       int               `json:"need" doc:"how many of them have to sign"`
	Apply      string            `json:"apply" doc:"never, ask or auto"`
	Pin        string            `json:"pin,omitempty" doc:"the only version that is run"`
	Newest     *NewestRelease    `json:"newest,omitempty" doc:"heard of, and signed by enough publishers"`
	Why        string            `json:"why,omitempty" doc:"why the newest is not run by itself; absent: it can be"`
	Stale      bool              `json:"stale,omitempty" doc:"publishers wanted to be heard again by now"`
	Asked      *time.Time        `json:"asked,omitempty" doc:"when the role was asked last"`
	Fault      string            `json:"fault,omitempty" doc:"why that brought nothing"`
	Tenant     string            `json:"tenant,omitempty" doc:"who answered"`
	Instead    string            `json:"instead,omitempty" doc:"who was asked before, and why that was none"`
	Kept       []KeptRelease     `json:"kept,omitempty" doc:"what can run: current, previous, trial"`
	Failed     []FailedRelease   `json:"failed,omitempty" doc:"oldest first"`
	Begun      bool              `json:"begun,omitempty" doc:"the daemon is changing over"`
}

// NewestRelease is the newest release that a node believes.
type NewestRelease struct {
	Version string            `json:"version"`
	Said    time.Time         `json:"said"`
	Until   time.Time         `json:"until"`
	By      []lease.Principal `json:"by"`
	Note    string            `json:"note,omitempty"`
}

// KeptRelease is a build on the node's disk.
type KeptRelease struct {
	What    string       `json:"what" doc:"current, previous or trial"`
	Version string       `json:"version"`
	Digest  lease.Digest `json:"digest"`
}

// FailedRelease is a build that did not do.
type FailedRelease struct {
	Version string       `json:"version"`
	Digest  lease.Digest `json:"digest"`
	At      time.Time    `json:"at"`
	Why     string       `json:"why"`
}

func routeUpdates(api huma.API, u Updates) {
	type wish struct{ Body UpdateWish }
	route(api, "GET", "/v1/update", "updates", "What this node runs, and which releases it knows of",
		func(ctx context.Context, _ *none) (Update, error) { return u.Updates(ctx) })
	route(api, "POST", "/v1/update", "update", "Ask for a release, run it, go back, or stay with a version",
		func(ctx context.Context, i *wish) (Update, error) { return u.Update(ctx, i.Body) })
}
