// SPDX-License-Identifier: Apache-2.0

package export

import (
	"bytes"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"croft/ebpf"
	"croft/ebpf/audit"
)

// tshark runs the decoder that is none of ours.
func tshark(t *testing.T, args ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath("tshark"); err != nil {
		if os.Getenv("CROFT_REQUIRE_ROOT") == "1" {
			t.Fatal("CROFT_REQUIRE_ROOT=1, but there is no tshark: apt-get install --no-install-recommends tshark")
		}
		t.Skip("no tshark")
	}
	cmd := exec.CommandContext(t.Context(), "tshark", args...)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "TZ=UTC", "LC_ALL=C")
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("tshark: %v: %s", err, &complaint)
	}
	return out
}

// pdml is what tshark says of a field, and of those in it.
type pdml struct {
	Name   string `xml:"name,attr"`
	Show   string `xml:"show,attr"`
	Says   string `xml:"showname,attr"`
	Value  string `xml:"value,attr"`
	Fields []pdml `xml:"field"`
}

func TestTsharkReadsIPFIX(t *testing.T) {
	rows := draws(7, 2000)
	for i := range rows { // runs of one node, and turns
		if i%7 != 0 {
			rows[i].Node = "n1"
		}
	}
	path := filepath.Join(t.TempDir(), "flows.ipfix")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := IPFIX(file, exported, each(rows, nil)); err != nil {
		t.Fatal(err)
	}
	if bad := tshark(t, "-r", path, "-Y", "_ws.malformed || _ws.expert || !cflow"); len(bad) > 0 {
		t.Errorf("tshark finds fault with it:\n%s", bad)
	}
	var doc struct {
		Packets []struct {
			Protos []pdml `xml:"proto"`
		} `xml:"packet"`
	}
	if err := xml.Unmarshal(tshark(t, "-r", path, "-T", "pdml", "-J", "cflow"), &doc); err != nil {
		t.Fatal(err)
	}
	names := map[string]string{} // observation domain → node
	got := map[string][]Record{}
	for _, p := range doc.Packets {
		for _, proto := range p.Protos {
			if proto.Name == "cflow" {
				readMessage(t, proto, names, got)
			}
		}
	}
	if names["1"] == names["2"] || len(names) != 2 {
		t.Errorf("observation domains are %v", names)
	}
	next := map[string]int{}
	for i, r := range rows {
		if r.shape() != shapePorts {
			r.TCPFlags = 0
		}
		n := next[r.Node]
		next[r.Node]++
		if n >= len(got[r.Node]) {
			t.Fatalf("tshark reads %d rows of node %s, there are more", n, r.Node)
		}
		if g := got[r.Node][n]; g != r {
			t.Fatalf("row %d:\n tshark %+v\n   ours %+v", i, g, r)
		}
	}
	if len(got["n1"])+len(got["n2"]) != len(rows) {
		t.Errorf("tshark reads %d and %d rows of %d", len(got["n1"]), len(got["n2"]), len(rows))
	}
}

// readMessage takes the rows of one message from what tshark says of it.
func readMessage(t *testing.T, m pdml, names map[string]string, got map[string][]Record) {
	t.Helper()
	var domain string
	for _, set := range m.Fields {
		if set.Name == "cflow.od_id" {
			domain = set.Show
		}
		if !strings.HasPrefix(set.Show, "Set ") {
			continue
		}
		for _, flow := range set.Fields {
			if !strings.HasPrefix(flow.Show, "Flow ") {
				continue
			}
			switch {
			case strings.Contains(set.Show, "[id=261]"):
				for _, f := range flow.Fields {
					if f.Name == "cflow.observation_domain_name" {
						names[domain] = f.Show
					}
				}
			case strings.Contains(set.Show, "[id=262]"), strings.Contains(set.Show, "[id=263]"):
			default:
				r, err := rowByTshark(flow.Fields)
				if err != nil {
					t.Fatalf("%s, %s: %v", set.Show, flow.Show, err)
				}
				r.Node = names[domain]
				got[r.Node] = append(got[r.Node], r)
			}
		}
	}
}

func rowByTshark(fields []pdml) (Record, error) {
	var src, dst netip.Addr
	var from, to uint16
	r := Record{Row: audit.Row{Flow: ebpf.Flow{Direction: ebpf.Ingress}}}
	own := map[int]*string{1: &r.Slice, 2: &r.Sliver}
	var walk func([]pdml) error
	walk = func(fields []pdml) (err error) {
		for _, f := range fields {
			n, _ := strconv.ParseUint(f.Show, 0, 64)
			switch f.Name {
			case "cflow.srcaddr", "cflow.srcaddrv6":
				src, err = netip.ParseAddr(f.Show)
			case "cflow.dstaddr", "cflow.dstaddrv6":
				dst, err = netip.ParseAddr(f.Show)
			case "cflow.srcport":
				from = uint16(n)
			case "cflow.dstport":
				to = uint16(n)
			case "cflow.icmp_type_code_ipv4":
				from = uint16(n)
			case "cflow.icmp_ipv6_type":
				from |= uint16(n) << 8
			case "cflow.icmp_ipv6_code":
				from |= uint16(n)
			case "cflow.tcpflags":
				r.TCPFlags = uint8(n)
			case "cflow.protocol":
				r.Proto = uint8(n)
			case "cflow.direction":
				if n == 1 {
					r.Direction = ebpf.Egress
				}
			case "cflow.packets":
				r.Packets = n
			case "cflow.octets":
				r.Bytes = n
			case "cflow.timedelta":
				err = walk(f.Fields)
			case "cflow.abstimestart":
				r.First, err = showTime(f.Show)
			case "cflow.abstimeend":
				r.Last, err = showTime(f.Show)
			case "cflow.enterprise_private_entry":
				err = ownElement(f, own, &from, &to)
			default:
				err = fmt.Errorf("field %s %q", f.Name, f.Show)
			}
			if err != nil {
				return fmt.Errorf("%s %q: %w", f.Name, f.Show, err)
			}
		}
		return nil
	}
	err := walk(fields)
	r.Src, r.Dst = netip.AddrPortFrom(src, from), netip.AddrPortFrom(dst, to)
	return r, err
}

// ownElement takes a value of ours, which tshark knows by number and bytes only.
func ownElement(f pdml, names map[int]*string, from, to *uint16) error {
	var number int
	if _, after, ok := strings.Cut(f.Says, ") Type "); ok {
		if _, err := fmt.Sscanf(after, "%d:", &number); err != nil {
			return err
		}
	}
	b, err := hex.DecodeString(f.Value)
	if err != nil {
		return err
	}
	switch name := names[number]; {
	case name != nil:
		*name = string(b)
	case number == 3 && len(b) == 2:
		*to = uint16(b[0])<<8 | uint16(b[1])
	case number == 4 && len(b) == 2:
		*from = uint16(b[0])<<8 | uint16(b[1])
	default:
		return fmt.Errorf("element %d of %d bytes", number, len(b))
	}
	return nil
}

func showTime(s string) (int64, error) {
	at, err := time.Parse("Jan _2, 2006 15:04:05.999999999 MST", s)
	return at.UnixNano(), err
}
