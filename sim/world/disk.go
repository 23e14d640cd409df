// SPDX-License-Identifier: Apache-2.0

package world

import "math/rand/v2"

// disk is the model of a journal: frames of records, each whole or not there, as
// node/journal keeps them. What is being written when the power goes is cut at any
// byte, and a frame that is cut is lost.
type disk struct {
	synced  [][]byte // records
	writing [][]byte // of the frame under way
	lossy   bool     // a broken disk, to see the checks notice: it forgets what it synced last
}

func (d *disk) begin(records [][]byte) { d.writing = records }

func (d *disk) sync() {
	d.synced = append(d.synced, d.writing...)
	d.writing = nil
}

// crash cuts the frame under way at a byte that it draws, and returns its records if
// all of it is there.
func (d *disk) crash(rng *rand.Rand) (size, cut int, kept [][]byte) {
	size = d.size()
	if cut = size; rng.IntN(4) > 0 && size > 0 { // else the last byte was written, and only the answer is missing
		cut = rng.IntN(size)
	}
	return size, cut, d.cut(cut)
}

// size is that of the frame under way.
func (d *disk) size() (n int) {
	for _, r := range d.writing {
		n += len(r)
	}
	return n
}

// cut has so many bytes of the frame under way be there after a failure.
func (d *disk) cut(at int) (kept [][]byte) {
	if at == d.size() {
		kept = d.writing
		d.sync()
	}
	d.writing = nil
	if d.lossy && len(d.synced) > 0 {
		d.synced = d.synced[:len(d.synced)-1]
	}
	return kept
}
