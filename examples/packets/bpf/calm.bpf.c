// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
//
// Calm lets a sliver open at most 20 TCP connections a second to one address, and
// keeps answers of name servers from it that are longer than 1,232 bytes, with which
// others are flooded. Of 0 the node makes a refusal, of 1 nothing.

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define BURST 20
#define EACH_NS 50000000ULL /* one more */
#define LONGEST 1232

struct address {
	__u32 word[4];
};

struct measure {
	__u64 full_ns; /* when the burst is there again */
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct address);
	__type(value, struct measure);
} measures SEC(".maps");

struct packet {
	struct address remote;
	__u32 payload; /* where it begins */
	__u8 protocol;
};

/* Whatever cannot be read passes: the guard judges headers. */
static __always_inline int parse(struct __sk_buff *skb, struct packet *p, int remote_is_source)
{
	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		struct iphdr ip;

		if (bpf_skb_load_bytes(skb, 0, &ip, sizeof(ip)))
			return 0;
		p->remote.word[0] = remote_is_source ? ip.saddr : ip.daddr;
		p->payload = ip.ihl * 4;
		p->protocol = ip.protocol;
		return 1;
	}
	if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
		struct ipv6hdr ip;

		if (bpf_skb_load_bytes(skb, 0, &ip, sizeof(ip)))
			return 0;
		__builtin_memcpy(&p->remote, remote_is_source ? &ip.saddr : &ip.daddr, sizeof(p->remote));
		p->payload = sizeof(ip);
		p->protocol = ip.nexthdr;
		return 1;
	}
	return 0;
}

SEC("cgroup_skb/egress")
int calm_out(struct __sk_buff *skb)
{
	struct packet p = {};
	struct tcphdr tcp;
	struct measure *m, first;
	__u64 now;

	if (!parse(skb, &p, 0) || p.protocol != IPPROTO_TCP || bpf_skb_load_bytes(skb, p.payload, &tcp, sizeof(tcp)))
		return 1;
	if (!tcp.syn || tcp.ack)
		return 1;
	now = bpf_ktime_get_ns();
	m = bpf_map_lookup_elem(&measures, &p.remote);
	if (!m) {
		first.full_ns = now + EACH_NS;
		bpf_map_update_elem(&measures, &p.remote, &first, BPF_ANY);
		return 1;
	}
	if (m->full_ns > now + (BURST - 1) * EACH_NS)
		return 0;
	m->full_ns = (m->full_ns > now ? m->full_ns : now) + EACH_NS;
	return 1;
}

SEC("cgroup_skb/ingress")
int calm_in(struct __sk_buff *skb)
{
	struct packet p = {};
	struct udphdr udp;

	if (!parse(skb, &p, 1) || p.protocol != IPPROTO_UDP || bpf_skb_load_bytes(skb, p.payload, &udp, sizeof(udp)))
		return 1;
	return udp.source != bpf_htons(53) || bpf_ntohs(udp.len) <= sizeof(udp) + LONGEST;
}

char _license[] SEC("license") = "Dual BSD/GPL";
