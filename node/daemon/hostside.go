// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"

	"croft/ebpf"
	"croft/ebpf/pace"
	"croft/sandbox"
)

// A Carriage says of one way to the node what it carries for a sliver on the
// host's side: the channel by which that is charged to the sliver's lease, or
// why there is nothing to charge.
type Carriage struct {
	Way     string       // method and path of a route, or another name
	Channel ebpf.Channel // 0: none
	Why     string       // of none
}

// Carriages lists every way. A route that is missing here fails a test: whoever
// adds one has to decide.
func Carriages() []Carriage {
	const (
		books   = "statements and books, not a sliver's bytes"
		about   = "a few numbers about a sliver, none of them its own bytes"
		blob    = "what a sliver will be made of, before there is one: bounded by the node's quota"
		image   = "programs on their way to other nodes, which no sliver can write: at the node's image_rate"
		record  = "answers about everybody's packets, to anybody: bounded by the allowance of the asker's network"
		letters = "what strangers had to say about packets: bounded by the node"
		seen    = "what the node as a witness saw of another's log"
	)
	return []Carriage{
		{"GET /v1/slivers/{sliver}/logs", ebpf.ChannelLogs, ""},
		{"GET /v1/slivers/{sliver}/exec", ebpf.ChannelExec, ""},
		{"GET /v1/slivers/{sliver}/capture", ebpf.ChannelCapture, ""},
		{"GET /v1/audit/flows", ebpf.ChannelRecord, ""}, // without a sliver there: the network's allowance
		{"GET /v1/audit/rows", ebpf.ChannelRecord, ""},  // the same; the node's owner, on the socket, pays nothing
		{"resolver", ebpf.ChannelDNS, ""},
		{"door: serve", ebpf.ChannelRole, ""},
		{"door: GET /v1/self", ebpf.ChannelShim, ""},
		{"door: GET /v1/slivers", ebpf.ChannelShim, ""},
		{"door: GET /v1/lease", ebpf.ChannelShim, ""},
		{"door: GET /v1/find", ebpf.ChannelShim, ""},
		{"door: POST /v1/find", ebpf.ChannelShim, ""},
		{"door: GET /v1/offers", ebpf.ChannelShim, ""},
		{"door: GET /v1/lease/events", ebpf.ChannelShim, ""},
		{"door: GET /v1/traffic", ebpf.ChannelShim, ""},
		{"door: GET /v1/paths", ebpf.ChannelShim, ""},
		{"door: GET /v1/paths/{node}", ebpf.ChannelShim, ""},
		{"door: POST /v1/topics", ebpf.ChannelPublish, ""}, // and the request, as all of a door, by shim
		{"door: POST /v1/topics/{topic}", ebpf.ChannelPublish, ""},
		{"door: GET /v1/topics/{topic}", ebpf.ChannelPublish, ""},
		{"door: POST /v1/topics/{owner}/{slice}/{topic}", ebpf.ChannelPublish, ""},
		{"door: GET /v1/topics/{owner}/{slice}/{topic}", ebpf.ChannelPublish, ""},

		{"GET /v1/slivers", 0, about},
		{"GET /v1/slivers/{sliver}/traffic", 0, about},
		{"GET /v1/figures", 0, about},
		{"GET /v1/blobs/{digest}", 0, blob},
		{"PATCH /v1/blobs/{digest}", 0, blob},
		{"POST /v1/blobs/{digest}/fetch", 0, blob},
		{"image", 0, image}, // a stream of sandbox/swarm
		{"POST /v1/audit/who", 0, record},
		{"GET /v1/audit/messages", 0, letters},
		{"GET /v1/audit/log", 0, record},
		{"GET /v1/audit/witnessed/{node}", 0, seen},
		{"GET /v1/tickets/mine", 0, books},
		{"POST /v1/close", 0, books},
		{"POST /v1/holds", 0, books},
		{"POST /v1/holds/{hold}/commit", 0, books},
		{"POST /v1/leases/{lease}/activate", 0, books},
		{"POST /v1/slices", 0, books},
		{"POST /v1/charges", 0, books},
		{"GET /v1/charges", 0, about},
		{"POST /v1/charges/{slice}/end", 0, books},
		{"POST /v1/vacancies", 0, books},
	}
}

// meter charges a sliver for one channel.
func (d *Daemon) meter(sliver string, ch ebpf.Channel) pace.Meter {
	return pace.Meter{Guard: d.deps.Hosting.Guard, Sliver: sliver, Channel: ch}
}

// paid has a command's input and output wait for the sliver's lease. Output goes
// from the sliver, input towards it.
func paid(ctx context.Context, m pace.Meter, s sandbox.IO) sandbox.IO {
	if s.In != nil {
		s.In = m.Reader(ctx, ebpf.Ingress, s.In)
	}
	if s.Out != nil {
		s.Out = m.Writer(ctx, ebpf.Egress, s.Out)
	}
	if s.Err != nil {
		s.Err = m.Writer(ctx, ebpf.Egress, s.Err)
	}
	return s
}
