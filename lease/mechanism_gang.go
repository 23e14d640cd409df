// SPDX-License-Identifier: Apache-2.0

package lease

// gangMechanism gives to whoever asks first: a hold of seconds, a lease of
// seconds unless activated. Whoever wants slivers on many nodes collects the
// holds, commits them all and only then activates any, so that one who dies
// half way leaves nothing behind.
type gangMechanism struct{}

func (gangMechanism) Name() string { return MechanismGang }

func (gangMechanism) Answer(q Question) Terms {
	if q.Op != KindAsk {
		return refused("pool %s takes no tickets", q.Rule.Pool)
	}
	if no, ok := q.hard(false); !ok {
		return no
	}
	return q.plain()
}
