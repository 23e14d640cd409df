// SPDX-License-Identifier: Apache-2.0

//go:build !no_builtin_bootstrap

package daemon

import "context"

func init() {
	builtins["bootstrap"] = func(d *Daemon) tenant {
		return replies{"contacts": reply(func(_ context.Context, q contactsAsk) (done contactsDone, err error) {
			if d.deps.Contacts != nil {
				done.Contacts = d.deps.Contacts.Remembered()
			}
			done.Contacts = done.Contacts[:min(len(done.Contacts), 2*q.Want)] // some may have gone
			return done, nil
		})}
	}
}
