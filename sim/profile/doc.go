// SPDX-License-Identifier: Apache-2.0

// Package profile makes the places of a network: where each node is, and how long
// a packet takes from one to another. Everything is made here from a table of
// cities and a seed; nothing is measured anywhere.
//
//	p, err := profile.New("planetlab", 340, 7)
//	p.Place(3).City, p.OneWay(3, 17)
//
// The profile planetlab has the shape of PlanetLab in December 2003: with 340
// nodes 125 sites in 30 countries, half of them in North America; other numbers
// keep the proportion. Nodes of a site are in one city and one autonomous system.
// The profile flat has one place, and the same distance between any two nodes.
//
// One way is the great circle at two thirds of the speed of light, times a detour
// that each pair of cities draws (1.2 to 2.2), and the last mile of both ends
// (0.2 to 8 ms, most of them short). Between nodes of one site it is the last mile
// alone. The same arguments make the same profile. A Profile does not change and
// may be shared.
package profile
