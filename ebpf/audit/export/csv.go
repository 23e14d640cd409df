// SPDX-License-Identifier: Apache-2.0

package export

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"time"
)

var csvHead = []string{"node", "slice", "sliver", "direction", "protocol", "source", "source_port", "destination", "destination_port",
	"icmp_type", "icmp_code", "icmp_id", "detail", "tcp_flags", "packets", "bytes", "first", "last"}

// CSV writes rows as RFC 4180 has it, with a head and the columns of
// [Parquet]; times are RFC 3339 in UTC.
func CSV(w io.Writer, rows Records) error {
	out := csv.NewWriter(w)
	if err := out.Write(csvHead); err != nil {
		return fmt.Errorf("writing CSV: %w", err)
	}
	line := make([]string, 0, len(csvHead))
	for r, err := range rows {
		if err != nil {
			return err
		}
		if err := r.check(); err != nil {
			return fmt.Errorf("exporting a row of %.20q as CSV: %w", r.Sliver, err)
		}
		t := columns(r)
		line = append(line[:0], t.Node, t.Slice, t.Sliver, t.Direction, strconv.Itoa(int(t.Protocol)),
			text(t.Source), number(t.SrcPort), text(t.Dest), number(t.DstPort),
			number(t.ICMPType), number(t.ICMPCode), number(t.ICMPID), number(t.Detail), number(t.TCPFlags),
			strconv.FormatUint(t.Packets, 10), strconv.FormatUint(t.Bytes, 10), instant(t.First), instant(t.Last))
		if err := out.Write(line); err != nil {
			return fmt.Errorf("writing CSV: %w", err)
		}
	}
	if out.Flush(); out.Error() != nil {
		return fmt.Errorf("writing CSV: %w", out.Error())
	}
	return nil
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func number[T uint8 | uint16](n *T) string {
	if n == nil {
		return ""
	}
	return strconv.Itoa(int(*n))
}

func instant(ns int64) string { return time.Unix(0, ns).UTC().Format(time.RFC3339Nano) }
