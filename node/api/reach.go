// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"croft/lease"
)

// Reach is how others reach a node, as far as it knows.
type Reach struct {
	State   string            `json:"state" doc:"public, private (behind NAT or a firewall) or unknown"`
	Mapping string            `json:"mapping,omitempty" doc:"how a NAT maps its address: none, stable (holes can be punched) or varying"`
	Relays  []lease.Principal `json:"relays,omitempty" doc:"nodes that carry for this one"`
	Back    uint64            `json:"dialed_back,omitempty" doc:"callers through a relay who could be dialled themselves"`
	Punched uint64            `json:"punched,omitempty" doc:"holes that led to a direct connection in place of a relayed one"`
	Missed  uint64            `json:"missed,omitempty" doc:"holes that did not"`
	Unheard uint64            `json:"unheard,omitempty" doc:"contacts dropped because too many came at once"`
	Carried *Carried          `json:"carried,omitempty" doc:"for nodes behind NAT; absent: it carries for nobody"`
}

// Carried is what a node carries as a relay.
type Carried struct {
	Nodes    int    `json:"nodes" doc:"that are reached through it now"`
	Circuits int    `json:"circuits" doc:"connections through it now"`
	Bytes    uint64 `json:"bytes" doc:"in all"`
	Today    uint64 `json:"today" doc:"bytes of the daily quota"`
	Refused  uint64 `json:"refused"`
}

// Known reports whether anything is known.
func (r Reach) Known() bool { return r.State != "" && r.State != "unknown" }

// String is a line for people.
func (r Reach) String() string {
	switch {
	case r.State == "public":
		return "public"
	case r.State != "private":
		return "not known yet"
	case len(r.Relays) == 0:
		return "behind NAT, by no relay"
	}
	var relays []string
	for _, p := range r.Relays {
		relays = append(relays, p.Short())
	}
	holes := "whether holes can be punched is not known yet"
	switch {
	case r.Punched > 0:
		holes = "hole punching works"
	case r.Mapping == "varying":
		holes = "hole punching does not work"
	case r.Mapping != "":
		holes = "hole punching may work"
	}
	return fmt.Sprintf("behind NAT, by relays %s; %s", strings.Join(relays, ", "), holes)
}

// Invitation is text by which others join.
type Invitation struct {
	Text  string            `json:"invitation" doc:"one word, for croft up --join"`
	Until time.Time         `json:"until" doc:"it lapses then"`
	Nodes []lease.Principal `json:"nodes" doc:"by whom one joins with it, this node first if it can be reached"`
}

// Inviter makes invitations; the unix socket alone serves it.
type Inviter interface {
	Invite(ctx context.Context, lasts time.Duration) (Invitation, error)
}

func routeInvitation(api huma.API, i Inviter) {
	type in struct {
		Seconds int64 `query:"for" minimum:"1" maximum:"31622400" default:"2592000" doc:"seconds that it holds"`
	}
	route(api, "GET", "/v1/invitation", "invitation", "Text by which others may join",
		func(ctx context.Context, q *in) (Invitation, error) {
			return i.Invite(ctx, time.Duration(q.Seconds)*time.Second)
		})
}
