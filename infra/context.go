package infra

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Settings is what people choose: in the context of cdk.json, or with `cdk deploy -c key=value`.
// The zero value of a field stands for its default.
type Settings struct {
	// Cluster (cluster) is the name of the EKS cluster, in the stack's account and region. Required.
	Cluster string
	// ScaledObjects (scaledObjects) is the folder of ScaledObjects and TriggerAuthentications. Default: scaledobjects.
	ScaledObjects string
	// Queues (queues) are the names of the queues to make, each with a dead-letter queue NAME-dead. Queues that
	// exist already are only named in ScaledObjects. Default: none. With -c: names separated by commas.
	Queues []string
	// Architecture (architecture) is the function's: arm64 or x86_64. Default: arm64.
	Architecture string
	// Memory (memory) is the function's, in MB, 128 to 10240. Default: 128.
	Memory int
	// LogRetentionDays (logRetentionDays) is how long the function's log is kept. Default: 30.
	LogRetentionDays int
	// Alarms (alarms) says whether each SQS trigger has an alarm that wakes the function too.
	// Default (nil): true up to 100 triggers.
	Alarms *bool
}

// A problem is one setting that cannot be used.
type problem struct{ key, message string }

func (p problem) Error() string { return "context " + p.key + ": " + p.message }

// ReadContext reads the settings from a CDK app's whole context.
// The error has a line for every problem, each with the key, what was got and the way out.
func ReadContext(context map[string]any) (Settings, error) {
	r := contextReader{values: context, seen: map[string]bool{}, mistyped: map[string]bool{}}
	fallback := Settings{}.withDefaults()
	settings := Settings{
		Cluster:          r.text("cluster", ""),
		ScaledObjects:    r.text("scaledObjects", fallback.ScaledObjects),
		Queues:           r.list("queues"),
		Architecture:     r.text("architecture", fallback.Architecture),
		Memory:           r.number("memory", fallback.Memory),
		LogRetentionDays: r.number("logRetentionDays", fallback.LogRetentionDays),
		Alarms:           r.boolean("alarms"),
	}
	values := slices.DeleteFunc(settings.problems(), func(p problem) bool { return r.mistyped[p.key] })
	r.problems = append(r.problems, values...)
	r.refuseOthers()
	return settings, joined(r.problems)
}

func (s Settings) withDefaults() Settings {
	if s.ScaledObjects == "" {
		s.ScaledObjects = "scaledobjects"
	}
	if s.Architecture == "" {
		s.Architecture = "arm64"
	}
	if s.Memory == 0 {
		s.Memory = 128
	}
	if s.LogRetentionDays == 0 {
		s.LogRetentionDays = 30
	}
	return s
}

