package scaling

import (
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the tests' zones, whatever the machine has
)

func window(t *testing.T, zone, start, end string) *CronTrigger {
	t.Helper()
	check := &checker{}
	c := parseCron(newMetadata(map[string]string{"timezone": zone, "start": start, "end": end, "desiredReplicas": "1"}, "metadata", check))
	if len(check.problems) > 0 {
		t.Fatal(check.problems)
	}
	return c
}

// §5's vectors, run with robfig/cron v3.0.1.
func TestCronWindows(t *testing.T) {
	for _, row := range []struct {
		start, end, zone string
		at               string // in UTC, or with an offset
		want             bool
	}{
		{"0 8 * * *", "0 18 * * *", "UTC", "2026-01-05T07:59:59.5Z", false},
		{"0 8 * * *", "0 18 * * *", "UTC", "2026-01-05T08:00:00Z", true},
		{"0 8 * * *", "0 18 * * *", "UTC", "2026-01-05T17:59:59.9Z", true},
		{"0 8 * * *", "0 18 * * *", "UTC", "2026-01-05T18:00:00Z", false},
		{"0 22 * * *", "0 6 * * *", "UTC", "2026-01-05T23:00:00Z", true},
		{"0 22 * * *", "0 6 * * *", "UTC", "2026-01-05T05:59:00Z", true},
		{"0 22 * * *", "0 6 * * *", "UTC", "2026-01-05T12:00:00Z", false},
		{"0 8 * * 1-5", "0 18 * * 1-5", "America/New_York", "2026-03-06T14:00:00Z", true},
		{"0 8 * * 1-5", "0 18 * * 1-5", "America/New_York", "2026-03-07T14:00:00Z", false},
		{"0 8 * * 1", "0 18 * * 5", "UTC", "2026-01-07T03:00:00Z", true}, // Monday to Friday without a break
		// The end fires on days when the start does not: KEDA #4677.
		{"30 6 * * 1-5", "10 22 * * *", "Europe/Prague", "2026-01-09T23:00:00+01:00", true},
		{"30 6 * * 1-5", "10 22 * * *", "Europe/Prague", "2026-01-10T12:00:00+01:00", true},
		{"30 6 * * 1-5", "10 22 * * *", "Europe/Prague", "2026-01-11T22:00:00+01:00", true},
		{"30 6 * * 1-5", "10 22 * * *", "Europe/Prague", "2026-01-11T22:30:00+01:00", false},
		{"30 6 * * 1-5", "10 22 * * 1-5", "Europe/Prague", "2026-01-09T22:30:00+01:00", false},
		{"30 6 * * 1-5", "10 22 * * 1-5", "Europe/Prague", "2026-01-10T12:00:00+01:00", false},
		{"0 * * * *", "0 0 * * *", "UTC", "2026-01-05T22:30:00Z", false},
		{"0 * * * *", "0 0 * * *", "UTC", "2026-01-05T23:30:00Z", true}, // both fire next at midnight
		{"0,30 * * * *", "15,45 * * * *", "UTC", "2026-01-05T10:14:59Z", true},
		{"0,30 * * * *", "15,45 * * * *", "UTC", "2026-01-05T10:15:00Z", false},
		{"0 0 * * *", "59 23 * * *", "UTC", "2026-01-05T23:59:30Z", false},
		{"0 0 30 2 *", "0 18 * * *", "UTC", "2026-01-05T12:00:00Z", true},
		{"0 8 * * *", "0 0 30 2 *", "UTC", "2026-01-05T12:00:00Z", false},
		{"0 0 30 2 *", "0 1 30 2 *", "UTC", "2026-01-05T12:00:00Z", true},
		// Clocks go forward on 2026-03-08: 02:30 does not exist.
		{"30 2 * * *", "30 4 * * *", "America/New_York", "2026-03-07T15:00:00Z", true},
		{"0 1 * * *", "30 2 * * *", "America/New_York", "2026-03-08T06:30:00Z", false},
		// They go back on 2026-11-01: 01:30 is twice.
		{"30 1 * * *", "45 1 * * *", "America/New_York", "2026-11-01T05:35:00Z", true},
		{"30 1 * * *", "45 1 * * *", "America/New_York", "2026-11-01T06:35:00Z", true},
		// A line's own zone overrules the trigger's.
		{"TZ=America/New_York 0 8 * * *", "0 18 * * *", "UTC", "2026-01-05T12:30:00Z", false},
		{"TZ=America/New_York 0 8 * * *", "0 18 * * *", "UTC", "2026-01-05T13:00:00Z", true},
		{"0 8 ? * MON", "0 18 ? jan mon", "UTC", "2026-01-05T12:00:00Z", true},
	} {
		at, err := time.Parse(time.RFC3339, row.at)
		if err != nil {
			t.Fatal(err)
		}
		if got := window(t, row.zone, row.start, row.end).Active(at); got != row.want {
			t.Errorf("%q to %q in %s at %s: got %t, want %t", row.start, row.end, row.zone, row.at, got, row.want)
		}
	}
}

