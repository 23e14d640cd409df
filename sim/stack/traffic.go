// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"fmt"
	"strings"

	"croft/sim/stack/lean"
)

// mostProtocols bounds the list of a note.
const mostProtocols = 12

// traffic says what a node sent at the mean, by protocol.
func traffic(all []lean.Traffic, nodes int) string {
	var list []string
	for _, t := range all[:min(len(all), mostProtocols)] {
		list = append(list, fmt.Sprintf("%s %.1f kB in %.1f streams", t.Protocol, float64(t.Bytes)/1e3/float64(nodes), float64(t.Streams)/float64(nodes)))
	}
	return "sent by a node at the mean: " + strings.Join(list, ", ")
}
