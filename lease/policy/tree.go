// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"errors"
	"sort"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// kind is what stands in a place of a TOML text, as people call it.
type kind string

const (
	aTable  kind = "a table"
	aList   kind = "a list"
	aString kind = "a text"
	aNumber kind = "a number"
	aBool   kind = "true or false"
	another kind = "a value" // a date, or a number that is not whole
)

// node is one key of a TOML text with what it stands for. go-toml alone decodes
// without saying where each thing was; here every mistake has its place.
type node struct {
	key    string
	at     Mark // of the key
	value  Mark // of what it stands for
	kind   kind
	text   string  // of a scalar
	fields []*node // of a table, in the order of the text
	items  []*node // of a list
	used   bool
}

func (n *node) field(key string) *node {
	for _, f := range n.fields {
		if f.key == key {
			return f
		}
	}
	return nil
}

// into returns the table that key names below n, made if need be; of a list of
// tables the last one.
func (n *node) into(key string, at Mark) *node {
	f := n.field(key)
	if f == nil {
		f = &node{key: key, at: at, value: at, kind: aTable}
		n.fields = append(n.fields, f)
	}
	if f.kind == aList && len(f.items) > 0 {
		return f.items[len(f.items)-1]
	}
	return f
}

// document is a text on its way to a tree.
type document struct {
	source string
	text   []byte
	lines  []int // offsets at which lines begin
	parser unstable.Parser
}

// parse makes a tree of a text. What TOML itself forbids, duplicates included,
// is found by decoding it first.
func parse(source string, text []byte) (*node, error) {
	d := &document{source: source, text: text, lines: []int{0}}
	for i, c := range text {
		if c == '\n' {
			d.lines = append(d.lines, i+1)
		}
	}
	var complain complaints
	if len(text) > MaxText {
		complain.add(Mark{Source: source}, "", "%d bytes, limit %d", len(text), MaxText)
		return nil, complain.err()
	}
	var whole map[string]any
	if err := toml.Unmarshal(text, &whole); err != nil {
		at := Mark{Source: source}
		var bad *toml.DecodeError
		if errors.As(err, &bad) {
			line, column := bad.Position()
			at = d.mark(d.lines[min(line, len(d.lines))-1] + column - 1)
		}
		complain.add(at, "", "%s", trimmed(err.Error()))
		return nil, complain.err()
	}
	root := &node{kind: aTable, at: Mark{source, 1, 1}}
	table := root
	d.parser.Reset(text)
	for d.parser.NextExpression() {
		switch e := d.parser.Expression(); e.Kind {
		case unstable.Table:
			table = d.descend(root, e.Key())
		case unstable.ArrayTable:
			table = d.append(root, e.Key())
		case unstable.KeyValue:
			d.assign(table, e)
		}
	}
	if err := d.parser.Error(); err != nil { // not after Unmarshal
		complain.add(Mark{Source: source}, "", "%v", err)
	}
	return root, complain.err()
}

// trimmed drops the library's name from its message.
func trimmed(s string) string {
	const name = "toml: "
	if len(s) > len(name) && s[:len(name)] == name {
		return s[len(name):]
	}
	return s
}

// mark is the place of an offset: lines and characters from 1.
func (d *document) mark(offset int) Mark {
	offset = max(0, min(offset, len(d.text)))
	line := sort.SearchInts(d.lines, offset+1)
	return Mark{d.source, line, utf8.RuneCount(d.text[d.lines[line-1]:offset]) + 1}
}

func (d *document) descend(n *node, keys unstable.Iterator) *node {
	for keys.Next() {
		k := keys.Node()
		n = n.into(string(k.Data), d.mark(int(k.Raw.Offset)))
	}
	return n
}

// append adds an element to the list of tables that keys name.
func (d *document) append(n *node, keys unstable.Iterator) *node {
	for keys.Next() {
		k := keys.Node()
		key, at := string(k.Data), d.mark(int(k.Raw.Offset))
		if !keys.IsLast() {
			n = n.into(key, at)
			continue
		}
		list := n.field(key)
		if list == nil {
			list = &node{key: key, at: at, value: at, kind: aList}
			n.fields = append(n.fields, list)
		}
		list.items = append(list.items, &node{key: key, at: at, value: at, kind: aTable})
		return list.items[len(list.items)-1]
	}
	return n
}

func (d *document) assign(n *node, e *unstable.Node) {
	keys := e.Key()
	for keys.Next() {
		k := keys.Node()
		key, at := string(k.Data), d.mark(int(k.Raw.Offset))
		if !keys.IsLast() {
			n = n.into(key, at)
			continue
		}
		f := d.value(e.Value(), at)
		f.key, f.at = key, at
		n.fields = append(n.fields, f)
	}
}

func (d *document) value(v *unstable.Node, at Mark) *node {
	n := &node{at: at, value: at, text: string(v.Data)}
	if v.Raw.Length > 0 {
		n.value = d.mark(int(v.Raw.Offset))
	}
	switch v.Kind {
	case unstable.String:
		n.kind = aString
	case unstable.Integer:
		n.kind = aNumber
	case unstable.Bool:
		n.kind = aBool
	case unstable.Array:
		n.kind = aList
		for it := v.Children(); it.Next(); {
			n.items = append(n.items, d.value(it.Node(), n.value))
		}
	case unstable.InlineTable:
		n.kind = aTable
		for it := v.Children(); it.Next(); {
			d.assign(n, it.Node())
		}
	default:
		n.kind = another
	}
	return n
}
