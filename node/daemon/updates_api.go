// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"

	"croft/node/api"
	"croft/node/release"
)

// Updates tells what runs, and what is known of releases.
func (u *updater) Updates(context.Context) (api.Update, error) {
	book, c := u.known(), u.d.cfg.Updates
	out := api.Update{Running: Version, Platform: platformHere, Publishers: c.Publishers, Need: c.Need, Apply: string(c.Apply)}
	if book.Pin != nil {
		out.Pin = book.Pin.String()
	}
	if s := book.Last(); s != nil {
		out.Newest = &api.NewestRelease{Version: s.Version.String(), Said: s.Said, Until: s.Until, By: s.By(c.Publishers), Note: s.Note}
		out.Stale = s.Until.Before(u.d.deps.Clock.Wall())
		if _, err := book.May(s, u.running, platformHere, false); err != nil {
			out.Why = err.Error()
		}
	}
	for what, k := range map[string]*release.Kept{"current": book.Current, "previous": book.Previous} {
		if k != nil {
			out.Kept = append(out.Kept, api.KeptRelease{What: what, Version: k.Version.String(), Digest: k.Digest})
		}
	}
	if t := book.Trial; t != nil {
		out.Kept = append(out.Kept, api.KeptRelease{What: "trial", Version: t.Version.String(), Digest: t.Digest})
	}
	for _, f := range book.Failed {
		out.Failed = append(out.Failed, api.FailedRelease{Version: f.Version.String(), Digest: f.Digest, At: f.At, Why: f.Why})
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if out.Fault = u.fault; u.damaged != nil {
		out.Fault = u.damaged.Error()
	}
	if !u.asked.IsZero() {
		out.Asked = &u.asked
	}
	out.Tenant, out.Instead, out.Begun = string(u.from.tenant), u.from.instead, u.next != nil
	return out, nil
}

// Update does what the owner wants.
func (u *updater) Update(ctx context.Context, wish api.UpdateWish) (api.Update, error) {
	var f func(context.Context) error
	switch wish.Do {
	case "check":
		f = func(ctx context.Context) error { return u.look(ctx, wish) }
	case "apply":
		f = func(ctx context.Context) error { return u.applyNow(ctx, wish) }
	case "rollback":
		f = u.back
	case "pin", "unpin":
		f = func(context.Context) error { return u.pin(wish) }
	default:
		return api.Update{}, fmt.Errorf("%w: %.20q is nothing that is done with a release", api.ErrBadRequest, wish.Do)
	}
	if err := u.do(ctx, f); err != nil {
		if ctx.Err() != nil {
			return api.Update{}, context.Cause(ctx)
		}
		return api.Update{}, fmt.Errorf("%w: %w", api.ErrUpdate, err)
	}
	return u.Updates(ctx)
}

// look asks the role, or reads what the owner was sent.
func (u *updater) look(ctx context.Context, wish api.UpdateWish) (err error) {
	if wish.Release == "" {
		_, err = u.ask(ctx)
	} else {
		_, err = u.hear([]byte(wish.Release))
	}
	return err
}

func (u *updater) applyNow(ctx context.Context, wish api.UpdateWish) error {
	if wish.Release != "" {
		if err := u.look(ctx, wish); err != nil {
			return err
		}
	}
	book := u.known()
	s := book.Last()
	if s == nil {
		return errors.New("no release was heard of; `croft update check` asks")
	}
	return u.apply(ctx, s, wish.Binary, true)
}

func (u *updater) pin(wish api.UpdateWish) error {
	var pin *release.Version
	if wish.Do == "pin" {
		v := u.running
		if wish.Version != "" {
			var err error
			if v, err = release.ParseVersion(wish.Version); err != nil {
				return err
			}
		}
		pin = &v
	}
	return u.change(func(b *release.Book) (bool, error) {
		b.Pin = pin
		return true, nil
	})
}
