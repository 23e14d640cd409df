// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"croft/lease"
)

// maxBody bounds what a JSON route reads: a chain of the greatest depth in
// base64, with room for names.
const maxBody = 64 << 10

// Amounts is an rset as JSON has it: resource name to amount.
type Amounts map[string]uint64

// Local returns what the unix socket serves.
func Local(n Node, version string) http.Handler {
	mux := http.NewServeMux()
	types, done := localSchemas.lock()
	defer done()
	api := document(mux, version, types)
	routeDiscovery(api, mux, n.Discovery)
	routeOwner(api, n.Owner)
	routeAllFigures(api, n.Owner)
	routeOverlay(api, n.Overlay)
	routeRecords(api, n.Slices)
	routeTopics(api, mux, n.Topics)
	routeClocks(api, n.Clocks)
	routeConflicts(api, n.Conflicts)
	routeOptOuts(api, n.OptOuts)
	routeRecord(api, n.Audit)
	routeInvitation(api, n.Invites)
	routeRoles(api, n.Roles)
	routeUpdates(api, n.Updates)
	routeObsolescence(api, n.Obsolescence)
	routeAllCharges(api, n.Charges)
	exportLocal(api, mux, n.Exports)
	raw(api, mux, pipe(n.Owner), huma.Operation{Method: "GET", Path: "/v1/nodes/{node}/pipe", OperationID: "pipe",
		Summary: "Bytes to a node and back: the connection itself, after 101", Parameters: []*huma.Param{
			inPath("node", "the node's principal"), inHeader("Upgrade", upgradePipe)}},
		http.StatusSwitchingProtocols, "")
	return mux
}

// Remote returns what a node serves inside an end-to-end channel. The caller's
// principal must be in the request's context: see [WithCaller].
func Remote(n Node, version string) http.Handler {
	mux := http.NewServeMux()
	types, done := remoteSchemas.lock()
	defer done()
	api := document(mux, version, types)
	routeClaims(api, n.Claims)
	routeSlivers(api, n.Slivers)
	routeFigures(api, n.Slivers)
	routeAudit(api, n.Audit)
	routeTell(api, n.Slices)
	routeCharges(api, n.Charges)
	exportRemote(api, mux, n.Exports)
	raw(api, mux, logs(n.Slivers), huma.Operation{Method: "GET", Path: "/v1/slivers/{sliver}/logs", OperationID: "logs",
		Summary: "What a sliver's program wrote", Parameters: []*huma.Param{
			inPath("sliver", "name"), inQuery("follow", "1: until the sliver ends"), inQuery("tail", "only the last so many records")}},
		http.StatusOK, "text/plain")
	raw(api, mux, exec(n.Slivers), huma.Operation{Method: "GET", Path: "/v1/slivers/{sliver}/exec", OperationID: "exec",
		Summary: "Run a command in a sliver: frames on the connection, after 101", Parameters: []*huma.Param{
			inPath("sliver", "name"), inHeader("Upgrade", upgradeExec), inHeader(HeaderExec, "the command, sandbox.Exec in JSON")}},
		http.StatusSwitchingProtocols, "")
	raw(api, mux, blobState(n.Blobs), huma.Operation{Method: "GET", Path: "/v1/blobs/{digest}", OperationID: "blob",
		Summary: "Announce a blob, and learn how much of it is here", Parameters: []*huma.Param{
			inPath("digest", "SHA-256"), inHeader(HeaderSize, "bytes in all"), mayHeader(HeaderPrivate, "1: it is not for other nodes")}},
		http.StatusOK, "application/json")
	routeFetch(api, n.Blobs)
	raw(api, mux, blobAppend(n.Blobs), huma.Operation{Method: "PATCH", Path: "/v1/blobs/{digest}", OperationID: "append",
		Summary: "Send a part of a blob", Parameters: []*huma.Param{
			inPath("digest", "SHA-256"), inHeader(HeaderOffset, "where the part begins"), inHeader(HeaderSize, "bytes in all")},
		RequestBody: &huma.RequestBody{Content: map[string]*huma.MediaType{"application/octet-stream": {}}}},
		http.StatusOK, "application/json")
	return authorized(mux)
}

