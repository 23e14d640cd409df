// SPDX-License-Identifier: Apache-2.0

package audit

import "time"

// instant writes Unix nanoseconds for a person, and so that they parse again.
func instant(ns int64) string { return time.Unix(0, ns).UTC().Format(time.RFC3339Nano) }
