package main

import (
	"fmt"
	"io"
)

// A row of the table is one figure with the most that it may be and what it is compared with.
type row struct {
	what    string
	got     float64
	most    float64 // 0 where nothing is asked for
	unit    string
	against string // the baseline and its figure, or how the figure came about
}

func (r row) print(w io.Writer) {
	limit, verdict := "", ""
	if r.most > 0 {
		limit, verdict = "≤ "+number(r.most), "reached"
		if r.most == nothing {
			limit = "0"
		}
		if r.got > r.most {
			verdict = "FALLS SHORT"
		}
	}
	fmt.Fprintf(w, "%-64s %9s %-6s %-8s %-12s %s\n", r.what, number(r.got), r.unit, limit, verdict, r.against)
}

func number(n float64) string {
	if n == float64(int64(n)) || n >= 1000 {
		return fmt.Sprintf("%.0f", n)
	}
	return fmt.Sprintf("%.2f", n)
}

// ratio is a row whose figure is ours over theirs.
func ratio(what string, ours, theirs, most float64, unit, baseline string) row {
	return row{what, ours / theirs, most, "×", fmt.Sprintf("%s %s, %s %s %s", number(ours), unit, baseline, number(theirs), unit)}
}

// none is a row whose figure must be 0.
func none(what string, got int, against string) row {
	return row{what: what, got: float64(got), most: nothing, against: against}
}

// nothing is the most of a row that must be 0.
const nothing = 1e-9
