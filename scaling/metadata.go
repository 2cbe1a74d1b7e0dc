package scaling

import (
	"encoding/json"
	"math"
	"net/url"
	"strconv"
	"strings"
)

// metadata reads a trigger's metadata as KEDA does: values are texts, blank means not written.
type metadata struct {
	check *checker
	path  string
	in    map[string]string
	read  map[string]bool
	wrong map[string]bool // has a problem already
}

func newMetadata(in map[string]string, path string, check *checker) metadata {
	return metadata{check: check, path: path, in: in, read: map[string]bool{}, wrong: map[string]bool{}}
}

func (m metadata) problem(key, format string, args ...any) {
	m.wrong[key] = true
	m.check.problem(m.path+"."+key, format, args...)
}

func (m metadata) note(key, message string) { m.check.note(m.path+"."+key, message) }

func (m metadata) bad(key string) bool { return m.wrong[key] }

func (m metadata) text(key string) string {
	m.read[key] = true
	return strings.TrimSpace(m.in[key])
}

func (m metadata) requiredText(key string) string {
	text := m.text(key)
	if text == "" {
		m.problem(key, "is required")
	}
	return text
}

// integer accepts what KEDA's decoder does, a JSON integer: 5 and -1, but not 5.0, 1e2, +5 or 05.
func (m metadata) integer(key string, otherwise int64) int64 {
	text := m.text(key)
	if text == "" {
		return otherwise
	}
	var n int64
	if err := json.Unmarshal([]byte(text), &n); err != nil || text == "null" {
		m.problem(key, "must be a whole number, got %q", text)
		return otherwise
	}
	return n
}

func (m metadata) requiredInteger(key string) int64 {
	m.requiredText(key)
	return m.integer(key, 0)
}

// whole is integer within limits.
func (m metadata) whole(key string, otherwise, low, high int64) int64 {
	n := m.integer(key, otherwise)
	if n < low || n > high {
		if low == math.MinInt32 {
			low = -high
		}
		m.problem(key, "must be a whole number from %d to %d, got %d", low, high, n)
		return otherwise
	}
	return n
}

// number accepts what KEDA's decoder does, a JSON number: 5.5, 1e2 and -1, but not .5, NaN or 0x10.
func (m metadata) number(key string, otherwise float64) float64 {
	text := m.text(key)
	if text == "" {
		return otherwise
	}
	var n float64
	if err := json.Unmarshal([]byte(text), &n); err != nil || text == "null" {
		m.problem(key, "must be a number, got %q", text)
		return otherwise
	}
	return n
}

func (m metadata) requiredNumber(key string) float64 {
	m.requiredText(key)
	return m.number(key, 0)
}

func (m metadata) list(key, separator string) []string {
	text := m.text(key)
	if text == "" {
		return nil
	}
	parts := strings.Split(text, separator)
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return parts
}

func (m metadata) checkEndpoint(key, endpoint string) {
	if endpoint == "" {
		return
	}
	if u, err := url.Parse(endpoint); err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		m.problem(key, "must be a URL such as https://sqs.eu-west-1.amazonaws.com, got %q", endpoint)
	}
}

func (m metadata) boolean(key string, otherwise bool) bool {
	text := m.text(key)
	if text == "" {
		return otherwise
	}
	b, err := strconv.ParseBool(text)
	if err != nil {
		m.problem(key, "must be true or false, got %q", text)
		return otherwise
	}
	return b
}

func (m metadata) pass(keys ...string) {
	for _, key := range keys {
		m.read[key] = true
	}
}

func (m metadata) refuse(key, why string) {
	if m.text(key) != "" {
		m.problem(key, "%s", why)
	}
}

// done notes the keys nobody read. KEDA ignores them without a word, so they are no reason to refuse.
func (m metadata) done() {
	for _, key := range sortedKeys(m.in) {
		if !m.read[key] {
			m.check.note(m.path+"."+key, "is no setting of this trigger and has no effect, in KEDA either; is its name misspelt?")
		}
	}
}
