// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// What can be wrong with an owner's wish about a role.
var (
	ErrNoRole = errors.New("no such role")
	ErrRole   = errors.New("it is not done")

	// ErrNobody says that no tenant of a role answers.
	ErrNobody = errors.New("nobody answers")
)

// Roles is who fills the management jobs of this node.
type Roles interface {
	Roles(ctx context.Context) ([]Role, error)
	// Decide does what the owner wants with a role; the error is [ErrNoRole] or
	// [ErrRole], with the reason.
	Decide(ctx context.Context, role string, wish RoleWish) (Role, error)
	// AskRole puts a question to a role, as its page has them.
	AskRole(ctx context.Context, role, call string, ask json.RawMessage) (RoleAnswer, error)
}

// RoleAnswer is what a role decided, verified.
type RoleAnswer struct {
	Answer  json.RawMessage `json:"answer" doc:"as on the role's page"`
	Tenant  string          `json:"tenant" doc:"who answered"`
	Instead string          `json:"instead,omitempty" doc:"who was asked before, and why that was none"`
	Own     bool            `json:"own,omitempty" doc:"the node's owner says so himself"`
}

// RoleWish is what a node's owner wants with a role.
type RoleWish struct {
	Do     string `json:"do" enum:"try,drop,promote,demote"`
	Tenant string `json:"tenant,omitempty" doc:"builtin, or a slice as label@owner; not of demote" maxLength:"130"`
}

// Role is one management job and who fills it.
type Role struct {
	Role     string            `json:"role"`
	Version  int               `json:"version" doc:"of its protocol; 0: it cannot be handed over yet"`
	Question string            `json:"question"`
	Leaves   string            `json:"leaves,omitempty" doc:"what a tenant that is not built in is told"`
	Compared string            `json:"compared,omitempty" doc:"how agreement is told"`
	Share    string            `json:"share,omitempty" doc:"whose requests a challenger gets copies of: own, all"`
	Rule     string            `json:"rule,omitempty" doc:"by which a challenger is promoted; none: by the owner alone"`
	Tenants  []RoleTenant      `json:"tenants,omitempty" doc:"in the order in which they are asked"`
	Past     []RoleFact        `json:"past,omitempty" doc:"oldest first"`
	Refused  map[string]uint64 `json:"refused,omitempty" doc:"connections of slivers, of all roles, and of allocator asks, by reason"`
}

// RoleTenant is who fills a role, or may.
type RoleTenant struct {
	Tenant    string     `json:"tenant"`
	Place     string     `json:"place" doc:"incumbent, fallback, challenger, or offered: it serves, and is not tried"`
	Here      bool       `json:"here" doc:"it can be asked"`
	Since     *time.Time `json:"since,omitempty" doc:"none: from the beginning"`
	Why       string     `json:"why,omitempty" doc:"it holds the role"`
	Resting   int64      `json:"resting_ms,omitempty" doc:"it failed, and is passed over so long"`
	Asked     uint64     `json:"asked" doc:"requests, since the daemon or the trial began"`
	Failed    uint64     `json:"failed"`
	Last      string     `json:"last,omitempty" doc:"why the last one failed"`
	Trials    uint64     `json:"trials" doc:"requests as a challenger that were compared, or failed"`
	Agreement float64    `json:"agreement" doc:"mean of the trials, 0 to 1"`
	P50       float64    `json:"p50_ms"`
	P95       float64    `json:"p95_ms"`
}

// RoleFact is what was decided of a role.
type RoleFact struct {
	At     time.Time `json:"at"`
	What   string    `json:"what" doc:"tried, held, dropped"`
	Tenant string    `json:"tenant"`
	Why    string    `json:"why,omitempty"`
}

func routeRoles(api huma.API, r Roles) {
	type wish struct {
		Role string `path:"role" maxLength:"32"`
		Body RoleWish
	}
	type question struct {
		Role string          `path:"role" maxLength:"32"`
		Call string          `path:"call" maxLength:"32"`
		Body json.RawMessage `doc:"as on the role's page"`
	}
	route(api, "POST", "/v1/roles/{role}/{call}", "ask", "Put a question to a role whose answers are one line",
		func(ctx context.Context, i *question) (RoleAnswer, error) {
			return r.AskRole(ctx, i.Role, i.Call, i.Body)
		})
	route(api, "GET", "/v1/roles", "roles", "The management jobs of this node, and who fills them",
		func(ctx context.Context, _ *none) ([]Role, error) { return r.Roles(ctx) })
	route(api, "POST", "/v1/roles/{role}", "decide", "Try a tenant of a role, drop it, promote it, or demote who holds it",
		func(ctx context.Context, i *wish) (Role, error) { return r.Decide(ctx, i.Role, i.Body) })
}
