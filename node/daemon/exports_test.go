// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	slivernet "croft/ebpf/net"
	"croft/lease/leasetest"
	"croft/node/api"
)

// tapModel is a sliver that sends a packet every second.
type tapModel struct{}

func (tapModel) Tap(context.Context, string, int, slivernet.Filter) (Tap, error) {
	return tapModel{}, nil
}

func (tapModel) Next(until time.Time) (slivernet.Packet, error) {
	next := time.Now().Truncate(time.Second).Add(time.Second)
	if next.After(until) {
		<-time.After(time.Until(until))
		return slivernet.Packet{}, os.ErrDeadlineExceeded
	}
	<-time.After(time.Until(next))
	return slivernet.Packet{At: next, Out: true, Length: 60, Data: make([]byte, 60)}, nil
}

func (tapModel) Counts() (uint64, uint64, error) { return 9, 1, nil }
func (tapModel) Close() error                    { return nil }

func TestCapturesAreFewAndBounded(t *testing.T) {
	inBubble(t, func(t *testing.T, m *world) {
		l, alice := m.boot(), newPerson(t, "alice")
		alice.run(l, "a", time.Hour)
		m.settle()
		sliver := alice.sees(l)[0].Sliver
		by := api.Caller{Principal: leasetest.Who("alice")}
		x := l.d.Node().Exports
		if _, err := x.Capture(t.Context(), by, sliver, api.CaptureRequest{}, io.Discard); !errors.Is(err, api.ErrVisitor) {
			t.Errorf("where nothing can be captured: %v", err)
		}
		l.d.deps.Hosting.Taps = tapModel{}

		for name, req := range map[string]api.CaptureRequest{
			"long":     {For: maxCaptureFor + 1},
			"packets":  {Packets: maxCapturePackets + 1},
			"bytes":    {Bytes: maxCaptureBytes + 1},
			"snap":     {Snap: slivernet.MaxSnap + 1},
			"no snap":  {Snap: 1},
			"filter":   {Filter: "tcp[13] & 2 != 0"},
			"negative": {For: -1},
		} {
			if _, err := x.Capture(t.Context(), by, sliver, req, io.Discard); !errors.Is(err, api.ErrBadRequest) {
				t.Errorf("%s: %v", name, err)
			}
		}

		var file bytes.Buffer
		began := time.Now()
		done, err := x.Capture(t.Context(), by, sliver, api.CaptureRequest{}, &file)
		if err != nil || done.Ended != "time" || done.Lost != 1 || done.Received != 9 || done.Bytes != uint64(file.Len()) ||
			done.Packets < 9 || time.Since(began) != captureFor {
			t.Errorf("%+v of %d bytes in %s, %v", done, file.Len(), time.Since(began), err)
		}
		if !strings.Contains(file.String(), "n1/"+sliver) {
			t.Error("the interface has not the name of node and sliver")
		}

		ctx, leave := context.WithCancel(t.Context())
		ended := make(chan error, maxSliceCaptures)
		for range maxSliceCaptures {
			go func() {
				_, err := x.Capture(ctx, by, sliver, api.CaptureRequest{For: maxCaptureFor}, io.Discard)
				ended <- err
			}()
		}
		synctest.Wait()
		if _, err := x.Capture(t.Context(), by, sliver, api.CaptureRequest{}, io.Discard); !errors.Is(err, api.ErrBusy) {
			t.Errorf("one more than a slice may have: %v", err)
		}
		leave()
		for range maxSliceCaptures {
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Errorf("who left was told %v", err)
			}
		}
		if _, err := x.Capture(t.Context(), by, sliver, api.CaptureRequest{Packets: 1}, io.Discard); err != nil {
			t.Errorf("after others: %v", err)
		}
	})
}

func TestCapturesOfTheNode(t *testing.T) {
	c := &captures{of: map[sliceKey]int{}}
	var ends []func()
	for i := range maxCaptures {
		end, err := c.begin(sliceKey{label: string(rune('a' + i))})
		if err != nil {
			t.Fatal(err)
		}
		ends = append(ends, end)
	}
	if _, err := c.begin(sliceKey{label: "z"}); !errors.Is(err, api.ErrBusy) {
		t.Errorf("one more than the node has: %v", err)
	}
	for _, end := range ends {
		end()
	}
	if c.all != 0 || len(c.of) != 0 {
		t.Errorf("%+v is left", c)
	}
}

func TestTimesOfRows(t *testing.T) {
	for in, want := range map[time.Time]int64{
		{}:                            0,
		time.Unix(0, 7):               7,
		time.Unix(math.MaxInt32, 5):   math.MaxInt32*1e9 + 5,
		time.Unix(math.MaxInt64/2, 0): math.MaxInt64,
	} {
		if got := unixNano(in); got != want {
			t.Errorf("%s is %d ns, want %d", in, got, want)
		}
	}
}
