// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"

	"github.com/danielgtaylor/huma/v2"
)

// Share says how much of something is its founders'.
type Share string

const (
	ShareAll  Share = "all"  // nobody else has it
	ShareSome Share = "some" // others have it too
	ShareNone Share = "none"
)

// Dependence is one thing on which a node depends that somebody had to build or run
// first: who has it now, and who would have it next. It was found by asking.
type Dependence struct {
	Kind     string  `json:"kind" doc:"role, contacts, neighbours, relays, binary, protocol"`
	Name     string  `json:"name"`
	Founders Share   `json:"founders" doc:"how much of it is the founders': all, some, none"`
	Holder   string  `json:"holder" doc:"who has it now, of those who answered"`
	Took     float64 `json:"took_ms,omitempty" doc:"until he did"`
	Without  string  `json:"without" doc:"what happens if that vanishes this minute"`
	Lost     bool    `json:"lost" doc:"nobody takes its place"`
}

// Obsolescence is what a node depends on.
type Obsolescence interface {
	// Obsolescence asks everybody anew.
	Obsolescence(ctx context.Context) ([]Dependence, error)
}

func routeObsolescence(api huma.API, o Obsolescence) {
	route(api, "GET", "/v1/obsolescence", "obsolescence", "On what and whom this node depends, and who is next, by asking them now",
		func(ctx context.Context, _ *none) ([]Dependence, error) { return o.Obsolescence(ctx) })
}
