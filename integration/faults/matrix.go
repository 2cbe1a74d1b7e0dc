package main

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

// dependency is something that the function asks.
type dependency struct {
	name   string
	kind   kind
	by     through // how the victim reads
	cold   bool    // only a new process asks it
	shared bool    // near is in the same boat
	grows  bool    // the victim is to grow, else to shrink
	verb   bool    // one kind of request to the API server, and not its connections
	says   string  // how the victim's line names it
	edge   func(*world) *edge
	faulty func(*world) func(*http.Request) bool
}

type kind int

const (
	ofAWS kind = iota
	ofEKS
	ofKubernetes
)

// refuse is an error as the dependency writes it.
func (d dependency) refuse(w http.ResponseWriter, status int, code, text string) {
	if d.kind == ofKubernetes {
		kubernetesRefuses(w, status, text)
		return
	}
	service := "json"
	if d.name == "STS AssumeRole" {
		service = "sts"
	}
	(&refusal{status, code, text}).write(w, service)
}

func dependencies() []dependency {
	api := func(w *world) *edge { return w.api }
	request := func(verb string, path func(*world, string) string) func(*world) func(*http.Request) bool {
		return func(w *world) func(*http.Request) bool {
			return func(r *http.Request) bool { return r.Method == verb && r.URL.Path == path(w, "victim") }
		}
	}
	return []dependency{
		{name: "SQS", by: throughSQS, says: `read depth of queue "victim"`, edge: func(w *world) *edge { return w.victimSQS }},
		{name: "CloudWatch", by: throughCloudWatch, says: `read CloudWatch metric Shop Orders`, edge: func(w *world) *edge { return w.cloudWatch }},
		{name: "STS AssumeRole", by: throughRole, cold: true, says: `assume role arn:aws:iam::000000000000:role/reader`, edge: func(w *world) *edge { return w.sts }},
		{name: "EKS DescribeCluster", kind: ofEKS, by: throughSQS, cold: true, shared: true, says: `describe EKS cluster here|being tried again`, edge: func(w *world) *edge { return w.eks }},
		{name: "API server", kind: ofKubernetes, by: throughSQS, shared: true, says: `read the scale of Deployment|read memory`, edge: api},
		{name: "GET scale", kind: ofKubernetes, by: throughSQS, verb: true, says: `read the scale of Deployment`, edge: api, faulty: request(http.MethodGet, (*world).scalePath)},
		{name: "PUT scale", kind: ofKubernetes, by: throughSQS, verb: true, says: `set Deployment \S+ to 1 replicas`, edge: api, faulty: request(http.MethodPut, (*world).scalePath)},
		{name: "memory read", kind: ofKubernetes, by: throughSQS, verb: true, cold: true, says: `read memory|read the scale of Deployment`, edge: api, faulty: request(http.MethodGet, (*world).memoryPath)},
		{name: "memory write", kind: ofKubernetes, by: throughSQS, verb: true, says: `store memory|read memory`, edge: api, faulty: request(http.MethodPut, (*world).memoryPath)},
		{name: "memory write, growing", kind: ofKubernetes, by: throughSQS, verb: true, grows: true, says: `store memory|read memory|wait for memory`, edge: api, faulty: request(http.MethodPut, (*world).memoryPath)},
	}
}

// applies says whether a cell makes sense: a single kind of request has no connection and no clock of its own.
func (d dependency) applies(f fault) bool {
	return (!d.verb || f.answer != nil) && (f.clock == 0 || d.name != "STS AssumeRole") // EKS is asked before it, by the same clock
}

// cell is one fault of one dependency, and what came of it.
type cell struct {
	dependency
	fault
	repeats  int // looks under it, to see what leaks
	outcome  string
	took     time.Duration
	injected int64 // requests that met the fault
	problems []string
}

func (c *cell) String() string { return c.name() + ", " + c.fault.name }

func (c *cell) problem(format string, args ...any) {
	c.problems = append(c.problems, fmt.Sprintf(format, args...))
}

const (
	sizeBefore = 5
	sizeSmall  = 1
	sizeLarge  = 10

	// enough is how long a look at a healthy target may take on a busy machine, and wholeLook one that takes all
	// its time: 10 s, and as much again for a machine with other things to do.
	enough    = 5 * time.Second
	wholeLook = 20 * time.Second

	// anew is after how long EKS is asked for a cluster's address again.
	anew = 15 * time.Second
)

