// SPDX-License-Identifier: Apache-2.0

// Conform makes every call of package shim and says whether the node keeps to what
// docs/shim.md promises. It says the same in a sliver and on a desktop.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"croft/shim"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	node := shim.Open()
	if len(os.Args) == 3 && os.Args[1] == "say" {
		_, err := node.Publish(ctx, os.Args[2], []byte("intruding"))
		fmt.Println("said:", err == nil, "not allowed:", errors.Is(err, shim.ErrNotAllowed))
		return
	}
	if err := conform(ctx, node); err != nil {
		fmt.Println("does not agree:", err)
		os.Exit(1)
	}
	fmt.Println("all agree")
	if len(os.Args) == 2 && os.Args[1] == "once" {
		return
	}
	go func() { // until the sliver ends
		for {
			if _, err := node.Publish(context.Background(), "talk", []byte("still here")); err != nil {
				fmt.Println("not said:", err)
			}
			time.Sleep(time.Second)
		}
	}()
	n := 0
	for l, err := range node.Leases(context.Background()) {
		if err != nil {
			fmt.Println("lease:", err)
			continue
		}
		n++
		fmt.Println("lease", n, l.State)
	}
}

func conform(ctx context.Context, node *shim.Node) error {
	self, err := node.Self(ctx)
	if err != nil {
		return err
	}
	if self.Label != "conform" || self.Slice != "conform@"+self.Owner || self.Shim != shim.Version || self.Node == "" {
		return fmt.Errorf("self: %+v", self)
	}
	slivers, err := node.Slivers(ctx)
	if err != nil {
		return err
	}
	mine := 0
	for _, s := range slivers {
		if s.Self && s.Sliver == self.Sliver && s.Node == self.Node {
			mine++
		}
	}
	if mine != 1 {
		return fmt.Errorf("slivers: %+v", slivers)
	}
	lease, err := node.Lease(ctx)
	if err != nil || lease.State != "active" || (lease.Until == 0) != (lease.Left == 0) {
		return fmt.Errorf("lease: %+v, %w", lease, err)
	}
	for l, err := range node.Leases(ctx) {
		if err != nil || l.Until != lease.Until {
			return fmt.Errorf("leases: %+v, %w", l, err)
		}
		break
	}
	if t, err := node.Traffic(ctx); lease.Until == 0 && !errors.Is(err, shim.ErrNotRunning) || lease.Until > 0 && (err != nil || t.At.IsZero() || t.Out.SeenBytes == 0 || t.OutPacketsLeft == 0 || t.OutPacketsLeft > 2*lease.RSet["egress.packets"]) {
		return fmt.Errorf("traffic: %+v, %w", t, err)
	}
	if found, err := node.Find(ctx, "cpu>=1"); err != nil || found.Known == 0 || len(found.Offers) == 0 {
		return fmt.Errorf("find: %+v, %w", found, err)
	}
	if _, err := node.Find(ctx, "cpu>="); !errors.Is(err, shim.ErrRefused) || errors.Is(err, shim.ErrNotNow) {
		return fmt.Errorf("a bad query: %w", err)
	}
	offers := 0
	for f, err := range node.Offers(ctx, time.Time{}) {
		if err != nil || f.Offer.Node == "" || len(f.Signed) == 0 {
			return fmt.Errorf("offers: %+v, %w", f, err)
		}
		offers++
	}
	if offers == 0 {
		return errors.New("no offers")
	}
	if err := paths(ctx, node); err != nil {
		return err
	}
	return topics(ctx, node, self)
}

// paths waits until the node has probed somebody.
func paths(ctx context.Context, node *shim.Node) error {
	for {
		list, err := node.Paths(ctx)
		if err != nil {
			return err
		}
		for _, p := range list {
			if p.Asked == 0 || p.Loss < 0 || p.Loss > 1 || p.Way != "direct" && p.Way != "relayed" && p.Way != "none" {
				return fmt.Errorf("path: %+v", p)
			}
			if one, err := node.Path(ctx, p.Node); err != nil || one.Node != p.Node {
				return fmt.Errorf("path: %+v, %w", one, err)
			}
		}
		if len(list) > 0 {
			return nil
		}
		if err := rest(ctx); err != nil {
			return fmt.Errorf("no paths: %w", err)
		}
	}
}

// topics says something, and hears it and, on a desktop, what the sliver says.
func topics(ctx context.Context, node *shim.Node, self shim.Self) error {
	heard, err := node.Subscribe(ctx, "talk")
	if err != nil {
		return err
	}
	for { // the slice's owner has yet to say that slivers may
		told, err := node.Publish(ctx, "talk", []byte("first of "+self.Sliver))
		if err == nil && told.ID != "" && told.Here > 0 {
			break
		}
		if err != nil && !errors.Is(err, shim.ErrNotKnown) && !errors.Is(err, shim.ErrNotAllowed) {
			return err
		}
		if err := rest(ctx); err != nil {
			return fmt.Errorf("publishing: %w", err)
		}
	}
	own, others := false, self.Sliver != "desk"
	for m, err := range heard {
		if err != nil {
			return err
		}
		switch {
		case string(m.Data) == "first of "+self.Sliver && m.Made > 0 && (m.Author == self.Node || m.Author == self.Owner):
			own = true
		case m.Author != self.Owner:
			others = true
		}
		if own && others {
			break
		}
	}
	if ctx.Err() != nil {
		return fmt.Errorf("hearing itself %t and others %t: %w", own, others, ctx.Err())
	}
	if _, err := node.Publish(ctx, "none@"+self.Owner+"/talk", nil); self.Sliver != "desk" && !errors.Is(err, shim.ErrNotKnown) {
		return fmt.Errorf("a slice without a record: %w", err)
	}
	if _, err := node.Subscribe(ctx, "Talk"); !errors.Is(err, shim.ErrRefused) {
		return fmt.Errorf("a topic that can be none: %w", err)
	}
	return nil
}

func rest(ctx context.Context) error {
	select {
	case <-time.After(500 * time.Millisecond):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
