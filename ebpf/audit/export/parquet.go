// SPDX-License-Identifier: Apache-2.0

package export

import (
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
)

// table is the schema of the Parquet file. Pointers are columns that may be
// empty. Names repeat in long runs, which a dictionary makes almost nothing of.
type table struct {
	Node      string  `parquet:"node,dict,zstd"`
	Slice     string  `parquet:"slice,dict,zstd"`
	Sliver    string  `parquet:"sliver,dict,zstd"`
	Direction string  `parquet:"direction,dict,zstd"`
	Protocol  uint8   `parquet:"protocol,zstd"`
	Source    *string `parquet:"source,dict,zstd"`
	SrcPort   *uint16 `parquet:"source_port,zstd"`
	Dest      *string `parquet:"destination,dict,zstd"`
	DstPort   *uint16 `parquet:"destination_port,zstd"`
	ICMPType  *uint8  `parquet:"icmp_type,zstd"`
	ICMPCode  *uint8  `parquet:"icmp_code,zstd"`
	ICMPID    *uint16 `parquet:"icmp_id,zstd"`
	Detail    *uint16 `parquet:"detail,zstd"`
	TCPFlags  *uint8  `parquet:"tcp_flags,zstd"`
	Packets   uint64  `parquet:"packets,zstd"`
	Bytes     uint64  `parquet:"bytes,zstd"`
	First     int64   `parquet:"first,timestamp(nanosecond),zstd"`
	Last      int64   `parquet:"last,timestamp(nanosecond),zstd"`
}

// Parquet writes rows as one table.
func Parquet(w io.Writer, rows Records) error {
	out := parquet.NewGenericWriter[table](w)
	batch := make([]table, 0, 256)
	written := 0
	flush := func() error {
		n, err := out.Write(batch)
		written += n
		batch = batch[:0]
		if err == nil && written >= rowGroup {
			written = 0
			err = out.Flush()
		}
		if err != nil {
			return fmt.Errorf("writing Parquet: %w", err)
		}
		return nil
	}
	for r, err := range rows {
		if err != nil {
			return err
		}
		if err := r.check(); err != nil {
			return fmt.Errorf("exporting a row of %.20q as Parquet: %w", r.Sliver, err)
		}
		if batch = append(batch, columns(r)); len(batch) == cap(batch) {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if err := flush(); err != nil {
		return err
	}
	if err := out.Close(); err != nil {
		return fmt.Errorf("writing Parquet: %w", err)
	}
	return nil
}

func columns(r Record) table {
	t := table{Node: r.Node, Slice: r.Slice, Sliver: r.Sliver, Direction: directions[r.Direction], Protocol: r.Proto,
		Packets: r.Packets, Bytes: r.Bytes, First: r.First, Last: r.Last}
	src, dst := r.Src.Port(), r.Dst.Port()
	kind := r.shape()
	if kind == shapeBare {
		t.Detail = &src
		return t
	}
	from, to := r.Src.Addr().String(), r.Dst.Addr().String()
	t.Source, t.Dest = &from, &to
	if kind == shapeICMP {
		typ, code := uint8(src>>8), uint8(src)
		t.ICMPType, t.ICMPCode, t.ICMPID = &typ, &code, &dst
		return t
	}
	t.SrcPort, t.DstPort = &src, &dst
	if r.Proto == protoTCP {
		t.TCPFlags = &r.TCPFlags
	}
	return t
}
