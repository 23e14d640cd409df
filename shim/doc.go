// SPDX-License-Identifier: Apache-2.0

// Package shim is what a service in a sliver talks to its node by: who it is, what
// else its slice has here, how long its lease lasts, which nodes there are and how far;
// what is said on topics; and how it fills a role of the node.
//
// All of it goes through one socket that the node makes in every sliver,
// /run/croft/node.sock, or where CROFT_SOCKET says. The node knows who asks by the
// socket. Other languages speak HTTP and lines of JSON to it: docs/shim.md. The package
// imports the standard library alone.
//
//	node := shim.Open()
//	self, err := node.Self(ctx)
//	found, err := node.Find(ctx, "country!=DE & cpu>=500 limit 3")
//	told, err := node.Publish(ctx, "load", data)
//	for m, err := range node.Hear(ctx, "pulse@OWNER/load") { … }
//	err = node.Serve(ctx, "discovery/1", handler)   // until ctx ends
//
// A Node is safe for concurrent use; so must a Handler be.
package shim
