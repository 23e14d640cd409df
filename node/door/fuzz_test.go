// SPDX-License-Identifier: Apache-2.0

package door

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"testing"

	"croft/node/role"
)

// Whatever a tenant sends, no answer grows beyond its bounds, and each has one end.
func FuzzTenant(f *testing.F) {
	f.Add([]byte("{\"id\":1,\"part\":{}}\n{\"id\":2,\"done\":{}}\n{\"id\":1,\"error\":{\"code\":\"no\",\"text\":\"\"}}"))
	f.Add([]byte("{\"id\":1,\"done\":{}}\n{\"id\":1,\"done\":{}}"))
	f.Add([]byte("{\"id\":3,\"part\":[]}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		here, there := net.Pipe()
		defer here.Close()
		defer there.Close()
		tenant := newTenant(&paid{Conn: there, ctx: context.Background(), stop: func() {}})
		calls := make([]*call, 3)
		for i := range calls {
			id, c, err := tenant.begin(role.Call{Name: "find", Bytes: 256}, json.RawMessage("{}"))
			if err != nil || id != uint64(i+1) {
				t.Fatal(id, err)
			}
			calls[i] = c
		}
		tenant.leave(3, calls[2])
		for line := range bytes.SplitSeq(text, []byte{'\n'}) {
			if err := tenant.take(line); err != nil {
				if !errors.Is(err, ErrBroke) && !errors.Is(err, role.ErrLine) {
					t.Fatal(err)
				}
				break
			}
		}
		for i, c := range calls {
			size := 0
			for _, p := range c.queue {
				size += len(p)
			}
			if size > c.most || c.closed && c.done == nil && c.err == nil || i == 2 && len(c.queue) > 0 {
				t.Fatalf("call %d: %d bytes held, %+v", i+1, size, c)
			}
		}
	})
}