// document makes the OpenAPI side: /v1/openapi.json, no page that would load
// scripts from elsewhere.
func document(mux *http.ServeMux, version string, types huma.Registry) huma.API {
	cfg := huma.DefaultConfig("Croft node", version)
	cfg.OpenAPIPath, cfg.DocsPath, cfg.SchemasPath = "/v1/openapi", "", ""
	cfg.CreateHooks = nil
	cfg.Components.Schemas = types
	return humago.New(mux, cfg)
}

// route registers one JSON route.
func route[I, O any](api huma.API, method, path, id, summary string, handle func(context.Context, *I) (O, error)) {
	routeUpTo(api, maxBody, method, path, id, summary, handle)
}

// routeUpTo is route with a bound of its own on the body, in bytes.
func routeUpTo[I, O any](api huma.API, most int64, method, path, id, summary string, handle func(context.Context, *I) (O, error)) {
	type out struct{ Body O }
	huma.Register(api, huma.Operation{
		OperationID: id, Method: method, Path: path, Summary: summary, MaxBodyBytes: most, BodyReadTimeout: callLimit,
	}, func(ctx context.Context, in *I) (*out, error) {
		body, err := handle(ctx, in)
		if err != nil {
			return nil, problem(err)
		}
		return &out{Body: body}, nil
	})
}

// raw registers a route that carries bytes, and describes it.
func raw(api huma.API, mux *http.ServeMux, h http.Handler, op huma.Operation, status int, media string) {
	mux.Handle(op.Method+" "+op.Path, h)
	good := &huma.Response{Description: http.StatusText(status)}
	if media != "" {
		good.Content = map[string]*huma.MediaType{media: {}}
	}
	op.Responses = map[string]*huma.Response{strconv.Itoa(status): good,
		"default": {Description: "A problem", Content: map[string]*huma.MediaType{"application/problem+json": {}}}}
	api.OpenAPI().AddOperation(&op)
}

func inPath(name, says string) *huma.Param {
	return &huma.Param{Name: name, In: "path", Required: true, Description: says, Schema: &huma.Schema{Type: huma.TypeString}}
}

func inHeader(name, says string) *huma.Param {
	return &huma.Param{Name: name, In: "header", Required: true, Description: says, Schema: &huma.Schema{Type: huma.TypeString}}
}

func mayHeader(name, says string) *huma.Param {
	return &huma.Param{Name: name, In: "header", Description: says, Schema: &huma.Schema{Type: huma.TypeString}}
}

func inQuery(name, says string) *huma.Param {
	return &huma.Param{Name: name, In: "query", Description: says, Schema: &huma.Schema{Type: huma.TypeString}}
}

type none struct{}

func routeOwner(api huma.API, o Owner) {
	type issue struct{ Body IssueRequest }
	type revoke struct {
		Lease lease.ID `path:"lease"`
		Body  RevokeRequest
	}
	route(api, "GET", "/v1/status", "status", "What this node says of itself",
		func(ctx context.Context, _ *none) (Status, error) { return o.Status(ctx) })
	route(api, "GET", "/v1/doctor", "doctor", "Every requirement, and what is missing",
		func(ctx context.Context, _ *none) ([]Check, error) { return o.Doctor(ctx) })
	route(api, "GET", "/v1/books", "books", "Every lease and hold on this node",
		func(ctx context.Context, _ *none) ([]Claim, error) { return o.Books(ctx) })
	route(api, "POST", "/v1/leases/{lease}/revoke", "revoke", "End a lease or hold on this node, after the grace that it states",
		func(ctx context.Context, i *revoke) (Answer, error) { return o.Revoke(ctx, i.Lease, i.Body.Reason) })
	route(api, "GET", "/v1/policy", "policy", "What this node's owner wants, and where each rule comes from",
		func(ctx context.Context, _ *none) (Policy, error) { return o.Policy(ctx) })
	route(api, "POST", "/v1/policy/reload", "reload", "Read the owner's policy again",
		func(ctx context.Context, _ *none) (Policy, error) { return o.Reload(ctx) })
	type term struct {
		From  int64 `query:"from"`
		Until int64 `query:"until"`
	}
	route(api, "GET", "/v1/calendar", "calendar", "The books of every pool over time",
		func(ctx context.Context, i *term) (Calendar, error) {
			return o.Calendar(ctx, lease.Term{From: i.From, Until: i.Until})
		})
	route(api, "POST", "/v1/tickets", "issue", "Give a ticket out of this node's capacity",
		func(ctx context.Context, i *issue) (Answer, error) { return o.Issue(ctx, i.Body) })
}

