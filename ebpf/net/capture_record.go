// SPDX-License-Identifier: Apache-2.0

package net

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// Recording says what of a capture is written.
type Recording struct {
	Name    string // of the interface in the file
	Filter  Filter
	Snap    int
	For     time.Duration
	Packets uint64
	Bytes   uint64 // of the file, give or take its last block
}

// Recorded is how a capture ended.
type Recorded struct {
	Ended   string // EndedTime, …
	Packets uint64 // in the file
	Bytes   uint64 // of the file
	// Received were taken by the filter; Lost of them, because what reads them
	// was too slow, are not in the file. Those that came after the last one
	// written are neither.
	Received, Lost uint64
	Began, Over    time.Time
}

// Why a capture ended.
const (
	EndedTime    = "time"
	EndedPackets = "packets"
	EndedBytes   = "bytes"
	EndedSliver  = "sliver" // its link went
)

// Source is what a capture reads: a [Tap], or a model of one.
type Source interface {
	Next(until time.Time) (Packet, error)
	Counts() (received, lost uint64, err error)
}

// Record writes a capture as pcapng (draft-ietf-opsawg-pcapng): one interface,
// its packets, and at the end its statistics, in which isb_ifdrop is what was
// lost. What is written reaches out within flushEvery, unless out holds it up:
// then packets are lost, which is counted. It ends at the first bound, with the
// sliver's link, or with an error: that of ctx when the caller goes, or of out.
func Record(ctx context.Context, from Source, out io.Writer, r Recording) (Recorded, error) {
	count := &counting{w: out}
	file := bufio.NewWriterSize(count, fileBuffer)
	done := Recorded{Began: time.Now()}
	ng, err := pcapgo.NewNgWriterInterface(file, r.describe(), section)
	if err != nil {
		return done, fmt.Errorf("beginning a capture: %w", err)
	}
	flush := func() error { return errors.Join(ng.Flush(), file.Flush()) }
	if err := flush(); err != nil { // the caller sees that it has begun
		return done, fmt.Errorf("beginning a capture: %w", err)
	}
	end, flushed := done.Began.Add(r.For), done.Began
	size := count.n
	for done.Ended == "" {
		if err := ctx.Err(); err != nil {
			return done, err
		}
		now := time.Now()
		if now.Sub(flushed) >= flushEvery {
			if err := flush(); err != nil {
				return done, fmt.Errorf("writing a capture: %w", err)
			}
			flushed = now
		}
		if !now.Before(end) {
			done.Ended = EndedTime
			break
		}
		until := now.Add(flushEvery)
		if until.After(end) {
			until = end
		}
		p, err := from.Next(until)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			continue
		case errors.Is(err, ErrNoSliver):
			done.Ended = EndedSliver
			continue
		case err != nil:
			return done, fmt.Errorf("capturing: %w", err)
		}
		if err := write(ng, p); err != nil {
			return done, fmt.Errorf("writing a capture: %w", err)
		}
		done.Packets++
		size += blockSize(p)
		switch {
		case done.Packets >= r.Packets:
			done.Ended = EndedPackets
		case size >= r.Bytes:
			done.Ended = EndedBytes
		}
	}
	done.Over = time.Now()
	if done.Received, done.Lost, err = from.Counts(); err != nil {
		return done, err
	}
	err = ng.WriteInterfaceStats(0, done.statistics())
	if err = errors.Join(err, flush()); err != nil {
		return done, fmt.Errorf("ending a capture: %w", err)
	}
	done.Bytes = count.n
	return done, nil
}

// section is the head of a file of ours.
var section = pcapgo.NgWriterOptions{SectionInfo: pcapgo.NgSectionInfo{OS: runtime.GOOS, Application: "croft audit capture"}}

// describe is the interface in the file.
func (r Recording) describe() pcapgo.NgInterface {
	return pcapgo.NgInterface{Name: r.Name, Filter: r.Filter.String(), OS: runtime.GOOS, LinkType: layers.LinkTypeEthernet, SnapLength: uint32(r.Snap),
		Description: "from the sliver as it sent, before the guard; towards it after guard and shaper"}
}

func (r Recorded) statistics() pcapgo.NgInterfaceStatistics {
	return pcapgo.NgInterfaceStatistics{LastUpdate: r.Over, StartTime: r.Began, EndTime: r.Over, PacketsReceived: r.Received, PacketsDropped: r.Lost}
}

// blockSize is the size of a packet's block in the file: 32 bytes, the packet
// to a multiple of 4, and 12 bytes of options.
func blockSize(p Packet) uint64 { return 44 + uint64(len(p.Data)+3)&^3 }

func write(ng *pcapgo.NgWriter, p Packet) error {
	way := pcapgo.NgEpbFlagDirectionOutbound
	if !p.Out {
		way = pcapgo.NgEpbFlagDirectionInbound
	}
	return ng.WritePacketWithOptions(
		gopacket.CaptureInfo{Timestamp: p.At, CaptureLength: len(p.Data), Length: max(p.Length, len(p.Data))}, p.Data,
		pcapgo.NgPacketOptions{Flags: &pcapgo.NgEpbFlags{Direction: way}})
}

type counting struct {
	w io.Writer
	n uint64
}

func (c *counting) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += uint64(n)
	return n, err
}
