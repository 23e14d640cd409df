// SPDX-License-Identifier: Apache-2.0

package lease

import "fmt"

// A Cache remembers statements that verified, by their exact bytes, so that a
// prefix which many chains share costs no second signature check. All other rules
// are held anew each time: what verifies with a cache verifies without, and the
// other way round.
//
// It keeps at least the limit's half of what was used last and at most the limit.
// Only what stood in a whole chain of the node asked enters, so strangers cannot
// wash it out. Use by one goroutine at a time.
type Cache struct {
	limit      int
	young, old map[string]Opened // what ages out is old as a whole
}

// NewCache makes a cache of at most limit statements, about 1 KiB of memory each.
func NewCache(limit int) *Cache {
	return &Cache{limit: max(limit, 2), young: map[string]Opened{}}
}

// VerifyChain is [VerifyChain] at the cost of one signature check for each
// statement that is not known.
func (c *Cache) VerifyChain(chain [][]byte, node Principal) (Chain, error) {
	if len(chain) == 0 {
		return Chain{}, fmt.Errorf("empty: %w", ErrChain) // C1
	}
	known := make([]bool, 0, len(chain))
	whole, err := Chain{}.join(chain, node, func(b []byte) (Opened, error) {
		o, ok := c.recall(b)
		known = append(known, ok)
		if ok {
			return o, nil
		}
		return read(b)
	})
	if err == nil {
		err = whole.verify(0, known)
	}
	if err != nil {
		return Chain{}, err
	}
	for i, o := range whole.links {
		// A redeem comes once: only what others can stand under is worth keeping.
		if _, ok := claimOf(o.Statement); ok {
			c.keep(string(chain[i]), o)
		}
	}
	return whole, nil
}

// Len returns how many statements are remembered.
func (c *Cache) Len() int { return len(c.young) + len(c.old) }

func (c *Cache) recall(b []byte) (Opened, bool) {
	o, ok := c.young[string(b)]
	if !ok {
		o, ok = c.old[string(b)]
	}
	return o, ok
}

func (c *Cache) keep(b string, o Opened) {
	if _, ok := c.young[b]; ok {
		return
	}
	if len(c.young) >= c.limit/2 {
		c.old, c.young = c.young, map[string]Opened{}
	}
	delete(c.old, b)
	c.young[b] = o
}
