// SPDX-License-Identifier: Apache-2.0

// Package page writes reports as one HTML file that is complete in itself: tables
// and plots in SVG, no script, and nothing is fetched from anywhere, which the page's
// own policy forbids too. It follows the reader's light or dark, and prints.
//
//	err := page.Write(w, []*report.Report{first, second})
//
// A plot is there if the run has what it shows: [plots] has the list. Several runs
// stand one after another, and what more than one of them measured is laid over
// one another first, with the distance.
//
// What is shown may have been said by strangers, so every text is escaped. Pure.
package page
