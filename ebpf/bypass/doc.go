// SPDX-License-Identifier: Apache-2.0

// Package bypass tries to get around the limits of slivers, on a node that it
// makes for that and takes away again.
package bypass
