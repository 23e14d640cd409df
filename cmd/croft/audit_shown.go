// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"croft/ebpf/audit"
	"croft/ebpf/optout"
	"croft/lease"
	"croft/lease/offer"
	"croft/node/daemon"
)

const (
	// visitWait is how long one courtesy page has to answer, showWait all of them:
	// from a machine that cannot reach the nodes the answer without names is there
	// soon all the same.
	visitWait = 3 * time.Second
	showWait  = 10 * time.Second

	// maxPages is how many pages are asked who may attest, before it is given up.
	maxPages = 4
)

// readShown reads the file of --shown.
func (a *app) readShown(path string) (string, error) {
	in := a.in
	if path != "-" {
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			return "", usage("a file with what courtesy pages said, or -", "no file %q", path)
		}
		if err != nil {
			return "", err
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, audit.MaxSightingText+1))
	if err != nil {
		return "", fmt.Errorf("reading what shows the destination: %w", err)
	}
	all, err := audit.ParseSightings(string(b))
	if err == nil && len(all) == 0 {
		err = errors.New("no word that begins with croft-sighting")
	}
	if err != nil {
		return "", usage("what `curl -g 'http://PAGE/seen?for=PRINCIPAL'` printed", "%s: %w", path, err)
	}
	return string(b), nil
}

// beSeen visits the courtesy pages of the nodes that know a name, or else of three
// that may speak for this machine's address, to be seen at the destination. It says
// what could not be had, and returns what could.
func (a *app) beSeen(ctx context.Context, who lease.Principal, dst netip.Addr, all []said) string {
	ctx, cancel := context.WithTimeout(ctx, showWait)
	defer cancel()
	v := visit{newAsker(ours(dst)), who, dst}
	texts, why := make([]string, len(all)), make([]error, len(all))
	var visiting sync.WaitGroup
	for i, s := range all {
		if s.answer.Withheld > 0 {
			visiting.Go(func() { texts[i], why[i] = v.to(ctx, s.node.Node, doorOf(s.node, dst)) })
		}
	}
	visiting.Wait()
	var pages []netip.AddrPort
	elsewhere := false // the page sees this machine at another address: so will others
	for i, s := range all {
		if why[i] == nil {
			continue
		}
		a.say("not shown to %s: %s", s.node.Display(), plain(why[i]))
		elsewhere = elsewhere || errors.Is(why[i], errElsewhere)
		if d := doorOf(s.node, dst); d.IsValid() {
			pages = append(pages, d)
		}
	}
	if !elsewhere && slices.ContainsFunc(why, func(err error) bool { return err != nil }) {
		texts = append(texts, a.threeOthers(ctx, v, pages))
	}
	return strings.Join(texts, "")
}

// threeOthers is shown to nodes whose own page does not answer, or that have none.
func (a *app) threeOthers(ctx context.Context, v visit, failed []netip.AddrPort) string {
	res, err := a.seek(ctx, offer.FindRequest{View: true})
	if err != nil {
		return ""
	}
	tried := 0
	for _, f := range res.Offers {
		page := doorOf(f.Offer, v.dst)
		if !page.IsValid() || slices.Contains(failed, page) {
			continue
		}
		if tried++; tried > maxPages {
			break
		}
		list, err := v.attesters(ctx, page.String(), "/seen/nodes")
		if err != nil {
			continue
		}
		var texts strings.Builder
		got := three(list, func(n attestingNode) error {
			text, err := v.to(ctx, n.node, n.door)
			texts.WriteString(text)
			return err
		}, func(string) {})
		if got == optout.Attesters {
			return texts.String()
		}
		a.say("of the others that may speak for %s, %d could be had, and %d are needed", v.dst, got, optout.Attesters)
		return ""
	}
	a.say("no other node's courtesy page can be reached from here")
	return ""
}

var errElsewhere = errors.New("the packets did not go to where this machine is")

// visit is how a machine is seen at an address, for a principal.
type visit struct {
	*asker
	who lease.Principal
	dst netip.Addr
}

// to visits one page and returns its sighting.
func (v visit) to(ctx context.Context, node lease.Principal, door netip.AddrPort) (string, error) {
	if !door.IsValid() {
		return "", errors.New("it has no courtesy page")
	}
	ctx, cancel := context.WithTimeout(ctx, visitWait)
	defer cancel()
	text, err := v.call(ctx, "GET", "http://"+door.String()+"/seen?for="+v.who.String(), "")
	if err != nil {
		return "", fmt.Errorf("visiting %s: %w", door, err)
	}
	got, err := audit.ParseSightings(text)
	if err != nil || len(got) != 1 || got[0].Node != node || got[0].Who != v.who {
		return "", fmt.Errorf("%s did not answer as that node would", door)
	}
	if got[0].Addr != v.dst {
		return "", fmt.Errorf("%s sees this machine at %s: %w", door, got[0].Addr, errElsewhere)
	}
	return got[0].Text() + "\n", nil
}

// doorOf is the node's courtesy page at an address of the same family as another.
func doorOf(o offer.Offer, like netip.Addr) netip.AddrPort {
	for _, d := range daemon.DoorsOf(o) {
		if d.Addr().Is4() == like.Is4() {
			return d
		}
	}
	return netip.AddrPort{}
}

// ours is the address if it is this machine's own, to be asked from: it may have
// several.
func ours(a netip.Addr) netip.Addr {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return netip.Addr{}
	}
	for _, x := range addrs {
		if p, err := netip.ParsePrefix(x.String()); err == nil && p.Addr().Unmap() == a {
			return a
		}
	}
	return netip.Addr{}
}
