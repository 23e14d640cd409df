// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"net/netip"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/host/autorelay"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/p2p/net/connmgr"
	"github.com/libp2p/go-libp2p/p2p/protocol/holepunch"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
	libp2pquic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/multiformats/go-multiaddr"
)

// Config says what host to make. Key and Listen are needed.
type Config struct {
	Key       ed25519.PrivateKey // the node's principal
	Listen    []string           // multiaddrs, TCP and QUIC
	UserAgent string             // "" is "croft"

	// Meter counts the bytes of the host's streams; nil: nobody does.
	Meter *Meter

	// Connections is the number above which those that serve least are dropped,
	// until three fifths remain. 0 is DefaultConnections.
	Connections int

	// Routed are ranges that count as public here although the internet does not
	// route them: a laboratory's. They hold for the whole process.
	Routed []netip.Prefix

	// Private says that addresses which the internet does not route count, too: on
	// a network of one's own, where nobody needs to be told that he is behind NAT.
	Private bool

	// Resolved keeps of the addresses that a name resolves to those that are dialled; nil
	// keeps all.
	Resolved func([]multiaddr.Multiaddr) []multiaddr.Multiaddr

	// Relay is what the host carries for nodes behind NAT while it can be reached
	// itself; nil carries nothing.
	Relay *RelayQuota

	// Relays gives at most n nodes that may be asked to carry for this one, when it
	// is behind NAT; it closes the channel. Nil: none is asked.
	Relays func(ctx context.Context, n int) <-chan peer.AddrInfo
}

// Host is a node's libp2p host, and what it knows of how others reach it.
type Host struct {
	host.Host
	reach  *reach
	relay  *meter // nil: carries for nobody
	cancel context.CancelFunc
}

// Reach is how others reach this host, as far as it knows.
func (h *Host) Reach() Reach {
	r := h.reach.now()
	if h.relay != nil {
		r.Carried = h.relay.now()
	}
	return r
}

// Changed has a value whenever Reach may have changed; it is for one reader.
func (h *Host) Changed() <-chan struct{} { return h.reach.changed }

// Close closes the host.
func (h *Host) Close() error {
	h.cancel()
	err := h.Host.Close()
	h.reach.wait()
	return err
}

// NewHost makes the node's libp2p host. It listens when this returns; the
// caller closes it.
func NewHost(c Config) (*Host, error) {
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
	if c.Connections == 0 {
		c.Connections = DefaultConnections
	}
	countAsPublic(c.Routed)
	conns, err := connmgr.NewConnManager(c.Connections*3/5, c.Connections, connmgr.WithGracePeriod(20*time.Second))
	if err != nil {
		return nil, fmt.Errorf("making host: %w", err)
	}
	resources, err := newResources()
	if err != nil {
		conns.Close()
		return nil, fmt.Errorf("making host: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	made := &Host{reach: newReach(), cancel: cancel}
	options := []libp2p.Option{
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
		libp2p.DisableMetrics(),
		// The first version tells whether there is a way in at all, by one other
		// node; the second tells it of each address, by three.
		libp2p.EnableNATService(),
		libp2p.EnableAutoNATv2(),
		libp2p.EnableHolePunching(holepunch.DirectDialTimeout(punchLimit), holepunch.WithMetricsTracer(made.reach)),
	}
	if c.Meter != nil {
		options = append(options, libp2p.BandwidthReporter(c.Meter))
	}
	if c.Resolved != nil {
		options = append(options, libp2p.MultiaddrResolver(newResolver(c.Resolved)))
	}
	if c.Relay != nil {
		made.relay = newMeter(ctx, *c.Relay)
		options = append(options, libp2p.EnableRelayService(made.relay.options()...))
	}
	if c.Relays != nil {
		options = append(options, libp2p.EnableAutoRelayWithPeerSource(c.Relays, autorelay.WithNumRelays(relaysWanted),
			autorelay.WithMinCandidates(1), autorelay.WithBootDelay(0), autorelay.WithMinInterval(relayEvery), autorelay.WithBackoff(relayBackoff)))
	}
	if made.Host, err = libp2p.New(options...); err == nil {
		err = made.reach.watch(ctx, made.Host, c.Private)
	}
	if err != nil {
		cancel()
		if made.Host != nil {
			made.Host.Close()
		}
		// libp2p does not close what it was given.
		conns.Close()
		resources.Close()
		return nil, fmt.Errorf("making host: %w", err)
	}
	return made, nil
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
