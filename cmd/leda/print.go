package main

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/leda-autoscaler/leda/scaling"
)

// newPrinter prints decisions as table, json or csv; finish says whether all of them could be.
func newPrinter(format string, out io.Writer, o *scaling.ScaledObject, paint painter) (show func(scaling.Decision), finish func() error) {
	switch format {
	case "json":
		return jsonPrinter(out)
	case "csv":
		return csvPrinter(out, o)
	}
	return tablePrinter(out, paint), func() error { return nil } // the writer below remembers its first error
}

func jsonPrinter(out io.Writer) (show func(scaling.Decision), finish func() error) {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	var failed error
	show = func(d scaling.Decision) {
		r := d.Record()
		failed = errors.Join(failed, encoder.Encode(struct {
			Time     time.Time               `json:"time"`
			From     int32                   `json:"from"`
			To       int32                   `json:"to"`
			Reason   scaling.Reason          `json:"reason"`
			Active   bool                    `json:"active"`
			Readings []scaling.RecordReading `json:"readings"`
		}{d.At.UTC(), r.From, r.To, r.Reason, r.Active, r.Readings}))
	}
	return show, func() error { return failed }
}

func csvPrinter(out io.Writer, o *scaling.ScaledObject) (show func(scaling.Decision), finish func() error) {
	writer := csv.NewWriter(out)
	_ = writer.Write(append([]string{"time", "from", "to", "reason", "active"}, ids(o)...)) // the writer remembers its first error
	show = func(d scaling.Decision) {
		record := append(make([]string, 0, 8), d.At.UTC().Format(time.RFC3339Nano), strconv.Itoa(int(d.From)), strconv.Itoa(int(d.To)), string(d.Reason), strconv.FormatBool(d.Active))
		for _, reading := range d.Readings {
			value := "" // it failed
			if reading.Err == nil {
				value = strconv.FormatFloat(reading.Value, 'f', -1, 64)
			}
			record = append(record, value)
		}
		_ = writer.Write(record)
	}
	finish = func() error {
		writer.Flush()
		return writer.Error()
	}
	return show, finish
}

// columns is the width that text is wrapped to.
const columns = 80

// tablePrinter prints a line for each decision, and more where its arithmetic is long. On a terminal new sizes
// stand out, and failed readings.
func tablePrinter(out io.Writer, paint painter) func(scaling.Decision) {
	const left = 28 // as wide as time and size
	fmt.Fprintf(out, "%-20s  %4s  WHY\n", "TIME", "SIZE")
	return func(d scaling.Decision) {
		lines := wrap(d.Record().Why, columns-left)
		size := fmt.Sprintf("%4d", d.To)
		switch {
		case d.Changed():
			size = paint.yellow(size)
		case slices.ContainsFunc(d.Readings, func(r scaling.Reading) bool { return r.Err != nil }):
			size = paint.red(size)
		}
		fmt.Fprintf(out, "%-20s  %s  %s\n", d.At.UTC().Format(time.RFC3339Nano), size, lines[0])
		for _, line := range lines[1:] {
			fmt.Fprintf(out, "%*s%s\n", left, "", line)
		}
	}
}

// wrap breaks text between words into lines of at most width characters; a longer word has a line of its own.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width:
			lines = append(lines, line)
			line = word
		default:
			line += " " + word
		}
	}
	return append(lines, line)
}

// compare prints the totals of two simulations.
func compare(out io.Writer, runs []labelled) error {
	_, err := fmt.Fprintf(out, "%-22s  %18.18s  %18.18s  %14s\n", "", runs[0].label, runs[1].label, "DIFFERENCE")
	for _, line := range compared([]*totals{runs[0].totals(), runs[1].totals()}) {
		if err == nil {
			_, err = fmt.Fprintf(out, "%-22s  %18s  %18s  %14s\n", line.Label, line.Texts[0], line.Texts[1], line.Texts[2])
		}
	}
	return err
}
