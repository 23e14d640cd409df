// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"errors"
	"fmt"
	"io"
	"net"

	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
	"golang.org/x/sys/unix"
)

// checkPorts returns ErrPortTaken if another program has one of the ports. The
// host itself would share it: libp2p listens with SO_REUSEPORT, and each of the
// two would get some of the other's connections.
func checkPorts(listen []string) error {
	for _, s := range listen {
		m, err := ma.NewMultiaddr(s)
		if err != nil {
			return fmt.Errorf("listening on %q: %w", s, err)
		}
		network, host, err := manet.DialArgs(m)
		if err != nil {
			network, host, err = manet.DialArgs(transport(m))
		}
		if err != nil {
			return fmt.Errorf("listening on %s: %w", s, err)
		}
		c, err := bind(network, host)
		if errors.Is(err, unix.EADDRINUSE) {
			return fmt.Errorf("listening on %s: %w", s, ErrPortTaken)
		}
		if err == nil { // else the family is missing here, which the host says if it matters
			c.Close()
		}
	}
	return nil
}

// transport cuts what follows the port off a multiaddr, such as /quic-v1.
func transport(m ma.Multiaddr) ma.Multiaddr {
	head, _ := ma.SplitFunc(m, func(c ma.Component) bool { return c.Protocol().Code == ma.P_QUIC_V1 })
	return head
}

func bind(network, host string) (io.Closer, error) {
	switch network {
	case "udp", "udp4", "udp6":
		return net.ListenPacket(network, host)
	}
	return net.Listen(network, host)
}
