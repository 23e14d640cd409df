// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"croft/ebpf/optout"
	"croft/lease/offer"
	"croft/node/api"
)

// avoided tells this machine's people whom the slivers leave alone.
type avoided struct{ d *Daemon }

func (a avoided) set() (*optouts, error) {
	if a.d.deps.OptOuts == nil {
		return nil, api.ErrVisitor
	}
	return a.d.deps.OptOuts, nil
}

// OptOuts implements [api.OptOuts].
func (a avoided) OptOuts(_ context.Context, after string) ([]api.OptOut, error) {
	o, err := a.set()
	if err != nil {
		return nil, err
	}
	var behind netip.Addr
	if after != "" {
		if behind, err = netip.ParseAddr(after); err != nil {
			return nil, fmt.Errorf("%w: %w", api.ErrBadRequest, err)
		}
	}
	names := o.offers()
	o.mu.Lock()
	defer o.mu.Unlock()
	list := []api.OptOut{}
	for _, e := range o.set.Entries() {
		if after != "" && e.Addr.Compare(behind) <= 0 {
			continue
		}
		if list = append(list, o.told(e, names)); len(list) == api.PageOptOuts {
			break
		}
	}
	return list, nil
}

// OptOut implements [api.OptOuts].
func (a avoided) OptOut(_ context.Context, addr string) (api.OptOut, error) {
	o, err := a.set()
	if err != nil {
		return api.OptOut{}, err
	}
	at, err := netip.ParseAddr(addr)
	if err != nil {
		return api.OptOut{}, fmt.Errorf("%w: %w", api.ErrBadRequest, err)
	}
	names := o.offers()
	o.mu.Lock()
	defer o.mu.Unlock()
	e, ok := o.set.Entry(at)
	if !ok {
		return api.OptOut{}, fmt.Errorf("%s: %w", at, api.ErrNoOptOut)
	}
	told := o.told(e, names)
	told.Text = e.Text()
	return told, nil
}

// TakeOptOut implements [api.OptOuts].
func (a avoided) TakeOptOut(ctx context.Context, text string) (api.OptOut, error) {
	o, err := a.set()
	if err != nil {
		return api.OptOut{}, err
	}
	e, err := o.take(ctx, []byte(text))
	if err != nil {
		return api.OptOut{}, err
	}
	names := o.offers()
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.told(e, names), nil
}

// offers is the view.
func (o *optouts) offers() []*offer.Opened {
	if o.sights == nil {
		return nil
	}
	return o.sights.offers()
}

// told is an entry as the API has it, with the lock held.
func (o *optouts) told(e optout.Entry, offers []*offer.Opened) api.OptOut {
	out := api.OptOut{Addr: e.Addr.String(), From: e.From, Until: e.Until, ID: e.ID, Spared: !o.set.Live(e.Addr) && time.Unix(e.Until, 0).After(o.wall())}
	for _, a := range e.By {
		by := api.Attest{Node: a.Node, At: a.From}
		for _, f := range offers {
			if f.Node == a.Node {
				by.Name, by.Site = f.Display(), f.Site
			}
		}
		out.By = append(out.By, by)
	}
	return out
}
