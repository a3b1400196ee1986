package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strconv"
	"testing"
	"text/tabwriter"
)

// results is where results go: standard output, as it was before package testing had its own there.
var results = os.Stdout

// result is one case of a measure.
type result struct {
	Measure string  `json:"measure"`
	Case    string  `json:"case"`
	Value   float64 `json:"value"`
	Unit    string  `json:"unit"`
	// Bound is the derived floor, and Ratio the value over it, where there is one.
	Bound float64 `json:"bound,omitempty"`
	Ratio float64 `json:"ratio,omitempty"`
}

// bar is what a case is held to.
type bar struct {
	name  string
	value float64
	// least: the value has to be at least that; else at most.
	least bool
	// ratio: the value's ratio to its bound is held to it, not the value.
	ratio bool
	// below: exactly that is not enough.
	below bool
}

func (b bar) String() string {
	sign := "at most"
	switch {
	case b.least:
		sign = "at least"
	case b.below:
		sign = "below"
	}
	if b.ratio {
		sign = "ratio " + sign
	}
	return sign + " " + number(b.value)
}

func (b bar) met(r result) bool {
	value := r.Value
	if b.ratio {
		value = r.Ratio
	}
	if b.least {
		return value >= b.value
	}
	return value < b.value || value == b.value && !b.below
}

// taking is a measure while it is taken.
type taking struct {
	t *testing.T
	measure
	out *printer
}

// report gives a case's value; a bound of 0 is none.
func (k *taking) report(name string, value float64, unit string, bound float64) error {
	r := result{Measure: k.name, Case: name, Value: round(value), Unit: unit, Bound: round(bound)}
	if bound > 0 {
		r.Ratio = round(value / bound)
	}
	return k.out.print(r, k.barOf(name))
}

// printer prints results as they come: a JSON object a line, or a table at the end.
type printer struct {
	table bool
	rows  *tabwriter.Writer
}

func (p *printer) print(r result, b *bar) error {
	if !p.table {
		return json.NewEncoder(results).Encode(r)
	}
	if p.rows == nil {
		p.rows = tabwriter.NewWriter(results, 0, 0, 1, ' ', 0)
		if _, err := fmt.Fprint(p.rows, "| command\t| case\t| value\t| unit\t| bar\t| met\t| bound\t| ratio\t|\n|---\t|---\t|---\t|---\t|---\t|---\t|---\t|---\t|\n"); err != nil {
			return err
		}
	}
	want, met := "", ""
	if b != nil {
		want, met = b.String(), "no"
		if b.met(r) {
			met = "yes"
		}
	}
	bound, ratio := "", ""
	if r.Bound > 0 {
		bound, ratio = number(r.Bound), number(r.Ratio)
	}
	_, err := fmt.Fprintf(p.rows, "| `go run ./bench %s`\t| %s\t| %s\t| %s\t| %s\t| %s\t| %s\t| %s\t|\n",
		r.Measure, r.Case, number(r.Value), r.Unit, want, met, bound, ratio)
	return err
}

func (p *printer) flush() error {
	if p.rows == nil {
		return nil
	}
	return p.rows.Flush()
}

// round keeps four significant digits: more would be noise.
func round(value float64) float64 {
	if value == 0 {
		return 0
	}
	scale := math.Pow(10, 3-math.Floor(math.Log10(math.Abs(value))))
	return math.Round(value*scale) / scale
}

func number(value float64) string { return strconv.FormatFloat(value, 'f', -1, 64) }
