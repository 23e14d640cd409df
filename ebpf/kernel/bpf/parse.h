/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */

/* From the bytes of a packet to its row's key, checking on the way what only
 * a look at the headers can tell. */
#pragma once

#define PROTO_ARP 255
#define PROTO_FRAGMENT 44
#define PROTO_NODE 254
#define PROTO_OVERFLOW 253

#define ND_SOLICIT 135
#define ND_ADVERT 136

struct packet {
	struct flow_key key;
	__u32 transport; /* where its header begins */
	__u32 headers;  /* octets of L3 and L4 headers, which each segment repeats */
	__u32 flags;    /* TCP */
	__u8 local;     /* ARP or neighbour discovery on the link: no destination check */
	__u8 peered;    /* a flow that has an answer: the three below name it */
	__u8 proto;
	__be16 near, far; /* ports, or what stands for them, of the sliver and of the other */
};

struct ports {
	__be16 source, dest;
};

struct arp_ipv4 {
	__be16 htype, ptype;
	__u8 hlen, plen;
	__be16 op;
	__u8 sha[6];
	__u8 spa[4];
	__u8 tha[6];
	__u8 tpa[4];
} __attribute__((packed));

#define LOAD(skb, off, to) (bpf_skb_load_bytes(skb, off, &(to), sizeof(to)) == 0)

/* AT is LOAD at a place that the compiler knows: from the linear part if it is
 * there, without a call. */
#define AT(skb, off, to)                                                                                               \
	((void *)(long)(skb)->data + (off) + sizeof(to) <= (void *)(long)(skb)->data_end                              \
		 ? (__builtin_memcpy(&(to), (void *)(long)(skb)->data + (off), sizeof(to)), 1)                         \
		 : LOAD(skb, off, to))

static __always_inline int same(const void *a, const void *b, int n)
{
	__u8 differ = 0;

#pragma unroll
	for (int i = 0; i < n; i++) /* the compiler has no memcmp to call */
		differ |= ((const __u8 *)a)[i] ^ ((const __u8 *)b)[i];
	return !differ;
}

/* same16 compares addresses that lie at multiples of eight. */
static __always_inline int same16(const void *a, const void *b)
{
	return ((const __u64 *)a)[0] == ((const __u64 *)b)[0] && ((const __u64 *)a)[1] == ((const __u64 *)b)[1];
}

/* one_row makes the key of a row that stands for many flows. */
static __always_inline void one_row(struct packet *p, __u8 proto)
{
	__builtin_memset(p->key.src, 0, sizeof(p->key.src));
	__builtin_memset(p->key.dst, 0, sizeof(p->key.dst));
	p->key.sport = p->key.dport = 0;
	p->key.family = 0;
	p->key.proto = proto;
}

/* peer names the flow by its ends, the same in both directions. */
static __always_inline void peer(struct packet *p, __u32 way, __u8 proto, __be16 source, __be16 dest)
{
	p->peered = 1;
	p->proto = proto;
	p->near = way == EGRESS ? source : dest;
	p->far = way == EGRESS ? dest : source;
}

/* An error tells of a packet that came: it is an answer to that packet's flow.
 * So nobody has a sliver open flows by sending it what it must refuse. */
static __always_inline void peer_error(struct __sk_buff *skb, struct packet *p, __u32 off, __u8 icmp)
{
	struct ports ports;

	if (icmp == IPPROTO_ICMP) {
		struct iphdr ip;
		if (!LOAD(skb, off, ip) || ip.version != 4 || ip.ihl < 5 || !same(&ip.saddr, p->key.dst, 4) ||
		    !same(&ip.daddr, p->key.src, 4) || !LOAD(skb, off + ip.ihl * 4, ports))
			return;
		peer(p, INGRESS, ip.protocol, ports.source, ports.dest);
	} else {
		struct ipv6hdr ip;
		if (!LOAD(skb, off, ip) || ip.version != 6 || !same(&ip.saddr, p->key.dst, 16) ||
		    !same(&ip.daddr, p->key.src, 16) || !LOAD(skb, off + sizeof(ip), ports))
			return;
		peer(p, INGRESS, ip.nexthdr, ports.source, ports.dest);
	}
}

