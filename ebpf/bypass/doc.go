// SPDX-License-Identifier: Apache-2.0

// Package bypass tries to get around the limits of slivers: the bypass suite.
//
// It makes a node of its own, with network and guard as the daemon makes them,
// between a host and a world that are namespaces without a name. No packet
// leaves these, and the machine's own network is not touched.
//
//	 attacker            node              host            world
//	┌────────┐      ┌─────────────┐      ┌──────┐      ┌──────────┐
//	│ self ──┼══════┼─ guard, HTB ┼══════┼──────┼══════┼─ counted │
//	└────────┘   ┌══┼─            │      └──────┘      └──────────┘
//	┌────────┐   ║  └─────────────┘
//	│ peer ──┼═══╝    another sliver
//	└────────┘
//
// An [Item] is one way in. Each run has a sliver of its own with a small lease
// and full buckets, and floods at forty times that lease. What arrives is counted
// at the receiver's interface, from before the first packet, for three seconds of
// the boot clock:
//
//   - it holds when octets ≤ rate × t + burst and packets ≤ rate × t + burst, over
//     the whole time and, for what the shaper counts, in every second of it;
//   - nothing may arrive under another address or port than the sliver's own, or
//     anywhere else than the guard was told;
//   - the same with the guard detached and nothing shaped is the control: it must
//     exceed the lease. What exceeds nothing even so proves nothing about the
//     guard, and the result says what stops it.
//
// Attackers here are root in the initial user namespace and have packet sockets
// and power over their interface: more than a sliver, which has no capability in
// its network namespace.
//
//	err := bypass.Run(ctx, bypass.Config{}, func(r bypass.Result) { fmt.Println(r) })
//
// What Run makes is gone when it returns. A bench whose process was killed leaves
// a file in /run/croft-bypass that nobody has locked, by which [Sweep] finds it.
// Functions here may be called at once; each Run has benches of its own.
package bypass
