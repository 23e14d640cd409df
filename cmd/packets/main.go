// SPDX-License-Identifier: Apache-2.0

// Command packets is the other side of `make demo-packets`: whoever Croft holds to
// something, and whoever counts whether it does. No part of the product.
//
//	in a sliver      packets sink PORT…              takes datagrams and throws them away
//	                 packets flood ITEM --to A       an item of the bypass suite, for three seconds
//	                 packets counters                what its interface has counted
//	                 packets say                     as much output as anybody takes
//	at the receiver  packets listen DEVICE PORT      a reading of what arrives, every 100 ms
//	                 packets weigh FILE FROM [TO]    readings by line, held against the lease
//	at a node        packets rewrite STATE SLICE     a record in which the slice sent nothing
//	                 packets accounts STATE          the accounts of all epochs in a record
//	anywhere         packets items within|beside     the suite's items that a program can try alone, or not
//
// Results are JSON, one a line. Exit code 1 says that something could not be done,
// not that it did not get through. It is one goroutine but for the traffic.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

var errUsage = errors.New("usage: packets sink|flood|counters|say|listen|weigh|rewrite|accounts|items …")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "packets:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errUsage
	}
	verb, rest := args[0], args[1:]
	at := func(i int) string {
		if i < len(rest) {
			return rest[i]
		}
		return ""
	}
	switch verb {
	case "sink":
		return sink(ctx, rest)
	case "flood":
		return flood(ctx, rest)
	case "counters":
		return counters()
	case "say":
		return say(ctx)
	case "listen":
		return listen(ctx, at(0), at(1))
	case "weigh":
		return weigh(at(0), at(1), at(2))
	case "rewrite":
		return rewrite(ctx, at(0), at(1))
	case "accounts":
		return accounts(at(0))
	case "items":
		return items(at(0))
	}
	return errUsage
}

func show(v any) error { return json.NewEncoder(os.Stdout).Encode(v) }
