// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"croft/lease/sign"
	"croft/node/api"
)

// certificate is the site's word that this node is its own, which has a term.
// While it holds, offers carry it and the site's name; when it has lapsed the
// node goes on, and is nobody's.
type certificate struct {
	d *Daemon

	mu     sync.Mutex
	cert   *sign.SiteCert // nil: there is none
	bytes  []byte
	warned time.Time
}

// newCertificate takes the certificate that the configuration names. One that
// has lapsed is no reason not to start; one of another node is.
func newCertificate(d *Daemon) (*certificate, error) {
	c := &certificate{d: d}
	if len(d.cfg.SiteCert) == 0 {
		return c, nil
	}
	if err := c.take(d.cfg.SiteCert); err != nil && !errors.Is(err, sign.ErrExpired) {
		return nil, fmt.Errorf("%w: site_cert: %w", ErrConfig, err)
	}
	return c, nil
}

// take puts a certificate in the place of the one before, also one that does not
// hold at this moment; it says so.
func (c *certificate) take(b []byte) error {
	cert, err := sign.OpenSite(b)
	if err != nil {
		return err
	}
	err = cert.Holds(c.d.deps.Key.Principal(), c.d.deps.Clock.Wall().Unix())
	if err != nil && !errors.Is(err, sign.ErrExpired) {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cert, c.bytes, c.warned = &cert, b, time.Time{}
	return err
}

// reload reads the certificate's file again. One that does not hold, or ends
// earlier, does not take the place of the one in hand.
func (c *certificate) reload() error {
	if c.d.cfg.SiteFile == "" {
		return nil
	}
	b, err := os.ReadFile(c.d.cfg.SiteFile)
	if err != nil {
		return fmt.Errorf("reading the site certificate again: %w", err)
	}
	c.mu.Lock()
	same, until := bytes.Equal(b, c.bytes), int64(0)
	if c.cert != nil {
		until = c.cert.Until
	}
	c.mu.Unlock()
	if same {
		return nil
	}
	cert, err := sign.OpenSite(b)
	if err == nil {
		err = cert.Holds(c.d.deps.Key.Principal(), c.d.deps.Clock.Wall().Unix())
	}
	if err == nil && cert.Until < until {
		err = fmt.Errorf("it ends earlier than the one in hand: %w", sign.ErrExpired)
	}
	if err == nil {
		err = c.take(b)
	}
	if err != nil {
		return fmt.Errorf("the site certificate stays the one before: %w", err)
	}
	c.d.deps.Log.Info("a new site certificate", "site", cert.Name, "until", time.Unix(cert.Until, 0).UTC())
	return nil
}

// now returns the certificate if it holds, and the name that this node has then:
// with a lapsed one, without the site's part. Towards the end of the term it
// looks whether the file has a newer one, and warns once a day.
func (c *certificate) now(at time.Time) (*sign.SiteCert, []byte, string) {
	name := c.d.cfg.Name
	c.mu.Lock()
	cert := c.cert
	c.mu.Unlock()
	if cert == nil {
		return nil, nil, name
	}
	if cert.Until-at.Unix() < certWarning(cert) {
		if err := c.reload(); err != nil {
			c.d.deps.Log.Debug("no newer site certificate", "err", err)
		}
		c.warn(at)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.cert.Term().Covers(at.Unix()) {
		if _, bare, ok := strings.Cut(name, "/"); ok {
			name = bare
		}
		return nil, nil, name
	}
	return c.cert, c.bytes, name
}

// certWarning is how long before its end a certificate is warned about, in
// seconds: two weeks, or a tenth of a shorter term.
func certWarning(c *sign.SiteCert) int64 { return min(14*24*3600, (c.Until-c.From)/10) }

func (c *certificate) warn(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cert.Until-at.Unix() >= certWarning(c.cert) || at.Sub(c.warned) < 24*time.Hour {
		return
	}
	c.warned = at
	text := "the site certificate ends soon"
	if at.Unix() >= c.cert.Until {
		text = "the site certificate has ended; offers go without the site"
	}
	c.d.deps.Log.Warn(text, "site", c.cert.Name, "until", time.Unix(c.cert.Until, 0).UTC(), "mend", c.mend())
}

// mend is what the site's owner types.
func (c *certificate) mend() string {
	return "croft --key SITE.key key certify " + c.d.deps.Key.Principal().String() + " --name " + c.cert.Name
}

// check is the certificate's line in croft doctor; none without a certificate.
func (c *certificate) check(at time.Time) []api.Check {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cert == nil {
		return nil
	}
	until := time.Unix(c.cert.Until, 0).UTC().Format(time.RFC3339)
	line := api.Check{Name: "site certificate", OK: true, Found: c.cert.Name + " until " + until}
	if left := c.cert.Until - at.Unix(); left < certWarning(c.cert) || at.Unix() < c.cert.From {
		line.OK, line.Need, line.Mend = false, "another one: offers go without the site when it does not hold", c.mend()
	}
	return []api.Check{line}
}
