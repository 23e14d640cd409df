// SPDX-License-Identifier: Apache-2.0

//go:build no_builtin_discovery

package daemon

import "croft/node/api"

// builtin is nobody: this node was built without the view's and the index's finder,
// and finds by whoever fills the role.
func (o *overlay) builtin() api.Discovery { return nil }