var (
	clusterName = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z_-]{0,99}$`)
	// newQueueName leaves room for the suffix -dead within the 80 characters of a queue's name.
	newQueueName = regexp.MustCompile(`^[0-9A-Za-z_-]{1,75}$`)
)

// logRetention is what CloudWatch Logs accepts, in days.
var logRetention = []int{1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}

// problems judges the values, whatever way they came.
func (s Settings) problems() []problem {
	var all []problem
	add := func(key, format string, args ...any) { all = append(all, problem{key, fmt.Sprintf(format, args...)}) }

	switch {
	case s.Cluster == "":
		add("cluster", "is required: the name of the EKS cluster, in cdk.json or with -c cluster=NAME")
	case !clusterName.MatchString(s.Cluster):
		add("cluster", "must be an EKS cluster's name (letters, digits, - and _, at most 100), got %q", s.Cluster)
	}
	if s.ScaledObjects == "" {
		add("scaledObjects", `must be a folder, got ""; leave it out for scaledobjects`)
	}
	names := map[string]bool{}
	for _, name := range s.Queues {
		switch {
		case strings.HasSuffix(name, ".fifo"):
			add("queues", "%q: FIFO queues are not made here; make the queue elsewhere and name it in the ScaledObject", name)
		case !newQueueName.MatchString(name):
			add("queues", "must be queue names (letters, digits, - and _, at most 75), got %q", name)
		case names[name] || names[deadLetters(name)]:
			add("queues", "%q is there twice, as a queue or as another's dead-letter queue; remove one", name)
		}
		names[name], names[deadLetters(name)] = true, true
	}
	if s.Architecture != "arm64" && s.Architecture != "x86_64" {
		add("architecture", "must be arm64 or x86_64, got %q", s.Architecture)
	}
	if s.Memory < 128 || s.Memory > 10240 {
		add("memory", "must be from 128 to 10240 MB, got %d", s.Memory)
	}
	if !slices.Contains(logRetention, s.LogRetentionDays) {
		add("logRetentionDays", "must be one of %s, got %d", strings.Trim(fmt.Sprint(logRetention), "[]"), s.LogRetentionDays)
	}
	return all
}

func joined(problems []problem) error {
	all := make([]error, len(problems))
	for i, p := range problems {
		all[i] = p
	}
	return errors.Join(all...)
}

// contextReader reads values that are typed in cdk.json and text when they come from -c.
type contextReader struct {
	values   map[string]any
	seen     map[string]bool
	mistyped map[string]bool // these have no value to judge
	problems []problem
}

func (r *contextReader) get(key string) (any, bool) {
	r.seen[key] = true
	value := r.values[key]
	return value, value != nil
}

func (r *contextReader) refuse(key, want string, got any) {
	r.mistyped[key] = true
	r.problems = append(r.problems, problem{key, fmt.Sprintf("must be %s, got %s", want, quoted(got))})
}

func (r *contextReader) text(key, fallback string) string {
	value, given := r.get(key)
	if !given {
		return fallback
	}
	text, ok := value.(string)
	if !ok {
		r.refuse(key, "a text", value)
	}
	return text
}

func (r *contextReader) number(key string, fallback int) int {
	value, given := r.get(key)
	if !given {
		return fallback
	}
	switch value := value.(type) {
	case float64:
		if value == math.Trunc(value) && math.Abs(value) < math.MaxInt32 {
			return int(value)
		}
	case string:
		if n, err := strconv.Atoi(value); err == nil {
			return n
		}
	}
	r.refuse(key, "a whole number", value)
	return 0
}

func (r *contextReader) boolean(key string) *bool {
	value, given := r.get(key)
	if !given {
		return nil
	}
	switch value {
	case true, "true":
		return new(true)
	case false, "false":
		return new(false)
	}
	r.refuse(key, "true or false", value)
	return nil
}

func (r *contextReader) list(key string) []string {
	value, given := r.get(key)
	if !given || value == "" { // -c queues= is none
		return nil
	}
	if text, ok := value.(string); ok {
		return strings.Split(text, ",")
	}
	items, ok := value.([]any)
	texts := make([]string, len(items))
	for i, item := range items {
		if texts[i], ok = item.(string); !ok {
			break
		}
	}
	if !ok {
		r.refuse(key, `a list of names such as ["orders"]`, value)
	}
	return texts
}

// refuseOthers finds misspelled keys. Those of CDK itself have a colon or begin with @, but for these two.
func (r *contextReader) refuseOthers() {
	known := append(slices.Sorted(maps.Keys(r.seen)), "cli-telemetry", "acknowledged-issue-numbers")
	for _, key := range slices.Sorted(maps.Keys(r.values)) {
		if !slices.Contains(known, key) && !strings.HasPrefix(key, "@") && !strings.Contains(key, ":") {
			r.problems = append(r.problems, problem{key, "is not known, got " + quoted(r.values[key]) +
				"; remove it or use one of " + strings.Join(slices.Sorted(maps.Keys(r.seen)), ", ")})
		}
	}
}

// quoted shows a value as it is written in cdk.json.
func quoted(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(text)
}
