// SPDX-License-Identifier: Apache-2.0

// Packets serves packets/1 to the node on which it runs: a packet program that the
// slice's owner signed, such as bpf/calm.bpf.c, in C.
//
//	CGO_ENABLED=0 go build ./examples/packets
//	croft role sign calm examples/packets/bpf/calm.o > calm.json
//	croft run --where 'node=…' --name calm ./packets -- "$(cat calm.json)"
//	croft role try packets calm
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"croft/shim"
)

//go:generate clang-14 -O2 -mcpu=v3 -g -Wall -Werror -target bpfel -I/usr/include/x86_64-linux-gnu -c bpf/calm.bpf.c -o bpf/calm.o
//go:generate llvm-strip-14 -g -R .BTF.ext -R .rel.BTF.ext bpf/calm.o

// programOf is what the one argument is, or names: what croft role sign printed.
func programOf(args []string) (json.RawMessage, error) {
	if len(args) != 1 {
		return nil, errors.New("usage: packets PROGRAM, or a file of it")
	}
	b := []byte(args[0])
	if strings.HasPrefix(args[0], "/") {
		var err error
		if b, err = os.ReadFile(args[0]); err != nil {
			return nil, err
		}
	}
	if !json.Valid(b) {
		return nil, errors.New("this is no program as croft role sign prints it")
	}
	return b, nil
}

func main() {
	program, err := programOf(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "packets:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err = shim.Open().Serve(ctx, "packets/1", func(_ context.Context, r shim.Request) (any, error) {
		if r.Call != "program" {
			return nil, &shim.Failure{Code: "call", Text: "want program"}
		}
		return program, nil
	})
	if ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "packets:", err)
		os.Exit(1)
	}
}
