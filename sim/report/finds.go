// SPDX-License-Identifier: Apache-2.0

package report

// Finds keeps the books of questions to the index, beside plain gets of a record. It
// makes the figures lookup, page and get.
type Finds struct {
	Lookup, Page, Get *Measure // to the first match, to a page of them, to a record

	Findable, Answered uint64 // finds for which there was something, and that had it
	Pages, Filled      uint64 // of those with a page and more
	Gets, Got          uint64

	r *Recorder
}

// Finds begins the books.
func (r *Recorder) Finds() *Finds {
	return &Finds{Lookup: r.Measure("lookup", ""), Page: r.Measure("page", ""), Get: r.Measure("get", ""), r: r}
}

// Ask counts a find for which there was so much, and what it had, where a page has so
// many.
func (f *Finds) Ask(there, had, page int, first bool) {
	if there == 0 {
		return
	}
	f.Findable++
	if first {
		f.Answered++
	}
	if there >= page {
		f.Pages++
		if had >= page {
			f.Filled++
		}
	}
}

// Close works out shares, and what finds take beside a plain get.
func (f *Finds) Close() {
	share := func(figure string, of, all uint64) {
		if all > 0 {
			f.r.Set(figure, "", "success", float64(of)/float64(all))
		}
	}
	share("lookup", f.Answered, f.Findable)
	share("page", f.Filled, f.Pages)
	share("get", f.Got, f.Gets)
	plain := f.Get.Quantile(0.5)
	for _, of := range []struct {
		figure string
		*Measure
	}{{"lookup", f.Lookup}, {"page", f.Page}} {
		half := of.Quantile(0.5)
		if half > 0 {
			f.r.Set(of.figure, "", "tail", of.Quantile(0.95)/half)
		}
		if plain > 0 && half > 0 {
			f.r.Set(of.figure, "", "ratio", half/plain)
		}
	}
}
