// SPDX-License-Identifier: Apache-2.0

package verdict

//go:generate sh testdata/compile.sh