// run plays one cell in a world.
func (c *cell) run(ctx context.Context, w *world) error {
	repeats := c.repeats
	if err := w.write(c.by); err != nil {
		return err
	}
	if err := w.begin(ctx); err != nil {
		return err
	}
	if err := w.restart(ctx); err != nil {
		return err
	}
	if !c.cold {
		if _, err := w.look(ctx, "victim", "near", "far"); err != nil {
			return fmt.Errorf("%w: %w", errWorld, err)
		}
	}
	heal, err := c.inject(w)
	if err != nil {
		return err
	}
	want := int32(sizeSmall)
	if c.grows {
		want = sizeLarge
	}
	w.work(int(5 * want))
	if err := c.lookFaulty(ctx, w, want); err != nil {
		return err
	}
	baseline := w.fn.use()
	for n := range repeats {
		if c.took > time.Second {
			break
		}
		if _, err := w.look(ctx, "victim"); err != nil {
			c.problem("look %d under the fault: %v", n, err)
			break
		}
		if n == repeats/2 {
			baseline = w.fn.use()
		}
	}
	if now := w.fn.use(); now.resident > baseline.resident+24<<20 { // each look of a huge answer that stayed would be more
		c.problem("memory grew from %d to %d MiB", baseline.resident>>20, now.resident>>20)
	}
	c.injected = c.edge(w).hit.Load()
	if c.spoil != nil {
		c.injected = 1 + int64(repeats)
	}
	if err := heal(); err != nil {
		return err
	}
	if err := c.recovers(ctx, w, want); err != nil {
		return err
	}
	return c.leavesNothing(ctx, w)
}

func (c *cell) inject(w *world) (heal func() error, err error) {
	if c.spoil != nil {
		return c.spoil(w, c.dependency)
	}
	e := c.edge(w)
	answer := c.answer(c.dependency)
	if answer == nil {
		answer = redirect(w.trap.url())
	}
	var faulty func(*http.Request) bool
	if c.faulty != nil {
		faulty = c.faulty(w)
	}
	e.fail(answer, faulty)
	return func() error { e.fail(nil, nil); return nil }, nil
}

// lookFaulty looks once at all targets under the fault, and judges what came of it.
func (c *cell) lookFaulty(ctx context.Context, w *world, want int32) error {
	logged := len(w.fn.log(0))
	began := time.Now()
	r, err := w.look(ctx, "victim", "near", "far")
	c.took = time.Since(began)
	if err != nil {
		c.problem("the invocation failed: %v", err)
		return nil
	}
	if c.took > wholeLook {
		c.problem("it took %s", c.took)
	}
	for _, other := range []string{"near", "far"} {
		if other == "near" && (c.shared || c.verb && c.cold && c.heavy) {
			continue // where the very first request hangs, nothing is known of the cluster
		}
		size, err := w.size(ctx, other)
		if err != nil {
			return err
		}
		line, told := w.fn.line(logged, w.target(other))
		switch {
		case size != want:
			c.problem("%s has %d replicas, want %d as without the fault: %s", other, size, want, r.of(w.target(other)).says())
		case !told:
			c.problem("%s has no line", other)
		case time.Duration(line.TookMS)*time.Millisecond > enough:
			c.problem("%s waited %d ms", other, line.TookMS)
		}
	}
	size, err := w.size(ctx, "victim")
	if err != nil {
		return err
	}
	line, told := w.fn.line(logged, w.target("victim"))
	c.judge(size, want, line, told)
	if c.edge(w).hit.Load() == 0 && c.spoil == nil {
		c.problem("the fault was met by nobody")
	}
	if n := w.trap.asked.Load(); n > 0 {
		c.problem("%d requests followed the redirection", n)
	}
	return nil
}

// judge compares the victim's size and line with what is expected.
func (c *cell) judge(size, want int32, line decision, told bool) {
	said := line.says()
	expects := c.expects(c.dependency)
	if expects == either {
		expects = held
		if size == want && said == "" {
			expects = served
		}
	}
	if expects == served {
		c.outcome = "served"
		if size != want || said != "" {
			c.problem("the victim has %d replicas, want %d within the look: %s", size, want, said)
		}
		return
	}
	c.outcome = "held"
	switch {
	case c.grows:
		if c.outcome = "grew"; size != want {
			c.problem("the victim has %d replicas, want %d, since growth waits for no memory: %s", size, want, said)
		}
	case size == want && c.name() == "PUT scale" && said != "":
		c.outcome = "unheard" // it was set, and the answer was lost
	case size != sizeBefore:
		c.problem("the victim has %d replicas, want %d as before: %s", size, sizeBefore, said)
	}
	switch {
	case !told:
		c.problem("the victim has no line")
	case !regexp.MustCompile(c.dependency.says).MatchString(said):
		c.problem("the line does not name what failed (%s): %q", c.dependency.says, said)
	case !regexp.MustCompile(c.fault.says).MatchString(said):
		c.problem("the line does not say what happened (%s): %q", c.fault.says, said)
	}
}

