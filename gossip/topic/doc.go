// SPDX-License-Identifier: Apache-2.0

// Package topic decides what becomes of the messages on the topics of slices,
// without a network. A topic has a [Name] that is the same everywhere; anybody may
// subscribe, and who may publish the slice's record says.
//
//	hub := topic.NewHub()
//	hub.Step(now, topic.Join{Name: name})
//	effects := hub.Step(now, topic.Received{Name: name, Bytes: b})
//	verdict := effects[0].(topic.Verdict)
//
// A [Message] is signed by its author and bound to its topic and the time when it
// was made. The [Hub] knows the newest records of the slices whose topics were
// joined; while it has none it ignores what needs one, and wants it fetched.
// Nothing waits: a record that comes later decides about later messages.
//
// A small topic has too few subscribers to find one another by chance, so they
// meet: a [Meeting] holds who said, signed and for minutes, that it subscribes.
//
// There is no clock, goroutine or lock here.
package topic
