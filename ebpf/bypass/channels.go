// SPDX-License-Identifier: Apache-2.0

package bypass

// A Channel is a way by which the node itself moves bytes for a sliver. No guard
// sees them: each has to be charged to the lease where it is carried, and tried
// like everything else. It has one line here; a test fails when one has none.
type Channel struct {
	Name   string   // as in ebpf.Channels, or the node's own word
	Routes []string // operations of the node's HTTP interface that carry it
	Item   string   // of the suite, that floods it
	Test   string   // or the test that does: directory and function
	Open   string   // or what is not limited about it yet
}

// Channels lists all that exist.
var Channels = []Channel{
	{Name: "logs", Routes: []string{"logs"}, Test: "node/daemon.TestWhatTheNodeMovesIsCharged"},
	{Name: "exec", Routes: []string{"exec"}, Test: "node/daemon.TestWhatTheNodeMovesIsCharged"},
	{Name: "cp", Open: "there is none yet"},
	{Name: "forward", Open: "there is none yet"},
	{Name: "publish", Routes: []string{"publish-own", "publish-other", "hear-own", "hear-other"}, Test: "node/daemon.TestTopicsAreCharged"},
	{Name: "role", Test: "node/door.TestASliverServesARole"},
	{Name: "shim", Routes: []string{"offers", "own-leases"}, Test: "node/door.TestASliverAsks"},
	{Name: "tunnel", Open: "there is none yet"},
	{Name: "dns", Item: "dns"},
	{Name: "capture", Routes: []string{"capture"}, Test: "node/daemon.TestCapturesAreFewAndBounded"},
	// A program's image is its owner's upload, from before there is a sliver; it goes on to
	// other nodes at the node's own rate.
	{Name: "blobs", Routes: []string{"blob", "append", "fetch"}, Open: "not charged; the node's quota of blobs, its image_rate"},
	{Name: "record", Routes: []string{"rows", "flows"}, Test: "node/daemon.TestTheRecordIsCharged"},
	// A person's search is the way in's own, a sliver's the channel shim; what is said on
	// topics by people is the way in's, by slivers the channel publish.
	{Name: "find", Routes: []string{"seek"}, Open: "no sliver's bytes, or shim"},
	{Name: "topics", Routes: []string{"hear"}, Open: "no sliver's bytes"},
	{Name: "pipe", Routes: []string{"pipe"}, Open: "carries the others to the node of the sliver"},
}
