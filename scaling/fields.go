package scaling

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
)

// fields reads one JSON object field by field. What nobody asked for is a problem in the end (done),
// so that a misspelt field is named instead of ignored.
type fields struct {
	check *checker
	path  string
	in    map[string]any
	read  map[string]bool
}

func newFields(check *checker, path string, in map[string]any) fields {
	return fields{check: check, path: path, in: in, read: map[string]bool{}}
}

func (f fields) at(key string) string {
	if f.path == "" {
		return key
	}
	return f.path + "." + key
}

// value returns the field, or nil when it is absent or null.
func (f fields) value(key string) any {
	f.read[key] = true
	return f.in[key]
}

func (f fields) has(key string) bool { return f.in[key] != nil }

// pass marks fields that are not ours to judge, such as status.
func (f fields) pass(keys ...string) {
	for _, key := range keys {
		f.read[key] = true
	}
}

// done names every field that was not read.
func (f fields) done() {
	var unknown []string
	for key := range f.in {
		if !f.read[key] {
			unknown = append(unknown, key)
		}
	}
	slices.Sort(unknown)
	for _, key := range unknown {
		f.check.problem(f.at(key), "unknown field: KEDA would drop it without a word; correct its name or remove it")
	}
}

func (f fields) text(key string) string {
	switch v := f.value(key).(type) {
	case nil:
		return ""
	case string:
		return v
	default:
		f.check.problem(f.at(key), "must be a string, got %s; write %s: %q", kindOf(v), key, textOf(v))
		return ""
	}
}

// requiredText is text that must be there.
func (f fields) requiredText(key string) string {
	if !f.has(key) {
		f.read[key] = true
		f.check.problem(f.at(key), "is required")
		return ""
	}
	s := f.text(key)
	if v, ok := f.in[key].(string); ok && v == "" {
		f.check.problem(f.at(key), "is required, got an empty string")
	}
	return s
}

func (f fields) boolean(key string, otherwise bool) bool {
	switch v := f.value(key).(type) {
	case nil:
		return otherwise
	case bool:
		return v
	default:
		f.check.problem(f.at(key), "must be true or false, got %s", describe(v))
		return otherwise
	}
}

// integer reads an int32 within limits; ok is false when the field is absent or wrong.
func (f fields) integer(key string, low, high int32) (n int32, ok bool) {
	v := f.value(key)
	if v == nil {
		return 0, false
	}
	number, isNumber := v.(json.Number)
	if !isNumber {
		f.check.problem(f.at(key), "must be a whole number, got %s", describe(v))
		return 0, false
	}
	n64, err := strconv.ParseInt(number.String(), 10, 64)
	if err != nil || n64 < int64(low) || n64 > int64(high) {
		if high == math.MaxInt32 {
			f.check.problem(f.at(key), "must be a whole number of at least %d, got %s", low, number)
		} else {
			f.check.problem(f.at(key), "must be a whole number from %d to %d, got %s", low, high, number)
		}
		return 0, false
	}
	return int32(n64), true
}

// integerOr is integer with a default.
func (f fields) integerOr(key string, low, high, otherwise int32) int32 {
	if n, ok := f.integer(key, low, high); ok {
		return n
	}
	return otherwise
}

// object reads a nested object; ok is false when it is absent or wrong.
func (f fields) object(key string) (nested fields, ok bool) {
	switch v := f.value(key).(type) {
	case nil:
	case map[string]any:
		return newFields(f.check, f.at(key), v), true
	default:
		f.check.problem(f.at(key), "must be an object, got %s", describe(v))
	}
	return newFields(f.check, f.at(key), nil), false
}

// list reads a list of objects.
func (f fields) list(key string) []fields {
	v := f.value(key)
	if v == nil {
		return nil
	}
	items, ok := v.([]any)
	if !ok {
		f.check.problem(f.at(key), "must be a list, got %s", describe(v))
		return nil
	}
	var objects []fields
	for i, item := range items {
		path := f.at(key) + "[" + strconv.Itoa(i) + "]"
		object, ok := item.(map[string]any)
		if !ok {
			f.check.problem(path, "must be an object, got %s", describe(item))
			continue
		}
		objects = append(objects, newFields(f.check, path, object))
	}
	return objects
}

// texts reads an object whose values are all strings.
func (f fields) texts(key string) map[string]string {
	nested, ok := f.object(key)
	if !ok {
		return nil
	}
	all := make(map[string]string, len(nested.in))
	for _, k := range sortedKeys(nested.in) {
		if s := nested.text(k); nested.in[k] != nil {
			all[k] = s
		}
	}
	return all
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func kindOf(v any) string {
	switch v.(type) {
	case nil:
		return "nothing"
	case bool:
		return "a boolean"
	case json.Number:
		return "a number"
	case string:
		return "a string"
	case []any:
		return "a list"
	default:
		return "an object"
	}
}

func textOf(v any) string {
	switch v := v.(type) {
	case bool:
		return strconv.FormatBool(v)
	case json.Number:
		return v.String()
	case string:
		return v
	default:
		return "…"
	}
}

func describe(v any) string {
	switch v := v.(type) {
	case bool, json.Number:
		return kindOf(v) + " (" + textOf(v) + ")"
	case string:
		return strconv.Quote(v)
	default:
		return kindOf(v)
	}
}
