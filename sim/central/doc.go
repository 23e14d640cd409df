// SPDX-License-Identifier: Apache-2.0

// Package central plays discovery with index servers in the middle, to hold
// discovery without any against: the authors of SWORD (Oppenheimer, Albrecht,
// Patterson and Vahdat, HPDC 2005) found that on their PlanetLab one or two good
// servers answered sooner than a DHT.
//
// Every node sends its offer to every server, again and again; the server keeps it
// until it runs out. Who looks for nodes asks the nearest server, and the next one
// when that is silent. Wires are whatever function of two places is given, so that
// the same can be had as in another world; offers and matching are the real ones
// (lease/offer). A server has one core, which does one thing after the other.
//
//	report, err := central.Run(central.Setup{
//		Nodes: 340, Servers: []int{0, 5}, OneWay: p.OneWay, Offer: offers, Cost: central.DefaultCost,
//	}, central.Workload{Rate: 60, Queries: queries, For: 10 * time.Minute})
//	fmt.Println(report.Latency.At(.5), report.Load)
//
// Nothing is lost on the wires, and a server has bandwidth without end; one that is
// down keeps what it had. The same arguments give the same report. There is no
// goroutine and no clock: Run may be called from several goroutines.
package central
