// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
)

// roles is what it costs that others than the built-in may answer: the benchmark of
// package node/daemon, several times over, so that its cases come in turns.
func (b *bench) roles(ctx context.Context) error {
	found, err := goBench(ctx, b.rounds(9, 3), "node/daemon", "BenchmarkRole", "200x", "ns/op")
	if err != nil {
		return err
	}
	for _, c := range []struct{ name, what, base, beside string }{
		{"builtin", "find of 100 nodes by the role's messages", "direct", "the built-in, called directly"},
		{"socket", "… by a tenant at its socket", "builtin", "by the role's messages"},
		{"socket", "… by that, against no role at all", "direct", "the built-in, called directly"},
		{"python", "… by the finder in Python", "builtin", "by the role's messages"},
		{"shadowed", "… with that as a challenger", "builtin", "by the role's messages"},
		{"fallback", "… after who hung up", "builtin", "by the role's messages"},
	} {
		if len(found[c.name]) == 0 || len(found[c.base]) == 0 {
			return fmt.Errorf("the daemon's benchmark has no %s", c.name)
		}
		b.add(against(c.what, "ms", found[c.name].times(1e-6), c.beside, found[c.base].times(1e-6), nil, ""))
	}
	return nil
}
