// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"

	"github.com/spf13/cobra"

	"croft/gossip/topic"
	"croft/lease"
	"croft/lease/sign"
)

func (a *app) topic() *cobra.Command {
	c := &cobra.Command{
		Use: "topic", Short: "What a slice's services tell one another, and anybody who listens",
		Long: `A slice has topics. Anybody may subscribe to one whose name he knows: SLICE/TOPIC for
your own, SLICE@OWNER/TOPIC for another's. Who may publish the slice's owner says with
` + "`croft topic allow`" + `; he himself always may, and whom he granted it with
` + "`croft slice grant --verbs publish`" + `. What is said is signed, at most 16 KiB, and
news for two minutes: who subscribes later has missed it.`,
	}
	c.AddCommand(a.topicSub(), a.topicPub(), a.topicAllow())
	return c
}

// namedTopic is a topic as a person typed it.
type namedTopic struct {
	topic.Name
	grants    []heldGrant // that its owner gave this person
	authority []byte      // under which this person publishes; none where he needs none
}

// ownTopic reads SLICE/TOPIC of the person's own.
func ownTopic(name string) (label, topicName string, err error) {
	label, topicName, ok := strings.Cut(name, "/")
	if !ok {
		return "", "", usage("such as web/status", "topic %q: want SLICE/TOPIC", name)
	}
	if label, err = ownLabel(label); err != nil {
		return "", "", err
	}
	if label == "" {
		return "", "", usage("such as web/status", "a topic is of one slice")
	}
	if err := lease.CheckLabel(topicName); err != nil {
		return "", "", usage("such as web/status", "topic: %w", err)
	}
	return label, topicName, nil
}

// topicNamed finds whose topic is meant: the person's own, or that of OWNER, a
// principal or the beginning of that of somebody who granted the person something.
func (a *app) topicNamed(name string, key *sign.Key) (t namedTopic, err error) {
	slice, topicName, ok := strings.Cut(name, "/")
	label, owner, foreign := strings.Cut(slice, "@")
	if !ok || label == "" {
		return t, usage("such as web/status, or web@OWNER/status", "topic %q: want SLICE/TOPIC", name)
	}
	t.Slice, t.Topic = label, topicName
	me := principalOf(key)
	switch {
	case !foreign || owner == "you", key != nil && owner != "" && strings.HasPrefix(me.String(), owner):
		if key == nil {
			return t, fail(exitNothing, "`croft key new` makes a key, or name the owner: "+label+"@OWNER/"+topicName, "you have no key, and so no slices")
		}
		t.Owner = me
	default:
		var none error
		if t.grants, none = a.choose(label, owner, me, lease.AllVerbs); none == nil {
			t.Owner = t.grants[0].Issuer
		} else if t.Owner, err = lease.ParsePrincipal(owner); err != nil { // in full it needs no grant
			return t, none
		}
	}
	if err := t.Check(); err != nil {
		return t, usage("such as web/status, or web@OWNER/status", "%w", err)
	}
	return t, nil
}
