package main

import (
	"context"
	"flag"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

var pictures = flag.String("pictures", "", "a folder to put pictures of the report in, for people to look at")

const nasty = `</script><img src=x onerror=alert(1)>`

// nastyQueue has a trigger that a page must not take for markup.
const nastyQueue = `  minReplicaCount: 1
  maxReplicaCount: 5
  triggers:
  - {type: aws-sqs-queue, name: "` + nasty + `", metadata: {queueURL: orders, awsRegion: eu-west-1, queueLength: "5"}}
`

// An afternoon: a burst, a reading that fails, a lull that is not waited for, another burst.
func afternoon(column string) string {
	var series strings.Builder
	fmt.Fprintf(&series, "time,%s\n", column)
	for i := range 240 {
		depth := fmt.Sprint(int(14 + 12*math.Sin(float64(i)/17)))
		switch {
		case i > 60 && i < 70:
			depth = "160"
		case i > 100 && i < 106:
			depth = ""
		case i > 180:
			depth = "0"
		}
		fmt.Fprintf(&series, "%dm,%s\n", i, depth)
	}
	return series.String()
}

func reported(t *testing.T, manifest, series string, flags ...string) string {
	t.Helper()
	code, page, problems := leda(t, manifest, series, append(flags, "-o", "html")...)
	if code != exitFine {
		t.Fatalf("exit %d: %s", code, problems)
	}
	return page
}

// Whoever opens the page need not trust the names in the data, nor the network.
func TestReportIsSelfContained(t *testing.T) {
	page := reported(t, object("", nastyQueue), afternoon(nasty), "-vs", "keda", "-rate", "0.1")
	for _, row := range []struct {
		rule, pattern string
		want          int
	}{
		{"what is in the data ends no script", `(?i)</script`, 3},
		{"and makes no element", `(?i)<img`, 0},
		{"the page allows nothing but its own two scripts and its style", `Content-Security-Policy" content="default-src &#39;none&#39;; script-src &#39;sha256-[^ ]+&#39; &#39;sha256-[^ ]+&#39;; style-src &#39;sha256-[^ ]+&#39;;`, 1},
		{"the library's licence is there", `Permission is hereby granted, free of charge`, 1},
		{"the model is said to be one", `A model closes the loop`, 1},
		{"the trigger is named as text", `s: 5 a replica`, 0},
		{"as text with its markup escaped", `&lt;/script&gt;&lt;img src=x onerror=alert\(1\)&gt;: 5 a replica`, 2},
	} {
		if got := len(regexp.MustCompile(row.pattern).FindAllString(page, -1)); got != row.want {
			t.Errorf("%s: found %q %d times, want %d", row.rule, row.pattern, got, row.want)
		}
	}
}

// browser is a page open in a real Chromium.
type browser struct {
	*testing.T
	ctx      context.Context
	requests []string
	errors   []string
}

func open(t *testing.T, html string) *browser {
	t.Helper()
	program := chromium()
	if program == "" {
		const text = "no Chromium: nobody has looked whether the report draws, answers the keyboard and prints; install chromium or google-chrome"
		if os.Getenv("LEDA_BROWSER") == "required" {
			t.Fatal(text)
		}
		t.Skip(text)
	}
	file := filepath.Join(t.TempDir(), "report.html")
	if err := os.WriteFile(file, []byte(html), 0o600); err != nil {
		t.Fatal(err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.DisableGPU)
	if os.Geteuid() == 0 { // as it wants it
		options = append(options, chromedp.NoSandbox)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	b := &browser{T: t, ctx: ctx}
	chromedp.ListenTarget(ctx, func(event any) { // called one at a time, before what is awaited returns
		switch e := event.(type) {
		case *network.EventRequestWillBeSent:
			b.requests = append(b.requests, e.Request.URL)
		case *runtime.EventExceptionThrown:
			b.errors = append(b.errors, e.ExceptionDetails.Error())
		case *log.EventEntryAdded:
			b.errors = append(b.errors, e.Entry.Text)
		}
	})
	b.do(network.Enable(), log.Enable(), emulation.SetDeviceMetricsOverride(1000, 800, 1, false), chromedp.Navigate("file://"+file), painted())
	return b
}

func chromium() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "headless_shell"} {
		if program, err := exec.LookPath(name); err == nil {
			return program
		}
	}
	return ""
}

// painted waits until the page shows a decision, and has painted.
func painted() chromedp.Action {
	return chromedp.Tasks{
		chromedp.WaitVisible("#readout b"),
		chromedp.ActionFunc(func(ctx context.Context) error {
			return chromedp.Evaluate(`new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))`, nil,
				func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }).Do(ctx)
		}),
	}
}

