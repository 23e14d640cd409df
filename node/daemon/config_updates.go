// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"fmt"
	"slices"
	"time"

	"croft/lease/sign"
	"croft/node/release"
)

// UpdatesConfig is whom an owner lets say which release of Croft the node runs. Without
// publishers nothing is asked, and nothing ever happens.
type UpdatesConfig struct {
	release.Rules
	Apply Apply
	Every time.Duration // between two questions
}

// Apply is what the node does with a release that its owner's publishers signed.
type Apply string

const (
	ApplyNever Apply = "never" // remember it
	ApplyAsk   Apply = "ask"   // and say so
	ApplyAuto  Apply = "auto"  // and run it
)

// updatesTable is [updates].
type updatesTable struct {
	Publishers []string `toml:"publishers"`
	Need       int      `toml:"need"`
	Apply      Apply    `toml:"apply"`
	Every      string   `toml:"every"`
}

// published reads whom the owner believes.
func published(dst *UpdatesConfig, t updatesTable) error {
	c := UpdatesConfig{Rules: release.Rules{Need: 1}, Apply: ApplyAsk, Every: updatesEvery}
	for _, s := range t.Publishers {
		p, err := sign.ParsePrincipal(s)
		if err == nil {
			err = p.Check()
		}
		if err != nil {
			return fmt.Errorf("[updates] publishers: %w", err)
		}
		if slices.Contains(c.Publishers, p) {
			return fmt.Errorf("[updates] publishers: %s twice", p)
		}
		c.Publishers = append(c.Publishers, p)
	}
	if len(c.Publishers) > release.MaxSignatures {
		return fmt.Errorf("[updates] %d publishers: want at most %d", len(c.Publishers), release.MaxSignatures)
	}
	if t.Need != 0 {
		if c.Need = t.Need; c.Need < 1 || c.Need > len(c.Publishers) {
			return fmt.Errorf("[updates] need = %d: want 1 to %d, the number of publishers", c.Need, len(c.Publishers))
		}
	}
	switch t.Apply {
	case "":
	case ApplyNever, ApplyAsk, ApplyAuto:
		c.Apply = t.Apply
	default:
		return fmt.Errorf("[updates] apply = %q: want never, ask or auto", t.Apply)
	}
	if t.Every != "" {
		v, err := time.ParseDuration(t.Every)
		if err != nil || v < updatesLeast || v > updatesMost {
			return fmt.Errorf("[updates] every = %q: want %s to %s", t.Every, updatesLeast, updatesMost)
		}
		c.Every = v
	}
	*dst = c
	return nil
}
