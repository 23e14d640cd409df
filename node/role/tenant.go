// SPDX-License-Identifier: Apache-2.0

package role

import (
	"fmt"
	"strings"

	"croft/lease"
)

// Tenant is who fills a role: [Builtin], or a slice as label@owner.
type Tenant string

// Builtin is what the node's own binary brings, if it was built in.
const Builtin Tenant = "builtin"

// SliceTenant names the tenant that a slice is.
func SliceTenant(label string, owner lease.Principal) Tenant {
	return Tenant(label + "@" + owner.String())
}

// ParseTenant reads "builtin", or a slice with its owner's principal in full.
func ParseTenant(s string) (Tenant, error) {
	if s == string(Builtin) {
		return Builtin, nil
	}
	label, owner, ok := strings.Cut(s, "@")
	if !ok || label == "" {
		return "", fmt.Errorf("%.100q: want builtin, or a slice as label@owner: %w", s, ErrTenant)
	}
	if err := lease.CheckLabel(label); err != nil {
		return "", fmt.Errorf("%.100q: %w: %w", s, ErrTenant, err)
	}
	p, err := lease.ParsePrincipal(owner)
	if err != nil {
		return "", fmt.Errorf("%.100q: %w: %w", s, ErrTenant, err)
	}
	return SliceTenant(label, p), nil
}

// Short is the tenant as people are told of it.
func (t Tenant) Short() string {
	label, owner, ok := strings.Cut(string(t), "@")
	if !ok {
		return string(t)
	}
	return label + "@" + owner[:min(len(owner), 8)]
}
