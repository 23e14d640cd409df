// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"time"
)

func relaySocket(dir string) string { return filepath.Join(dir, "relay.sock") }

// relay starts the relay and plugs the sites into it.
func (r *record) relay(ctx context.Context, c Config) error {
	told := relayConfig{Socket: relaySocket(c.Dir)}
	for _, s := range r.Plan.Sites {
		told.Sites = append(told.Sites, relaySite{Name: s.Name, NetNS: s.Edge, Prefix: s.Prefix, OneWay: s.OneWay})
	}
	raw, err := json.MarshalIndent(told, "", "  ")
	if err != nil {
		return err
	}
	file, log := filepath.Join(c.Dir, "relay.json"), filepath.Join(c.Dir, "relay.log")
	if err := replace(file, raw, 0o644); err != nil {
		return err
	}
	r.Relay, err = start("", log, []string{c.Croft, "lab", "relay", file}, r.environ())
	if err != nil {
		return err
	}
	if err := r.save(c.Dir); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	for {
		if _, err = traffic(ctx, c.Dir); err == nil {
			break
		}
		if !r.Relay.alive() {
			return fmt.Errorf("relay %w%s", ErrExited, tail(log))
		}
		if wait(ctx, pollEvery) != nil {
			return fmt.Errorf("waiting for the relay: %w (last: %w)%s", ctx.Err(), err, tail(log))
		}
	}
	for _, s := range r.Plan.Sites {
		if err := connect(s); err != nil {
			return fmt.Errorf("connecting site %s: %w", s.Name, err)
		}
	}
	return nil
}

// traffic asks the relay for its counts.
func traffic(ctx context.Context, dir string) (t Traffic, err error) {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", relaySocket(dir))
	if err != nil {
		return t, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	err = json.NewDecoder(io.LimitReader(conn, maxStatus)).Decode(&t)
	return t, err
}
