// SPDX-License-Identifier: Apache-2.0

package stack

import "testing"

// alike is what a machine's sandbox and clock do, as the world models them and as the
// daemon's own executor has it from a runtime: each holds in both, to the sliver.
var alike = []struct{ name, text string }{
	{"a sliver starts in its time", `
at 20s slice s nodes=4 term=1h
end 30s
expect slice s running = 4
expect slice s time >= 200ms
expect slice s time <= 1s`},
	{"what no sandbox can hold does not start", `
at 20s slice s nodes=2 rset=cpu=100
end 40s
expect grants count = 2
expect slice s running = 0`},
	{"who wants more nodes than there are gets none", `
at 20s slice s nodes=6
end 40s
expect grants count = 0
expect slice s running = 0`},
	{"who takes what there is gets all others", `
at 20s slice s nodes=6 partial=yes
end 40s
expect grants count = 5
expect slice s running = 5`},
	{"it lives where nobody reaches it", `
at 20s slice s nodes=4 term=60s
at 30s fault blackhole count=5
end 78s
expect slice s running = 4`},
	{"and ends there, too", `
at 20s slice s nodes=4 term=60s
at 30s fault blackhole count=5
end 84s
expect slice s running = 0`},
	{"of black holes nothing is had", `
at 19s fault blackhole count=5
at 20s slice s nodes=4 partial=yes
end 50s
expect grants count <= 1
expect slice s running <= 1`},
	{"it ends with its lease, by itself", `
at 20s slice s nodes=4 term=60s
end 84s
expect slice s running = 0`},
	{"and not before", `
at 20s slice s nodes=4 term=60s
end 78s
expect slice s running = 4`},
	{"it lives without its daemon", `
at 20s slice s nodes=4 term=60s
at 30s fault kill count=5
end 78s
expect slice s running = 4`},
	{"as long as its lease, and no longer", `
at 20s slice s nodes=4 term=60s
at 30s fault kill count=5
end 84s
expect slice s running = 0`},
	{"it dies with its machine", `
at 20s slice s nodes=4 term=1h
at 30s fault kill count=5 power=yes
end 40s
expect slice s running <= 1`},
	{"a daemon that comes back has it again", `
at 20s slice s nodes=4 term=60s
at 30s fault kill fraction=1 for=5s
end 78s
expect slice s running = 4`},
	{"and ends it", `
at 20s slice s nodes=4 term=60s
at 30s fault kill fraction=1 for=5s
at 50s stop s
end 60s
expect slice s running = 0`},
	{"a machine that comes back starts it again", `
at 20s slice s nodes=4 term=1h
at 30s fault kill fraction=1 power=yes for=5s
end 50s
expect slice s running = 4`},
	{"unless its lease is over", `
at 20s slice s nodes=4 term=60s
at 30s fault kill fraction=1 power=yes for=1m
end 2m
expect slice s running = 0`},
	{"who renews has it for longer", `
at 20s slice s nodes=4 term=60s
at 50s renew s for=2m
end 2m
expect slice s running = 4`},
	{"who stops has it no more", `
at 20s slice s nodes=4 term=1h
at 30s stop s
end 40s
expect slice s running = 0`},
	{"a clock that is set does not end it early", `
at 20s slice s nodes=4 term=60s
at 30s fault skew fraction=1 by=20s
end 78s
expect slice s running = 4`},
	{"nor late", `
at 20s slice s nodes=4 term=60s
at 30s fault skew fraction=1 by=20s
end 84s
expect slice s running = 0`},
	{"nor a renewal", `
at 20s slice s nodes=4 term=60s
at 30s fault skew fraction=1 by=3s
at 40s renew s for=60s
end 99s
expect slice s running = 4`},
	{"neither early nor late", `
at 20s slice s nodes=4 term=60s
at 30s fault skew fraction=1 by=3s
at 40s renew s for=60s
end 102s
expect slice s running = 0`},
	{"whose clock was set by much renews nothing", `
at 20s slice s nodes=4 term=60s
at 30s fault skew fraction=1 by=20s
at 40s renew s for=60s
end 84s
expect refusals count = 4
expect slice s running = 0`},
	{"nor does a wrong one", `
at 0s  fault skew fraction=1 by=20s
at 20s slice s nodes=4 term=60s
end 58s
expect slice s running = 4`},
}

// What the world models of a machine is what the daemon makes of one.
func TestAlike(t *testing.T) {
	for _, c := range alike {
		t.Run(c.name, func(t *testing.T) {
			text := "nodes 6\njoin wave=6 every=1s" + c.text + "\nexpect safety\n"
			if r := inWorld(t, text); !r.OK() {
				t.Errorf("world: %+v %+v", r.Expects, r.Slices)
			}
			play(t, text)
		})
	}
}
