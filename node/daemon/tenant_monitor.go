// SPDX-License-Identifier: Apache-2.0

//go:build !no_builtin_monitor

package daemon

import (
	"context"

	"croft/gossip/alive"
)

func init() {
	builtins["monitor"] = func(*Daemon) tenant { return replies{"health": reply(diagnoseAll)} }
}

// diagnoseAll judges as gossip/alive does, which counts sites, and by the speed of light.
func diagnoseAll(_ context.Context, q healthAsk) (done healthDone, err error) {
	for _, m := range q.Nodes {
		v := diagnosis{Node: m.Node, Health: present}
		switch {
		case m.Missed >= alive.Certain || len(m.Suspected) >= alive.Sites:
			v.Health = absent
		case m.Silent || len(m.Suspected) > 0:
			v.Health = doubted
		}
		if m.tooNear() {
			v.Contradicted = byPosition
		}
		done.Nodes = append(done.Nodes, v)
	}
	return done, nil
}
