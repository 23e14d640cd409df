/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */

/* Why a packet was dropped: ebpf.Reason, which a test compares. */
#pragma once

#define REASON_NONE 0
#define REASON_NO_SLIVER 1
#define REASON_DEADLINE 2
#define REASON_MALFORMED 3
#define REASON_PROTOCOL 4
#define REASON_SOURCE 5
#define REASON_HEADER 6
#define REASON_FRAGMENT 7
#define REASON_CLOSED 8
#define REASON_PACKETS 9
#define REASON_BYTES 10
#define REASON_FLOWS 11
#define REASON_FANOUT 12
#define REASON_DAILY 13
#define REASON_ROWS 14
#define REASON_OPTOUT 15

#define REASONS 32 /* room in the maps, so that a later reason changes no layout */