func (b *browser) do(actions ...chromedp.Action) {
	b.Helper()
	if err := chromedp.Run(b.ctx, actions...); err != nil {
		b.Fatal(err)
	}
}

// asks returns what an expression gives in the page, as text.
func (b *browser) asks(expression string) string {
	b.Helper()
	var answer string
	b.do(chromedp.Evaluate("String("+expression+")", &answer))
	return answer
}

func (b *browser) want(rule, expression, want string) {
	b.Helper()
	if got := b.asks(expression); got != want {
		b.Errorf("%s: %s is %q, want %q", rule, expression, got, want)
	}
}

// picture is for people.
func (b *browser) picture(name string) {
	b.Helper()
	if *pictures == "" {
		return
	}
	var png []byte
	b.do(chromedp.FullScreenshot(&png, 100))
	if err := os.WriteFile(filepath.Join(*pictures, name+".png"), png, 0o600); err != nil {
		b.Error(err)
	}
}

const (
	moment  = `document.querySelector("#readout b").textContent`
	scrolls = `document.documentElement.scrollWidth > document.documentElement.clientWidth`
)

func TestReportInABrowser(t *testing.T) {
	b := open(t, reported(t, object("", nastyQueue), afternoon(nasty), "-vs", "keda"))
	b.want("names are text", `document.querySelectorAll("img").length`, "0")
	b.want("names are text", `document.querySelector(".panel h3").firstChild.textContent`, nasty)
	b.want("a panel for the trigger and one for each policy", `document.querySelectorAll("canvas").length`, "3")
	b.want("the cursor begins at the first look", moment, "2026-01-05 00:00:00")
	b.picture("light")

	b.do(chromedp.Focus("#whole"), chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(kb.Tab))
	b.want("the charts are reached with the Tab key", `document.activeElement.id`, "charts")
	b.do(chromedp.KeyEvent(kb.ArrowRight), chromedp.KeyEvent(kb.ArrowRight))
	b.want("→ is the next look", moment, "2026-01-05 00:02:00")
	b.do(chromedp.KeyEvent(kb.ArrowRight, chromedp.KeyModifiers(input.ModifierShift)))
	b.want("shift → is the next change", `[...document.querySelectorAll("#readout p")].some(p => p.textContent.includes(" → "))`, "true")
	b.want("it says why", `/5 a replica = .*within 1…5/.test(document.getElementById("readout").textContent)`, "true")
	b.do(chromedp.KeyEvent(kb.End))
	b.want("End is the last look", moment, "2026-01-05 03:59:00")
	b.do(chromedp.KeyEvent("+"), painted())
	b.picture("zoomed")
	b.do(chromedp.KeyEvent("0"), chromedp.KeyEvent(kb.Home), painted())

	b.do(chromedp.MouseEvent(input.MouseMoved, 500, 1))
	var x, y float64
	b.do(chromedp.ScrollIntoView(".u-over"),
		chromedp.Evaluate(`document.querySelector(".u-over").getBoundingClientRect().left + document.querySelector(".u-over").clientWidth / 2`, &x),
		chromedp.Evaluate(`document.querySelector(".u-over").getBoundingClientRect().top + 60`, &y),
		chromedp.ActionFunc(func(ctx context.Context) error { return input.DispatchMouseEvent(input.MouseMoved, x, y).Do(ctx) }), painted())
	b.want("pointing at the middle shows the middle", moment+".slice(0, 13)", "2026-01-05 01")

	shot := `[...document.querySelectorAll("canvas")].map(c => c.toDataURL()).join(" ")`
	before := strings.Split(b.asks(shot), " ")
	mouse := func(kind input.MouseType, dx float64) chromedp.Action {
		return chromedp.ActionFunc(func(ctx context.Context) error {
			return input.DispatchMouseEvent(kind, x+dx, y).WithButton(input.Left).WithClickCount(1).Do(ctx)
		})
	}
	b.do(mouse(input.MousePressed, 0), mouse(input.MouseMoved, 40), mouse(input.MouseMoved, 90), mouse(input.MouseReleased, 90), painted())
	for i, after := range strings.Split(b.asks(shot), " ") {
		if after == before[i] {
			t.Errorf("dragging over one chart does not zoom chart %d", i)
		}
	}
	b.do(chromedp.Click("#whole"), painted())
	for i, after := range strings.Split(b.asks(shot), " ") {
		if after != before[i] {
			t.Errorf("the whole time is not as it was, in chart %d", i)
		}
	}

	b.want("the table has changes, each with its reason", `document.querySelectorAll("#rows tr").length > 5 && [...document.querySelectorAll("#rows tr")].every(r => r.cells[1].textContent.includes("→") && r.cells[3].textContent)`, "true")
	show := func(which string) chromedp.Action {
		return chromedp.Tasks{chromedp.SetValue("#which", which), chromedp.Evaluate(`document.getElementById("which").dispatchEvent(new Event("change"))`, nil)}
	}
	b.do(show("all"))
	b.want("or every look, in pages", `document.getElementById("place").textContent`, "1–100 of 480")
	b.do(chromedp.Click("#forth"))
	b.want("the next page", `document.getElementById("place").textContent`, "101–200 of 480")
	b.do(chromedp.Click("#rows button"), painted())
	b.want("a time in the table moves the cursor there", moment+` === document.querySelector("#rows button").textContent`, "true")

	b.do(show("changes"), chromedp.Evaluate(`scrollTo(0, 0)`, nil))
	light := b.asks(`getComputedStyle(document.body).backgroundColor`)
	b.do(emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}), painted())
	if dark := b.asks(`getComputedStyle(document.body).backgroundColor`); dark == light {
		t.Errorf("dark is as light: %s", dark)
	}
	b.picture("dark")
	for _, width := range []int64{320, 390} {
		b.do(emulation.SetDeviceMetricsOverride(width, 800, 2, true), painted())
		b.want(fmt.Sprintf("nothing scrolls sideways at %d pixels", width), scrolls, "false")
		b.want("the charts are as wide as the page", `Math.abs(document.querySelector(".uplot").clientWidth - document.getElementById("charts").clientWidth) <= 1`, "true")
	}
	b.picture("phone")

	var pdf []byte
	b.do(chromedp.ActionFunc(func(ctx context.Context) (err error) {
		pdf, _, err = page.PrintToPDF().Do(ctx)
		return err
	}))
	if !strings.HasPrefix(string(pdf), "%PDF") {
		t.Error("it does not print")
	}
	if *pictures != "" {
		if err := os.WriteFile(filepath.Join(*pictures, "print.pdf"), pdf, 0o600); err != nil {
			t.Error(err)
		}
	}
	if len(b.requests) != 1 || len(b.errors) > 0 {
		t.Errorf("loaded %q and complained %q, want the page alone and no complaint", b.requests, b.errors)
	}
}