func TestCronReading(t *testing.T) {
	c := window(t, "UTC", "0 8 * * *", "0 18 * * *")
	trigger := Trigger{ID: "s0", Type: TypeCron, Cron: c}
	for _, row := range []struct {
		rule    string
		desired int64
		hour    int
		want    Reading
	}{
		{"within", 10, 12, Reading{Trigger: "s0", Value: 10, Target: 1, Active: true}},
		{"outside", 10, 20, Reading{Trigger: "s0", Value: 0, Target: 1}},
		{"a negative size asks for none, and is active", -3, 12, Reading{Trigger: "s0", Value: 0, Target: 1, Active: true}},
	} {
		trigger.Cron.DesiredReplicas = row.desired
		if got := trigger.CronReading(time.Date(2026, 1, 5, row.hour, 0, 0, 0, time.UTC)); got != row.want {
			t.Errorf("%s: got %+v, want %+v", row.rule, got, row.want)
		}
	}
}

func TestCronLinesAreChecked(t *testing.T) {
	for _, row := range []struct{ start, end, zone, desired, want string }{
		{"0 8 * *", "0 18 * * *", "UTC", "1", "metadata.start: must be a cron line of five fields"},
		{"0 8 * * * *", "0 18 * * *", "UTC", "1", "metadata.start: must be a cron line of five fields"},
		{"@daily", "0 18 * * *", "UTC", "1", "metadata.start: must be a cron line of five fields"},
		{"0 8 * * 7", "0 18 * * *", "UTC", "1", "metadata.start: must be a cron line of five fields"},
		{"61 8 * * *", "0 18 * * *", "UTC", "1", "metadata.start: must be a cron line of five fields"},
		{"TZ=UTC", "0 18 * * *", "UTC", "1", "metadata.start: must be a cron line of five fields"},
		{"CRON_TZ=Nowhere/At/All 0 8 * * *", "0 18 * * *", "UTC", "1", "metadata.start: must be a cron line of five fields"},
		{"0 8 * * *", "0 8 * * *", "UTC", "1", "metadata.end: must not be the same as start"},
		{"0 8 * * *", "", "UTC", "1", "metadata.end: is required"},
		{"0 8 * * *", "0 18 * * *", "Mars/Olympus", "1", "metadata.timezone: must be an IANA time zone"},
		{"0 8 * * *", "0 18 * * *", "Local", "1", "metadata.timezone: must be an IANA time zone"},
		{"0 8 * * *", "0 18 * * *", "", "1", "metadata.timezone: is required"},
		{"0 8 * * *", "0 18 * * *", "UTC", "0", "metadata.desiredReplicas: must not be 0"},
		{"0 8 * * *", "0 18 * * *", "UTC", "", "metadata.desiredReplicas: is required"},
		{"0 8 * * *", "0 18 * * *", "UTC", "1.5", "metadata.desiredReplicas: must be a whole number"},
	} {
		check := &checker{}
		parseCron(newMetadata(map[string]string{"timezone": row.zone, "start": row.start, "end": row.end, "desiredReplicas": row.desired}, "metadata", check))
		if len(check.problems) != 1 || !strings.HasPrefix(check.problems[0].String(), row.want) {
			t.Errorf("%+v: got %v", row, check.problems)
		}
	}
}

func TestCronWindowsThatAreLongerThanTheyLook(t *testing.T) {
	for _, row := range []struct{ start, end, want string }{
		{"0 8 * * 1-5", "0 18 * * 1-5", ""},
		{"0 22 * * 1-5", "0 6 * * 2-6", ""},
		{"0 8 * * 1", "0 18 * * 5", ""},
		{"0 8 * * 3", "0 18 * * 4", ""}, // 2026 begins on a Thursday
		{"0 8 1 * *", "0 18 15 * *", ""},
		{"30 6 * * 1-5", "10 22 * * *", "metadata.end: fires more often than start"},
		{"0 0 30 2 *", "0 18 * * *", "metadata.start: never fires, so the window is always open"},
		{"0 8 * * *", "0 0 30 2 *", "metadata.end: never fires, so the window never opens"},
		{"0 0 30 2 *", "0 1 30 2 *", "metadata.start: never fires, so the window is always open"},
		{"0 0 29 2 *", "0 1 29 2 *", ""},
	} {
		check := &checker{}
		parseCron(newMetadata(map[string]string{"timezone": "Europe/Prague", "start": row.start, "end": row.end, "desiredReplicas": "1"}, "metadata", check))
		got := check.notes.Error()
		if (row.want == "") != (got == "") || !strings.HasPrefix(got, row.want) {
			t.Errorf("%q to %q: got %q, want %q", row.start, row.end, got, row.want)
		}
	}
}
