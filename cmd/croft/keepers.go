// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"croft/lease"
	"croft/node/api"
	"croft/node/slice"
)

// Which nodes keep a slice of the person's is in HOME/keepers/LABEL.json: they know
// where its slivers are, and have to be told before it is stopped.

type keepers struct {
	Nodes []lease.Principal `json:"nodes"`
}

func (a *app) keepersPath(label string) string {
	return filepath.Join(a.home, "keepers", label+".json")
}

// keepersOf are the nodes that keep a slice of the person's; none is no error.
func (a *app) keepersOf(label string) ([]lease.Principal, error) {
	b, err := os.ReadFile(a.keepersPath(label))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var k keepers
	if err == nil {
		err = json.Unmarshal(b, &k)
	}
	if err != nil {
		return nil, fmt.Errorf("reading who keeps slice %s: %w", label, err)
	}
	return k.Nodes, nil
}

// setKeepers notes which nodes keep a slice.
func (a *app) setKeepers(label string, nodes []lease.Principal) error {
	path := a.keepersPath(label)
	if len(nodes) == 0 {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	b, err := json.Marshal(keepers{nodes})
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path+".tmp", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil { // it is to be known after a power cut who keeps it
		return err
	}
	return os.Rename(path+".tmp", path)
}

// keptBy asks a node what it keeps for the person of one label, or of all with "".
func (a *app) keptBy(ctx context.Context, t target, node lease.Principal, label string) ([]api.Kept, error) {
	n := a.node(t, node)
	defer n.Close()
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	list, err := n.Kept(ctx)
	var out []api.Kept
	for _, k := range list {
		if label == "" || k.Slice == label {
			out = append(out, k)
		}
	}
	return out, err
}

// keptNodes are the nodes where keepers of a slice of the person's have seen slivers of
// it. A keeper that does not answer is told of.
func (a *app) keptNodes(ctx context.Context, t target) (nodes []lease.Principal) {
	list, err := a.keepersOf(t.Slice)
	if err != nil {
		a.say("%s", plain(err))
	}
	for _, node := range list {
		kept, err := a.keptBy(ctx, t, node, t.Slice)
		if err != nil {
			a.say("its keeper %s does not say where it runs: %s", node.Short(), plain(err))
		}
		for _, k := range kept {
			for _, s := range k.Slivers {
				nodes = append(nodes, s.Node)
			}
		}
	}
	return nodes
}

// unkeepAll has no node keep those of the slices that are the person's own. A keeper that
// does not answer keeps nothing here from being stopped. Who kept one is forgotten when
// all is stopped, and no sooner: keepers say where it runs.
func (a *app) unkeepAll(ctx context.Context, names []string, forget bool) error {
	var errs []error
	for _, name := range names {
		label, owner, _ := strings.Cut(name, "@")
		key, err := a.known()
		if err != nil || key == nil || lease.CheckLabel(label) != nil || owner != "" && owner != "you" && !strings.HasPrefix(key.Principal().String(), owner) {
			continue // another's, or what is stopped says why not
		}
		list, err := a.keepersOf(label)
		if err == nil && len(list) > 0 {
			var t target
			if t, _, err = a.keptTarget(label); err == nil {
				err = a.unkeep(ctx, t)
			}
			if !forget {
				err = errors.Join(err, a.setKeepers(label, list))
			}
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// unkeep has no node keep a slice of the person's any more: else what is stopped would
// be run anew. Whoever does not answer is asked again the next time.
func (a *app) unkeep(ctx context.Context, t target) error {
	list, err := a.keepersOf(t.Slice)
	if err != nil || len(list) == 0 {
		return err
	}
	var left []lease.Principal
	var errs []error
	for _, node := range list {
		n := a.node(target{Record: slice.Record{Slice: t.Slice}, key: t.key}, node)
		within, cancel := context.WithTimeout(ctx, callLimit)
		_, err := n.Unkeep(within, t.Slice)
		cancel()
		n.Close()
		if err != nil && !errors.Is(err, api.ErrNoSliver) { // 404: it keeps it no more
			left, errs = append(left, node), append(errs, &nodeError{node.Short(), err})
		}
	}
	if err := a.setKeepers(t.Slice, left); err != nil {
		return err
	}
	if len(errs) > 0 {
		a.say("`croft slice revoke %s --all` ends its keepers too, as soon as they hear of it", t.Slice)
		return fmt.Errorf("telling the keepers of slice %s: %w", t.Slice, errors.Join(errs...))
	}
	return nil
}
