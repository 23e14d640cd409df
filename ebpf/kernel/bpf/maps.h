/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */

/* What the programs and user space share. Sizes are ebpf/limits.go's. */
#pragma once

#define MAX_SLIVERS 4096
#define MAX_RULES 1024
#define MAX_FLOWS (1 << 19)
#define MAX_OPTOUT 100000
#define CHARGE_UNIT 1500
#define MAX_HEADERS 6

#define EGRESS 0 /* from the sliver */
#define INGRESS 1

/* port_limits is the contract of one port; user space writes it, the programs only read. */
struct port_limits {
	__u64 deadline; /* boot clock, ns */
	__u32 tenure;   /* names sliver and port in meters and rows */
	__u32 class;    /* skb->priority */
	__u32 ifb;      /* 0: do not redirect */
	__u32 source4;  /* network order; 0: none */
	__u8 source6[16];
	__u8 mac[6];
	__u8 has6;
	__u8 pad;
	__u32 pages;   /* of known flows, a power of two */
	__u32 fan_out; /* 0: no limit */
	__u32 rows;    /* of new flows in one epoch */
	__u32 pad2;
	struct meter_limit ways[2];
	struct bucket_limit flows; /* full 0: no limit */
	struct day_limit day;
};

/* Not preallocated: an update is then a new element, and a reader sees the old
 * limits or the new ones, never a mixture. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_SLIVERS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32); /* ifindex */
	__type(value, struct port_limits);
} limits SEC(".maps");

struct meter_key {
	__u32 tenure, way;
};

/* Rows that a sliver took in an epoch, by whose flow it is. */
#define ROWS_NEW 0   /* new flows from it, and any flow towards it */
#define ROWS_OPEN 1  /* flows that it had open */
#define ROWS_REPLY 2 /* its replies */
#define ROW_KINDS 4  /* one to spare, for a mask */

struct row_count {
	__u64 epoch;
	__u32 rows[ROW_KINDS];
};

/* Flows of one way that the leaf test has seen (leaf.h). */
struct leaf_way {
	__u64 window; /* the running one */
	__u32 count;  /* flows seen in it so far */
	__u32 before; /* and in the one before */
};

/* meter is what the programs write: purse and what passed under the lock, drops
 * atomically, rows taken under the lock and given back atomically. */
struct meter {
	struct bpf_spin_lock lock;
	__u32 carried; /* from maps of another layout, once */
	struct purse purse;
	struct leaf_way leaves;
	struct row_count rows[2]; /* by the epoch's parity */
	__u64 passed_packets, passed_bytes;
	__u64 dropped_bytes;
	__u64 dropped[REASONS];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2 * MAX_SLIVERS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct meter_key);
	__type(value, struct meter);
} meters SEC(".maps");

/* What guard_carry adds to a meter. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct meter);
} carries SEC(".maps");

/* control words. The epoch's parity says which table and tally are live; a
 * program reads it once, so that all traces of a packet are in one epoch. */
#define CONTROL_EPOCH 0
#define CONTROL_KEPT 1   /* user space: the newest epoch that is durable */
#define CONTROL_SERIES 2 /* user space: names the making of these maps */
#define CONTROL_TENURE 3 /* user space: the newest tenure */
#define CONTROL_RULES 4  /* user space: counts changes of rules and opted-out addresses */
#define CONTROLS 5

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, CONTROLS);
	__type(key, __u32);
	__type(value, __u64);
} control SEC(".maps");

/* tally counts packets of one epoch on one processor; atomically all the same,
 * since a kernel may preempt a program. */
struct tally {
	__u64 seen, unrecorded, no_sliver;
	__u64 dropped[REASONS];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct tally);
} tallies SEC(".maps");

struct flow_key {
	__u32 tenure;
	__u8 way;
	__u8 proto;
	__u8 family; /* 4, 6, or 0 for rows without addresses */
	__u8 pad;
	__u8 src[16], dst[16]; /* an IPv4 address is in the first four bytes */
	__be16 sport, dport;
};

struct flow {
	__u64 packets, bytes;
	__u64 first, last; /* boot clock, ns */
	__u32 flags;
	__u32 seal; /* of which rules and tick its destination and its memory were asked last */
};

struct flow_table {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_FLOWS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(key_size, sizeof(struct flow_key)); /* an inner map's types do not reach BTF */
	__uint(value_size, sizeof(struct flow));
};

/* Named by a global, they do: Go's structs are made from them. */
const struct flow_key *flow_key_type __attribute__((unused));
const struct flow *flow_type __attribute__((unused));

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 2);
	__type(key, __u32);
	__array(values, struct flow_table);
} flow_tables SEC(".maps");

/* Destinations: the longest prefix decides, none is open. */
#define OPEN 0
#define SHUT 1
#define OPEN_DNS 2

struct rule4 {
	__u32 bits;
	__u8 addr[4];
};

struct rule6 {
	__u32 bits;
	__u8 addr[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, MAX_RULES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct rule4);
	__type(value, __u32);
} rules4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, MAX_RULES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct rule6);
	__type(value, __u32);
} rules6 SEC(".maps");

/* tenure tells user space after a restart, and rows after a detach, whose a
 * number was. The programs never look. */
struct tenure {
	__u8 sliver[16];
	__u8 netns[96];
	__u32 place, ifindex;
	__u64 gone; /* the epoch that was live when it ended; 0: in force */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2 * MAX_SLIVERS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct tenure);
} tenures SEC(".maps");

/* Addresses that opted out; an IPv4 address is mapped. User space replaces the
 * whole inner map; with none, nobody opted out. */
struct address {
	__u8 octets[16];
};

const struct address *address_type __attribute__((unused));

struct optout_set {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_OPTOUT);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(key_size, sizeof(struct address));
	__uint(value_size, sizeof(__u32));
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct optout_set);
} optouts SEC(".maps");
