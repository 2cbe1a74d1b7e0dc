package infra

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// ReadContext reads the settings from a CDK app's whole context.
// The error has a line for every problem, each with the key, what was got and the way out.
func ReadContext(context map[string]any) (Settings, error) {
	r := contextReader{values: context, seen: map[string]bool{}, mistyped: map[string]bool{}}
	settings := Settings{
		Name:                   r.text("name"),
		Cluster:                r.text("cluster"),
		Clusters:               r.clusters("clusters"),
		Source:                 r.text("source"),
		Namespaces:             r.list("namespaces"),
		Buckets:                r.number("buckets"),
		Secrets:                r.yes("secrets"),
		ScaledObjects:          r.text("scaledObjects"),
		ClusterObjectNamespace: r.text("clusterObjectNamespace"),
		Queues:                 r.queues("queues"),
		ReadableQueues:         r.list("readableQueues"),
		ReadableMetrics:        r.yes("readableMetrics"),
		AssumableRoles:         r.list("assumableRoles"),
		Architecture:           r.text("architecture"),
		Memory:                 r.number("memory"),
		LogRetentionDays:       r.number("logRetentionDays"),
		Shards:                 r.number("shards"),
		ReservedConcurrency:    r.number("reservedConcurrency"),
		ActiveLook:             r.number("activeLook"),
		SteadyLook:             r.number("steadyLook"),
		IdleLook:               r.text("idleLook"),
		Environment:            r.texts("environment"),
		Subnets:                r.list("subnets"),
		SecurityGroups:         r.list("securityGroups"),
		PermissionsBoundary:    r.text("permissionsBoundary"),
		Tags:                   r.texts("tags"),
		Alarms:                 r.boolean("alarms"),
		AlarmTopic:             r.text("alarmTopic"),
		Dashboard:              r.boolean("dashboard"),
	}.withDefaults()
	values := slices.DeleteFunc(settings.problems(), func(p problem) bool {
		return r.mistyped[p.key] || p.key == "cluster" && r.mistyped["clusters"]
	})
	r.problems = append(r.problems, values...)
	r.refuseOthers()
	return settings, joined(r.problems)
}

func joined(problems []problem) error {
	all := make([]error, len(problems))
	for i, p := range problems {
		all[i] = p
	}
	return errors.Join(all...)
}

// contextReader reads values that are typed in cdk.json and text when they come from -c: JSON, or for short lists
// a,b and for texts by name a=1,b=2. A key that is not there, or empty, has the zero value.
type contextReader struct {
	prefix   string // "queues." within an object of that key's list
	values   map[string]any
	seen     map[string]bool
	mistyped map[string]bool // these have no value to judge
	problems []problem
}

func (r *contextReader) get(key string) (any, bool) {
	r.seen[key] = true
	value := r.values[key]
	return value, value != nil && value != "" // -c queues= is as if it were not there
}

func (r *contextReader) refuse(key, want string, got any) {
	r.mistyped[key] = true
	r.problems = append(r.problems, problem{r.prefix + key, fmt.Sprintf("must be %s, got %s", want, quoted(got))})
}

func (r *contextReader) text(key string) string {
	value, given := r.get(key)
	if !given {
		return ""
	}
	text, ok := value.(string)
	if !ok {
		r.refuse(key, "a text", value)
	}
	return text
}

