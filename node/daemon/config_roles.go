// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"fmt"
	"maps"
	"slices"

	"croft/node/role"
)

// RoleConfig is what an owner wants of a role's successions.
type RoleConfig struct {
	Rule  role.Rule
	Share role.Share // whose requests a challenger gets copies of
}

// roleTable is [roles.NAME].
type roleTable struct {
	Promote string `toml:"promote"`
	Share   string `toml:"share"`
}

// handed reads the tables of all roles.
func handed(dst *map[string]RoleConfig, in map[string]roleTable) error {
	for _, name := range slices.Sorted(maps.Keys(in)) {
		job, err := role.Lookup(name)
		switch {
		case err != nil:
			return fmt.Errorf("[roles.%s]: %w", name, err)
		case job.Version == 0:
			return fmt.Errorf("[roles.%s]: it cannot be handed over yet", name)
		}
		rule, err := role.ParseRule(in[name].Promote)
		if err != nil {
			return fmt.Errorf("[roles.%s] promote: %w", name, err)
		}
		if job.ByHand && rule.After > 0 {
			return fmt.Errorf("[roles.%s] promote: this role is handed over by `croft role promote` only: that answers agree says too little of it", name)
		}
		c := RoleConfig{Rule: rule, Share: role.ShareOwn}
		switch s := role.Share(in[name].Share); s {
		case "", role.ShareOwn:
		case role.ShareAll:
			c.Share = s
		default:
			return fmt.Errorf("[roles.%s] share = %q: want own or all", name, s)
		}
		if *dst == nil {
			*dst = map[string]RoleConfig{}
		}
		(*dst)[name] = c
	}
	return nil
}
