// SPDX-License-Identifier: Apache-2.0

package net

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	stdnet "net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"croft/ebpf"
	"croft/ebpf/pace"
	"croft/lease"

	"github.com/miekg/dns"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// resolvConf is where the host's resolvers are read from.
const resolvConf = "/etc/resolv.conf"

// Questions returns what each place asked of the resolver, by place.
func (n *Network) Questions() []Questions { return n.names.counts() }

// ServeDNS answers slivers' questions at [Resolver] until ctx is done, for
// which it returns nil. It listens in the node's namespace and asks upstream
// from the host's. What leads to closed addresses is taken out of answers. What
// it sends and receives upstream is charged to who asked; a question for which
// the lease has no room in time is refused. A nil guard charges nobody.
func (n *Network) ServeDNS(ctx context.Context, guard pace.Charger) error {
	upstream := n.cfg.Resolver
	if len(upstream) == 0 {
		var err error
		if upstream, err = readResolvers(resolvConf); err != nil {
			return fmt.Errorf("serving DNS: %w", err)
		}
	}
	rules, err := ebpf.NewRules(n.cfg.Lab, nil, nil)
	if err != nil {
		return fmt.Errorf("serving DNS: %w", err)
	}
	r := &resolver{plan: n.plan, guard: guard, tenants: &n.tenants, names: &n.names, log: n.log, upstream: upstream[:min(len(upstream), maxUpstreams)],
		open: func(a netip.Addr) bool { return rules.Allow(uint8(lease.TCP), netip.AddrPortFrom(a, 443)) }}
	// It may outlive Close, and so has its own hold on the namespaces.
	if r.host, r.space, err = n.hold(); err != nil {
		return fmt.Errorf("serving DNS: %w", err)
	}
	defer r.host.Close()
	defer r.space.Close()
	if err := r.serve(ctx); err != nil {
		return fmt.Errorf("serving DNS: %w", err)
	}
	return nil
}

// hold duplicates the handles of both namespaces.
func (n *Network) hold() (host, space netns.NsHandle, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return netns.None(), netns.None(), ErrClosed
	}
	h, err := unix.FcntlInt(uintptr(n.host), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return netns.None(), netns.None(), err
	}
	s, err := unix.FcntlInt(uintptr(n.space), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return netns.None(), netns.None(), errors.Join(err, unix.Close(h))
	}
	return netns.NsHandle(h), netns.NsHandle(s), nil
}