// One look among a hundred thousand is seen, where a hundred of them share a column of pixels.
func TestReportHidesNoSpike(t *testing.T) {
	var series strings.Builder
	series.WriteString("time,s0\n")
	for i := range 100_000 {
		depth := 20 + i*7%30
		if i == 61_803 {
			depth = 900
		}
		fmt.Fprintf(&series, "%ds,%d\n", i*15, depth)
	}
	began := time.Now()
	html := reported(t, object("", oneQueue), series.String())
	written := time.Now()
	b := open(t, html)
	t.Logf("%d bytes, written in %v, started Chromium and drawn in %v", len(html), written.Sub(began), time.Since(written))
	b.picture("spike")
	var took float64
	b.do(chromedp.Evaluate(`new Promise(done => { const began = performance.now(); document.getElementById("closer").click(); document.getElementById("whole").click(); setTimeout(() => done(performance.now() - began)); })`, &took,
		func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }), painted())
	t.Logf("all of it drawn anew in %.0f ms", took)
	// The topmost pixel that is neither paper nor grid, in each column.
	const top = `(() => {
		const canvas = document.querySelector("canvas"), {width, height} = canvas, pixels = canvas.getContext("2d").getImageData(0, 0, width, height).data;
		const found = [];
		for (let x = 60; x < width - 5; x++) for (let y = 0; y < height; y++) {
			const i = (y * width + x) * 4;
			if (pixels[i + 3] > 60 && pixels[i + 2] - pixels[i] > 80) { if (y < height / 3) found.push(x); break; }
		}
		return found.length ? Math.round(100 * (found[0] - 53) / (width - 53)) : "nowhere";
	})()`
	got := b.asks(top)
	if got != "61" && got != "60" {
		t.Errorf("the spike, at 61.8 %% of the time, is seen at %s %% of the width", got)
	}
}

// The library that is embedded is the one that vendor.sh would fetch.
func TestUplotIsTheVersionItSays(t *testing.T) {
	script, err := os.ReadFile("report/uplot/vendor.sh")
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`(?m)^version=(.+)$`).FindSubmatch(script)
	if version == nil || !strings.Contains(uplotJS[:200], "(v"+string(version[1])+")") {
		t.Errorf("vendor.sh fetches %q, embedded is %.80s", version, uplotJS)
	}
}
