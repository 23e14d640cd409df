// SPDX-License-Identifier: Apache-2.0

// Bootstrap serves bootstrap/1 to the node on which it runs: contacts from the offers that
// the node heard, of as many networks as can be, so that no one can have all
// newcomers come by his.
//
//	CGO_ENABLED=0 go build ./examples/bootstrap
//	croft run --where 'node=…' --name door ./bootstrap
//	croft role try bootstrap door
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"croft/shim"
)

// contact is one of docs/roles/bootstrap.md, with what it is chosen by.
type contact struct {
	Node  string   `json:"node"`
	Addrs []string `json:"addrs"`

	made    int64 // when its offer was, in Unix seconds
	network string
}

const (
	maxContacts = 64
	maxAddrs    = 4
	maxAddr     = 160

	again = 5 * time.Second // offers are read
)

// contactOf reads an offer; false: it leads nowhere.
func contactOf(o shim.Offer) (c contact, ok bool) {
	c.Node, c.made = o.Node, o.Made
	for _, a := range o.Addrs {
		ip := strings.HasPrefix(a, "/ip4/") || strings.HasPrefix(a, "/ip6/")
		if ip && !strings.HasSuffix(a, "/http") && len(a) <= maxAddr && len(c.Addrs) < maxAddrs {
			c.Addrs = append(c.Addrs, a)
		}
	}
	if o.Closed || o.Until <= time.Now().Unix() || len(c.Addrs) == 0 {
		return c, false
	}
	addr, err := netip.ParseAddr(strings.Split(c.Addrs[0], "/")[2])
	if err != nil {
		return c, false
	}
	bits := 24
	if addr.Is6() {
		bits = 48
	}
	p, err := addr.Prefix(bits)
	c.network = p.String()
	return c, err == nil
}

// spread takes one of each network, then a second, and so on.
func spread(all []contact, want int) []contact {
	slices.SortFunc(all, func(a, b contact) int { return cmp.Or(cmp.Compare(b.made, a.made), cmp.Compare(a.Node, b.Node)) })
	taken := map[string]int{}
	turn := make(map[string]int, len(all))
	for _, c := range all {
		turn[c.Node] = taken[c.network]
		taken[c.network]++
	}
	slices.SortStableFunc(all, func(a, b contact) int { return cmp.Compare(turn[a.Node], turn[b.Node]) })
	return all[:min(len(all), want)]
}

// heard is what the node heard of, asked for anew now and then: a sliver has a measure of
// how much it may ask.
type heard struct {
	mu   sync.Mutex
	list []contact
	at   time.Time
}

func (h *heard) contacts(ctx context.Context, node *shim.Node, want int) ([]contact, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.at.IsZero() || time.Since(h.at) > again {
		list, err := contacts(ctx, node)
		if err != nil && h.at.IsZero() {
			return nil, err
		}
		if err == nil { // else what was heard before has to do
			h.list, h.at = list, time.Now()
		}
	}
	return spread(slices.Clone(h.list), min(2*want, maxContacts)), nil // some may not answer
}

func contacts(ctx context.Context, node *shim.Node) (list []contact, err error) {
	self, err := node.Self(ctx)
	if err != nil {
		return nil, err
	}
	newest := map[string]shim.Offer{}
	for f, err := range node.Offers(ctx, time.Time{}) {
		if err != nil {
			return nil, err
		}
		if old, ok := newest[f.Offer.Node]; !ok || old.Sequence < f.Offer.Sequence {
			newest[f.Offer.Node] = f.Offer
		}
	}
	for _, o := range newest {
		if c, ok := contactOf(o); ok && c.Node != self.Node {
			list = append(list, c)
		}
	}
	return list, nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	node, all := shim.Open(), &heard{}
	err := node.Serve(ctx, "bootstrap/1", func(ctx context.Context, r shim.Request) (any, error) {
		var q struct {
			Want int `json:"want"`
		}
		if r.Call != "contacts" || json.Unmarshal(r.Ask, &q) != nil {
			return nil, &shim.Failure{Code: "ask", Text: "want contacts"}
		}
		list, err := all.contacts(ctx, node, q.Want)
		return map[string]any{"contacts": list}, err
	})
	if ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "bootstrap:", err)
		os.Exit(1)
	}
}
