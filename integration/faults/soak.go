package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/leda-autoscaler/leda/scaling"
)

// soak is hours in minutes: the function built with a clock that the test sets, ticks one after the other, random
// loads and faults, and processes that end and begin. Each pass, a reference decides on the same readings, and
// every size must be the one that it comes to.
type soak struct {
	program string // built with a clock
	passes  int
	seed    uint64

	random  *rand.Rand
	clock   time.Time
	targets []*soaked

	faults   map[string]int // injected, by kind
	decided  int            // looks that the reference decided on too
	resized  int
	restarts int
	slow     int // looks that this machine was too slow for: what became of their writes only the next process knows
	resync   bool
	passed   time.Duration // on the clock
	memory   [2]int64      // resident, a third through the last process and at its end
	problems []string
}

// soaked is a target with what the reference knows of it.
type soaked struct {
	*scaling.ScaledObject
	load   float64
	size   int32
	exact  scaling.Memory // what the process knows
	stored scaling.Memory // what it wrote
	due    time.Time      // policy keda's next look
}

func (s *soak) String() string { return "soak" }

// soakObjects cover both policies, windows, steps, sleep, idling and fallback.
const soakObjects = `
{name: direct, spec: {minReplicaCount: 1, maxReplicaCount: 30}}
{name: asleep, spec: {minReplicaCount: 0, maxReplicaCount: 30, cooldownPeriod: 120}}
{name: idle, spec: {idleReplicaCount: 0, minReplicaCount: 2, maxReplicaCount: 9, cooldownPeriod: 60}}
{name: steps, spec: {minReplicaCount: 1, maxReplicaCount: 30, advanced: {horizontalPodAutoscalerConfig: {behavior: {scaleUp: {stabilizationWindowSeconds: 30, policies: [{type: Pods, value: 3, periodSeconds: 60}]}, scaleDown: {stabilizationWindowSeconds: 60, policies: [{type: Percent, value: 20, periodSeconds: 60}, {type: Pods, value: 2, periodSeconds: 90}], selectPolicy: Min}}}}}}
{name: stand-in, spec: {minReplicaCount: 1, maxReplicaCount: 30, fallback: {failureThreshold: 2, replicas: 6}, advanced: {horizontalPodAutoscalerConfig: {behavior: {scaleDown: {stabilizationWindowSeconds: 0}}}}}}
{name: keda, policy: keda, spec: {minReplicaCount: 0, maxReplicaCount: 30, cooldownPeriod: 90, pollingInterval: 10}}
{name: keda-steps, policy: keda, spec: {minReplicaCount: 1, maxReplicaCount: 30, pollingInterval: 5, advanced: {horizontalPodAutoscalerConfig: {behavior: {scaleDown: {stabilizationWindowSeconds: 30}}}}}}
`

// buildWithClock builds the function with a clock that is read from a file.
func buildWithClock(ctx context.Context, root, folder string) (program string, err error) {
	const clock = "func now() time.Time { return time.Now() }"
	main := filepath.Join(root, "lambda", "main.go")
	text, err := os.ReadFile(main)
	if err != nil {
		return "", err
	}
	if !bytes.Contains(text, []byte(clock)) {
		return "", fmt.Errorf("%w: %s has no line %q", errWorld, main, clock)
	}
	changed := strings.Replace(string(text), clock, `func now() time.Time {
	text, err := os.ReadFile(os.Getenv("LEDA_CLOCK"))
	if err != nil {
		panic(err)
	}
	var at time.Time
	if err := at.UnmarshalText(text); err != nil {
		panic(err)
	}
	return at
}`, 1)
	replaced, overlay := filepath.Join(folder, "main.go"), filepath.Join(folder, "overlay.json")
	if err := os.WriteFile(replaced, []byte(changed), 0o600); err != nil {
		return "", err
	}
	list, err := json.Marshal(map[string]map[string]string{"Replace": {main: replaced}})
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(overlay, list, 0o600); err != nil {
		return "", err
	}
	program = filepath.Join(folder, "bootstrap-with-clock")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-overlay", overlay, "-ldflags=-s -w", "-tags", "lambda.norpc", "-o", program, "./lambda")
	cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if printed, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the function with a clock: %w\n%s", err, printed)
	}
	return program, nil
}

func (s *soak) problem(format string, args ...any) {
	s.problems = append(s.problems, fmt.Sprintf(format, args...))
}

const (
	soakNamespace = "soak"

	// moment is how long a tick waits for a look at most: early of package lambda.
	moment = 5 * time.Second

	// patience is how long an invocation may take. None waits for anything here.
	patience = time.Minute
)