func (c *cell) name() string { return c.dependency.name }

// recovers looks at the victim after the fault: the first look must do what is to be done.
func (c *cell) recovers(ctx context.Context, w *world, want int32) error {
	patience := time.Duration(0)
	if c.kind == ofEKS || c.kind == ofKubernetes && c.spoil != nil {
		patience = anew + enough // EKS is not asked more often
	}
	ctx, cancel := context.WithTimeout(ctx, patience+2*wholeLook)
	defer cancel()
	again := time.NewTicker(time.Second) // the function's own patience ends by time, and it tells nobody
	defer again.Stop()
	for began := time.Now(); ; {
		r, err := w.look(ctx, "victim", "near")
		if err != nil {
			c.problem("the look after the fault failed: %v", err)
			return nil
		}
		size, err := w.size(ctx, "victim")
		if err != nil {
			return err
		}
		said := r.of(w.target("victim")).says()
		if size == want && said == "" {
			break
		}
		if time.Since(began) > patience {
			c.problem("after the fault the victim has %d replicas, want %d: %s", size, want, said)
			return nil
		}
		<-again.C
	}
	// What was sent under the fault may arrive only now, and must not undo anything.
	w.work(5 * (sizeLarge + 2))
	if _, err := w.look(ctx, "victim"); err != nil {
		c.problem("the second look after the fault failed: %v", err)
		return nil
	}
	c.edge(w).busy.Wait()
	size, err := w.size(ctx, "victim")
	if err == nil && size != sizeLarge+2 {
		c.problem("in the end the victim has %d replicas, want %d", size, sizeLarge+2)
	}
	return err
}

// leavesNothing checks what the process holds, and what it has said.
func (c *cell) leavesNothing(ctx context.Context, w *world) error {
	open := 0
	for _, e := range w.edges() {
		open += e.open()
	}
	if u := w.fn.use(); u.peak > 100<<20 || u.files > 48 || open > 32 {
		c.problem("it used %d MiB at most, holds %d files and %d connections", u.peak>>20, u.files, open)
	}
	all, left := w.fn.goroutines()
	if len(left) > 0 || all > 80 {
		c.problem("%d goroutines are left, of Leda's: %s", all, strings.Join(left, "\n\n"))
	}
	shown := append(w.fn.log(0), w.fn.stderr.String())
	memory, err := w.plane.ask(ctx, http.MethodGet, w.memoryPath("victim"), "", nil)
	if err != nil {
		return err
	}
	events, err := w.plane.ask(ctx, http.MethodGet, "/api/v1/namespaces/"+w.namespace("victim")+"/events", "", nil)
	if err != nil {
		return err
	}
	for _, text := range append(shown[:len(shown)-1], string(memory), string(events)) {
		if canary := leaked(text); canary != "" {
			c.problem("%.8s… is in %.300s", canary, text)
			break
		}
	}
	if long := slices.IndexFunc(shown, func(line string) bool { return len(line) > 16<<10 }); long >= 0 && long < len(shown)-1 {
		c.problem("a line has %d bytes: %.100s", len(shown[long]), shown[long])
	}
	if strings.Contains(shown[len(shown)-1], "panic") || slices.ContainsFunc(shown, func(s string) bool { return strings.Contains(s, "a fault in Leda") }) {
		c.problem("it panicked")
	}
	return nil
}

// leaked returns a canary that is in a text.
func leaked(text string) string {
	for _, canary := range []string{canarySecret, canarySession, canaryRole, ledaToken, "k8s-aws-v1.", "canary-external-id", "X-Amz-Signature"} {
		if strings.Contains(text, canary) {
			return canary
		}
	}
	return ""
}

// quick picks a cell of each fault or two, the next fault's at the next dependencies.
func quick(all []*cell) []*cell {
	var picked []*cell
	of := dependencies()
	for i, f := range faults() {
		row := slices.DeleteFunc(slices.Clone(all), func(c *cell) bool { return c.fault.name != f.name })
		for n := range min(len(row), 2) {
			want := of[(i+n*len(of)/2)%len(of)].name
			at := max(0, slices.IndexFunc(row, func(c *cell) bool { return c.name() == want }))
			if n == 0 || !f.heavy && i%2 == 0 && row[at] != picked[len(picked)-1] {
				picked = append(picked, row[at])
			}
		}
	}
	return picked
}

func cells(repeats int) []*cell {
	var all []*cell
	for _, f := range faults() {
		for _, d := range dependencies() {
			if d.applies(f) {
				all = append(all, &cell{dependency: d, fault: f, repeats: repeats})
			}
		}
	}
	return all
}
