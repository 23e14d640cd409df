// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"croft/lease"
	"croft/lease/offer"
)

// A statement's type is its grammar: the tags of its fields say how each is
// written.
//
//	pos      a word without a key, by this name in errors; key: key=value
//	need     it must be there; default: what it is otherwise
//	min, max of a number or duration; one: the words that it may be
//	kind     label, query, rset, region: what a text must be
var (
	durations = reflect.TypeFor[time.Duration]()
)

// set fills the fields of a statement from words; say takes what is wrong.
func (r *reader) set(into any, list []word, line int) {
	v := reflect.ValueOf(into).Elem()
	var keys []string
	given := map[string]bool{}
	pos := 0
	for _, f := range reflect.VisibleFields(v.Type()) {
		if f.Anonymous {
			continue
		}
		name := f.Tag.Get("key")
		at := -1
		if p := f.Tag.Get("pos"); p != "" {
			name = p
			if pos < len(list) && list[pos].key == "" {
				at = pos
			}
			pos++
			if at < 0 {
				column := r.width
				if len(list) > 0 {
					column = list[0].column
				}
				r.say(line, column, name+" is missing", "want "+r.usage(into))
				return
			}
		} else {
			keys = append(keys, name)
			at = slices.IndexFunc(list, func(w word) bool { return w.key == name })
		}
		field := v.FieldByIndex(f.Index)
		switch def := f.Tag.Get("default"); {
		case at >= 0:
			given[name] = true
			if want := assign(field, f.Tag, list[at].value); want != "" {
				r.say(line, list[at].inner, fmt.Sprintf("%s is %s", name, shown(list[at].value)), want)
			}
		case f.Tag.Get("need") != "":
			r.say(line, r.width, name+"= is missing", "want "+r.usage(into))
		case def != "":
			if want := assign(field, f.Tag, def); want != "" {
				panic("scenario: default of " + name + ": " + want) // a tag of ours
			}
		}
	}
	seen := map[string]bool{}
	for i, w := range list {
		switch {
		case w.key == "" && i >= pos:
			r.say(line, w.column, shown(w.value)+" is too much here", "want "+r.usage(into))
		case w.key != "" && !slices.Contains(keys, w.key):
			r.say(line, w.column, "unknown key "+shown(w.key), meant(w.key, keys))
		case w.key != "" && seen[w.key]:
			r.say(line, w.column, w.key+"= stands there twice", "")
		}
		seen[w.key] = w.key != ""
	}
}

// assign reads one value; it returns what was expected if that fails.
func assign(v reflect.Value, tag reflect.StructTag, s string) (want string) {
	switch {
	case v.Kind() == reflect.Slice:
		parts := strings.Split(s, ",")
		if len(parts) > maxList {
			return fmt.Sprintf("want at most %d values", maxList)
		}
		v.Set(reflect.MakeSlice(v.Type(), len(parts), len(parts)))
		for i, part := range parts {
			if want := assign(v.Index(i), tag, part); want != "" {
				return want + ", or several with commas between"
			}
		}
	case v.Type() == durations:
		d, err := duration(s)
		if err != nil {
			return err.Error()
		}
		least, most := time.Duration(0), MaxLength
		if tag.Get("min") != "" {
			least, _ = duration(tag.Get("min"))
		}
		if tag.Get("max") != "" {
			most, _ = duration(tag.Get("max"))
		}
		if d < least || d > most {
			return fmt.Sprintf("want %s to %s", span(least), span(most))
		}
		v.SetInt(int64(d))
	case v.Kind() == reflect.Int:
		least, most := 0, MaxNodes
		if tag.Get("min") != "" {
			least, _ = strconv.Atoi(tag.Get("min"))
		}
		if tag.Get("max") != "" {
			most, _ = strconv.Atoi(tag.Get("max"))
		}
		n, err := strconv.Atoi(s)
		if err != nil || tag.Get("pos") == "" && (n < least || n > most) {
			return fmt.Sprintf("want a whole number, %d to %d", least, most)
		}
		v.SetInt(int64(n))
	case v.Kind() == reflect.Float64:
		x, err := Share.parse(s)
		if err != nil || x <= 0 {
			return "want a share above 0 and at most 1, such as 0.2 or 20%"
		}
		v.SetFloat(x)
	case v.Kind() == reflect.Bool:
		if s != "yes" && s != "no" {
			return "want yes or no"
		}
		v.SetBool(s == "yes")
	case v.Kind() == reflect.String:
		if one := strings.Fields(tag.Get("one")); len(one) > 0 && !slices.Contains(one, s) {
			return meant(s, one)
		}
		if want := text(tag.Get("kind"), s); want != "" {
			return want
		}
		v.SetString(s)
	}
	return ""
}

