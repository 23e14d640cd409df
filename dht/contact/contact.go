// SPDX-License-Identifier: Apache-2.0

package contact

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"croft/lease"
)

// Contact is a node and where it may be reached.
type Contact struct {
	_     struct{}        `cbor:",toarray"`
	Node  lease.Principal `json:"node"`
	Addrs []string        `json:"addrs"` // multiaddrs without the peer id, which follows from Node
}

// Fits reports whether a contact is within bounds, whoever wrote it.
func (c Contact) Fits() bool {
	return !c.Node.IsZero() && len(c.Addrs) > 0 && len(c.Addrs) <= MaxAddrs && !slices.ContainsFunc(c.Addrs, func(a string) bool {
		return len(a) > MaxAddr || !strings.HasPrefix(a, "/") || strings.ContainsFunc(a, func(r rune) bool { return r > unicode.MaxASCII || !unicode.IsGraphic(r) })
	})
}

func (c Contact) String() string { return c.Node.Short() + " at " + strings.Join(c.Addrs, ",") }

// Source is how a contact was come by. Earlier ones are tried first.
type Source uint8

const (
	Remembered Source = iota // from before
	Local                    // on the local network
	Given                    // by the owner: an address or an invitation
	Told                     // by a neighbour that routes for nobody
	Named                    // by whoever fills the role bootstrap; each answer replaces the last
	Shipped                  // with the program
	sources
)

func (s Source) String() string {
	if s >= sources {
		return fmt.Sprintf("source(%d)", uint8(s))
	}
	return [...]string{"remembered", "local", "given", "told", "named", "shipped"}[s]
}

// ShippedContacts come with the program: nobody has founded a network yet that
// should outlive its founders.
func ShippedContacts() []Contact { return nil }
