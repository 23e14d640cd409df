// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"testing"

	"croft/lease/offer"
	"croft/node/api"
)

// found tells as many nodes as the limit says, each once the one before has
// arrived.
type found struct {
	api.Discovery
	arrived chan string
}

func (f found) Seek(ctx context.Context, req offer.FindRequest, tell func(offer.Found) error) (offer.Result, error) {
	for i := range req.Limit {
		name := fmt.Sprintf("%s/n%d", req.Query, i)
		if err := tell(offer.Found{Offer: offer.Offer{Name: name}, Source: offer.DHT}); err != nil {
			return offer.Result{}, err
		}
		select {
		case got := <-f.arrived:
			if got != name {
				return offer.Result{}, fmt.Errorf("%s arrived, not %s", got, name)
			}
		case <-ctx.Done():
			return offer.Result{}, ctx.Err()
		}
	}
	switch {
	case req.Query == "breaks":
		return offer.Result{}, api.ErrUnreachable
	case req.View || !req.Explain || req.Enough != 9:
		return offer.Result{}, fmt.Errorf("asked %+v", req)
	}
	return offer.Result{Known: 5, Nearest: "near"}, nil
}

func TestSeekTellsWhatComesAsItComes(t *testing.T) {
	f := found{arrived: make(chan string)}
	socket := filepath.Join(t.TempDir(), "s")
	listen(t, "unix", socket, func(l net.Listener) net.Listener { return l }, &http.Server{Handler: api.Local(api.Node{Discovery: f}, "1")})
	way := New(socket)
	n := 0
	tell := func(o offer.Found) error {
		n++
		f.arrived <- o.Offer.Name
		return nil
	}
	res, err := way.Seek(t.Context(), offer.FindRequest{Query: "a & b", Limit: 3, Enough: 9, Explain: true}, tell)
	if err != nil || n != 3 || res.Known != 5 || res.Nearest != "near" {
		t.Errorf("told %d, %+v, %v", n, res, err)
	}
	if _, err := way.Seek(t.Context(), offer.FindRequest{Query: "breaks", Limit: 1}, tell); !errors.Is(err, api.ErrUnreachable) {
		t.Errorf("broke off: %v", err)
	}
	if _, err := way.Seek(t.Context(), offer.FindRequest{Query: "breaks"}, tell); !errors.Is(err, api.ErrUnreachable) {
		t.Errorf("never began: %v", err)
	}
	enough := errors.New("enough")
	if _, err := way.Seek(t.Context(), offer.FindRequest{Query: "c", Limit: 2}, func(offer.Found) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("left: %v", err)
	}
	if _, err := New(socket+"x").Seek(t.Context(), offer.FindRequest{}, tell); !errors.Is(err, ErrNoDaemon) {
		t.Errorf("nobody there: %v", err)
	}
}