func readResolvers(path string) ([]netip.AddrPort, error) {
	conf, err := dns.ClientConfigFromFile(path)
	if err != nil {
		return nil, err
	}
	var all []netip.AddrPort
	for _, s := range conf.Servers {
		if a, err := netip.ParseAddr(s); err == nil {
			all = append(all, netip.AddrPortFrom(a, 53))
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no resolver in %s: %w", path, ErrConfig)
	}
	return all, nil
}

type resolver struct {
	plan     plan
	guard    pace.Charger
	tenants  *tenants
	names    *askers
	log      *slog.Logger
	host     netns.NsHandle
	space    netns.NsHandle
	upstream []netip.AddrPort
	open     func(netip.Addr) bool
	running  sync.WaitGroup
}

func (r *resolver) serve(ctx context.Context) error {
	at := netip.AddrPortFrom(Resolver, 53)
	var udp *stdnet.UDPConn
	var tcp *stdnet.TCPListener
	err := within(r.space, func() (err error) {
		if udp, err = stdnet.ListenUDP("udp4", stdnet.UDPAddrFromAddrPort(at)); err != nil {
			return err
		}
		if tcp, err = stdnet.ListenTCP("tcp4", stdnet.TCPAddrFromAddrPort(at)); err != nil {
			return errors.Join(err, udp.Close())
		}
		return nil
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { udp.Close(); tcp.Close() })
	defer stop()

	failed := make(chan error, 2)
	r.running.Go(func() { failed <- r.serveUDP(ctx, udp) })
	r.running.Go(func() { failed <- r.serveTCP(ctx, tcp) })
	first := <-failed
	stopped := ctx.Err() != nil
	cancel()
	r.running.Wait()
	if stopped {
		return nil
	}
	return errors.Join(first, udp.Close(), tcp.Close())
}

func (r *resolver) serveUDP(ctx context.Context, c *stdnet.UDPConn) error {
	buf := make([]byte, maxQuery+1)
	for {
		size, from, err := c.ReadFromUDPAddrPort(buf)
		if err != nil {
			return err
		}
		place, ok := r.plan.placeAt(from.Addr().Unmap())
		if !ok || size > maxQuery || !r.names.begin(from.Addr().Unmap(), place, time.Now()) {
			continue // silence: a refusal of each would be as dear as an answer
		}
		query := slices.Clone(buf[:size])
		r.running.Go(func() {
			if answer := r.answer(ctx, query, from.Addr().Unmap(), place, true); answer != nil {
				c.WriteToUDPAddrPort(answer, from) // the asker asks again if it is lost
			}
		})
	}
}

func (r *resolver) serveTCP(ctx context.Context, l *stdnet.TCPListener) error {
	for {
		c, err := l.AcceptTCP()
		if err != nil {
			return err
		}
		from := c.RemoteAddr().(*stdnet.TCPAddr).AddrPort().Addr().Unmap()
		place, ok := r.plan.placeAt(from)
		if !ok || !r.names.connect(from, place) {
			c.Close()
			continue
		}
		r.running.Go(func() {
			stop := context.AfterFunc(ctx, func() { c.Close() })
			defer stop()
			defer c.Close()
			defer r.names.disconnect(from, place)
			r.converse(ctx, c, from, place)
		})
	}
}

// converse answers one question after the other.
func (r *resolver) converse(ctx context.Context, c *stdnet.TCPConn, from netip.Addr, place int) {
	for range dnsConnQueries {
		if c.SetDeadline(time.Now().Add(dnsIdle)) != nil {
			return
		}
		var size uint16
		if binary.Read(c, binary.BigEndian, &size) != nil || size > maxQuery {
			return
		}
		query := make([]byte, size)
		if _, err := io.ReadFull(c, query); err != nil {
			return
		}
		if !r.names.begin(from, place, time.Now()) {
			return
		}
		answer := r.answer(ctx, query, from, place, false)
		if answer == nil {
			return
		}
		if c.SetDeadline(time.Now().Add(dnsIdle)) != nil {
			return
		}
		if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)); err != nil {
			return
		}
	}
}

// answer makes the reply to one question that begin let in; nil is none.
func (r *resolver) answer(ctx context.Context, query []byte, from netip.Addr, place int, udp bool) []byte {
	var done Questions
	defer func() {
		r.names.end(from, place, func(q *Questions) {
			q.Answered += done.Answered
			q.Local += done.Local
			q.Failed += done.Failed
			q.Refused += done.Refused
			q.Screened += done.Screened
			q.UpBytes += done.UpBytes
			q.DownBytes += done.DownBytes
		})
	}()
	var q dns.Msg
	if q.Unpack(query) != nil || q.Response {
		done.Local++
		return nil
	}
	reply := new(dns.Msg)
	if code := verdict(&q, r.open); code != dns.RcodeSuccess {
		done.Local++
		reply.SetRcode(&q, code)
	} else if got, err := r.forward(ctx, place, &q, &done, func() bool { return r.names.retry(from, place, time.Now()) }); errors.Is(err, errUnpaid) {
		done.Refused++
		reply.SetRcode(&q, dns.RcodeRefused)
	} else if err != nil {
		done.Failed++
		r.log.Debug("no upstream answered", "place", place, "err", err)
		reply.SetRcode(&q, dns.RcodeServerFailure)
	} else {
		done.Answered++
		done.Screened += uint64(screen(got, r.open))
		reply = got
		reply.Id, reply.Question = q.Id, q.Question
	}
	reply.RecursionAvailable = true
	reply.Compress = true
	if udp {
		limit := dns.MinMsgSize
		if o := q.IsEdns0(); o != nil {
			limit = max(limit, min(int(o.UDPSize()), maxAnswerUDP))
		}
		reply.Truncate(limit)
	}
	packed, err := reply.Pack()
	if err != nil {
		return nil
	}
	return packed
}

