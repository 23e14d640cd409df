// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"croft/lease"
)

// Config says what lab to make. Only Dir and Croft are needed.
type Config struct {
	Name  string // 1 to 12 lower-case letters and digits; "" makes one up
	Dir   string // everything of the lab is below it
	Croft string // the binary: run as `croft up …` and `croft lab relay …`

	Sites []Site     // nil: DefaultSites
	Nodes []NodeSpec // nil: N of them, dealt to the sites in turn
	N     int        // 0: five

	OneWay  func(a, b Site) time.Duration // nil: Distance
	Profile string                        // of the daemons; "" is "lab"
	Segment time.Duration                 // of the daemons' record; 0 is their default
	Env     []string                      // more environment for the daemons
	Late    func(node int) bool           // whose daemon is left to Start, by index, never the first's; nil: nobody's

	// Identity makes a node's key in its state directory, if it has none yet,
	// and Certify has its site vouch for it with the site's seed (RFC 8032,
	// 32 bytes). Both or neither: without them nodes belong to no site.
	Identity func(stateDir string) (lease.Principal, error)
	Certify  func(siteSeed []byte, node lease.Principal) ([]byte, error)
	// Destroy is what DownOptions has; Up uses it when it fails.
	Destroy func(ctx context.Context, stateDir string) error
	// Progress, if set, is told before each step: "site uni-a", "node
	// uni-a/n1", "relay", "daemon uni-a/n1", "ready uni-a/n1", "up".
	Progress func(step string)
}

// Up makes a lab and returns when every daemon answers. If it fails, or ctx
// ends, it removes what it made.
func Up(ctx context.Context, c Config) (*Lab, error) {
	l, err := bringUp(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("bringing the lab up: %w", err)
	}
	return l, nil
}

func bringUp(ctx context.Context, c Config) (*Lab, error) {
	r, err := c.settle()
	if err != nil {
		return nil, err
	}
	if os.Geteuid() != 0 {
		return nil, ErrNotRoot
	}
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return nil, err
	}
	unlock, err := lock(ctx, c.Dir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if _, err := load(c.Dir); !errors.Is(err, ErrNoLab) {
		return nil, errors.Join(fmt.Errorf("%s: %w", c.Dir, ErrExists), err)
	}
	if taken, err := netnsOf(c.Name); err != nil || len(taken) > 0 {
		return nil, errors.Join(fmt.Errorf("name %s: %w", c.Name, ErrExists), err)
	}
	if err := r.save(c.Dir); err != nil {
		return nil, err
	}
	if err := r.make(ctx, c); err != nil {
		// The caller's time may be over; what was made must still go.
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), downTimeout)
		defer cancel()
		return nil, errors.Join(err, r.unmake(late, c.Dir, DownOptions{Destroy: c.Destroy}))
	}
	return &Lab{dir: c.Dir}, nil
}

// settle fills in what c leaves open and plans the lab.
func (c *Config) settle() (*record, error) {
	if c.Name == "" {
		random := make([]byte, 5)
		rand.Read(random)
		c.Name = strings.ToLower(base32.StdEncoding.EncodeToString(random))[:6]
	}
	if c.Profile == "" {
		c.Profile = "lab"
	}
	if c.Progress == nil {
		c.Progress = func(string) {}
	}
	if (c.Identity == nil) != (c.Certify == nil) {
		return nil, errors.New("hooks: Identity and Certify go together")
	}
	if c.Dir == "" {
		return nil, errors.New("directory: none given")
	}
	var err error
	if c.Dir, err = filepath.Abs(c.Dir); err != nil {
		return nil, err
	}
	if c.Croft, err = exec.LookPath(c.Croft); err != nil {
		return nil, fmt.Errorf("finding the croft binary: %w", err)
	}
	if c.Croft, err = filepath.Abs(c.Croft); err != nil {
		return nil, err
	}
	p, err := draw(*c)
	if err != nil {
		return nil, err
	}
	return &record{Plan: p, Croft: c.Croft, Profile: c.Profile, Env: c.Env,
		Daemons: make(map[string]process)}, nil
}

// make builds the fabric, then starts the relay, then the daemons.
func (r *record) make(ctx context.Context, c Config) error {
	for _, s := range r.Plan.Sites {
		if c.Progress("site " + s.Name); ctx.Err() != nil {
			return ctx.Err()
		}
		if err := makeSite(s); err != nil {
			return err
		}
	}
	for _, n := range r.Plan.Nodes {
		if c.Progress("node " + n.Name); ctx.Err() != nil {
			return ctx.Err()
		}
		s, _ := r.Plan.site(n.Site)
		if err := makeNode(n, s); err != nil {
			return err
		}
	}
	c.Progress("relay")
	if err := r.relay(ctx, c); err != nil {
		return err
	}
	if err := r.daemons(ctx, c); err != nil {
		return err
	}
	c.Progress("up")
	return nil
}

// daemons starts the first node, whose address the others need in order to
// join, and then all others at once.
func (r *record) daemons(ctx context.Context, c Config) error {
	seeds, err := siteSeeds(r.Plan, c.Dir)
	if err != nil {
		return err
	}
	var join []string
	group, grouped := errgroup.WithContext(ctx)
	for i, n := range r.Plan.Nodes {
		s, _ := r.Plan.site(n.Site)
		if err := r.prepare(n, s, join, seeds[n.Site], c); err != nil {
			return errors.Join(err, group.Wait())
		}
		if i > 0 && c.Late != nil && c.Late(i) {
			continue
		}
		c.Progress("daemon " + n.Name)
		p, err := r.launch(n)
		r.Daemons[n.Name] = p
		if err = errors.Join(err, r.save(c.Dir), grouped.Err()); err != nil {
			return errors.Join(err, group.Wait())
		}
		if i > 0 {
			group.Go(func() error {
				_, err := ready(grouped, n, p)
				return err
			})
			continue
		}
		status, err := ready(ctx, n, p)
		if err != nil {
			return err
		}
		if join = n.reachable(status); len(join) == 0 {
			return fmt.Errorf("%s: no address of %s with a peer id among %q", n.Name, n.Address, status.Addrs)
		}
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, n := range r.Plan.Nodes {
		c.Progress("ready " + n.Name)
	}
	return nil
}

// prepare makes a node's directory, key, certificate and configuration.
func (r *record) prepare(n node, s place, join []string, seed []byte, c Config) error {
	if err := os.MkdirAll(n.Dir, 0o700); err != nil {
		return err
	}
	if c.Identity != nil {
		principal, err := c.Identity(n.Dir)
		if err != nil {
			return fmt.Errorf("making the key of %s: %w", n.Name, err)
		}
		cert, err := c.Certify(seed, principal)
		if err != nil {
			return fmt.Errorf("certifying %s: %w", n.Name, err)
		}
		if err := replace(n.cert(), cert, 0o644); err != nil {
			return err
		}
	}
	return configure(n, s, c.Profile, join, c.Identity != nil, c.Segment)
}

// siteSeeds makes the sites' keys, which stay with the lab.
func siteSeeds(p *plan, dir string) (map[string][]byte, error) {
	if err := os.MkdirAll(filepath.Join(dir, "sites"), 0o700); err != nil {
		return nil, err
	}
	seeds := make(map[string][]byte)
	for _, s := range p.Sites {
		if s.Name == outsideName {
			continue
		}
		seed := make([]byte, 32)
		rand.Read(seed)
		if err := replace(filepath.Join(dir, "sites", s.Name+".seed"), seed, 0o600); err != nil {
			return nil, err
		}
		seeds[s.Name] = seed
	}
	return seeds, nil
}