// fleet is what the function is started with.
func (s *soak) fleet(w *world) (scaling.Fleet, error) {
	fleet := scaling.Fleet{Looks: scaling.Looks{OncePerTick: true}, Clusters: []scaling.Cluster{{Name: "here", Region: region}}}
	own := `{"apiVersion":"keda.sh/v1alpha1","kind":"TriggerAuthentication","metadata":{"name":"own","namespace":"soak"},"spec":{"podIdentity":{"provider":"aws"}}}`
	fleet.Objects = append(fleet.Objects, json.RawMessage(own))
	for line := range strings.SplitSeq(strings.TrimSpace(soakObjects), "\n") {
		var o struct {
			Name, Policy string
			Spec         map[string]any
		}
		if err := yaml.Unmarshal([]byte(line), &o); err != nil {
			return fleet, err
		}
		annotations := map[string]string{}
		if o.Policy != "" {
			annotations["leda.dev/policy"] = o.Policy
		}
		o.Spec["scaleTargetRef"] = map[string]string{"name": o.Name}
		o.Spec["triggers"] = []any{map[string]any{
			"type": "aws-sqs-queue", "authenticationRef": map[string]string{"name": "own"},
			"metadata": map[string]string{"queueURL": o.Name, "awsRegion": region, "awsEndpoint": w.victimSQS.url(), "queueLength": "5"},
		}}
		object, err := json.Marshal(map[string]any{
			"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "spec": o.Spec,
			"metadata": map[string]any{"name": o.Name, "namespace": soakNamespace, "annotations": annotations},
		})
		if err != nil {
			return fleet, err
		}
		fleet.Objects = append(fleet.Objects, object)
	}
	return fleet, nil
}

// prepare makes the targets.
func (s *soak) prepare(ctx context.Context, w *world) error {
	fleet, err := s.fleet(w)
	if err != nil {
		return err
	}
	parsed, err := fleet.Targets()
	if err != nil {
		return fmt.Errorf("%w: %w", errWorld, err)
	}
	text, err := json.Marshal(fleet)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(w.folder, "leda.json"), text, 0o600); err != nil {
		return err
	}
	if err := w.plane.apply(ctx, "/api/v1/namespaces", map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]string{"name": soakNamespace}}); err != nil {
		return err
	}
	for i := range parsed.ScaledObjects {
		o := &parsed.ScaledObjects[i]
		s.targets = append(s.targets, &soaked{ScaledObject: o, size: 1})
		if err := w.plane.apply(ctx, "/apis/apps/v1/namespaces/"+soakNamespace+"/deployments", deployment(o.Name)); err != nil {
			return err
		}
	}
	if err := w.plane.applyRights(ctx, parsed.ScaledObjects); err != nil {
		return err
	}
	return w.plane.awaitRights(ctx, soakScale(s.targets[0].Name))
}

func soakScale(name string) string {
	return "/apis/apps/v1/namespaces/" + soakNamespace + "/deployments/" + name + "/scale"
}

const soakMemory = "/api/v1/namespaces/" + soakNamespace + "/configmaps/leda-memory-0"

// plan is what fails in one pass.
type plan struct {
	readings, scaleReads, scaleWrites, lost map[string]bool // by target; lost: set, and the answer with it
	memory                                  bool            // every write of it
}

func (s *soak) draw() plan {
	p := plan{readings: map[string]bool{}, scaleReads: map[string]bool{}, scaleWrites: map[string]bool{}, lost: map[string]bool{}, memory: s.random.Float64() < 0.05}
	for _, t := range s.targets {
		for _, fault := range []struct {
			of     map[string]bool
			chance float64
		}{{p.readings, 0.1}, {p.scaleReads, 0.03}, {p.scaleWrites, 0.04}, {p.lost, 0.03}} {
			if s.random.Float64() < fault.chance {
				fault.of[t.Name] = true
			}
		}
		switch s.random.IntN(12) { // bursts, droughts, and drifting
		case 0:
			t.load = float64(s.random.IntN(200))
		case 1:
			t.load = 0
		default:
			t.load = max(0, t.load+float64(s.random.IntN(21)-10))
		}
	}
	return p
}

