// SPDX-License-Identifier: Apache-2.0

package net

import "sync"

// tenants says who is at which place, for those who ask too often to ask the
// kernel.
type tenants struct {
	mu sync.Mutex
	at map[int]string
}

// put notes who came; nobody is the empty name.
func (t *tenants) put(place int, name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.at == nil {
		t.at = map[int]string{}
	}
	if name == "" {
		delete(t.at, place)
		return
	}
	t.at[place] = name
}

func (t *tenants) get(place int) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.at[place]
}