static __always_inline int parse_transport(struct __sk_buff *skb, struct packet *p, __u32 way, __u32 off, __u8 proto)
{
	struct ports ports;

	p->key.proto = proto;
	p->transport = off;
	p->headers = off - ETH_HLEN;
	peer(p, way, proto, 0, 0);
	switch (proto) {
	case IPPROTO_TCP: {
		struct tcphdr tcp;
		if (!LOAD(skb, off, tcp) || tcp.doff < 5)
			return REASON_MALFORMED;
		p->key.sport = tcp.source;
		p->key.dport = tcp.dest;
		p->flags = ((__u8 *)&tcp)[13];
		p->headers += tcp.doff * 4;
		peer(p, way, proto, tcp.source, tcp.dest);
		return REASON_NONE;
	}
	case IPPROTO_UDP:
		p->headers += sizeof(struct udphdr);
		/* fall through */
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
	case IPPROTO_UDPLITE:
		if (!LOAD(skb, off, ports))
			return REASON_MALFORMED;
		p->key.sport = ports.source;
		p->key.dport = ports.dest;
		peer(p, way, proto, ports.source, ports.dest);
		return REASON_NONE;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6: {
		__u8 icmp[8]; /* type, code, checksum, id, sequence */
		if (!LOAD(skb, off, icmp))
			return REASON_MALFORMED;
		__builtin_memcpy(&p->key.sport, icmp, 2);
		if (proto == IPPROTO_ICMP ? icmp[0] == 0 || icmp[0] == 8 : icmp[0] == 128 || icmp[0] == 129) {
			__builtin_memcpy(&p->key.dport, icmp + 4, 2);
			peer(p, way, proto, p->key.dport, p->key.dport);
			return REASON_NONE;
		}
		peer(p, way, proto, p->key.sport, p->key.sport);
		if (way == EGRESS && (proto == IPPROTO_ICMP ? icmp[0] == 3 || icmp[0] == 11 || icmp[0] == 12 :
							      icmp[0] >= 1 && icmp[0] <= 4))
			peer_error(skb, p, off + 8, proto);
		return REASON_NONE;
	}
	case PROTO_ARP: /* reserved, and the number of another row */
		return REASON_PROTOCOL;
	}
	return REASON_NONE;
}

static __always_inline int parse4(struct __sk_buff *skb, struct packet *p, const struct port_limits *l, __u32 way)
{
	struct iphdr ip;
	__u32 room = skb->len - ETH_HLEN;

	if (!AT(skb, ETH_HLEN, ip) || ip.version != 4 || ip.ihl < 5)
		return REASON_MALFORMED;
	__u32 total = bpf_ntohs(ip.tot_len);
	if (!(total == 0 && skb->gso_size) && (total < ip.ihl * 4 || total > room))
		return REASON_MALFORMED;
	p->key.family = 4;
	__builtin_memcpy(p->key.src, &ip.saddr, 4);
	__builtin_memcpy(p->key.dst, &ip.daddr, 4);
	if (way == EGRESS) {
		if (!l->source4 || ip.saddr != l->source4)
			return REASON_SOURCE;
		if (ip.ihl > 5)
			return REASON_HEADER;
	}
	if (ip.frag_off & bpf_htons(0x3fff)) { /* more fragments, or an offset */
		if (way == EGRESS)
			return REASON_FRAGMENT;
		one_row(p, PROTO_FRAGMENT);
		return REASON_NONE;
	}
	return parse_transport(skb, p, way, ETH_HLEN + ip.ihl * 4, ip.protocol);
}

