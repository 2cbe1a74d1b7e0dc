package main

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"

	"github.com/leda-autoscaler/leda/scaling"
)

// The parts of the page that leda simulate -o html writes.
var (
	//go:embed report/page.html
	pageHTML string
	//go:embed report/page.css
	pageCSS string
	//go:embed report/page.js
	pageJS string
	//go:embed report/uplot/uPlot.iife.min.js
	uplotJS string
	//go:embed report/uplot/uPlot.min.css
	uplotCSS string
	//go:embed report/uplot/LICENSE
	uplotLicence string
)

// report is what the page says in words; its data is what it draws.
type report struct {
	Title, Series, Span string
	Facts               []fact
	Labels              []string
	Compared            bool
	Totals              []comparison
	Model               []string

	Policy                string // what the browser may do with the page
	Style                 template.CSS
	Data, Library, Script template.JS
}

type fact struct{ Label, Text string }

// comparison is one line of the totals: a text for each simulation, and one for their difference.
type comparison struct {
	Label, Means string
	Texts        []string
}

// drawn is what the page's script draws, by columns: index i of each is the look i.
type drawn struct {
	Start   float64    `json:"start"` // seconds since 1970
	Time    []float64  `json:"time"`  // seconds since start
	Runs    []drawnRun `json:"runs"`
	Reasons []string   `json:"reasons"`
	Whys    []string   `json:"whys"`
}

type drawnRun struct {
	Label    string         `json:"label"`
	Min      int32          `json:"min"`
	Max      int32          `json:"max"`
	Triggers []drawnTrigger `json:"triggers"`
	From     []int32        `json:"from"`
	To       []int32        `json:"to"`
	Reason   []int          `json:"reason"` // positions in Reasons and Whys
	Why      []int          `json:"why"`
	Held     [][2]int       `json:"held"` // spans of looks at which shrinking was held back
}

type drawnTrigger struct {
	Name   string     `json:"name"`
	Unit   string     `json:"unit"`
	Target float64    `json:"target"` // 0 where a formula makes one value of all
	Whole  bool       `json:"whole"`  // the target is for all replicas together
	Values []*float64 `json:"values"` // null where the reading failed
}

// newReport runs the simulations, one or two, and puts the page together.
func newReport(series string, asked *simulateFlags, runs []labelled) (report, error) {
	var data drawn
	words := texts{&data.Reasons, map[string]int{}}
	whys := texts{&data.Whys, map[string]int{}}
	all := make([]*totals, len(runs))
	for n, run := range runs {
		all[n] = run.newTotals()
		data.Runs = append(data.Runs, newDrawnRun(run))
		column := &data.Runs[n]
		run.run(func(d scaling.Decision) {
			all[n].add(d)
			record := d.Record()
			column.add(d, words.position(string(d.Reason)), whys.position(record.Why), all[n].heldNow)
			if n == 0 {
				if data.Time == nil {
					data.Start = float64(d.At.UnixMilli()) / 1000
				}
				data.Time = append(data.Time, float64(d.At.UnixMilli())/1000-data.Start)
			}
		})
	}
	first, last := runs[0].rows[0].at, runs[0].rows[len(runs[0].rows)-1].at
	o := runs[0].object
	columns, err := data.json()
	return report{
		Title:  o.Namespace + "/" + o.Name,
		Series: series,
		Span: fmt.Sprintf("%s to %s UTC (%s)", first.UTC().Format(time.DateTime), last.UTC().Format(time.DateTime),
			duration(last.Sub(first).Seconds())),
		Facts:    facts(runs, len(data.Time)),
		Labels:   labels(runs),
		Compared: len(runs) > 1,
		Totals:   compared(all),
		Model:    model(asked),
		Style:    template.CSS(uplotCSS + pageCSS),
		Data:     columns,
		Library:  template.JS("/*\n" + uplotLicence + "*/\n" + uplotJS),
		Script:   template.JS(pageJS),
	}, err
}

// texts keeps each of many equal texts once.
type texts struct {
	all   *[]string
	known map[string]int
}

func (t texts) position(text string) int {
	n, ok := t.known[text]
	if !ok {
		n = len(*t.all)
		t.known[text] = n
		*t.all = append(*t.all, text)
	}
	return n
}

func newDrawnRun(run labelled) drawnRun {
	r := drawnRun{Label: run.label, Min: run.object.Floor(), Max: run.object.MaxReplicaCount, Held: [][2]int{}}
	for i := range run.object.Triggers {
		t := &run.object.Triggers[i]
		shown := drawnTrigger{Name: t.ID, Unit: "value", Target: t.Target(), Whole: t.MetricType == scaling.Value}
		switch t.Type {
		case scaling.TypeSQS:
			shown.Unit = "messages"
		case scaling.TypeCron:
			shown.Unit = "replicas asked for"
		}
		if run.object.Modifiers != nil {
			shown.Target = 0
		}
		r.Triggers = append(r.Triggers, shown)
	}
	return r
}

