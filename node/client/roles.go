// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"net/url"

	"croft/node/api"
)

// Roles returns the management jobs of the node, and who fills them.
func (w *Way) Roles(ctx context.Context) (r []api.Role, err error) {
	return r, w.call(ctx, "GET", "/v1/roles", nil, &r)
}

// Decide does what the node's owner wants with a role.
func (w *Way) Decide(ctx context.Context, role string, wish api.RoleWish) (r api.Role, err error) {
	return r, w.call(ctx, "POST", "/v1/roles/"+url.PathEscape(role), wish, &r)
}