static __always_inline int parse6(struct __sk_buff *skb, struct packet *p, const struct port_limits *l, __u32 way)
{
	struct ipv6hdr ip;
	__u32 off = ETH_HLEN + sizeof(ip);

	if (!AT(skb, ETH_HLEN, ip) || ip.version != 6)
		return REASON_MALFORMED;
	if (!skb->gso_size && bpf_ntohs(ip.payload_len) + sizeof(ip) > skb->len - ETH_HLEN)
		return REASON_MALFORMED;
	p->key.family = 6;
	__builtin_memcpy(p->key.src, &ip.saddr, 16);
	__builtin_memcpy(p->key.dst, &ip.daddr, 16);
	if (way == EGRESS && (!l->has6 || !same16(p->key.src, l->source6)))
		return REASON_SOURCE;

	__u8 next = ip.nexthdr;
	for (int i = 0; i < MAX_HEADERS; i++) {
		__u8 ext[2]; /* next header, length */
		switch (next) {
		case IPPROTO_ROUTING:
			if (way == EGRESS) /* the destination would not be the one that was checked */
				return REASON_HEADER;
			/* fall through */
		case IPPROTO_HOPOPTS:
		case IPPROTO_DSTOPTS:
			if (!LOAD(skb, off, ext))
				return REASON_MALFORMED;
			off += (ext[1] + 1) * 8;
			break;
		case IPPROTO_AH:
			if (!LOAD(skb, off, ext))
				return REASON_MALFORMED;
			off += (ext[1] + 2) * 4;
			break;
		case IPPROTO_FRAGMENT:
			if (way == EGRESS)
				return REASON_FRAGMENT;
			one_row(p, PROTO_FRAGMENT);
			return REASON_NONE;
		default:
			if (next == IPPROTO_ICMPV6 && off == ETH_HLEN + sizeof(ip) && ip.hop_limit == 255) {
				/* Hop limit 255 and a destination on the link: no router forwards it. */
				__u8 type[2], *d = p->key.dst;
				if (LOAD(skb, off, type) && type[1] == 0 && (type[0] == ND_SOLICIT || type[0] == ND_ADVERT) &&
				    ((d[0] == 0xff && d[1] == 0x02) || (d[0] == 0xfe && (d[1] & 0xc0) == 0x80)))
					p->local = 1;
			}
			return parse_transport(skb, p, way, off, next);
		}
		next = ext[0];
	}
	return REASON_HEADER;
}

/* A sliver's neighbours are set by hand, so ARP is not needed; what a stack
 * sends all the same may only speak for the sliver itself. */
static __always_inline int parse_arp(struct __sk_buff *skb, struct packet *p, const struct port_limits *l, __u32 way)
{
	struct arp_ipv4 arp;

	if (!LOAD(skb, ETH_HLEN, arp) || arp.htype != bpf_htons(1) || arp.ptype != bpf_htons(ETH_P_IP) ||
	    arp.hlen != 6 || arp.plen != 4)
		return REASON_MALFORMED;
	if (way == EGRESS && (!l->source4 || !same(arp.spa, &l->source4, 4) || !same(arp.sha, l->mac, 6)))
		return REASON_SOURCE;
	p->key.family = 4;
	p->key.proto = PROTO_ARP;
	p->local = 1;
	__builtin_memcpy(p->key.src, arp.spa, 4);
	__builtin_memcpy(p->key.dst, arp.tpa, 4);
	return REASON_NONE;
}

static __always_inline int parse(struct __sk_buff *skb, struct packet *p, const struct port_limits *l, __u32 way)
{
	if (skb->vlan_present)
		return REASON_PROTOCOL;
	if (way == EGRESS) {
		__u8 mac[6];
		if (!AT(skb, ETH_ALEN, mac))
			return REASON_MALFORMED;
		if (!same(mac, l->mac, 6))
			return REASON_SOURCE;
	}
	switch (skb->protocol) {
	case bpf_htons(ETH_P_IP):
		return parse4(skb, p, l, way);
	case bpf_htons(ETH_P_IPV6):
		return parse6(skb, p, l, way);
	case bpf_htons(ETH_P_ARP):
		return parse_arp(skb, p, l, way);
	}
	return REASON_PROTOCOL;
}
