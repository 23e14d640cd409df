// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"croft/gossip/topic"
	"croft/lease"
)

// Topics are those of slices, as this node hears them.
type Topics interface {
	// Say judges a signed message and tells those who subscribe. The error is
	// [ErrNotGranted] where its author may not, [ErrNoRecord] where no record says.
	Say(ctx context.Context, message []byte) (Said, error)
	// Hear yields what is said on a topic until ctx ends; ready is called when it
	// hears. After an error nothing follows.
	Hear(ctx context.Context, name topic.Name, ready func()) iter.Seq2[Heard, error]
}

// SayRequest has a message as its author signed it.
type SayRequest struct {
	Message []byte `json:"message" doc:"a signed message, docs/protocol/topics.md"`
}

// Said is what became of a message.
type Said struct {
	ID         lease.ID `json:"id"`
	Neighbours int      `json:"neighbours" doc:"subscribers that were told at once; these tell others"`
	Here       int      `json:"here" doc:"subscribers at this node"`
}

// Heard is a message whose author may publish on its topic.
type Heard struct {
	ID     lease.ID        `json:"id"`
	Author lease.Principal `json:"author"`
	Made   int64           `json:"made" doc:"Unix milliseconds, by the author's clock"`
	Data   []byte          `json:"data" doc:"base64"`
	Missed uint64          `json:"missed,omitempty" doc:"messages since the last one for which this reader was too slow"`
}

func routeTopics(api huma.API, mux *http.ServeMux, t Topics) {
	type say struct{ Body SayRequest }
	route(api, "POST", "/v1/topics", "say", "Tell the subscribers of a slice's topic a signed message",
		func(ctx context.Context, i *say) (Said, error) { return t.Say(ctx, i.Body.Message) })
	raw(api, mux, hear(t), huma.Operation{Method: "GET", Path: "/v1/topics/{owner}/{slice}/{topic}", OperationID: "hear",
		Summary: "What is said on a slice's topic from now on, one message in a line", Parameters: []*huma.Param{
			inPath("owner", "the slice's owner, a principal"), inPath("slice", "label"), inPath("topic", "name")}},
		http.StatusOK, mediaRows)
}

func hear(t Topics) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		owner, err := lease.ParsePrincipal(r.PathValue("owner"))
		name := topic.Name{Owner: owner, Slice: r.PathValue("slice"), Topic: r.PathValue("topic")}
		if err == nil {
			err = name.Check()
		}
		if err != nil {
			Fail(w, fmt.Errorf("%w: %w", ErrBadRequest, err))
			return
		}
		lines(w, func(ready func()) iter.Seq2[Heard, error] { return t.Hear(r.Context(), name, ready) })
	})
}

// lines answers with one object in a line, as they come; the head goes when ready is
// called.
func lines[T any](w http.ResponseWriter, list func(ready func()) iter.Seq2[T, error]) {
	out, err := stream(w, mediaRows)
	if err != nil {
		Fail(w, err)
		return
	}
	enc := json.NewEncoder(out)
	for v, err := range list(out.begin) {
		if err != nil {
			out.broke(err)
			return
		}
		if enc.Encode(v) != nil { // the caller is gone
			return
		}
	}
}
