// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"crypto/ed25519"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/p2p/net/connmgr"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
	libp2pquic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
)

// Config says what host to make. Key and Listen are needed.
type Config struct {
	Key       ed25519.PrivateKey // the node's principal
	Listen    []string           // multiaddrs, TCP and QUIC
	UserAgent string             // "" is "croft"

	// Meter counts the bytes of the host's streams; nil: nobody does.
	Meter *Meter

	// ConnLow and ConnHigh: above high, connections that serve least are
	// dropped until low remain. 0 is 96 and 160.
	ConnLow, ConnHigh int
}

// NewHost makes the node's libp2p host. It listens when this returns; the
// caller closes it.
func NewHost(c Config) (host.Host, error) {
	key, err := libp2pKey(c.Key)
	if err != nil {
		return nil, fmt.Errorf("making host: %w", err)
	}
	if err := checkPorts(c.Listen); err != nil {
		return nil, fmt.Errorf("making host: %w", err)
	}
	if c.UserAgent == "" {
		c.UserAgent = "croft"
	}
	if c.ConnHigh == 0 {
		c.ConnLow, c.ConnHigh = 96, 160
	}
	conns, err := connmgr.NewConnManager(c.ConnLow, c.ConnHigh, connmgr.WithGracePeriod(20*time.Second))
	if err != nil {
		return nil, fmt.Errorf("making host: %w", err)
	}
	resources, err := newResources()
	if err != nil {
		conns.Close()
		return nil, fmt.Errorf("making host: %w", err)
	}
	var metered []libp2p.Option
	if c.Meter != nil {
		metered = append(metered, libp2p.BandwidthReporter(c.Meter))
	}
	h, err := libp2p.New(append(metered,
		libp2p.Identity(key),
		libp2p.ListenAddrStrings(c.Listen...),
		libp2p.Transport(libp2pquic.NewTransport),
		libp2p.Transport(tcp.NewTCPTransport),
		libp2p.Security(noise.ID, noise.New),
		libp2p.Security(libp2ptls.ID, libp2ptls.New),
		libp2p.DefaultMuxers,
		libp2p.UserAgent(c.UserAgent),
		libp2p.ProtocolVersion("croft/1"),
		libp2p.ConnectionManager(conns),
		libp2p.ResourceManager(resources),
		libp2p.DisableRelay(),
		libp2p.DisableMetrics(),
	)...)
	if err != nil {
		// libp2p does not close what it was given.
		conns.Close()
		resources.Close()
		return nil, fmt.Errorf("making host: %w", err)
	}
	return h, nil
}

func newResources() (network.ResourceManager, error) {
	limits := rcmgr.DefaultLimits
	libp2p.SetDefaultServiceLimits(&limits)
	limits.AddProtocolLimit(PipeProtocol,
		rcmgr.BaseLimit{StreamsInbound: PipesTotal, StreamsOutbound: PipesTotal, Streams: 2 * PipesTotal, Memory: 64 << 20},
		rcmgr.BaseLimitIncrease{})
	limits.AddProtocolPeerLimit(PipeProtocol,
		rcmgr.BaseLimit{StreamsInbound: PipesPerPeer, StreamsOutbound: PipesPerPeer, Streams: 2 * PipesPerPeer, Memory: 32 << 20},
		rcmgr.BaseLimitIncrease{})
	return rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(limits.Scale(overlayMemory, overlayFiles)), rcmgr.WithMetricsDisabled())
}