// forward asks the upstreams in turn. The asker's own options do not go along:
// they could tell about it, or about us. Where again does not let it ask over TCP,
// the answer is what came over UDP, marked as cut short.
func (r *resolver) forward(ctx context.Context, place int, q *dns.Msg, done *Questions, again func() bool) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, dnsPatience)
	defer cancel()
	ask := new(dns.Msg)
	ask.Question = q.Question
	ask.RecursionDesired, ask.CheckingDisabled = true, q.CheckingDisabled
	wanted := q.IsEdns0()
	ask.SetEdns0(maxAnswerUDP, wanted != nil && wanted.Do())
	var errs []error
	for _, server := range r.upstream {
		for _, proto := range []string{"udp", "tcp"} {
			got, err := r.exchange(ctx, place, proto, server, ask, done)
			if errors.Is(err, errUnpaid) {
				return nil, err
			}
			if err != nil {
				errs = append(errs, err)
				break
			}
			if got.Truncated && proto == "udp" && again() {
				continue
			}
			if wanted == nil {
				got.Extra = slices.DeleteFunc(got.Extra, func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeOPT })
			}
			return got, nil
		}
	}
	return nil, errors.Join(errs...)
}

func (r *resolver) exchange(ctx context.Context, place int, proto string, server netip.AddrPort, ask *dns.Msg, done *Questions) (*dns.Msg, error) {
	up := onWire(ask.Len(), proto, server)
	if err := r.pay(ctx, place, ebpf.Egress, up); err != nil {
		return nil, err
	}
	done.UpBytes += uint64(up)
	paid := ctx
	ctx, cancel := context.WithTimeout(ctx, dnsTimeout)
	defer cancel()
	var c stdnet.Conn
	if err := within(r.host, func() (err error) {
		c, err = (&stdnet.Dialer{}).DialContext(ctx, proto, server.String())
		return err
	}); err != nil {
		return nil, err
	}
	defer c.Close()
	ask.Id = dns.Id()
	client := dns.Client{Net: proto, UDPSize: maxAnswerUDP}
	got, _, err := client.ExchangeWithConnContext(ctx, ask, &dns.Conn{Conn: c, UDPSize: maxAnswerUDP})
	if err != nil {
		return nil, fmt.Errorf("asking %s over %s: %w", server, proto, err)
	}
	if len(got.Question) != 1 || got.Question[0] != ask.Question[0] || !got.Response {
		return nil, fmt.Errorf("asking %s over %s: it answers another question", server, proto)
	}
	down := onWire(got.Len(), proto, server)
	if err := r.pay(paid, place, ebpf.Ingress, down); err != nil {
		return nil, err
	}
	done.DownBytes += uint64(down)
	return got, nil
}

// errUnpaid: the asker's lease has no room for its question.
var errUnpaid = errors.New("over the asker's lease")

// pay charges who is at a place.
func (r *resolver) pay(ctx context.Context, place int, d ebpf.Direction, bytes int) error {
	if r.guard == nil {
		return nil
	}
	m := pace.Meter{Guard: r.guard, Sliver: r.tenants.get(place), Channel: ebpf.ChannelDNS}
	if err := m.Pay(ctx, d, bytes); err != nil {
		return fmt.Errorf("%w: %w", errUnpaid, err)
	}
	return nil
}

// onWire is about what a message takes as L3 octets: with its headers, and over
// TCP with those of the packets that open and close a connection.
func onWire(message int, proto string, server netip.AddrPort) int {
	ip, udp, tcp := 20, 8, 4*60
	if server.Addr().Unmap().Is6() {
		ip = 40
	}
	if proto == "tcp" {
		return message + ip + tcp
	}
	return message + ip + udp
}
