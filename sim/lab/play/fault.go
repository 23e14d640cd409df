// SPDX-License-Identifier: Apache-2.0

package play

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"croft/sim/lab"
	"croft/sim/scenario"
)

// Faults of the wires are rules of nftables in the nodes' own namespaces, ahead of
// everything else there, in tables that no daemon knows.

// strike has rules in force at some nodes for a time: rules gives those of a node,
// by the set of all that are struck.
func (g *game) strike(ctx context.Context, who scenario.Who, d time.Duration, rules func(in []*player) string) error {
	in := g.choose(who)
	text := rules(in)
	g.mu.Lock()
	g.cuts++
	table := fmt.Sprintf("croft_sim_%d", g.cuts)
	g.mu.Unlock()
	for _, p := range in {
		if err := p.nft(ctx, fmt.Sprintf("table inet %s {\n%s}\n", table, text)); err != nil {
			return err
		}
	}
	if d > 0 {
		g.after(ctx, d, func(ctx context.Context) error {
			for _, p := range in {
				if err := p.nft(ctx, "delete table inet "+table+"\n"); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return nil
}

// nft has nft(8) read rules in the node's namespace.
func (p *player) nft(ctx context.Context, rules string) error {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	var said bytes.Buffer
	code, err := p.g.lab.Exec(ctx, p.name, []string{"nft", "-f", "-"}, lab.IO{In: strings.NewReader(rules), Out: &said, Err: &said})
	if err == nil && code != 0 {
		err = fmt.Errorf("nft ended with %d: %s", code, bytes.TrimSpace(said.Bytes()))
	}
	if err != nil {
		return fmt.Errorf("setting rules at %s: %w", p.name, err)
	}
	return nil
}

// chain is one hook with a rule for what passes there.
func chain(hook, rule string) string {
	return fmt.Sprintf("chain %s { type filter hook %s priority -400; policy accept; %s; }\n", hook, hook, rule)
}

// hole takes everything and answers nothing.
var hole = chain("output", `oifname != "lo" drop`) + chain("forward", "drop")

// parted cuts nodes off from all others.
func parted(all, in []*player) string {
	set := others(all, in)
	return chain("input", "ip saddr "+set+" drop") + chain("output", "ip daddr "+set+" drop") +
		chain("forward", "ip saddr "+set+" drop; ip daddr "+set+" drop")
}

// lossy drops a share of packets on the wires of nodes, once each.
func lossy(all, in []*player, rate float64, everybody bool) string {
	dice := fmt.Sprintf("numgen random mod 100000 < %d drop", int(rate*100000+0.5))
	rules := chain("input", `iifname != "lo" `+dice)
	if !everybody {
		rules += chain("output", "ip daddr "+others(all, in)+" "+dice)
	}
	return rules
}

// others are the addresses of those nodes that are not among in.
func others(all, in []*player) string {
	var list []string
	for _, p := range all {
		if !slices.Contains(in, p) {
			list = append(list, p.address.String())
		}
	}
	return "{ " + strings.Join(list, ", ") + " }"
}
