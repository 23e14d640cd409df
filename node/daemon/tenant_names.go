// SPDX-License-Identifier: Apache-2.0

//go:build !no_builtin_names

package daemon

import (
	"context"
	"encoding/base64"
)

func init() {
	builtins["names"] = func(d *Daemon) tenant {
		return replies{"lookup": reply(d.book.lookup), "reverse": reply(d.book.reverse), "credentials": reply(d.book.credentials)}
	}
}

func (b *namesBook) lookup(_ context.Context, q lookupAsk) (lookupDone, error) {
	e, _ := b.now().entry(q.Name)
	return e, nil
}

func (b *namesBook) reverse(_ context.Context, q reverseAsk) (done reverseDone, err error) {
	page := b.now()
	for _, p := range q.Principals {
		if name := page.people[p]; name != "" {
			done.Names = append(done.Names, named{p, name})
		}
	}
	return done, nil
}

func (b *namesBook) credentials(_ context.Context, q credentialsAsk) (done credentialsDone, err error) {
	size := 0
	for _, g := range b.now().grants {
		if !q.fits(g) {
			continue
		}
		bytes := g.Bytes()
		if size += base64.StdEncoding.EncodedLen(len(bytes)); size > maxCredentialText || len(done.Credentials) == maxCredentials {
			break
		}
		done.Credentials = append(done.Credentials, bytes)
	}
	return done, nil
}
