// SPDX-License-Identifier: Apache-2.0

// Command busy uses all that a sliver gives it: it sends datagrams to the address
// in its first argument as fast as it can, which keeps one processor busy too.
package main

import (
	"net/netip"
	"os"
	"runtime"
	"syscall"
)

func main() {
	runtime.GOMAXPROCS(1)
	to, err := netip.ParseAddrPort(os.Args[1])
	if err != nil {
		panic(err)
	}
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM, 0)
	if err != nil {
		panic(err)
	}
	addr := &syscall.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())}
	payload := make([]byte, 1000)
	for spin := 0; ; spin++ {
		if spin%64 == 0 {
			_ = syscall.Sendto(fd, payload, syscall.MSG_DONTWAIT, addr) // what does not fit is lost
		}
	}
}
