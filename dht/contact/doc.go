// SPDX-License-Identifier: Apache-2.0

// Package contact is how a node comes to its first neighbours, as rules without a
// network. A [Contact] is a node and where it may be reached; nobody vouches for
// it, and who answers there proves by its key that it is that node.
//
// [Joining] says which contacts to try when: those remembered from before, then
// those on the local network, those that were given by address or [Invitation],
// and what comes with the program last. Each sort has a head start over the next,
// so that sixty-four dead ones hold nobody up; when all have failed, it waits
// longer from time to time. [Memory] is whom to remember: those who stayed longest.
//
//	j := contact.NewJoining(seed)
//	effects := j.Step(now, contact.Heard{Source: contact.Given, Contacts: list})
//	// dial effects[0].(contact.Try).Contacts, then
//	effects = j.Step(now, contact.Tried{Source: contact.Given, Joined: true})
//
// Nothing here is safe for concurrent use.
package contact
