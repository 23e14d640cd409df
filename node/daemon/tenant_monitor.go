// SPDX-License-Identifier: Apache-2.0

//go:build !no_builtin_monitor

package daemon

import "context"

func init() {
	builtins["monitor"] = func(*Daemon) tenant { return replies{"health": reply(diagnoseAll)} }
}

// diagnoseAll judges as gossip/alive does, which counts sites, and by the speed of light.
func diagnoseAll(_ context.Context, q healthAsk) (done healthDone, err error) {
	for _, m := range q.Nodes {
		v := diagnosis{Node: m.Node, Health: m.counted()}
		if m.Silent && v.Health == present {
			v.Health = doubted
		}
		if m.tooNear() {
			v.Contradicted = byPosition
		}
		done.Nodes = append(done.Nodes, v)
	}
	return done, nil
}
