// SPDX-License-Identifier: Apache-2.0

package world

import (
	"testing"

	"croft/node/journal/journaltest"
)

// modelled is the world's disk as the journal's suite has it.
type modelled struct{ disk }

func frame(records []string) (list [][]byte) {
	for _, r := range records {
		list = append(list, []byte(r))
	}
	return list
}

func (m *modelled) Append(_ *testing.T, records ...string) {
	m.begin(frame(records))
	m.sync()
}

func (m *modelled) Cut(_ *testing.T, share float64, records ...string) {
	m.begin(frame(records))
	m.cut(int(share * float64(m.size())))
}

func (m *modelled) Records() (list []string) {
	for _, r := range m.synced {
		list = append(list, string(r))
	}
	return list
}

// A power failure leaves of the model what it leaves of the journal.
func TestDiskConformance(t *testing.T) {
	journaltest.Run(t, func(*testing.T) journaltest.Log { return &modelled{} })
}