// number is never 0 when one is given: 0 would be the default.
func (r *contextReader) number(key string) int {
	value, given := r.get(key)
	if !given {
		return 0
	}
	n := 0
	switch value := value.(type) {
	case float64:
		if value == math.Trunc(value) && math.Abs(value) < math.MaxInt32 {
			n = int(value)
		}
	case string:
		n, _ = strconv.Atoi(value) // 0 with an error
	}
	if n == 0 {
		r.refuse(key, "a whole number, not 0", value)
	}
	return n
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

// yes is a boolean whose default is false.
func (r *contextReader) yes(key string) bool {
	value := r.boolean(key)
	return value != nil && *value
}

// list reads ["a", "b"] or the text a,b.
func (r *contextReader) list(key string) []string {
	var texts []string
	for _, item := range r.items(key) {
		text, ok := item.(string)
		if !ok {
			r.refuse(key, `a list of texts such as ["a", "b"]`, r.values[key])
			return nil
		}
		texts = append(texts, text)
	}
	return texts
}

func (r *contextReader) items(key string) []any {
	value, given := r.get(key)
	if !given {
		return nil
	}
	if text, ok := value.(string); ok {
		if !strings.HasPrefix(text, "[") {
			var items []any
			for item := range strings.SplitSeq(text, ",") {
				items = append(items, item)
			}
			return items
		}
		value = fromJSON(text)
	}
	items, ok := value.([]any)
	if !ok {
		r.refuse(key, "a list", r.values[key])
	}
	return items
}

// texts reads {"a": "1"} or the text a=1.
func (r *contextReader) texts(key string) map[string]string {
	value, given := r.get(key)
	if !given {
		return nil
	}
	if text, ok := value.(string); ok && !strings.HasPrefix(text, "{") {
		object := map[string]any{}
		for pair := range strings.SplitSeq(text, ",") {
			name, value, ok := strings.Cut(pair, "=")
			if !ok {
				name, value = "", pair
			}
			object[name] = value
		}
		value = object
	} else if ok {
		value = fromJSON(text)
	}
	object, ok := value.(map[string]any)
	texts := make(map[string]string, len(object))
	for name, v := range object {
		text, isText := v.(string)
		if ok = ok && isText && name != ""; ok {
			texts[name] = text
		}
	}
	if !ok {
		r.refuse(key, `texts by name, such as {"a": "1"}`, r.values[key])
		return nil
	}
	return texts
}

// queues reads names, and objects where the name is not enough.
func (r *contextReader) queues(key string) []Queue {
	var queues []Queue
	for _, item := range r.items(key) {
		if name, ok := item.(string); ok {
			queues = append(queues, Queue{Name: name})
			continue
		}
		o, ok := item.(map[string]any)
		if !ok {
			r.refuse(key, `a list of names, or of objects such as {"name": "orders", "visibilityTimeout": 120}`, r.values[key])
			return nil
		}
		within := r.within(key, o)
		queues = append(queues, Queue{Name: within.text("name"), VisibilityTimeout: within.number("visibilityTimeout")})
		r.adopt(key, within)
	}
	return queues
}

// clusters reads names, and objects where the name is not enough.
func (r *contextReader) clusters(key string) []Cluster {
	var clusters []Cluster
	for _, item := range r.items(key) {
		if name, ok := item.(string); ok {
			clusters = append(clusters, Cluster{Name: name})
			continue
		}
		o, ok := item.(map[string]any)
		if !ok {
			r.refuse(key, `a list of names, or of objects such as {"name": "prod", "region": "eu-west-1"}`, r.values[key])
			return nil
		}
		within := r.within(key, o)
		clusters = append(clusters, Cluster{
			Name: within.text("name"), Region: within.text("region"), Account: within.text("account"), RoleARN: within.text("roleArn"),
			Endpoint: within.text("endpoint"), CertificateAuthority: within.text("certificateAuthority"),
			Source: within.text("source"), Namespaces: within.list("namespaces"), Buckets: within.number("buckets"), Secrets: within.yes("secrets"),
		})
		r.adopt(key, within)
	}
	return clusters
}

// within reads an object that is part of the value of key.
func (r *contextReader) within(key string, object map[string]any) *contextReader {
	return &contextReader{prefix: r.prefix + key + ".", values: object, seen: map[string]bool{}, mistyped: map[string]bool{}}
}

// adopt takes over what is wrong with an object that is part of the value of key.
func (r *contextReader) adopt(key string, within *contextReader) {
	within.refuseOthers()
	r.problems = append(r.problems, within.problems...)
	if len(within.mistyped) > 0 {
		r.mistyped[key] = true
	}
}

func fromJSON(text string) (value any) {
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		return text // which is not what the caller wants, and is shown as it is
	}
	return value
}

// refuseOthers finds misspelled keys. Those of CDK itself have a colon or begin with @, but for these two.
func (r *contextReader) refuseOthers() {
	known := append(slices.Sorted(maps.Keys(r.seen)), "cli-telemetry", "acknowledged-issue-numbers")
	for _, key := range slices.Sorted(maps.Keys(r.values)) {
		if !slices.Contains(known, key) && !strings.HasPrefix(key, "@") && !strings.Contains(key, ":") {
			r.problems = append(r.problems, problem{r.prefix + key, "is not known, got " + quoted(r.values[key]) +
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
