// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"fmt"

	"croft/ebpf"
)

// AlarmKind says what is wrong with a node's record. The numbers are kept and
// never change meaning.
type AlarmKind uint8

const (
	AlarmIdentity AlarmKind = iota + 1 // an epoch does not add up
	AlarmGap                           // epochs of a series are missing: what they saw is lost
	AlarmDisk                          // the disk was full: rows waited in the kernel
	AlarmBudget                        // rows went before their time, for room
)

var alarmNames = [...]string{AlarmIdentity: "identity", AlarmGap: "gap", AlarmDisk: "disk", AlarmBudget: "budget"}

func (k AlarmKind) String() string {
	if k > 0 && int(k) < len(alarmNames) {
		return alarmNames[k]
	}
	return fmt.Sprintf("alarm(%d)", uint8(k))
}

// Alarm is what the node's owner must know of his record. It is kept as a leaf,
// so that whoever holds a head can hold the node to it.
type Alarm struct {
	_      struct{} `cbor:",toarray"`
	K      LeafKind
	Kind   AlarmKind
	At     int64  // Unix ns
	Series uint64 // of the epoch that it is about, if any
	Number uint64
	Text   string
}

// NewAlarm returns one whose text is cut to what fits.
func NewAlarm(kind AlarmKind, e ebpf.Epoch, format string, args ...any) Alarm {
	text := fmt.Sprintf(format, args...)
	return Alarm{K: LeafAlarm, Kind: kind, At: e.At, Series: e.Series, Number: e.Number, Text: text[:min(len(text), maxAlarm)]}
}

// AlarmsOf returns what is wrong with an epoch: its account does not balance, or
// its rows are not what it says that was recorded, or the epochs between it and
// the last of its series (0: none was) are missing.
func AlarmsOf(e ebpf.Epoch, last uint64) []Alarm {
	var all []Alarm
	if err := e.Identity.Check(); err != nil {
		all = append(all, NewAlarm(AlarmIdentity, e, "%v", err))
	}
	var packets uint64
	for _, f := range e.Flows {
		packets += f.Packets
	}
	if packets != e.Identity.Recorded {
		all = append(all, NewAlarm(AlarmIdentity, e, "rows hold %d packets, recorded %d", packets, e.Identity.Recorded))
	}
	if last > 0 && e.Number > last+1 {
		all = append(all, NewAlarm(AlarmGap, e, "epochs %d to %d of this series are missing", last+1, e.Number-1))
	}
	return all
}

// Bytes returns the alarm's leaf.
func (a Alarm) Bytes() []byte { return encoded(a) }

// Check reports whether a can be.
func (a Alarm) Check() error {
	if a.K != LeafAlarm || a.Kind == 0 || a.At <= 0 || len(a.Text) > maxAlarm {
		return fmt.Errorf("%s: %w", a, ErrField)
	}
	return nil
}

func (a Alarm) String() string {
	return fmt.Sprintf("alarm kind=%s at=%s series=%d number=%d text=%q", a.Kind, instant(a.At), a.Series, a.Number, a.Text)
}
