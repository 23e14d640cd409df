// SPDX-License-Identifier: Apache-2.0

package net

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gopacket/gopacket/pcapgo"
)

// script is a source that has one packet every step, until it is over.
type script struct {
	step  time.Duration
	count int
	over  error
	data  []byte
	lost  uint64
}

func (s *script) Next(until time.Time) (Packet, error) {
	if s.count == 0 {
		if s.over != nil {
			return Packet{}, s.over
		}
		<-time.After(time.Until(until))
		return Packet{}, os.ErrDeadlineExceeded
	}
	if time.Until(until) < s.step {
		<-time.After(time.Until(until))
		return Packet{}, os.ErrDeadlineExceeded
	}
	<-time.After(s.step)
	s.count--
	return Packet{At: time.Now(), Out: s.count%2 == 0, Length: len(s.data) + 100, Data: s.data}, nil
}

func (s *script) Counts() (uint64, uint64, error) { return 77, s.lost, nil }

func TestRecordEndsAtItsBounds(t *testing.T) {
	whole := Recording{Name: "n/s", Snap: 128, For: time.Minute, Packets: 1000, Bytes: 1 << 20}
	for name, c := range map[string]struct {
		change  func(*Recording)
		source  script
		ended   string
		packets uint64
	}{
		"time":    {func(r *Recording) { r.For = time.Second }, script{step: 90 * time.Millisecond, count: 1000}, EndedTime, 11},
		"nothing": {func(r *Recording) { r.For = time.Second }, script{}, EndedTime, 0},
		"packets": {func(r *Recording) { r.Packets = 5 }, script{count: 1000}, EndedPackets, 5},
		"bytes":   {func(r *Recording) { r.Bytes = 10_000 }, script{count: 1000}, EndedBytes, 69},
		"sliver":  {func(*Recording) {}, script{count: 3, over: ErrNoSliver}, EndedSliver, 3},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := whole
				c.change(&r)
				c.source.data, c.source.lost = make([]byte, 99), 12
				var out bytes.Buffer
				done, err := Record(t.Context(), &c.source, &out, r)
				if err != nil || done.Ended != c.ended || done.Packets != c.packets || done.Bytes != uint64(out.Len()) {
					t.Fatalf("%+v of %d bytes, %v", done, out.Len(), err)
				}
				file, err := pcapgo.NewNgReader(&out, pcapgo.DefaultNgReaderOptions)
				if err != nil {
					t.Fatal(err)
				}
				var n uint64
				for {
					data, ci, opt, err := file.ReadPacketDataWithOptions()
					if err == io.EOF {
						break
					}
					if err != nil || ci.Length != 199 || len(data) != 99 || opt.Flags == nil {
						t.Fatalf("%+v, %v", ci, err)
					}
					n++
				}
				intf, err := file.Interface(0)
				if s := intf.Statistics; err != nil || n != c.packets || intf.Name != "n/s" || s.PacketsReceived != 77 || s.PacketsDropped != 12 {
					t.Errorf("%d packets, %+v, %v", n, intf, err)
				}
			})
		})
	}
}

func TestRecordReachesItsReaderAndEndsWithIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		r, w := io.Pipe()
		ended := make(chan error, 1)
		go func() {
			_, err := Record(ctx, &script{count: 1, data: make([]byte, 60)}, w, Recording{For: time.Hour, Packets: 9, Bytes: 1 << 20, Snap: 128})
			ended <- err
		}()
		began := time.Now()
		file, err := pcapgo.NewNgReader(r, pcapgo.DefaultNgReaderOptions)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := file.ReadPacketData(); err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(began); waited > 2*flushEvery {
			t.Errorf("a packet was on its way for %s", waited)
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the caller is gone, and the capture ends with %v", err)
		}
		if waited := time.Since(began); waited > 4*flushEvery {
			t.Errorf("the capture went on for %s", waited)
		}

		r.CloseWithError(io.ErrClosedPipe)
		if _, err := Record(t.Context(), &script{}, w, Recording{For: time.Hour}); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("nobody reads, and the capture ends with %v", err)
		}
	})
}
