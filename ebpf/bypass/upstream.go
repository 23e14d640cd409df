// SPDX-License-Identifier: Apache-2.0

package bypass

import (
	"context"
	"errors"
	"fmt"
	stdnet "net"
	"net/netip"
	"strings"

	slivernet "croft/ebpf/net"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"
)

// questions floods the node's resolver, whose upstream is on the attacker's side.
func questions(s *stage) (_ []*flood, err error) {
	if err := s.upstream(); err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	node, guard := s.net, s.guard
	go func() { served <- node.ServeDNS(ctx, guard) }()
	s.undo = append(s.undo, func() error { stop(); return <-served })

	var all []shot
	name := strings.Repeat(strings.Repeat("x", 59)+".", 4)
	for i := range 1024 {
		var q dns.Msg
		q.SetQuestion(fmt.Sprintf("a%03d.%sexample.", i%1000, name[:180]), dns.TypeTXT)
		data, err := q.Pack()
		if err != nil {
			return nil, err
		}
		all = append(all, shot{data, 1, len(data) + 28})
	}
	fd, err := dial(s.self.ns, unix.SOCK_DGRAM, 0, netip.AddrPortFrom(slivernet.Resolver, 53))
	if err != nil {
		return nil, err
	}
	return []*flood{newFlood(fd, all)}, nil
}

// upstream is a server in the world that tells every asker over UDP to come back
// over TCP, and answers there at length.
func (s *stage) upstream() error {
	at := netip.AddrPortFrom(s.world4, 53)
	var packets *stdnet.UDPConn
	var conns *stdnet.TCPListener
	if err := within(s.world, func() (err error) {
		if packets, err = stdnet.ListenUDP("udp4", stdnet.UDPAddrFromAddrPort(at)); err != nil {
			return err
		}
		if conns, err = stdnet.ListenTCP("tcp4", stdnet.TCPAddrFromAddrPort(at)); err != nil {
			return errors.Join(err, packets.Close())
		}
		return nil
	}); err != nil {
		return err
	}
	answer := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		reply := new(dns.Msg)
		reply.SetReply(q)
		if _, ok := w.RemoteAddr().(*stdnet.UDPAddr); ok {
			reply.Truncated = true
		} else if len(q.Question) == 1 {
			for range 100 {
				reply.Answer = append(reply.Answer, &dns.TXT{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeTXT, Class: dns.ClassINET},
					Txt: []string{strings.Repeat("y", 250)}})
			}
		}
		_ = w.WriteMsg(reply) // who does not hear it asks again
	})
	over := make(chan error, 2)
	for _, server := range []*dns.Server{{PacketConn: packets, Handler: answer}, {Listener: conns, Handler: answer}} {
		ready := make(chan struct{})
		server.NotifyStartedFunc = func() { close(ready) }
		go func() { over <- server.ActivateAndServe() }()
		select {
		case <-ready:
		case err := <-over:
			return errors.Join(err, packets.Close(), conns.Close())
		}
		s.undo = append(s.undo, func() error {
			ctx, cancel := context.WithTimeout(context.Background(), again)
			defer cancel()
			_ = server.ShutdownContext(ctx) // a connection that lingers is closed by its client's end
			<-over
			return nil
		})
	}
	return nil
}
