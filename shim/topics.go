// SPDX-License-Identifier: Apache-2.0

package shim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
)

// Told is what became of a message.
type Told struct {
	ID         string `json:"id"`
	Neighbours int    `json:"neighbours"` // subscribers that were told at once; these tell others
	Here       int    `json:"here"`       // subscribers at this node
}

// Message is what somebody said on a topic, who may. Of a sliver the author is its
// node. Missed counts those before it for which this service was too slow.
type Message struct {
	ID     string `json:"id"`
	Author string `json:"author"` // a principal
	Made   int64  `json:"made"`   // Unix milliseconds, by the author's clock
	Data   []byte `json:"data"`
	Missed uint64 `json:"missed"`
}

// Publish says something, at most 16 KiB, on a topic: NAME of the own slice, or
// SLICE@OWNER/NAME of another, the owner a principal. Whether it may the slice's
// record says: [ErrNotAllowed]; that nobody hears it is no error.
func (n *Node) Publish(ctx context.Context, topic string, data []byte) (t Told, err error) {
	path, err := topicPath(topic)
	if err != nil {
		return t, err
	}
	if len(data) > maxData {
		return t, fmt.Errorf("publishing on %s: %d bytes, limit %d", topic, len(data), maxData)
	}
	if data == nil {
		data = []byte{} // a message without any is one too
	}
	if err := n.ask(ctx, "POST", path, mediaBytes, data, &t); err != nil {
		return t, fmt.Errorf("publishing on %s: %w", topic, err)
	}
	return t, nil
}

// Subscribe hears what is said on a topic, named as for [Node.Publish], from when it
// returns; anybody may. The messages are to be read: the node keeps 64 for who is
// slow, and hangs up on who reads nothing for 10 s. They end with ctx or after an
// error.
func (n *Node) Subscribe(ctx context.Context, topic string) (iter.Seq2[Message, error], error) {
	path, err := topicPath(topic)
	if err != nil {
		return nil, err
	}
	heard, err := stream[Message](ctx, n, path)
	if err != nil {
		return nil, fmt.Errorf("subscribing to %s: %w", topic, err)
	}
	return heard, nil
}

// Hear is Subscribe for a service that lives longer than a subscription: when the
// node hangs up or is started anew it subscribes again, after a pause. An error is
// yielded, and more follows, if the caller goes on; what is said meanwhile is missed.
func (n *Node) Hear(ctx context.Context, topic string) iter.Seq2[Message, error] {
	return again(ctx, func() (iter.Seq2[Message, error], error) { return n.Subscribe(ctx, topic) }, io.ErrUnexpectedEOF)
}

var errTopic = errors.New("want NAME, or SLICE@OWNER/NAME")

// topicPath is the route of a topic. Its parts have the letters that labels and
// principals have: a path that is none of theirs leads to no other route.
func topicPath(topic string) (string, error) {
	of, name, foreign := strings.Cut(topic, "/")
	if !foreign {
		of, name = "", topic
	}
	slice, owner, _ := strings.Cut(of, "@")
	if !plain(name) || foreign && (!plain(slice) || !plain(owner)) {
		return "", fmt.Errorf("topic %q: %w", topic, errTopic)
	}
	if !foreign {
		return "/v1/topics/" + name, nil
	}
	return "/v1/topics/" + owner + "/" + slice + "/" + name, nil
}

// plain reports whether a part has something, and only a-z, A-Z, 0-9 and -. What else is
// wrong with it the node says.
func plain(part string) bool {
	return part != "" && !strings.ContainsFunc(part, func(r rune) bool {
		return r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
}
