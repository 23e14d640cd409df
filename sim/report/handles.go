// SPDX-License-Identifier: Apache-2.0

package report

// handles are those of one sort, in the order in which they were made.
type handles[H any] struct {
	list   []*H
	byName map[[2]string]*H
	size   map[string]int // of groups
}

// get returns the handle of that name; fresh is that it was just made. Where a group
// is full, it is the one of "other", which name is then told.
func (h *handles[H]) get(group, of string) (handle *H, name string, fresh bool) {
	if handle = h.byName[[2]string{group, of}]; handle != nil {
		return handle, of, false
	}
	if h.size[group] >= maxHandles && of != other {
		return h.get(group, other)
	}
	if h.byName == nil {
		h.byName, h.size = map[[2]string]*H{}, map[string]int{}
	}
	handle = new(H)
	h.list = append(h.list, handle)
	h.byName[[2]string{group, of}] = handle
	h.size[group]++
	return handle, of, true
}

const other = "other"
