// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
)

// topics is how many messages a sliver has another hear, beside what GossipSub alone does
// between hosts of the same make: the benchmark of package node/daemon.
func (b *bench) topics(ctx context.Context) error {
	found, err := goBench(ctx, b.rounds(15, 5), "node/daemon", "BenchmarkTopic", "90x", "msg/s")
	if err != nil {
		return err
	}
	for _, c := range []struct{ name, what, base, beside, note string }{
		{"shim", "512 B from sliver to sliver by topic", "verified", "GossipSub, signed and verified", "90 messages one after the other, at most 16 of them under way, " +
			"between two hosts in one process over QUIC: from the request at one socket to the stream at another, rights checked, nothing charged. " +
			"Beyond a hundred at once a sliver is held to 50 a second, and a node to 16 KiB a second on a topic"},
		{"shim", "… the same", "gossipsub", "GossipSub, nothing checked", ""},
	} {
		if len(found[c.name]) == 0 || len(found[c.base]) == 0 {
			return fmt.Errorf("the daemon's benchmark of topics has no %s", c.name)
		}
		b.add(against(c.what, "msg/s", found[c.name], c.beside, found[c.base], nil, c.note))
	}
	return nil
}
