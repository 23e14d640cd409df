// SPDX-License-Identifier: Apache-2.0

package client

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"iter"

	"croft/gossip/topic"
	"croft/node/api"
)

// maxHeard is the size in bytes of a message as a line of JSON.
const maxHeard = 2 * topic.MaxData

// Say tells the subscribers of a topic a signed message.
func (w *Way) Say(ctx context.Context, message []byte) (s api.Said, err error) {
	return s, w.call(ctx, "POST", "/v1/topics", api.SayRequest{Message: message}, &s)
}

// Hear subscribes to a topic. When it returns, nothing that is said from then on is
// missed; the messages are to be read until ctx ends. After an error nothing
// follows.
func (w *Way) Hear(ctx context.Context, name topic.Name) (iter.Seq2[api.Heard, error], error) {
	resp, err := get(ctx, w.http, "/v1/topics/"+name.Owner.String()+"/"+name.Slice+"/"+name.Topic)
	if err != nil {
		return nil, w.noDaemon(err)
	}
	return func(yield func(api.Heard, error) bool) {
		defer resp.Body.Close()
		lines := bufio.NewScanner(resp.Body)
		lines.Buffer(nil, maxHeard)
		for lines.Scan() {
			var m api.Heard
			if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
				yield(m, fmt.Errorf("the topic broke off: %w", err))
				return
			}
			if !yield(m, nil) {
				return
			}
		}
		err := lines.Err()
		if err == nil {
			err = trailed(resp)
		}
		if err != nil && ctx.Err() == nil {
			yield(api.Heard{}, fmt.Errorf("the topic broke off: %w", err))
		}
	}, nil
}
