// SPDX-License-Identifier: Apache-2.0

package topic

import (
	"crypto/sha256"
	"fmt"
	"strings"

	"croft/lease"
)

// Name is one topic of one slice.
type Name struct {
	Owner lease.Principal `json:"owner"`
	Slice string          `json:"slice"`
	Topic string          `json:"topic"`
}

// placeDomain separates places from every other use of a hash.
const placeDomain = "croft/place/1\n"

// prefix begins the names of all slices' topics.
const prefix = "slice/"

// String is the name on the wire: slice/OWNER/SLICE/TOPIC.
func (n Name) String() string {
	return prefix + n.Owner.String() + "/" + n.Slice + "/" + n.Topic
}

// Named reports whether a name in GossipSub may be that of a slice's topic, without
// reading it.
func Named(s string) bool { return strings.HasPrefix(s, prefix) }

// ParseName reads what String prints.
func ParseName(s string) (Name, error) {
	rest, ok := strings.CutPrefix(s, prefix)
	parts := strings.Split(rest, "/")
	if !ok || len(parts) != 3 {
		return Name{}, fmt.Errorf("topic %.100q: want slice/OWNER/SLICE/TOPIC: %w", s, lease.ErrSyntax)
	}
	owner, err := lease.ParsePrincipal(parts[0])
	if err != nil {
		return Name{}, fmt.Errorf("topic %.100q: %w", s, err)
	}
	n := Name{Owner: owner, Slice: parts[1], Topic: parts[2]}
	if err := n.Check(); err != nil {
		return Name{}, err
	}
	if n.String() != s { // one topic, one name
		return Name{}, fmt.Errorf("topic %.100q: want %s: %w", s, n, lease.ErrSyntax)
	}
	return n, nil
}

// Check reports what is wrong with a name.
func (n Name) Check() error {
	for _, label := range []string{n.Slice, n.Topic} {
		if err := lease.CheckLabel(label); err != nil {
			return fmt.Errorf("topic %.63q of slice %.63q: %w", n.Topic, n.Slice, err)
		}
	}
	return nil
}

// Place is where on the DHT the subscribers of a topic meet. It says nothing of
// the topic to one who does not know its name.
func (n Name) Place() Place { return Place(sha256.Sum256([]byte(placeDomain + n.String()))) }
