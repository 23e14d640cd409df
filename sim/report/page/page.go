// SPDX-License-Identifier: Apache-2.0

package page

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"time"

	"croft/sim/report"
)

//go:embed page.tmpl
var text string

//go:embed page.css
var style string

var tmpl = template.Must(template.New("page").Funcs(template.FuncMap{
	"text": report.Text, "span": report.Span, "about": report.About,
	"whole": func(n uint64) string { return report.Whole(int64(n)) },
	"day":   func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") },
}).Parse(text))

// view is what the template sees.
type view struct {
	Title    string
	Policy   string // what the page may load: its own style, and nothing else
	Style    template.CSS
	Labels   []string
	Runs     []run
	Overlays []laid
}

type run struct {
	*report.Report
	Label   string
	ID      int
	Rows    []report.Row
	Singles []report.Value
	Plots   []*plot
}

// laid is an overlay with its picture.
type laid struct {
	*report.Overlay
	Plot  *plot
	Lines []distance
}

type distance struct {
	Label string
	First bool
	report.Distance
}

// Write writes one page of all runs, of which there is at least one.
func Write(w io.Writer, runs []*report.Report) error {
	labels := report.Labels(runs)
	sum := sha256.Sum256([]byte(style))
	v := view{Title: labels[0], Labels: labels, Style: template.CSS(style),
		Policy: "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'"}
	if len(runs) > 1 {
		v.Title = fmt.Sprintf("%d runs", len(runs))
	}
	for i, r := range runs {
		one := run{Report: r, Label: labels[i], ID: i + 1, Plots: plots(r)}
		one.Rows, one.Singles = r.Table()
		v.Runs = append(v.Runs, one)
	}
	overlays := report.Compare(runs)
	for i := range overlays {
		o := &overlays[i]
		l := laid{Overlay: o, Plot: overlay(o, labels)}
		for j, run := range o.Runs {
			l.Lines = append(l.Lines, distance{labels[run], j == 0, o.Distances[j]})
		}
		v.Overlays = append(v.Overlays, l)
	}
	if err := tmpl.Execute(w, v); err != nil {
		return fmt.Errorf("writing the report's page: %w", err)
	}
	return nil
}
