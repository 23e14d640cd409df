// SPDX-License-Identifier: Apache-2.0

// Query answers a continuous question about what other services publish, as PIER and
// Sophia did on PlanetLab: it hears their topics, joins what they say by a key, and every
// few seconds prints and publishes the rows for which the conditions hold.
//
//	croft run --name query ./query -- -from load=pulse@OWNER/load:node -from rtt=probe@OWNER/rtt:to \
//	    -where 'load.load<4' -where 'rtt.rtt_ms<100' -show load.name,load.load,rtt.from_name,rtt.rtt_ms
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"croft/shim"
)

// row is one JSON object that somebody published.
type row map[string]any

// source is a topic, and what joins its rows to others.
type source struct {
	alias, topic, key string

	mu     sync.Mutex
	newest map[string]said // by the key's value
}

type said struct {
	row row
	at  time.Time
}

// most is the number of keys that are kept of one source.
const most = 4096

// condition is ALIAS.FIELD, a comparison and a number or a word.
type condition struct {
	field, op, value string
}

var errSyntax = errors.New("not understood")

func parseSource(s string) (*source, error) {
	alias, rest, ok := strings.Cut(s, "=")
	at := strings.LastIndex(rest, ":")
	if !ok || alias == "" || at <= 0 || at == len(rest)-1 {
		return nil, fmt.Errorf("-from %q: want ALIAS=TOPIC:KEY: %w", s, errSyntax)
	}
	return &source{alias: alias, topic: rest[:at], key: rest[at+1:], newest: map[string]said{}}, nil
}

func parseCondition(s string) (c condition, err error) {
	for _, op := range []string{"<=", ">=", "!=", "<", ">", "="} {
		if field, value, ok := strings.Cut(s, op); ok && strings.Contains(field, ".") {
			return condition{strings.TrimSpace(field), op, strings.TrimSpace(value)}, nil
		}
	}
	return c, fmt.Errorf("-where %q: want ALIAS.FIELD, one of < <= > >= = != and a value: %w", s, errSyntax)
}

// holds judges a joined row. What has no such field is out.
func (c condition) holds(joined row) bool {
	v, ok := joined[c.field]
	if !ok {
		return false
	}
	order := cmp.Compare(text(v), c.value)
	if n, isNumber := v.(float64); isNumber {
		want, err := strconv.ParseFloat(c.value, 64)
		if err != nil {
			return false
		}
		order = cmp.Compare(n, want)
	}
	switch c.op {
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	case ">=":
		return order >= 0
	case "=":
		return order == 0
	}
	return order != 0
}

func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	b, _ := json.Marshal(v) // it came as JSON
	return string(b)
}

func (s *source) hear(ctx context.Context, node *shim.Node) {
	for m, err := range node.Hear(ctx, s.topic) {
		if err != nil {
			log.Printf("hearing nothing on %s: %v", s.topic, err)
			continue
		}
		var r row
		if json.Unmarshal(m.Data, &r) != nil {
			continue // others may publish what is no row
		}
		if key, ok := r[s.key]; ok {
			s.put(text(key), r)
		}
	}
}

func (s *source) put(key string, r row) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.newest[key]; known || len(s.newest) < most {
		s.newest[key] = said{r, time.Now()}
	}
}

// within returns the rows that are no older than the window, by their keys.
func (s *source) within(window time.Duration) map[string]row {
	s.mu.Lock()
	defer s.mu.Unlock()
	rows := map[string]row{}
	for key, r := range s.newest {
		if time.Since(r.at) > window {
			delete(s.newest, key)
			continue
		}
		rows[key] = r.row
	}
	return rows
}

// join puts together what all sources say of a key, and keeps that for which the
// conditions hold.
func join(sources []*source, window time.Duration, where []condition) (out []row) {
	first := sources[0].within(window)
	others := make([]map[string]row, len(sources)-1)
	for i, s := range sources[1:] {
		others[i] = s.within(window)
	}
	keys := make([]string, 0, len(first))
	for key := range first {
		keys = append(keys, key)
	}
	slices.Sort(keys)
next:
	for _, key := range keys {
		joined := row{}
		add := func(alias string, r row) {
			for field, v := range r {
				joined[alias+"."+field] = v
			}
		}
		add(sources[0].alias, first[key])
		for i, other := range others {
			r, ok := other[key]
			if !ok {
				continue next
			}
			add(sources[i+1].alias, r)
		}
		if !slices.ContainsFunc(where, func(c condition) bool { return !c.holds(joined) }) {
			out = append(out, joined)
		}
	}
	return out
}

func main() {
	var sources []*source
	var where []condition
	flag.Func("from", "ALIAS=TOPIC:KEY, a topic and the field that joins; twice or more", func(s string) error {
		one, err := parseSource(s)
		sources = append(sources, one)
		return err
	})
	flag.Func("where", "a condition such as load.load<4; any number", func(s string) error {
		c, err := parseCondition(s)
		where = append(where, c)
		return err
	})
	show := flag.String("show", "", "the fields of an answer, such as load.name,rtt.rtt_ms")
	every := flag.Duration("every", 5*time.Second, "between two answers")
	window := flag.Duration("window", 30*time.Second, "how old what is joined may be")
	topic := flag.String("topic", "", "where rows are published too")
	flag.Parse()
	log.SetFlags(0)
	if len(sources) == 0 || *show == "" {
		log.Fatal("query: -from and -show are wanted")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	node := shim.Open()
	for _, s := range sources {
		go s.hear(ctx, node)
	}
	for tick := time.NewTicker(*every); ; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		rows := join(sources, *window, where)
		log.Printf("%d rows", len(rows))
		for _, r := range rows {
			if err := answer(ctx, node, *topic, strings.Split(*show, ","), r); err != nil && ctx.Err() == nil {
				log.Print("not told: ", err)
			}
		}
	}
}

// answer prints a row and publishes it.
func answer(ctx context.Context, node *shim.Node, topic string, fields []string, r row) error {
	out, line := row{}, []string{}
	for _, f := range fields {
		out[f] = r[f]
		line = append(line, f+"="+text(r[f]))
	}
	log.Print("  ", strings.Join(line, "  "))
	if topic == "" {
		return nil
	}
	b, err := json.Marshal(out)
	if err != nil {
		return err
	}
	_, err = node.Publish(ctx, topic, b)
	return err
}