func routeClocks(api huma.API, c Clocks) {
	route(api, "GET", "/v1/clock", "clock", "The time by which terms are judged, and the machine's",
		func(ctx context.Context, _ *none) (Clock, error) { return c.Clock(ctx) })
	route(api, "POST", "/v1/clock/accept", "accept-clock", "Judge terms by the machine's clock as it is set now",
		func(ctx context.Context, _ *none) (Clock, error) { return c.AcceptClock(ctx) })
}

func routeClaims(api huma.API, c Claims) {
	type wish struct{ Body WishRequest }
	type commit struct {
		Hold lease.ID `path:"hold"`
	}
	type activate struct {
		Lease lease.ID `path:"lease"`
		Body  ActivateRequest
	}
	type end struct{ Body EndRequest }
	route(api, "POST", "/v1/holds", "wish", "Ask for a hold, or redeem a ticket for one",
		func(ctx context.Context, i *wish) (Answer, error) { return c.Wish(ctx, caller(ctx), i.Body.Chain) })
	route(api, "POST", "/v1/holds/{hold}/commit", "commit", "Turn a hold into a lease",
		func(ctx context.Context, i *commit) (Answer, error) { return c.Commit(ctx, caller(ctx), i.Hold) })
	route(api, "POST", "/v1/leases/{lease}/activate", "activate", "Start a lease's sliver",
		func(ctx context.Context, i *activate) (Answer, error) {
			return c.Activate(ctx, caller(ctx), i.Lease, i.Body.Program)
		})
	route(api, "GET", "/v1/tickets/mine", "mine", "The tickets that the caller holds of this node, each with its chain",
		func(ctx context.Context, _ *none) ([]HeldTicket, error) { return c.Tickets(ctx, caller(ctx)) })
	type vacancy struct{ Body VacancyRequest }
	route(api, "POST", "/v1/vacancies", "vacancies", "When a lease of a pool would be granted, as the books stand",
		func(ctx context.Context, i *vacancy) (Vacancies, error) { return c.Vacancies(ctx, caller(ctx), i.Body) })
	route(api, "POST", "/v1/close", "close", "End a lease or hold by a signed close",
		func(ctx context.Context, i *end) (Answer, error) { return c.End(ctx, caller(ctx), i.Body.Close) })
}

func routeSlivers(api huma.API, s Slivers) {
	type one struct {
		Sliver string `path:"sliver" maxLength:"16"`
	}
	route(api, "GET", "/v1/slivers", "slivers", "The caller's slivers on this node",
		func(ctx context.Context, _ *none) ([]Sliver, error) { return s.Slivers(ctx, caller(ctx)) })
	route(api, "GET", "/v1/slivers/{sliver}/traffic", "traffic", "What the guard counted for a sliver",
		func(ctx context.Context, i *one) (Traffic, error) { return s.Traffic(ctx, caller(ctx), i.Sliver) })
}

func routeRecords(api huma.API, s Slices) {
	type publish struct{ Body SliceRecord }
	type record struct {
		Owner lease.Principal `path:"owner"`
		Label string          `query:"label" maxLength:"63" doc:"none: the record of all the owner's slices"`
	}
	route(api, "POST", "/v1/slices", "publish", "Have the network keep a slice's record",
		func(ctx context.Context, i *publish) (SliceRecord, error) { return s.Publish(ctx, i.Body.Record) })
	route(api, "GET", "/v1/slices/{owner}", "record", "Look a slice's record up",
		func(ctx context.Context, i *record) (SliceRecord, error) { return s.Record(ctx, i.Owner, i.Label) })
}

func routeTell(api huma.API, s Slices) {
	type tell struct{ Body SliceRecord }
	route(api, "POST", "/v1/slices", "tell", "Tell the node a slice's record",
		func(ctx context.Context, i *tell) (SliceRecord, error) {
			return s.Tell(ctx, caller(ctx), i.Body.Record)
		})
}
