// SPDX-License-Identifier: Apache-2.0

//go:build !no_builtin_discovery

package daemon

import (
	"bufio"
	"context"
	"encoding/json"
	"net"
	"testing"

	"croft/node/api"
	"croft/node/role"
)

// answerInside serves discovery at a door as the built-in would, so that what is
// measured of it is the way there and back.
func answerInside(b testing.TB, socket string, by api.Discovery) {
	c, err := net.Dial("unix", socket)
	if err != nil {
		b.Error(err)
		return
	}
	defer c.Close()
	w := bufio.NewWriter(c)
	out := json.NewEncoder(w)
	lines := bufio.NewScanner(c)
	lines.Buffer(nil, role.MaxLine+1)
	call, _ := role.Discovery().Call("find")
	say := func(v any) bool { return out.Encode(v) == nil }
	if !say(role.Serve{Serve: "discovery/1"}) || w.Flush() != nil || !lines.Scan() {
		return
	}
	for lines.Scan() {
		var q role.Question
		if json.Unmarshal(lines.Bytes(), &q) != nil || q.Cancel {
			continue
		}
		done, err := findTenant{by}.Call(context.Background(), call, q.Ask, func(p json.RawMessage) error {
			say(role.Reply{ID: q.ID, Part: p})
			return nil
		})
		if err != nil || !say(role.Reply{ID: q.ID, Done: done}) || w.Flush() != nil {
			return
		}
	}
}