// run plays the passes.
func (s *soak) run(ctx context.Context, w *world) error {
	s.random, s.faults = rand.New(rand.NewPCG(s.seed, 1)), map[string]int{}
	// Ahead of the real time: a deadline that comes later than Lambda's is none.
	s.clock = time.Now().Add(24 * time.Hour).Truncate(time.Millisecond)
	w.aws.set(func() { w.aws.anytime = true })
	if err := s.prepare(ctx, w); err != nil {
		return err
	}
	began := s.clock
	calm := s.passes - s.passes/5 // from there on one process, to see what it keeps
	for n := range s.passes {
		s.clock = s.clock.Add(time.Duration(1+s.random.IntN(20)) * time.Second)
		s.skipWaits()
		if err := s.tell(w); err != nil {
			return err
		}
		if n == 0 || n <= calm && s.random.IntN(40) == 0 || n == calm || s.resync {
			s.resync = false
			if err := s.restart(ctx, w); err != nil {
				return err
			}
		}
		if err := s.pass(ctx, w); err != nil {
			return fmt.Errorf("pass %d: %w", n, err)
		}
		switch {
		case len(s.problems) > 5:
			return nil
		case n == calm+(s.passes-calm)/3:
			s.memory[0] = w.fn.use().resident
		}
	}
	s.memory[1], s.passed = w.fn.use().resident, s.clock.Sub(began)
	if s.slow > max(5, s.decided/50) {
		s.problem("%d of %d looks ran out of time", s.slow, s.decided)
	}
	if s.memory[1] > s.memory[0]+8<<20 {
		s.problem("memory grew from %d to %d MiB in the last process", s.memory[0]>>20, s.memory[1]>>20)
	}
	if u := w.fn.use(); u.files > 48 {
		s.problem("it holds %d files", u.files)
	}
	if all, left := w.fn.goroutines(); len(left) > 0 || all > 80 {
		s.problem("%d goroutines are left, of Leda's: %v", all, left)
	}
	return nil
}

// skipWaits moves the clock on to where no look is due a moment later: the function would wait for it, and its clock
// stands still.
func (s *soak) skipWaits() {
	slices.SortFunc(s.targets, func(a, b *soaked) int { return a.due.Compare(b.due) })
	for _, t := range s.targets {
		if t.Policy == scaling.PolicyKEDA && t.due.After(s.clock) && t.due.Sub(s.clock) <= moment {
			s.clock = t.due
		}
	}
}

func (s *soak) tell(w *world) error {
	text, err := s.clock.MarshalText()
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(w.folder, "clock"), text, 0o600)
}

// restart ends the process and starts another, which knows what is stored.
func (s *soak) restart(ctx context.Context, w *world) error {
	if w.fn != nil {
		w.fn.kill()
	}
	s.restarts++
	var err error
	w.fn, err = startFunction(ctx, s.program, w.folder, "LEDA_CLOCK="+filepath.Join(w.folder, "clock"), "AWS_ENDPOINT_URL_EKS="+w.eks.url())
	if err != nil {
		return err
	}
	stored, err := s.recall(ctx, w)
	if err != nil {
		return err
	}
	for _, t := range s.targets {
		t.exact, t.stored, t.due = stored[t.Name], stored[t.Name], time.Time{}
	}
	return nil
}

// recall reads what is stored.
func (s *soak) recall(ctx context.Context, w *world) (map[string]scaling.Memory, error) {
	answer, err := w.plane.ask(ctx, http.MethodGet, soakMemory, "", nil)
	if err != nil {
		return nil, err
	}
	var object struct{ Data map[string]string }
	if err := json.Unmarshal(answer, &object); err != nil {
		return nil, err
	}
	stored := map[string]scaling.Memory{}
	for name, text := range object.Data {
		if stored[name], err = scaling.ParseMemory(text); err != nil {
			return nil, fmt.Errorf("the memory that it wrote of %s cannot be read: %w", name, err)
		}
	}
	return stored, nil
}

// pass is one tick of the function and of the reference.
func (s *soak) pass(ctx context.Context, w *world) error {
	p := s.draw()
	w.aws.set(func() {
		for _, t := range s.targets {
			w.aws.depths[t.Name] = int(t.load)
		}
	})
	var mu sync.Mutex
	looked := map[string]bool{}
	w.victimSQS.fail(func(rw http.ResponseWriter, r *http.Request, healthy http.Handler, _ int64) {
		name := queueOf(r)
		mu.Lock()
		looked[name] = true
		mu.Unlock()
		if p.readings[name] {
			(&refusal{http.StatusForbidden, "AccessDenied", "not now"}).write(rw, "sqs")
			return
		}
		healthy.ServeHTTP(rw, r)
	}, nil)
	w.api.fail(func(rw http.ResponseWriter, r *http.Request, healthy http.Handler, _ int64) {
		name := strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, strings.TrimSuffix(soakScale(""), "/scale")), "/scale")
		switch {
		case r.Method == http.MethodPut && r.URL.Path == soakMemory && p.memory,
			r.Method == http.MethodGet && p.scaleReads[name],
			r.Method == http.MethodPut && p.scaleWrites[name]:
			kubernetesRefuses(rw, http.StatusInternalServerError, "not now")
		case r.Method == http.MethodPut && p.lost[name]:
			record(healthy, r.WithContext(context.WithoutCancel(r.Context())))
			panic(http.ErrAbortHandler)
		default:
			healthy.ServeHTTP(rw, r)
		}
	}, nil)
	logged := len(w.fn.log(0))
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if _, err := w.fn.invoke(limited, `{"tick":{"shard":0,"shards":1}}`); err != nil {
		return fmt.Errorf("a tick at %s: %w", s.clock.Format(time.TimeOnly), err)
	}
	stored, err := s.recall(ctx, w)
	if err != nil {
		return err
	}
	for _, t := range s.targets {
		size, err := sizeAt(ctx, w.plane, soakScale(t.Name))
		if err != nil {
			return err
		}
		if line, told := w.fn.line(logged, t.ID()); told && ranOutOfTime(line) {
			s.slow++
			s.resync = true
		} else if looked[t.Name] {
			s.refer(t, p, size, stored[t.Name])
		} else if size != t.size {
			s.problem("%s was not looked at, and went from %d to %d", t.Name, t.size, size)
		}
		t.size = size
	}
	for kind, n := range map[string]int{"readings": len(p.readings), "scale reads": len(p.scaleReads), "scale writes": len(p.scaleWrites), "answers of them": len(p.lost)} {
		s.faults[kind] += n
	}
	if p.memory {
		s.faults["memory writes"]++
	}
	return nil
}

