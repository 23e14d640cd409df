// SPDX-License-Identifier: Apache-2.0

// Package host runs a site's agent on a machine: the machine of package agent with
// a purse on disk, a socket for the site's people, and two directories that are
// its post.
//
//	DIR/key            the agent's own; nodes give tickets to this principal
//	DIR/purse/         what it holds and what it signed (package node/safe)
//	DIR/account.json   who gave how much to whom
//	DIR/agent.sock     wishes, complaints, the account (HTTP)
//	DIR/in/            tickets that came by mail: read, kept and removed
//	DIR/out/PEER/      tickets for a peer, as text that can be mailed
//
// The agent talks to nodes through a way in, as any person does. One goroutine
// owns agent and purse; what takes time runs beside it and comes back as an
// input. What was signed is durable before anybody sees it, so that the agent may
// be killed at any time, and goes on where it was.
//
//	h, err := host.Open(ctx, host.Config{Dir: dir, Key: key, Agent: cfg, Nodes: nodes})
//	err = h.Run(ctx)
//
// A [Client] may be used by any number of goroutines.
package host
