// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"

	"croft/node/api"
)

// Roles returns the management jobs of the node, and who fills them.
func (w *Way) Roles(ctx context.Context) (r []api.Role, err error) {
	return r, w.call(ctx, "GET", "/v1/roles", nil, &r)
}

// AskRole puts a question to a role, and reads the answer into a value; both are as on
// the role's page. What it returns says whose answer it is.
func (w *Way) AskRole(ctx context.Context, role, call string, ask, answer any) (r api.RoleAnswer, err error) {
	if err := w.call(ctx, "POST", "/v1/roles/"+url.PathEscape(role)+"/"+url.PathEscape(call), ask, &r); err != nil {
		return r, err
	}
	if err := json.Unmarshal(r.Answer, answer); err != nil {
		return r, fmt.Errorf("reading the answer of the role %s: %w", role, err)
	}
	return r, nil
}

// Obsolescence returns on what and whom the node depends, and who is next: all of them
// are asked now.
func (w *Way) Obsolescence(ctx context.Context) (d []api.Dependence, err error) {
	return d, w.call(ctx, "GET", "/v1/obsolescence", nil, &d)
}

// Decide does what the node's owner wants with a role.
func (w *Way) Decide(ctx context.Context, role string, wish api.RoleWish) (r api.Role, err error) {
	return r, w.call(ctx, "POST", "/v1/roles/"+url.PathEscape(role), wish, &r)
}