// text holds a text against what it must be.
func text(kind, s string) (want string) {
	switch kind {
	case "label":
		if len(s) == 0 || len(s) > 63 || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || !letter(s[0]) {
			return "want a name of a-z, 0-9 and -, a letter first, at most 63"
		}
	case "query":
		if _, err := offer.ParseQuery(s); err != nil {
			return err.Error()
		}
	case "rset":
		if set, err := lease.ParseRSet(s); err != nil {
			return err.Error()
		} else if set.IsZero() {
			return "want at least one resource"
		}
	case "region":
		if len(s) == 0 || len(s) > 32 {
			return "want a region of the profile"
		}
	}
	return ""
}

// print writes the fields that are set.
func print(b *strings.Builder, from any) {
	v := reflect.ValueOf(from).Elem()
	for _, f := range reflect.VisibleFields(v.Type()) {
		if f.Anonymous {
			continue
		}
		field := v.FieldByIndex(f.Index)
		if field.IsZero() && f.Tag.Get("pos") == "" && f.Tag.Get("default") == "" {
			continue
		}
		s := written(field)
		b.WriteByte(' ')
		if key := f.Tag.Get("key"); key != "" {
			b.WriteString(key + "=")
		}
		b.WriteString(s)
	}
}

// written is a value as [assign] reads it.
func written(v reflect.Value) string {
	switch {
	case v.Kind() == reflect.Slice:
		var parts []string
		for i := range v.Len() {
			parts = append(parts, written(v.Index(i)))
		}
		return strings.Join(parts, ",")
	case v.Type() == durations:
		return span(time.Duration(v.Int()))
	case v.Kind() == reflect.Int:
		return strconv.FormatInt(v.Int(), 10)
	case v.Kind() == reflect.Float64:
		return strconv.FormatFloat(v.Float(), 'g', -1, 64)
	case v.Kind() == reflect.Bool:
		return "yes"
	}
	return quote(v.String())
}

// usage is how a statement is written.
func (r *reader) usage(of any) string {
	var b strings.Builder
	switch of := of.(type) {
	case Fault:
		b.WriteString("at TIME fault " + of.word())
	case Action:
		b.WriteString("at TIME " + of.word())
	case Deal:
		b.WriteString(of.deal())
	case *Nodes:
		b.WriteString("nodes")
	case *Join:
		b.WriteString("join")
	}
	for _, f := range reflect.VisibleFields(reflect.TypeOf(of).Elem()) {
		switch {
		case f.Anonymous:
		case f.Tag.Get("pos") != "":
			b.WriteString(" " + f.Tag.Get("pos"))
		case f.Tag.Get("need") != "":
			b.WriteString(" " + f.Tag.Get("key") + "=…")
		default:
			b.WriteString(" [" + f.Tag.Get("key") + "=…]")
		}
	}
	return b.String()
}

// duration reads 90s, 2m, 1h30m, 2d.
func duration(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 && n <= int(MaxLength/(24*time.Hour)) {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 || d > MaxLength {
		return 0, fmt.Errorf("want a time such as 500ms, 90s, 2m or 1h")
	}
	return d, nil
}

// span prints a duration in the shortest way that [duration] reads.
func span(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

// meant says which words there are, and which was probably meant.
func meant(got string, known []string) string {
	if near := offer.Meant(got, known); near != "" {
		return "did you mean " + near + "?"
	}
	return "want one of " + strings.Join(known, " ")
}

// shown is a stranger's word as an error shows it.
func shown(s string) string {
	if r := []rune(s); len(r) > 40 {
		s = string(r[:40]) + "…"
	}
	return strconv.Quote(s)
}
