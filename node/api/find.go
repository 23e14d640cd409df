// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"croft/lease/offer"
)

// FindLine is one line of a streamed answer: a match, or the last line with what
// became of the others, whose offers are empty.
type FindLine struct {
	Found  *offer.Found  `json:"found,omitempty"`
	Result *offer.Result `json:"result,omitempty"`
}

func routeDiscovery(api huma.API, mux *http.ServeMux, d Discovery) {
	type in struct{ Body offer.FindRequest }
	route(api, "POST", "/v1/find", "find", "Find nodes by a query, with reasons",
		func(ctx context.Context, i *in) (offer.Result, error) { return d.Find(ctx, i.Body) })
	raw(api, mux, seek(d), huma.Operation{Method: "GET", Path: "/v1/find", OperationID: "seek",
		Summary: "Find nodes by a query, one in a line as they are found, the reasons last", Parameters: []*huma.Param{
			inQuery("query", "constraints and clauses; none: any node"), inQuery("view", "off: without what gossip brought"),
			inQuery("limit", "lowers the query's own"), inQuery("enough", "matches that make the index unnecessary"),
			inQuery("explain", "1: the reasons are of every node known")}},
		http.StatusOK, mediaRows)
}

func seek(d Discovery) http.Handler {
	return streaming(mediaRows, findRequest, func(r *http.Request, req offer.FindRequest, out *flushWriter) error {
		enc := json.NewEncoder(out)
		res, err := d.Seek(r.Context(), req, func(f offer.Found) error { return enc.Encode(FindLine{Found: &f}) })
		if err != nil {
			return err
		}
		res.Offers = []offer.Found{}
		_ = enc.Encode(FindLine{Result: &res}) // who is gone needs none
		return nil
	})
}

func findRequest(q url.Values) (offer.FindRequest, error) {
	req := offer.FindRequest{Query: q.Get("query"), View: q.Get("view") != "off", Explain: q.Get("explain") == "1"}
	for name, into := range map[string]*int{"limit": &req.Limit, "enough": &req.Enough} {
		s := q.Get(name)
		if s == "" {
			continue
		}
		n, err := strconv.Atoi(s)
		if err != nil || n < 0 {
			return req, fmt.Errorf("%w: %s wants a number", ErrBadRequest, name)
		}
		*into = n
	}
	return req, nil
}
