// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"fmt"
	"slices"

	"croft/lease"
)

// KeepConfig is for whom this node keeps slices, of those who do not ask at its socket.
type KeepConfig struct {
	Anybody bool
	For     []lease.Principal
}

func (k KeepConfig) lets(p lease.Principal) bool { return k.Anybody || slices.Contains(k.For, p) }

// keepTable is [keep].
type keepTable struct {
	For []string `toml:"for"`
}

// kept reads the table.
func kept(dst *KeepConfig, in keepTable) error {
	for _, who := range in.For {
		if who == "anybody" {
			dst.Anybody = true
			continue
		}
		p, err := lease.ParsePrincipal(who)
		if err != nil {
			return fmt.Errorf("[keep] for = %.60q: want a principal, or anybody", who)
		}
		dst.For = append(dst.For, p)
	}
	return nil
}
