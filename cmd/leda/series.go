package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/leda-autoscaler/leda/scaling"
)

const (
	// mostYears bounds a series: a [time.Duration] holds 292.
	mostYears = 100

	// mostValue bounds a reading either way, as CloudWatch does: sums of larger ones need not be finite.
	mostValue = 0x1p360
)

// row is one look at the world.
type row struct {
	at       time.Time
	readings []scaling.Reading
	replicas *int32 // someone else has set this size just before; nil when nobody did
	ready    *int32 // nil when all pods are
}

var errEmptyCell = errors.New("no value at this time")

// series reads a CSV file of looks. Every problem is told, one a line.
type series struct {
	name     string
	from     time.Time
	object   *scaling.ScaledObject
	other    *scaling.ScaledObject // may have columns of its own; nil for none
	columns  []column
	problems []string
}

// column is what one column of the file holds.
type column struct {
	name    string
	trigger int // the trigger's position; -1 for the others
}

func (s *series) problem(format string, args ...any) {
	s.problems = append(s.problems, s.name+": "+fmt.Sprintf(format, args...))
}

func (s *series) read(in io.Reader) []row {
	reader := csv.NewReader(in)
	reader.FieldsPerRecord = -1
	reader.ReuseRecord = true
	reader.TrimLeadingSpace = true
	header, err := reader.Read()
	switch {
	case errors.Is(err, io.EOF):
		s.problem("is empty; a header row such as time,s0 was expected")
		return nil
	case err != nil:
		s.problem("is no CSV: %v", err)
		return nil
	}
	s.readHeader(header)
	if len(s.problems) > 0 {
		return nil
	}
	var rows []row
	for {
		record, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			s.problem("is no CSV: %v", err)
			return nil
		}
		line, _ := reader.FieldPos(0)
		if len(record) != len(s.columns) {
			s.problem("line %d: must have %d cells as the header has, got %d", line, len(s.columns), len(record))
			continue
		}
		r := s.readRow(line, record)
		if n := len(rows); n > 0 && !r.at.IsZero() && r.at.Before(rows[n-1].at) {
			s.problem("line %d: time must not be before the row above, got %q", line, record[s.timeColumn()])
		}
		rows = append(rows, r)
	}
	if len(rows) == 0 && len(s.problems) == 0 {
		s.problem("has no row below its header")
	}
	return rows
}

func (s *series) timeColumn() int {
	for i, c := range s.columns {
		if c.name == "time" {
			return i
		}
	}
	return 0
}

// own are the columns that are no trigger's.
const own = " time replicas ready "

// columnOf is what a trigger's column is called: its name, unless that means something else here.
func (s *series) columnOf(trigger int) string {
	if id := s.object.Triggers[trigger].ID; !strings.Contains(own, " "+id+" ") {
		return id
	}
	return "s" + strconv.Itoa(trigger)
}

func (s *series) readHeader(header []string) {
	triggers := map[string]int{}
	for i := range s.object.Triggers {
		triggers["s"+strconv.Itoa(i)] = i
	}
	for i, t := range s.object.Triggers {
		triggers[t.ID] = i
	}
	seen, has := map[string]bool{}, map[int]bool{}
	for _, name := range header {
		name = strings.TrimSpace(strings.TrimPrefix(name, "\ufeff"))
		c := column{name, -1}
		trigger, isTrigger := triggers[name]
		switch {
		case seen[name]:
			s.problem("column %q is there twice", name)
		case strings.Contains(own, " "+name+" ") && name != "":
		case s.other != nil && slices.Contains(ids(s.other), name) && (!isTrigger || slices.Contains(header, s.object.Triggers[trigger].ID) && name != s.object.Triggers[trigger].ID):
			// The other one's: none of ours, or ours has a column under its own name.
		case !isTrigger:
			s.problem("column %q is neither time, replicas, ready nor a trigger (%s)", name, strings.Join(ids(s.object), ", "))
		case s.object.Triggers[trigger].Type == scaling.TypeCron:
			s.problem("column %q: a cron trigger is computed from the time; remove the column", name)
		case has[trigger]:
			s.problem("column %q is trigger %d, which has a column already", name, trigger)
		default:
			c.trigger = trigger
			has[trigger] = true
		}
		seen[name] = true
		s.columns = append(s.columns, c)
	}
	if !seen["time"] {
		s.problem("needs a column time")
	}
	for i, t := range s.object.Triggers {
		if !has[i] && t.Type != scaling.TypeCron {
			s.problem("needs a column %s for trigger %d", s.columnOf(i), i)
		}
	}
}

func ids(o *scaling.ScaledObject) []string {
	var all []string
	for _, t := range o.Triggers {
		all = append(all, t.ID)
	}
	return all
}

func (s *series) readRow(line int, record []string) row {
	r := row{readings: make([]scaling.Reading, len(s.object.Triggers))}
	for i, cell := range record {
		cell = strings.TrimSpace(cell)
		switch c := s.columns[i]; {
		case c.trigger >= 0:
			r.readings[c.trigger] = s.reading(line, c, cell)
		case c.name == "time":
			r.at = s.time(line, cell)
		case cell == "":
		case c.name == "replicas":
			r.replicas = s.size(line, c, cell)
		case c.name == "ready":
			r.ready = s.size(line, c, cell)
		}
	}
	for i := range s.object.Triggers {
		if t := &s.object.Triggers[i]; t.Type == scaling.TypeCron && len(s.problems) == 0 {
			r.readings[i] = t.CronReading(r.at)
		}
	}
	return r
}

func (s *series) time(line int, cell string) time.Time {
	at, err := time.Parse(time.RFC3339, cell)
	if err != nil {
		after, durationErr := time.ParseDuration(cell)
		if durationErr != nil {
			s.problem("line %d: time must be RFC 3339 (2026-01-05T00:00:15Z) or a duration since -from (15s), got %q", line, cell)
			return time.Time{}
		}
		at = s.from.Add(after)
	}
	if at.Before(s.from) {
		s.problem("line %d: time must not be before -from (%s), got %q", line, s.from.Format(time.RFC3339), cell)
		return time.Time{}
	}
	if year := at.UTC().Year(); at.After(s.from.AddDate(mostYears, 0, 0)) || year < 0 || year > 9999 {
		s.problem("line %d: time must be within %d years of -from (%s), and in a year of four digits, got %q", line, mostYears, s.from.Format(time.RFC3339), cell)
		return time.Time{}
	}
	return at
}

func (s *series) size(line int, c column, cell string) *int32 {
	n, err := strconv.ParseInt(cell, 10, 32)
	if err != nil || n < 0 {
		s.problem("line %d: %s must be a whole number from 0 to %d, got %q", line, c.name, math.MaxInt32, cell)
		return nil
	}
	size := int32(n)
	return &size
}

func (s *series) reading(line int, c column, cell string) scaling.Reading {
	t := &s.object.Triggers[c.trigger]
	if cell == "" {
		return t.Failed(errEmptyCell)
	}
	value, err := strconv.ParseFloat(cell, 64)
	switch {
	case err != nil || math.IsNaN(value) || math.IsInf(value, 0) || strings.ContainsAny(cell, "xX_"):
		s.problem("line %d: %s must be a number, or empty for a failed reading, got %q", line, c.name, cell)
	case math.Abs(value) > mostValue:
		s.problem("line %d: %s must be within ±2^360, as CloudWatch's values are, got %q", line, c.name, cell)
	case value < 0 && t.Type == scaling.TypeSQS:
		s.problem("line %d: %s must be at least 0, since it counts messages, got %q", line, c.name, cell)
	}
	return t.Reading(value)
}
