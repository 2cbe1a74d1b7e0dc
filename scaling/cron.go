package scaling

import (
	"errors"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// CronTrigger is the metadata of a cron trigger, ready to be asked.
type CronTrigger struct {
	Timezone        string
	Start, End      string
	DesiredReplicas int64

	location   *time.Location
	start, end cron.Schedule
}

// parseCron reads a cron trigger as KEDA's cron_scaler.go (v2.20) does. A zone that does not exist is a
// problem here, where KEDA fails at every look.
func parseCron(m metadata) *CronTrigger {
	t := &CronTrigger{
		Timezone: m.requiredText("timezone"), Start: m.requiredText("start"), End: m.requiredText("end"),
		DesiredReplicas: m.requiredInteger("desiredReplicas"),
	}
	if t.Timezone != "" {
		var err error
		if t.location, err = time.LoadLocation(t.Timezone); err != nil || t.Timezone == "Local" {
			m.problem("timezone", "must be an IANA time zone such as Europe/Berlin or Etc/UTC, got %q", t.Timezone)
		}
	}
	t.start, t.end = parseSchedule(m, "start", t.Start), parseSchedule(m, "end", t.End)
	if t.Start != "" && t.Start == t.End {
		m.problem("end", "must not be the same as start, got %q twice", t.End)
	}
	if t.DesiredReplicas == 0 && m.text("desiredReplicas") == "0" {
		m.problem("desiredReplicas", "must not be 0: the trigger would ask for nothing")
	}
	if t.DesiredReplicas < 0 {
		m.note("desiredReplicas", "is below 0: as in KEDA the trigger asks for 0 replicas, and is active in its window")
	}
	if t.start != nil && t.end != nil && t.location != nil {
		for _, schedule := range []*cron.Schedule{&t.start, &t.end} {
			if (*schedule).Next(lintFrom(t.location)).IsZero() { // five years have every day there is
				*schedule = never{}
			}
		}
		if !m.check.quiet {
			t.lint(m)
		}
	}
	return t
}

// lint notes windows that KEDA's rule makes longer than they look.
func (t *CronTrigger) lint(m metadata) {
	switch starts, ends := fires(t.start, t.location), fires(t.end, t.location); {
	case t.start == never{}:
		m.note("start", "never fires, so the window is always open, in KEDA too")
	case t.end == never{}:
		m.note("end", "never fires, so the window never opens, in KEDA either")
	case ends > starts+1: // one may lie just outside
		m.note("end", "fires more often than start, so the window stays open over an end that no start follows, in KEDA too; write the same days into both")
	}
}

// never is a schedule that does not fire, such as that of 30 February.
type never struct{}

// Next is what the library answers when nothing fires within five years, but without looking for it.
func (never) Next(time.Time) time.Time { return time.Time{} }

// lintFrom is where counting begins: any year does, and it is always the same one.
func lintFrom(location *time.Location) time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, location) }

// fires counts how often a schedule fires in 52 weeks, up to once a day or a little more.
func fires(schedule cron.Schedule, location *time.Location) (n int) {
	at := lintFrom(location)
	for end := at.AddDate(0, 0, 52*7); n < 400; n++ {
		if at = schedule.Next(at); at.IsZero() || !at.Before(end) {
			break
		}
	}
	return n
}

func parseSchedule(m metadata, key, text string) cron.Schedule {
	if text == "" {
		return nil
	}
	var schedule cron.Schedule
	err := errors.New("a time zone must be followed by the five fields")
	if zone, _, found := strings.Cut(text, " "); found || !strings.Contains(zone, "TZ=") { // the library would panic
		schedule, err = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow).Parse(text)
	}
	if err != nil {
		m.problem(key, "must be a cron line of five fields (minute hour day-of-month month day-of-week), got %q: %v", text, err)
		return nil
	}
	return schedule
}

// Active says whether now is within the window, by KEDA's rule of who fires next
// (cron_scaler.go GetMetricsAndActivity, v2.20). A line that never fires again counts as the zero time.
func (t *CronTrigger) Active(now time.Time) bool {
	now = now.In(t.location)
	start, end := t.start.Next(now), t.end.Next(now)
	if start.Before(end) {
		return now.After(start) && now.Before(end)
	}
	return now.After(start) || now.Before(end)
}

// CronReading is what a cron trigger says at now. It needs no source.
func (t *Trigger) CronReading(now time.Time) Reading {
	r := Reading{Trigger: t.ID, Target: t.Target(), MetricType: t.MetricType}
	if t.Cron.Active(now) {
		r.Active, r.Value = true, float64(max(0, t.Cron.DesiredReplicas))
	}
	return r
}
