// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"croft/lease"
)

// OptOuts are the addresses that asked to be left alone. Only the unix socket
// serves them; strangers have the courtesy page.
type OptOuts interface {
	// OptOuts returns a page of them by address, at most [PageOptOuts], behind one.
	OptOuts(ctx context.Context, after string) ([]OptOut, error)
	// OptOut returns one with its text, or [ErrNoOptOut].
	OptOut(ctx context.Context, addr string) (OptOut, error)
	// TakeOptOut judges what was attested, keeps it and tells the network.
	TakeOptOut(ctx context.Context, text string) (OptOut, error)
}

// PageOptOuts is the number of opt-outs in one answer.
const PageOptOuts = 1000

// OptOut is an address that is left alone, and who attested that it asked.
type OptOut struct {
	Addr   string   `json:"addr"`
	From   int64    `json:"from" doc:"Unix seconds"`
	Until  int64    `json:"until" doc:"Unix seconds"`
	By     []Attest `json:"by"`
	Spared bool     `json:"spared" doc:"false: it is a live node's address now, and not left alone"`
	ID     lease.ID `json:"id"`
	Text   string   `json:"text,omitempty" doc:"the attestations; not in a list"`
}

// Attest is one node's part in an opt-out.
type Attest struct {
	Node lease.Principal `json:"node"`
	Name string          `json:"name,omitempty" doc:"as its offer says; absent: the node is not known any more"`
	Site lease.Principal `json:"site,omitzero"`
	At   int64           `json:"at" doc:"Unix seconds: when it saw the address"`
}

// OptOutRequest carries attestations as text.
type OptOutRequest struct {
	Text string `json:"text"`
}

func routeOptOuts(api huma.API, o OptOuts) {
	type page struct {
		After string `query:"after" maxLength:"64" doc:"the last address of the page before"`
	}
	type one struct {
		Addr string `path:"addr" maxLength:"64"`
	}
	type take struct{ Body OptOutRequest }
	route(api, "GET", "/v1/optouts", "optouts", "Addresses that no sliver sends to, because they asked for it",
		func(ctx context.Context, i *page) ([]OptOut, error) { return o.OptOuts(ctx, i.After) })
	route(api, "GET", "/v1/optouts/{addr}", "optout", "One of them, with what was attested",
		func(ctx context.Context, i *one) (OptOut, error) { return o.OptOut(ctx, i.Addr) })
	route(api, "POST", "/v1/optouts", "opt-out", "Judge attestations, keep them and tell the network",
		func(ctx context.Context, i *take) (OptOut, error) { return o.TakeOptOut(ctx, i.Body.Text) })
}
