// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"
)

// relayConfig is what the relay is told, in a file.
type relayConfig struct {
	Socket string      `json:"socket"` // where it tells its counts
	Sites  []relaySite `json:"sites"`
}

type relaySite struct {
	Name   string        `json:"name"`
	NetNS  string        `json:"netns"`
	Prefix netip.Prefix  `json:"prefix"`
	OneWay []microsecond `json:"one_way_us"`
}

// Traffic is what the relay has carried so far.
type Traffic struct {
	Wires map[string]Wire `json:"wires"` // "uni-a > isp-b"; pairs with traffic only
	Lost  Lost            `json:"lost"`
}

// RelayMain is the hidden command `croft lab relay FILE`: the process that
// holds the uplinks of one lab's sites and makes the distance between them. It
// answers on its socket once every uplink is there, and runs until killed.
func RelayMain(args []string) int {
	if err := relayMain(args); err != nil {
		fmt.Fprintln(os.Stderr, "croft: error: lab relay:", err)
		return 1
	}
	return 0
}

func relayMain(args []string) error {
	if len(args) != 1 {
		return errors.New("want one argument, the file that describes the sites")
	}
	raw, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	var c relayConfig
	if err := json.Unmarshal(raw, &c); err != nil {
		return fmt.Errorf("reading %s: %w", args[0], err)
	}
	r := &relay{began: time.Now()}
	var delay [][]time.Duration
	for _, s := range c.Sites {
		if len(s.OneWay) != len(c.Sites) {
			return fmt.Errorf("site %s: %d distances for %d sites", s.Name, len(s.OneWay), len(c.Sites))
		}
		row := make([]time.Duration, len(s.OneWay))
		for i, d := range s.OneWay {
			row[i] = d.duration()
		}
		delay = append(delay, row)
		r.routes = append(r.routes, s.Prefix)
		err := within(s.NetNS, func() error {
			fd, err := openUplink()
			r.uplinks = append(r.uplinks, fd)
			return err
		})
		if err != nil {
			return fmt.Errorf("uplink of site %s: %w", s.Name, err)
		}
	}
	r.wires = newWires(delay)
	listener, err := net.Listen("unix", c.Socket)
	if err != nil {
		return err
	}
	go r.tell(listener, c.Sites)
	return onThread(r.run)
}

// tell writes the counts to whoever connects.
func (r *relay) tell(l net.Listener, sites []relaySite) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return // the process ends with its listener
		}
		conn.SetDeadline(time.Now().Add(time.Second))
		json.NewEncoder(conn).Encode(r.traffic(sites)) // whoever hung up does not want it
		conn.Close()
	}
}

func (r *relay) traffic(sites []relaySite) Traffic {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := Traffic{Wires: make(map[string]Wire), Lost: r.lost}
	for pair, w := range r.wires.counts {
		if w != (Wire{}) {
			t.Wires[sites[pair/len(sites)].Name+" > "+sites[pair%len(sites)].Name] = w
		}
	}
	return t
}
