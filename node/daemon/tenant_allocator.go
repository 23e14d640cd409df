// SPDX-License-Identifier: Apache-2.0

//go:build !no_builtin_allocator

package daemon

import "context"

func init() {
	builtins["allocator"] = func(*Daemon) tenant { return replies{"decide": reply(firstCome)} }
}

// firstCome grants what there is room for, as the commons does.
func firstCome(_ context.Context, q decideAsk) (decideDone, error) {
	return decideDone{Ask: q.Ask, Grant: true}, nil
}
