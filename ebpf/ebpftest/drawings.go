// SPDX-License-Identifier: Apache-2.0

package ebpftest

// drawings are what every guard does with given packets at given times.
var drawings = []struct{ name, text string }{
	{"a sliver opens so many flows a second", `
		0s     limits flows=20
		0s     out udp 1000+ 198.41.0.4:53 x30     = 20 pass, 10 flows
		0s     out udp 1000+ 198.41.0.4:53 x20     = 20 pass          # those are open
		500ms  out tcp 2000+ 198.41.0.4:80 x30     = 10 pass, 20 flows
		500ms  out udp 1000+ [2606:4700::1]:53 x3  = 3 flows
		1s     out udp 1000+ [2606:4700::1]:53 x30 = 10 pass, 20 flows`},
	{"a burst of new flows is a second's, and at least 16", `
		0s  limits flows=2
		0s  out udp 1000+ 198.41.0.4:53 x30 = 16 pass, 14 flows
		1s  out udp 2000+ 198.41.0.4:53 x30 = 2 pass, 28 flows`},
	{"answers are no new flows", `
		0s  limits flows=1
		0s  out udp 1000+ 198.41.0.4:53 x16 = 16 pass
		0s  in udp 80 198.41.0.9:1000+ x50  = 50 pass
		0s  out udp 80 198.41.0.9:1000+ x50 = 50 pass
		0s  in tcp 80 [2606:4700::1]:7 x1   = 1 pass
		0s  out tcp 80 [2606:4700::1]:7 x1  = 1 pass
		0s  out tcp 81 [2606:4700::1]:7 x1  = 1 flows
		0s  out udp 1 198.41.0.4:53         = 1 flows`},
	{"a flow that was silent for two minutes is new", `
		0s    limits flows=1
		0s    out udp 1000+ 198.41.0.4:53 x16 = 16 pass
		0s    out udp 9 198.41.0.4:53         = 1 flows
		119s  out udp 1000 198.41.0.4:53      = 1 pass        # kept
		130s  out udp 2000+ 198.41.0.4:53 x16 = 16 pass
		130s  out udp 1001 198.41.0.4:53      = 1 flows
		130s  out udp 1000 198.41.0.4:53      = 1 pass`},
	{"echoes are flows by their id", `
		0s  limits flows=1
		0s  out echo 1000+ 198.41.0.4:0 x17        = 16 pass, 1 flows
		0s  in echo 77 198.41.0.5:0                = 1 pass
		1s  out echo6 5 [2606:4700::1]:0 x4        = 4 pass
		1s  out echo6 6 [2606:4700::1]:0           = 1 flows`},
	{"so many addresses in a minute", `
		0s   limits fanout=3
		0s   out udp 1000 198.41.0.1+:53 x5           = 3 pass, 2 fanout
		0s   out udp 2000 198.41.0.1+:99 x5           = 3 pass, 2 fanout   # other flows to the same
		10s  out udp 1000 198.41.0.1+:53 x2           = 2 pass
		60s  out udp 1000 198.41.0.9:53               = 1 fanout           # the third still counts
		69s  out udp 1000 198.41.0.9:53               = 1 pass
		69s  out udp 1000 198.41.0.8:53               = 1 fanout
		79s  out udp 1000 198.41.0.8:53               = 1 pass`},
	{"an address is a /64 in IPv6", `
		0s  limits fanout=2
		0s  out udp 1000 [2606:4700::1]:53      = 1 pass
		0s  out udp 1000 [2606:4700::2]:53      = 1 pass
		0s  out udp 1000 [2606:4700:0:5::1+]:53 x3 = 1 pass, 2 fanout
		0s  out udp 1000 198.41.0.1:53          = 1 fanout`},
	{"a flow that goes on keeps its address counted", `
		0s   limits fanout=1
		0s   out udp 1000 198.41.0.1:53 = 1 pass
		30s  out udp 1000 198.41.0.1:53 = 1 pass
		60s  out udp 1000 198.41.0.1:53 = 1 pass
		90s  out udp 1000 198.41.0.2:53 = 1 fanout
		129s out udp 1000 198.41.0.2:53 = 1 pass
		129s out udp 1000 198.41.0.1:53 = 1 fanout       # and an open flow is not excepted`},
	{"answers do not fan out", `
		0s  limits fanout=1
		0s  in udp 80 198.41.0.1+:9 x9  = 9 pass
		0s  out udp 80 198.41.0.1+:9 x9 = 9 pass
		0s  out udp 81 198.41.0.1+:9 x2 = 1 pass, 1 fanout`},
	{"a refused packet is charged to nothing", `
		0s  limits flows=1 fanout=2 packets=1 packetburst=40
		0s  out udp 1000 198.41.0.1+:53 x22            = 2 pass, 20 fanout
		0s  out udp 2000+ 198.41.0.1:53 x20            = 14 pass, 6 flows    # 16 in all
		0s  out udp 2000 198.41.0.1:53 x30             = 24 pass, 6 packets  # 40 in all`},
	{"how many packets there is room for", `
		0s    limits packets=10 packetburst=40
		0s    room 40
		0s    out udp 1000 198.41.0.1:53 x25  = 25 pass
		0s    room 15
		1500ms room 30
		1500ms out udp 1000 198.41.0.1:53 x40 = 30 pass, 10 packets
		1500ms room 0
		1500ms restart
		2s    room 5
		2s    limits packets=100 packetburst=50
		3s    room 50
		3s    in udp 80 198.41.0.9:9 x4       = 4 pass                   # the other way
		3s    out udp 80 198.41.0.9:9 x4      = 4 pass
		3s    room 46`},
	{"the day's bytes", `
		0s    limits daily=10000
		0s    left 10000
		0s    out udp 1000 198.41.0.1:53 1000 x8  = 8 pass
		0s    left 2000
		0s    in udp 1000 198.41.0.1:53 1000 x9   = 9 pass              # only what leaves
		0s    out udp 1000 198.41.0.1:53 1000 x3  = 2 pass, 1 daily
		0s    left 0
		0s    restart
		23h59m59s out udp 1000 198.41.0.1:53 1000 = 1 daily
		24h   left 10000
		24h   out udp 1000 198.41.0.1:53 1000     = 1 pass
		49h   left 10000`},
	{"past four fifths the rate is what is left of the day", `
		0s    limits daily=864000 rate=1000000 burst=20000
		0s    out udp 1000+ 198.41.0.1:53 1000 x20 = 20 pass             # five are sparse, and leave nothing of what is kept
		0s    out udp 1000 198.41.0.1:53 1000      = 1 bytes
		12h   charge out logs 20000               = pass
		12h   charge out logs 20000               = wait 160ms for bytes
		13h   charge out logs 20000               = pass
		14h   limits burst=2000000 rate=8000000
		15h   out udp 1000 198.41.0.1:53 3000 x220 = 220 pass
		15h   left 144000                                               # 83 %
		15h   limits burst=20000 rate=1000000
		15h   out udp 1000+ 198.41.0.1:53 1000 x30 = 20 pass, 10 bytes
		15h   left 124000
		15h   charge out logs 1100                 = wait 9m46.667s for bytes  # 124,000 bytes in 9 h are 30 bit/s, half of it kept
		15h5m out udp 1000 198.41.0.1:53 1000      = 1 bytes
		15h9m out udp 1000 198.41.0.1:53 1000 x3   = 2 pass, 1 bytes           # what was kept, and what was not
		24h   left 864000`},
	{"a part of a day has a part of its bytes", `
		0s  limits daily=24000 deadline=6h
		0s  left 6000
		0s  limits deadline=12h
		0s  left 12000
		0s  out udp 1000 198.41.0.1:53 1000 x12 = 12 pass
		0s  out udp 1000 198.41.0.1:53 1000     = 1 daily
		0s  limits deadline=36h
		0s  left 12000
		24h left 12000                                                  # half of the second day`},
	{"days go on through renewal", `
		0s   limits daily=10000
		1h   out udp 1000 198.41.0.1:53 1000 x7 = 7 pass
		2h   limits daily=10000 from=2h
		2h   left 3000
		24h  left 10000`},
	{"rows have a quota", `
		0s  limits rows=5
		0s  out udp 1000+ 198.41.0.1:53 x9  = 5 pass, 4 rows
		0s  out udp 1000+ 198.41.0.1:53 x5  = 5 pass
		0s  in udp 80 198.41.0.1:1000+ x20  = 20 pass             # nobody outside closes them
		0s  out udp 80 198.41.0.1:1000+ x20 = 20 pass             # nor keeps it from answering
		0s  drain udp/egress=10 udp/ingress=5 overflow/ingress=1 overflow/egress=1 seen=54 recorded=50
		0s  out udp 1000+ 198.41.0.1:53 x5  = 5 pass              # open flows have rows of their own
		0s  out udp 2000+ 198.41.0.1:53 x6  = 5 pass, 1 rows`},
	{"sparse flows pass beside one that does not listen", `
		0s     limits rate=1000000 burst=100000 packets=1000 packetburst=1000
		0s     out udp 1000 198.41.0.1:53 1000 x200  = 91 pass, 109 bytes   # 12,000 octets are kept, of which it got 3,000 when it began
		0s     out udp 2000+ 198.41.0.1:53 100 x99   = 90 pass, 9 bytes     # for those that keep within their share
		8ms    out udp 1000 198.41.0.1:53 500 x9     = 1 pass, 8 bytes      # half of 1,000 octets are kept again
		8ms    out udp 3000 198.41.0.1:53 500        = 1 pass
		1s     out udp 1000 198.41.0.1:53 1000 x200  = 88 pass, 112 bytes   # of a full bucket, all but what is kept
		2s     charge out logs 30000                 = pass
		2s     charge out logs 60000                 = wait 16ms for bytes  # a channel is a flow, too
		2s     charge out dns 100                    = pass`},
	{"and beside a flood of small packets, either way", `
		0s     limits packets=100 packetburst=100 rate=10000000 burst=200000
		0s     limits in.packets=100 in.packetburst=100 in.rate=10000000 in.burst=200000
		0s     out udp 1000 198.41.0.1:53 40 x200    = 83 pass, 117 packets  # a quarter is kept, of which it got eight
		0s     out udp 2000+ 198.41.0.1:53 40 x20    = 17 pass, 3 packets
		0s     in udp 1000 198.41.0.1:53 40 x200     = 83 pass, 117 packets
		0s     in udp 2000+ 198.41.0.1:53 40 x20     = 17 pass, 3 packets
		100ms  out udp 1000 198.41.0.1:53 40 x20     = 5 pass, 15 packets
		100ms  out udp 3000 198.41.0.1:53 40 x6      = 5 pass, 1 packets`},
	{"who opted out is left alone", `
		0s  out udp 1000 198.41.0.1:53         = 1 pass
		0s  optout 198.41.0.1 2606:4700::1
		0s  out udp 1000 198.41.0.1:53         = 1 optout
		0s  out udp 1000 [2606:4700::1]:53     = 1 optout
		0s  out udp 1000 198.41.0.2:53         = 1 pass
		0s  in udp 1000 198.41.0.1:53          = 1 pass
		0s  restart
		0s  out udp 1000 198.41.0.1:53         = 1 optout
		0s  optout 198.41.0.2
		0s  out udp 1000 198.41.0.1:53         = 1 pass
		0s  out udp 1000 198.41.0.2:53         = 1 optout
		0s  optout
		0s  out udp 1000 198.41.0.2:53         = 1 pass`},
	{"the host's side is charged too", `
		0s     limits rate=8000 burst=4000 packets=10 packetburst=64
		0s     charge out logs 2000               = pass
		0s     charge out exec 2000               = wait 1s for bytes
		0s     out udp 1000 198.41.0.1:53 1000 x3 = 2 pass, 1 bytes
		2s     charge out exec 1000               = pass
		2s     charge out exec 4001               = never
		2s     charge in cp 1000                  = pass
		2s     drain logs/egress=1 logs/egress/bytes=2000 exec/egress/bytes=1000 cp/ingress=1 seen=7 recorded=6
		2s     limits deadline=3s
		3s     charge in cp 1000                  = over`},
	{"a live lease keeps what it had", `
		0s  limits flows=20 fanout=5 packets=1 packetburst=50
		0s  out udp 1000+ 198.41.0.1:53 x20 = 20 pass
		0s  limits flows=30 fanout=5 packets=1 packetburst=60
		0s  out udp 2000+ 198.41.0.1:53 x5  = 5 flows
		0s  restart
		0s  out udp 2000+ 198.41.0.1:53 x5  = 5 flows
		1s  out udp 2000+ 198.41.0.1:53 x40 = 30 pass, 10 flows`},
}