func (r *drawnRun) add(d scaling.Decision, reason, why int, held bool) {
	look := len(r.To)
	r.From, r.To = append(r.From, d.From), append(r.To, d.To)
	r.Reason, r.Why = append(r.Reason, reason), append(r.Why, why)
	for i, reading := range d.Readings {
		var value *float64
		if reading.Err == nil {
			value = &reading.Value
		}
		r.Triggers[i].Values = append(r.Triggers[i].Values, value)
	}
	switch n := len(r.Held); {
	case !held:
	case n > 0 && r.Held[n-1][1] == look:
		r.Held[n-1][1]++
	default:
		r.Held = append(r.Held, [2]int{look, look + 1})
	}
}

// json is for a script element: json.Marshal escapes <, > and &.
func (d *drawn) json() (template.JS, error) {
	for n := range d.Runs { // nothing comes after the last look
		for i := range d.Runs[n].Held {
			d.Runs[n].Held[i][1] = min(d.Runs[n].Held[i][1], len(d.Time)-1)
		}
	}
	text, err := json.Marshal(d)
	return template.JS(text), err
}

func labels(runs []labelled) []string {
	var all []string
	for _, run := range runs {
		all = append(all, run.label)
	}
	return all
}

func facts(runs []labelled, looks int) []fact {
	all := []fact{{"Looks", grouped(float64(looks))}}
	for _, run := range runs {
		o := run.object
		targets := []string{"policy " + string(o.Policy), fmt.Sprintf("%d…%d replicas", o.Floor(), o.MaxReplicaCount)}
		if targets[0] == run.label {
			targets = targets[1:]
		}
		for i := range o.Triggers {
			if t := &o.Triggers[i]; o.Modifiers == nil && t.Type != scaling.TypeCron {
				share := "a replica"
				if t.MetricType == scaling.Value {
					share = "in all"
				}
				targets = append(targets, fmt.Sprintf("%s: %s %s", t.ID, grouped(t.Target()), share))
			}
		}
		label := "Scaled by"
		if len(runs) > 1 {
			label = run.label
		}
		all = append(all, fact{label, strings.Join(targets, ", ")})
	}
	return all
}

func compared(all []*totals) []comparison {
	var lines []comparison
	first := all[0].lines()
	if len(all) == 1 {
		for _, l := range first {
			lines = append(lines, comparison{l.Label, l.Means, []string{l.Text}})
		}
		return lines
	}
	for _, l := range all[1].lines() {
		for _, f := range first {
			if f.Label == l.Label {
				lines = append(lines, comparison{l.Label, l.Means, []string{f.Text, l.Text, signed(l.number-f.number, l.format)}})
			}
		}
	}
	return lines
}

// model says what the simulation takes for granted.
func model(asked *simulateFlags) []string {
	looks := "Leda looks at each row of the series, and only then."
	if asked.every > 0 {
		looks = fmt.Sprintf("Leda looks at each row of the series, and every %v in between.", asked.every)
	}
	lines := []string{
		looks,
		"By the next look the workload has reached the size that was decided: starting a pod takes no longer than that.",
		"Totals count each look for the time until the next one.",
	}
	if asked.queues != "" {
		lines = append(lines, "The series is CloudWatch's: each period's maximum of an approximate count, of visible messages and those in flight or delayed as the trigger counts them, or with -rate the messages sent. A gap of 15 minutes or more counts as an idle queue, a shorter one as failed readings.")
	}
	if asked.rate > 0 {
		return append(lines,
			fmt.Sprintf("A model closes the loop (-rate): the series gives the messages that arrive; they arrive evenly between rows, and each replica finishes %v messages a second while there are any.", asked.rate),
			"Several queues share the replicas by what is in them. Messages flow like water: a queue that its replicas keep empty shows none in flight, where SQS would count those in hand. Real workers are neither as even nor as ready as this.")
	}
	return append(lines, "The queue's depth is what the series says, whatever the size: more or fewer replicas do not change it here. With -rate they do.")
}

// writeReport writes the page. Its policy lets the browser run these two scripts and load nothing.
func writeReport(out io.Writer, r report) error {
	hash := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	r.Policy = fmt.Sprintf("default-src 'none'; script-src %s %s; style-src %s; base-uri 'none'; form-action 'none'",
		hash(string(r.Library)), hash(string(r.Script)), hash(string(r.Style)))
	page, err := template.New("page").Parse(pageHTML)
	if err != nil {
		return err
	}
	return page.Execute(out, r)
}