// ranOutOfTime says whether a look failed by time, which no fault here takes.
func ranOutOfTime(d decision) bool {
	return strings.Contains(d.says(), "deadline exceeded") || strings.Contains(d.says(), "nothing came within")
}

func queueOf(r *http.Request) string {
	body, _ := io.ReadAll(r.Body) // it is in memory
	r.Body = io.NopCloser(bytes.NewReader(body))
	var asked struct {
		QueueURL string `json:"QueueUrl"`
	}
	_ = json.Unmarshal(body, &asked) // no such queue, then
	return asked.QueueURL
}

// refer decides on the same readings, and compares.
func (s *soak) refer(t *soaked, p plan, size int32, stored scaling.Memory) {
	if p.scaleReads[t.Name] { // nothing is decided
		t.due = s.clock.Add(t.PollingInterval)
		if size != t.size {
			s.problem("%s: its scale could not be read, and it went from %d to %d", t.Name, t.size, size)
		}
		return
	}
	trigger := &t.Triggers[0]
	reading := trigger.Reading(float64(int(t.load)))
	if p.readings[t.Name] {
		reading = trigger.Failed(errors.New("not now"))
	}
	d := scaling.Decide(t.ScaledObject, scaling.Observed{Replicas: t.size, Readings: []scaling.Reading{reading}, Memory: t.exact}, s.clock)
	s.decided++
	t.due = d.Next
	keeps := !d.Changed() && t.Covers(t.stored, d.Memory, s.clock)
	want := d.To
	switch {
	case d.Shrinks() && p.memory, d.Changed() && p.scaleWrites[t.Name]:
		want = t.size
	}
	if size != want {
		s.problem("%s at %s: it went from %d to %d, the reference to %d (%s): load %g, failed %v, memory fails %v, write fails %v, lost %v",
			t.Name, s.clock.Format(time.TimeOnly), t.size, size, want, d.Record().Why, t.load, p.readings[t.Name], p.memory, p.scaleWrites[t.Name], p.lost[t.Name])
	}
	if size != t.size {
		s.resized++
	}
	if size > t.MaxReplicaCount || size < t.Floor() && size < t.size {
		s.problem("%s: %d replicas are out of its bounds", t.Name, size)
	}
	switch grew := d.To > d.From && !p.scaleWrites[t.Name] && !p.lost[t.Name]; {
	case keeps:
		t.exact = d.Memory
	case p.memory: // nothing could be stored
	case grew && t.CountsGrowth():
		t.exact = d.MemoryAfter()
	default:
		t.exact = d.Memory
	}
	t.stored = stored
}

func sizeAt(ctx context.Context, plane *controlPlane, path string) (int32, error) {
	answer, err := plane.ask(ctx, http.MethodGet, path, "", nil)
	if err != nil {
		return 0, err
	}
	var scale struct{ Spec struct{ Replicas int32 } }
	return scale.Spec.Replicas, json.Unmarshal(answer, &scale)
}

func printSoak(out io.Writer, s *soak, took time.Duration) bool {
	var kinds []string
	for kind, n := range s.faults {
		kinds = append(kinds, strconv.Itoa(n)+" "+kind)
	}
	slices.Sort(kinds)
	outcome := "no drift"
	if len(s.problems) > 0 {
		outcome = "RED"
	}
	fmt.Fprintf(out, "soak: %d passes, %s on the clock, %d processes, %d looks as the reference, %d changes of size, %d MiB resident at the end, %d looks out of time: %s\n  failed: %s\n  in %s, seed %d\n\n",
		s.passes, s.passed, s.restarts, s.decided, s.resized, s.memory[1]>>20, s.slow, outcome, strings.Join(kinds, ", "), took.Round(time.Second), s.seed)
	return len(s.problems) == 0
}
