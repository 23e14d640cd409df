// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"net/netip"
	"time"

	"croft/lease"
	"croft/lease/policy"
)

// Policy is what a node's owner wants, as it is in force.
type Policy struct {
	policy.Policy
	File   string            `json:"file,omitempty" doc:"where it was read; empty: there is none"`
	Loaded time.Time         `json:"loaded"`
	Words  []policy.Sentence `json:"words"`
	Given  []Given           `json:"given,omitempty" doc:"how far each give is kept"`
	Lapsed []string          `json:"lapsed,omitempty" doc:"followed policies that do not hold now"`
	Fault  string            `json:"fault,omitempty" doc:"why a newer one is not in force"`
}

// Given says how far a give is kept.
type Given struct {
	To    string `json:"to"`
	Line  int    `json:"line" doc:"of the policy"`
	Until int64  `json:"until,omitempty" doc:"Unix seconds until which tickets are signed"`
	Fault string `json:"fault,omitempty" doc:"why the next one is not"`
}

// HeldTicket is a ticket in its holder's hands.
type HeldTicket struct {
	Ticket lease.ID   `json:"ticket"`
	RSet   lease.RSet `json:"rset"`
	From   int64      `json:"from"`
	Until  int64      `json:"until"`
	Degree uint16     `json:"degree"`
	Chain  [][]byte   `json:"chain" doc:"signed statements, the capacity first"`
}

type sourceKey struct{}

// WithSource marks a request as seen to come from a network directly.
func WithSource(ctx context.Context, p netip.Prefix) context.Context {
	return context.WithValue(ctx, sourceKey{}, p)
}

// Source returns the network that a request was seen to come from; the zero
// prefix where it came through another node.
func Source(ctx context.Context) netip.Prefix {
	p, _ := ctx.Value(sourceKey{}).(netip.Prefix)
	return p
}
