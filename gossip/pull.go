// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"croft/lease"
	"croft/lease/offer"
)

// Digest is the state of a view in short: for each partition of the nodes, by
// the first bits of their principals, the XOR of the first 8 bytes of the ids
// of their offers. Two views with the same digest hold the same offers; one who
// wants to hide a difference can only hide it from itself.
type Digest [Partitions]uint64

// PullRequest asks for what differs from the asker's digest, after a cursor.
type PullRequest struct {
	Digest Digest          `cbor:"1,keyasint"`
	After  lease.Principal `cbor:"2,keyasint,omitzero"`
}

// PullPage is one page of the answer, in the order of nodes.
type PullPage struct {
	Offers [][]byte        `cbor:"1,keyasint,omitempty"`
	After  lease.Principal `cbor:"2,keyasint,omitzero"` // the cursor for the next page; zero at the end
}

func partition(p lease.Principal) int { return int(p[0]) * Partitions / 256 }

func digest(b []byte) lease.Digest { return sha256.Sum256(b) }

// Digest returns the state of the view.
func (v *View) Digest() Digest { return v.digest }

// turn adds an offer that is not in the digest, or takes out one that is.
func (d *Digest) turn(o *offer.Opened) {
	d[partition(o.Node)] ^= binary.BigEndian.Uint64(o.ID[:8])
}

// Page answers a pull: at most PageOffers that hold at now, withdrawals
// included, from the partitions that differ.
func (v *View) Page(now time.Time, req PullRequest) PullPage {
	mine := v.Digest()
	var page PullPage
	if mine == req.Digest {
		return page
	}
	var last lease.Principal
	for _, e := range v.sorted() {
		n := e.offer.Node
		if mine[partition(n)] == req.Digest[partition(n)] || bytes.Compare(n[:], req.After[:]) <= 0 ||
			e.offer.Fresh(now) != nil {
			continue
		}
		if len(page.Offers) == PageOffers {
			page.After = last
			break
		}
		page.Offers = append(page.Offers, e.offer.Bytes)
		last = n
	}
	return page
}

// DecodePullRequest reads a pull, at most MaxPull bytes.
func DecodePullRequest(b []byte) (r PullRequest, err error) {
	if err := lease.Decode(b, &r, MaxPull); err != nil {
		return PullRequest{}, fmt.Errorf("reading pull: %w", err)
	}
	return r, nil
}

// DecodePullPage reads a page, at most MaxPage bytes. The offers in it are not
// opened yet.
func DecodePullPage(b []byte) (p PullPage, err error) {
	if err := lease.Decode(b, &p, MaxPage); err != nil {
		return PullPage{}, fmt.Errorf("reading page: %w", err)
	}
	if len(p.Offers) > PageOffers {
		return PullPage{}, fmt.Errorf("reading page: %d offers, limit %d: %w", len(p.Offers), PageOffers, ErrPage)
	}
	for _, o := range p.Offers {
		if len(o) > offer.MaxOffer {
			return PullPage{}, fmt.Errorf("reading page: offer of %d bytes: %w", len(o), ErrPage)
		}
	}
	return p, nil
}
