// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"

	"croft/lease"
)

// Caller is who asks: the principal that proved its key on the channel and, for
// a slice of another's, what shows that its owner lets it.
type Caller struct {
	Principal lease.Principal
	Authority []byte // see lease.OpenAuthority; nil: for itself
}

// HeaderAuthority carries a grant and the record on which it stands, in base64.
// It goes with each request, so that one channel serves for several slices.
const HeaderAuthority = "Croft-Authority"

type callerKey struct{}

// WithCaller marks a request as made by the principal that proved its key on
// the channel.
func WithCaller(ctx context.Context, p lease.Principal) context.Context {
	return context.WithValue(ctx, callerKey{}, Caller{Principal: p})
}

func caller(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}

// authorized takes what a request shows to where its handler finds the caller.
// Nobody has judged it yet.
func authorized(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		shown := r.Header.Values(HeaderAuthority)
		if len(shown) == 0 {
			h.ServeHTTP(w, r)
			return
		}
		b, err := base64.StdEncoding.DecodeString(shown[0])
		if err != nil || len(shown) > 1 || len(b) > lease.MaxAuthority {
			Fail(w, fmt.Errorf("%w: %s wants one authority in base64, at most %d bytes", ErrBadRequest, HeaderAuthority, lease.MaxAuthority))
			return
		}
		c := caller(r.Context())
		c.Authority = b
		h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, c)))
	})
}
