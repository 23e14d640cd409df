// SPDX-License-Identifier: Apache-2.0

package lease_test

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"testing"

	"croft/lease"
	"croft/lease/leasetest"
	"croft/lease/sign"
)

func siteVectors(t testing.TB) (list []vector) {
	site := leasetest.Key("site")
	sound := sign.SiteCert{Site: site.Principal(), Node: leasetest.Who("n1"), From: leasetest.Epoch, Until: leasetest.Epoch + lease.MaxTerm, Name: "uni-wien"}
	add := func(name, expect, rule, note string, b []byte) {
		v := vector{Name: name, Note: note, Expect: expect, Rule: rule, Site: hex.EncodeToString(b)}
		if expect == "ok" {
			s, err := lease.ParseSigned(b, sign.MaxSiteCert)
			if err != nil {
				t.Fatal(err)
			}
			v.ID = lease.ID(sha256.Sum256(append([]byte(sign.SiteDomain), s.Payload...))).String()
		}
		list = append(list, v)
	}
	sealed := func(domain string, c sign.SiteCert) []byte {
		s, err := lease.SealAs(domain, c, site)
		if err != nil {
			t.Fatal(err)
		}
		return s.Bytes()
	}
	edit := func(change func(*sign.SiteCert)) []byte {
		c := sound
		change(&c)
		return sealed(sign.SiteDomain, c)
	}
	good := sealed(sign.SiteDomain, sound)
	add("sound", "ok", "", "for as long as may be", good)
	add("itself", "ok", "", "a node that is its own site", edit(func(c *sign.SiteCert) { c.Node = c.Site }))
	add("truncated", "syntax", "S1", "the last byte is missing", good[:len(good)-1])
	add("trailing", "syntax", "S1", "a byte after the frame", append(slices.Clone(good), 0))
	add("oversize", "too-big", "S4", "257 bytes", make([]byte, sign.MaxSiteCert+1))
	add("wrong-domain", "signature", "S11", "signed as a statement", sealed(lease.Domain, sound))
	add("forged", "signature", "S11", "signed by another", edit(func(c *sign.SiteCert) { c.Site = leasetest.Who("mallory") }))
	add("statement", "syntax", "S3", "a capacity in its place", leasetest.Draw(t, "cap(n1 cpu=1)").Last().Signed.Bytes())
	add("no-node", "field", "S5", "certifies nobody", edit(func(c *sign.SiteCert) { c.Node = lease.Principal{} }))
	add("weak-node", "field", "S5", "a node for which anybody can sign", edit(func(c *sign.SiteCert) { c.Node = lease.Principal{1} }))
	add("term-empty", "field", "S6", "ends where it begins", edit(func(c *sign.SiteCert) { c.Until = c.From }))
	add("term-long", "field", "S6", "a second more than 400 days", edit(func(c *sign.SiteCert) { c.Until++ }))
	add("from-0", "field", "S6", "begins in 1970", edit(func(c *sign.SiteCert) { c.From, c.Until = 0, 10 }))
	add("until-10000", "field", "S6", "ends in the year 10000", edit(func(c *sign.SiteCert) { c.From, c.Until = 253402300799, 253402300800 }))
	add("name-empty", "field", "S9", "no name", edit(func(c *sign.SiteCert) { c.Name = "" }))
	add("name-upper", "field", "S9", "a name that is no label", edit(func(c *sign.SiteCert) { c.Name = "Uni Wien" }))
	return list
}
