// SPDX-License-Identifier: Apache-2.0

package scenarios

import (
	_ "embed"
	"encoding/json"

	"croft/sim/report"
)

//go:embed agreement.json
var agreement []byte

// Agreement returns how far world and stack were from one another in the scenario agree
// when that was last measured; `make agreement` measures it again.
func Agreement() (a report.Agreement) {
	if err := json.Unmarshal(agreement, &a); err != nil {
		panic(err) // it is in the binary
	}
	return a
}
