// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
)

// config is a node's croft.toml, the lab's side of the contract with `croft up`.
type config struct {
	Name       string            `toml:"name"`
	Listen     []string          `toml:"listen"`
	Join       []string          `toml:"join"`
	Profile    string            `toml:"profile"`
	Open       []string          `toml:"open"` // closed ranges that are open here all the same
	SiteCert   string            `toml:"site_cert,omitempty"`
	Attributes attributes        `toml:"attributes"`
	Labels     map[string]string `toml:"labels"`
	Capacity   map[string]string `toml:"capacity"`
	Audit      audit             `toml:"audit"`
}

type audit struct {
	Courtesy string `toml:"courtesy"`
	Segment  string `toml:"segment,omitempty"`
}

type attributes struct {
	Country string  `toml:"country"`
	Region  string  `toml:"region"`
	City    string  `toml:"city"`
	Lat     float64 `toml:"lat"`
	Lon     float64 `toml:"lon"`
	AS      uint32  `toml:"as"`
}

// configure writes a node's configuration. join is empty for the founder.
func configure(n node, s place, profile string, join []string, certified bool, segment time.Duration) error {
	c := config{
		Name: n.Name,
		Listen: []string{
			fmt.Sprintf("/ip4/%s/udp/%d/quic-v1", n.Address, n.Listen),
			fmt.Sprintf("/ip4/%s/tcp/%d", n.Address, n.Listen),
		},
		Join: join, Profile: profile, Open: []string{fabric.String()},
		Attributes: attributes{Country: s.Country, Region: s.Region, City: s.City,
			Lat: s.Lat, Lon: s.Lon, AS: s.AS},
		Labels: n.Labels, Capacity: n.Capacity, Audit: audit{Courtesy: fmt.Sprintf(":%d", courtesyPort)},
	}
	if c.Join == nil {
		c.Join = []string{}
	}
	if segment != 0 {
		c.Audit.Segment = segment.String()
	}
	if certified {
		c.SiteCert = n.cert()
	}
	raw, err := toml.Marshal(c)
	if err != nil {
		return fmt.Errorf("writing configuration of %s: %w", n.Name, err)
	}
	head := "# Written by the lab; it will be overwritten when the lab is made again.\n\n"
	return replace(n.config(), append([]byte(head), raw...), 0o644)
}

// launch starts a node's daemon.
func (r *record) launch(n node) (process, error) {
	argv := []string{r.Croft, "up", "--state", n.Dir, "--config", n.config()}
	return start(n.NetNS, n.log(), argv, r.environ())
}

func (r *record) environ() []string {
	return append(append(os.Environ(), r.Env...), marker+r.Plan.Name)
}

// daemonStatus is the part of a daemon's /v1/status that the lab reads.
type daemonStatus struct {
	Principal string   `json:"node"`
	Addrs     []string `json:"addrs"` // multiaddrs with /p2p/
}

// ready waits until the daemon p of n answers.
func ready(ctx context.Context, n node, p process) (daemonStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	for {
		s, err := ask(ctx, n.socket())
		if err == nil {
			return s, nil
		}
		if !p.alive() {
			return s, fmt.Errorf("%s: daemon %w%s", n.Name, ErrExited, tail(n.log()))
		}
		if wait(ctx, pollEvery) != nil {
			return s, fmt.Errorf("%s: waiting for its daemon: %w (last: %w)%s", n.Name, ctx.Err(), err, tail(n.log()))
		}
	}
}

// ask makes one request for a daemon's status.
func ask(ctx context.Context, socket string) (s daemonStatus, err error) {
	transport := &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		}}
	client := http.Client{Transport: transport, Timeout: 5 * time.Second}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://croft/v1/status", nil)
	if err != nil {
		return s, err
	}
	response, err := client.Do(request)
	if err != nil {
		return s, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return s, fmt.Errorf("status: %s", response.Status)
	}
	err = json.NewDecoder(io.LimitReader(response.Body, maxStatus)).Decode(&s)
	return s, err
}

// reachable keeps the addresses of a daemon that other nodes can dial.
func (n node) reachable(s daemonStatus) []string {
	var addrs []string
	for _, a := range s.Addrs {
		if strings.HasPrefix(a, "/ip4/"+n.Address.String()+"/") && strings.Contains(a, "/p2p/") {
			addrs = append(addrs, a)
		}
	}
	return addrs
}

// tail is the end of a log, for an error's text.
func tail(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	if end, err := f.Seek(0, io.SeekEnd); err == nil {
		f.Seek(max(0, end-maxTail), io.SeekStart)
	}
	text, _ := io.ReadAll(io.LimitReader(f, maxTail))
	if text = bytes.TrimSpace(text); len(text) == 0 {
		return ""
	}
	return "; its log ends:\n" + string(text)
}
