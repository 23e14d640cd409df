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

// PullRequest asks what there is, or for what was named.
//
// With a digest it asks for all that differs from it, after a cursor. Where the
// asker has nothing, it is told the offers themselves, else their names; of those
// it then asks for the ones it wants.
type PullRequest struct {
	Digest Digest          `cbor:"1,keyasint,omitzero"`
	After  lease.Principal `cbor:"2,keyasint,omitzero"`
	Want   []byte          `cbor:"3,keyasint,omitempty"` // heads of nodes, HeadSize bytes each; then there is no digest
}

// PullPage is one page of an answer, in the order of nodes.
type PullPage struct {
	Offers [][]byte        `cbor:"1,keyasint,omitempty"`
	After  lease.Principal `cbor:"2,keyasint,omitzero"`  // the cursor for the next page; zero at the end
	Names  []byte          `cbor:"3,keyasint,omitempty"` // NameSize bytes each
	Differ uint64          `cbor:"4,keyasint,omitempty"` // a bit for each partition that differs, the first the lowest
}

// head is the beginning of a node's principal: enough to tell nodes of a view apart.
type head [HeadSize]byte

func headOf(node lease.Principal) head { return head(node[:HeadSize]) }

// name says in short that somebody has an offer: head and sequence.
func name(o *offer.Opened) []byte {
	h := headOf(o.Node)
	return binary.BigEndian.AppendUint64(h[:], o.Sequence)
}

func partition(p lease.Principal) int { return int(p[0]) * Partitions / 256 }

func digest(b []byte) lease.Digest { return sha256.Sum256(b) }

// Digest returns the state of the view.
func (v *View) Digest() Digest { return v.digest }

// turn adds an offer that is not in the digest, or takes out one that is.
func (d *Digest) turn(o *offer.Opened) {
	d[partition(o.Node)] ^= binary.BigEndian.Uint64(o.ID[:8])
}

// Page answers a pull with what holds at now, withdrawals included: at most
// PageOffers offers and PageNames names.
func (v *View) Page(now time.Time, req PullRequest) PullPage {
	if len(req.Want) > 0 {
		return v.wanted(now, req.Want)
	}
	var page PullPage
	for i := range v.digest {
		if v.digest[i] != req.Digest[i] {
			page.Differ |= 1 << i
		}
	}
	if page.Differ == 0 {
		return page
	}
	var last lease.Principal
	for _, e := range v.order[v.behind(req.After):] {
		at := partition(e.offer.Node)
		if page.Differ&(1<<at) == 0 || e.offer.Fresh(now) != nil {
			continue
		}
		if len(page.Offers) == PageOffers || len(page.Names) == PageNames*NameSize {
			page.After = last
			break
		}
		if req.Digest[at] == 0 {
			page.Offers = append(page.Offers, e.offer.Bytes)
		} else {
			page.Names = append(page.Names, name(e.offer)...)
		}
		last = e.offer.Node
	}
	return page
}

// wanted gives the offers of nodes whose heads were asked for.
func (v *View) wanted(now time.Time, heads []byte) (page PullPage) {
	for ; len(heads) >= HeadSize && len(page.Offers) < PageOffers; heads = heads[HeadSize:] {
		if e := v.find(head(heads)); e != nil && e.offer.Fresh(now) == nil {
			page.Offers = append(page.Offers, e.offer.Bytes)
		}
	}
	return page
}

// find returns the entry whose node begins so, the first of several, or nil.
func (v *View) find(h head) *entry {
	var least lease.Principal
	copy(least[:], h[:])
	i := v.behind(least)
	if i > 0 && v.order[i-1].offer.Node == least {
		i--
	}
	if i == len(v.order) || headOf(v.order[i].offer.Node) != h {
		return nil
	}
	return v.order[i].entry
}

// DecodePullRequest reads a pull, at most MaxPull bytes.
func DecodePullRequest(b []byte) (r PullRequest, err error) {
	if err := lease.Decode(b, &r, MaxPull); err != nil {
		return PullRequest{}, fmt.Errorf("reading pull: %w", err)
	}
	if len(r.Want)%HeadSize != 0 || len(r.Want) > PageOffers*HeadSize {
		return PullRequest{}, fmt.Errorf("reading pull: %d bytes of heads: %w", len(r.Want), ErrPage)
	}
	if len(r.Want) > 0 && (r.Digest != Digest{} || !r.After.IsZero()) {
		return PullRequest{}, fmt.Errorf("reading pull: two questions in one: %w", lease.ErrField)
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
	if len(p.Names)%NameSize != 0 || len(p.Names) > PageNames*NameSize {
		return PullPage{}, fmt.Errorf("reading page: %d bytes of names: %w", len(p.Names), ErrPage)
	}
	for i := NameSize; i < len(p.Names); i += NameSize {
		if bytes.Compare(p.Names[i-NameSize:i-NameSize+HeadSize], p.Names[i:i+HeadSize]) > 0 {
			return PullPage{}, fmt.Errorf("reading page: names out of order: %w", lease.ErrField)
		}
	}
	return p, nil
}
