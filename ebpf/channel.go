// SPDX-License-Identifier: Apache-2.0

package ebpf

import "fmt"

// Channel is a way by which the node moves bytes for a sliver on the host's
// side. The numbers are those in stored records; they never change meaning.
type Channel uint8

const (
	ChannelLogs    Channel = 1  // reading its output
	ChannelExec    Channel = 2  // commands run in it
	ChannelCopy    Channel = 3  // files in and out
	ChannelForward Channel = 4  // ports forwarded to whoever controls it
	ChannelPublish Channel = 5  // what it publishes through the node's socket
	ChannelRole    Channel = 6  // what the node asks it as a role, and its answers
	ChannelTunnel  Channel = 7  // the slice's own network
	ChannelDNS     Channel = 8  // names that the node resolves for it
	ChannelCapture Channel = 9  // its packets, captured
	ChannelRecord  Channel = 10 // its recorded flows, sent to its slice's owner
	ChannelShim    Channel = 11 // what it asks the node through its door, and the answers
)

var channels = [...]string{
	ChannelLogs: "logs", ChannelExec: "exec", ChannelCopy: "cp", ChannelForward: "forward",
	ChannelPublish: "publish", ChannelRole: "role", ChannelTunnel: "tunnel", ChannelDNS: "dns",
	ChannelCapture: "capture", ChannelRecord: "record", ChannelShim: "shim",
}

// Channels returns all of them, in the order of their numbers.
func Channels() []Channel {
	all := make([]Channel, 0, len(channels)-1)
	for c := ChannelLogs; int(c) < len(channels); c++ {
		all = append(all, c)
	}
	return all
}

func (c Channel) String() string {
	if c > 0 && int(c) < len(channels) {
		return channels[c]
	}
	return fmt.Sprintf("channel(%d)", uint8(c))
}

// ParseChannel reads a channel's name.
func ParseChannel(s string) (Channel, error) {
	for _, c := range Channels() {
		if channels[c] == s {
			return c, nil
		}
	}
	return 0, fmt.Errorf("channel %q: %w", s, ErrField)
}

// Check reports whether c is a channel.
func (c Channel) Check() error {
	if _, err := ParseChannel(c.String()); err != nil {
		return err
	}
	return nil
}
