package scaling

import (
	"encoding/json"
	"strconv"
	"strings"
)

// metadata reads a trigger's metadata as KEDA does: values are texts, blank means not written.
type metadata struct {
	check *checker
	path  string
	in    map[string]string
	read  map[string]bool
}

func newMetadata(in map[string]string, path string, check *checker) metadata {
	return metadata{check: check, path: path, in: in, read: map[string]bool{}}
}

func (m metadata) problem(key, format string, args ...any) {
	m.check.problem(m.path+"."+key, format, args...)
}

func (m metadata) text(key string) string {
	m.read[key] = true
	return strings.TrimSpace(m.in[key])
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
