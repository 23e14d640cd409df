// SPDX-License-Identifier: Apache-2.0

package api

import (
	"reflect"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"croft/lease"
)

// schemas describe the types of one set of routes. They take a quarter of a megabyte and
// are the same for every node, so that all nodes of a process share them: of the first
// one all types are entered, and after that they are only read.
type schemas struct {
	mu       sync.Mutex // held while the routes are made
	registry huma.Registry
}

var localSchemas, remoteSchemas, doorSchemas schemas

// lock returns the registry, for whoever makes routes until the returned function is
// called.
func (s *schemas) lock() (huma.Registry, func()) {
	s.mu.Lock()
	if s.registry == nil {
		s.registry = huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
		s.registry.RegisterTypeAlias(reflect.TypeFor[lease.RSet](), reflect.TypeFor[Amounts]())
	}
	return s.registry, s.mu.Unlock
}
