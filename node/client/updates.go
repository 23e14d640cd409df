// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"

	"croft/node/api"
)

// Updates returns what the node runs, and which releases it knows of.
func (w *Way) Updates(ctx context.Context) (u api.Update, err error) {
	return u, w.call(ctx, "GET", "/v1/update", nil, &u)
}

// Update does what the node's owner wants with what it runs.
func (w *Way) Update(ctx context.Context, wish api.UpdateWish) (u api.Update, err error) {
	return u, w.call(ctx, "POST", "/v1/update", wish, &u)
}
