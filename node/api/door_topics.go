// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"croft/gossip/topic"
	"croft/lease"
)

// ShimTopics are the topics of slices, as a sliver meets them. A topic is one of the
// sliver's own slice where its name says of no owner and no slice.
type ShimTopics interface {
	// Publish says something for the sliver, signed by the node. The error is
	// [ErrNotGranted] where it may not, [ErrNoRecord] where no record says.
	Publish(ctx context.Context, name topic.Name, data []byte) (Said, error)
	// Say tells a message that its author has signed.
	Say(ctx context.Context, message []byte) (Said, error)
	// Hear yields what is said on a topic until ctx ends; ready is called when the
	// sliver hears. After an error nothing follows.
	Hear(ctx context.Context, name topic.Name, ready func()) iter.Seq2[Heard, error]
}

const mediaBytes = "application/octet-stream"

func routeShimTopics(api huma.API, mux *http.ServeMux, s ShimTopics) {
	for _, at := range []struct{ path, id, of string }{
		{"/v1/topics/{topic}", "own", "a topic of the sliver's slice"},
		{"/v1/topics/{owner}/{slice}/{topic}", "other", "a topic of another slice"},
	} {
		var params []*huma.Param
		if at.id == "other" {
			params = []*huma.Param{inPath("owner", "the slice's owner, a principal"), inPath("slice", "label")}
		}
		params = append(params, inPath("topic", "name"))
		raw(api, mux, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			said, err := publish(s, w, r)
			answer(w, said, err)
		}), huma.Operation{Method: "POST", Path: at.path, OperationID: "publish-" + at.id, Summary: "Say something on " + at.of + ": the body, as it is", Parameters: params,
			RequestBody: &huma.RequestBody{Content: map[string]*huma.MediaType{mediaBytes: {}}}},
			http.StatusOK, "application/json")
		raw(api, mux, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			name, err := topicOf(r)
			if err != nil {
				Fail(w, err)
				return
			}
			lines(w, func(ready func()) iter.Seq2[Heard, error] { return s.Hear(r.Context(), name, ready) })
		}), huma.Operation{Method: "GET", Path: at.path, OperationID: "hear-" + at.id, Summary: "What is said on " + at.of + " from now on, one message in a line", Parameters: params},
			http.StatusOK, mediaRows)
	}
	type say struct{ Body SayRequest }
	route(api, "POST", "/v1/topics", "say", "Tell the subscribers of a topic a message that its author has signed",
		func(ctx context.Context, i *say) (Said, error) { return s.Say(ctx, i.Body.Message) })
}

func publish(s ShimTopics, w http.ResponseWriter, r *http.Request) (Said, error) {
	name, err := topicOf(r)
	if err != nil {
		return Said{}, err
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, topic.MaxData))
	var long *http.MaxBytesError
	if errors.As(err, &long) {
		return Said{}, fmt.Errorf("%w: a message of more than %d bytes", ErrBadRequest, topic.MaxData)
	}
	if err != nil {
		return Said{}, fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	return s.Publish(r.Context(), name, data)
}

// topicOf is the topic of a path; without an owner one of the asker's slice.
func topicOf(r *http.Request) (name topic.Name, err error) {
	name = topic.Name{Slice: r.PathValue("slice"), Topic: r.PathValue("topic")}
	if err = lease.CheckLabel(name.Topic); err == nil && r.PathValue("owner") != "" {
		if name.Owner, err = lease.ParsePrincipal(r.PathValue("owner")); err == nil {
			err = name.Check()
		}
	}
	if err != nil {
		return name, fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	return name, nil
}
