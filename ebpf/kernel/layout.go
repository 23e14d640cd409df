// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	cebpf "github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

// Maps are pinned in a directory of their layout, so that a daemon whose maps
// are otherwise laid out makes its own beside those of the one before, and takes
// over what those hold:
//
//	croft-<tag>/links/…           both
//	croft-<tag>/maps-<layout>/…   of one layout
//	croft-<tag>/limits, …         of the first release, which had no directory
const mapsPrefix = "maps-"

// layoutOf names the layout of a spec's maps: what they are and, field by field,
// where in their values what lies. Another meaning at the same place needs
// another name.
func layoutOf(spec *cebpf.CollectionSpec) string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(spec.Maps)) {
		if name[0] != '.' {
			describe(h, name, spec.Maps[name])
		}
	}
	return mapsPrefix + hex.EncodeToString(h.Sum(nil))[:8]
}

func describe(w io.Writer, name string, m *cebpf.MapSpec) {
	fmt.Fprintln(w, name, m.Type, m.KeySize, m.ValueSize, m.MaxEntries, m.Flags)
	for _, t := range []btf.Type{m.Key, m.Value} {
		if t != nil {
			for _, f := range fieldsOf(t) {
				fmt.Fprintln(w, f)
			}
		}
	}
	if m.InnerMap != nil {
		describe(w, name+" inner", m.InnerMap)
	}
}

// A field is a number in a map's value: where it is, and by what name.
type field struct {
	path     string
	off, len uint32
}

// fieldsOf lists the numbers of a type, an array's one by one. An array of
// bytes is one field.
func fieldsOf(t btf.Type) (out []field) {
	var walk func(path string, off uint32, t btf.Type)
	walk = func(path string, off uint32, t btf.Type) {
		switch t := btf.UnderlyingType(t).(type) {
		case *btf.Struct:
			for _, m := range t.Members {
				walk(path+"."+m.Name, off+m.Offset.Bytes(), m.Type)
			}
		case *btf.Array:
			size, err := btf.Sizeof(t.Type)
			if err != nil || size == 1 {
				out = append(out, field{path, off, t.Nelems * uint32(size)})
				return
			}
			for i := range t.Nelems {
				walk(fmt.Sprintf("%s[%d]", path, i), off+i*uint32(size), t.Type)
			}
		default:
			if size, err := btf.Sizeof(t); err == nil {
				out = append(out, field{path, off, uint32(size)})
			}
		}
	}
	walk("", 0, t)
	return out
}

// A translation copies the fields of one layout's value to another's, by name.
// What only one of them has is left: zero in the new value.
type translation struct {
	from, to uint32 // sizes
	copies   []struct{ from, to, len uint32 }
}

func newTranslation(from, to btf.Type) (*translation, error) {
	size, err := btf.Sizeof(from)
	toSize, toErr := btf.Sizeof(to)
	if err := errors.Join(err, toErr); err != nil {
		return nil, err
	}
	tr := &translation{from: uint32(size), to: uint32(toSize)}
	there := map[string]field{}
	for _, f := range fieldsOf(from) {
		there[f.path] = f
	}
	for _, f := range fieldsOf(to) {
		old, ok := there[f.path]
		if !ok { // the first release kept its buckets beside the counters
			old, ok = there[strings.TrimPrefix(f.path, ".purse")]
		}
		if ok && !strings.HasSuffix(f.path, ".lock.val") {
			tr.copies = append(tr.copies, struct{ from, to, len uint32 }{old.off, f.off, min(old.len, f.len)})
		}
	}
	return tr, nil
}

// value translates; numbers are little-endian, so a longer field keeps a shorter's.
func (tr *translation) value(old []byte) []byte {
	b := make([]byte, tr.to)
	for _, c := range tr.copies {
		copy(b[c.to:c.to+c.len], old[c.from:])
	}
	return b
}

// otherLayouts returns the directories below dir that hold maps of other layouts
// than own, the oldest kind first.
func otherLayouts(dir, own string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, e := range entries {
		switch name := e.Name(); {
		case e.IsDir() && strings.HasPrefix(name, mapsPrefix) && name != own:
			found = append(found, filepath.Join(dir, name))
		case !e.IsDir() && !slices.Contains(found, dir):
			found = append([]string{dir}, found...)
		}
	}
	return found, nil
}
