// SPDX-License-Identifier: Apache-2.0

// Package dhttest is what any index of offers must do, whether it runs between
// real peers or as a model in the simulator. Both call [Run]:
//
//	func TestConformance(t *testing.T) {
//		dhttest.Run(t, func(t *testing.T, nodes int) dhttest.Net { return newModel(nodes) })
//	}
//
// A [Net] is used by one goroutine at a time.
package dhttest
