// SPDX-License-Identifier: Apache-2.0

package sign

import (
	"fmt"

	"croft/lease"
)

// SiteDomain separates site certificates from every other use of a site's key.
const SiteDomain = "croft/site/1\n"

// MaxSiteCert is the size in bytes of a signed certificate: the fields take at
// most 160, the signature and the frame 70.
const MaxSiteCert = 256

// SiteCert says that a node is one of a site's own, during a term.
type SiteCert struct {
	Site  lease.Principal `cbor:"1,keyasint"` // who signs
	Node  lease.Principal `cbor:"2,keyasint"`
	From  int64           `cbor:"4,keyasint"` // Unix seconds
	Until int64           `cbor:"5,keyasint"`
	Name  string          `cbor:"11,keyasint"` // the site's, formed like a slice's label
}

// Term returns the interval during which the certificate holds.
func (c SiteCert) Term() lease.Term { return lease.Term{From: c.From, Until: c.Until} }

func (c SiteCert) check() error {
	for _, err := range []error{lease.CheckPrincipal("site", c.Site), lease.CheckPrincipal("node", c.Node), lease.CheckTerm(c.Term()), lease.CheckLabel(c.Name)} {
		if err != nil {
			return fmt.Errorf("certificate: %w", err)
		}
	}
	return nil
}

// SealSite signs a certificate with the site's key.
func SealSite(c SiteCert, site lease.Signer) (lease.Signed, error) {
	if err := c.check(); err != nil {
		return lease.Signed{}, fmt.Errorf("certifying %s: %w", c.Node.Short(), err)
	}
	if c.Site != site.Principal() {
		return lease.Signed{}, fmt.Errorf("certifying %s for site %s with the key of %s: %w",
			c.Node.Short(), c.Site.Short(), site.Principal().Short(), lease.ErrSignature)
	}
	return lease.SealAs(SiteDomain, c, site)
}

// OpenSite reads a certificate and checks encoding, fields and signature. Whether
// the site is to be trusted is the caller's to know.
func OpenSite(b []byte) (SiteCert, error) {
	s, err := lease.ParseSigned(b, MaxSiteCert)
	if err != nil {
		return SiteCert{}, fmt.Errorf("site certificate: %w", err)
	}
	var c SiteCert
	if err := lease.Decode(s.Payload, &c, MaxSiteCert); err != nil {
		return SiteCert{}, fmt.Errorf("site certificate: %w", err)
	}
	if err := c.check(); err != nil {
		return SiteCert{}, err
	}
	if err := s.VerifyAs(SiteDomain, c.Site); err != nil {
		return SiteCert{}, fmt.Errorf("site certificate of %s: %w", c.Site.Short(), err)
	}
	return c, nil
}

// Holds reports whether the certificate is for node at the instant (Unix seconds).
func (c SiteCert) Holds(node lease.Principal, at int64) error {
	if c.Node != node {
		return fmt.Errorf("certificate of %s: %w", c.Node.Short(), lease.ErrWrongNode)
	}
	if !c.Term().Covers(at) {
		return fmt.Errorf("%s: %w", c.Term(), ErrExpired)
	}
	return nil
}
