package kube

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestLiteral(t *testing.T) {
	for _, row := range []struct {
		rule, container string
		want, err       string // one of them
	}{
		{"a literal", `{"env":[{"name":"A","value":"a"}]}`, "a", ""},
		{"of two the later counts", `{"env":[{"name":"A","value":"a"},{"name":"A","value":"b"}]}`, "b", ""},
		{"a reference to what is before it", `{"env":[{"name":"B","value":"b"},{"name":"A","value":"$(B)/$(B)"}]}`, "b/b", ""},
		{"a reference to itself is to the one before", `{"env":[{"name":"A","value":"a"},{"name":"A","value":"$(A)b"}]}`, "ab", ""},
		{"$$ is $", `{"env":[{"name":"A","value":"$$(B)$$"}]}`, "$(B)$", ""},
		{"an open bracket is none", `{"env":[{"name":"A","value":"$(B"}]}`, "$(B", ""},
		{"another one's source does not matter", `{"env":[{"name":"B","valueFrom":{}},{"name":"A","value":"a"}]}`, "a", ""},
		{"valueFrom null is a literal", `{"env":[{"name":"A","value":"a","valueFrom":null}]}`, "a", ""},
		{"valueFrom", `{"env":[{"name":"A","valueFrom":{"secretKeyRef":{}}}]}`, "", "it has valueFrom, which is not read; only a literal value is"},
		{"a later valueFrom", `{"env":[{"name":"A","value":"secret"},{"name":"A","valueFrom":{}}]}`, "", "it has valueFrom"},
		{"a reference to valueFrom", `{"env":[{"name":"B","valueFrom":{}},{"name":"A","value":"secret$(B)"}]}`, "", "it refers to $(B), which is no literal before it"},
		{"a reference to what comes later", `{"env":[{"name":"A","value":"$(B)"},{"name":"B","value":"b"}]}`, "", "it refers to $(B)"},
		{"envFrom", `{"envFrom":[{}],"env":[]}`, "", "it is not in env; what envFrom brings is not read"},
		{"none", `{}`, "", "it is not in env"},
		{"empty", `{"env":[{"name":"A"}]}`, "", "it is empty"},
	} {
		var c container
		if err := json.Unmarshal([]byte(row.container), &c); err != nil {
			t.Fatal(err)
		}
		got, err := c.literal("A")
		switch {
		case row.err == "" && (err != nil || got != row.want):
			t.Errorf("%s: got %q, %v, want %q", row.rule, got, err, row.want)
		case row.err != "" && (err == nil || !strings.HasPrefix(err.Error(), row.err) || strings.Contains(err.Error(), "secret") || got != ""):
			t.Errorf("%s: got %q, %v, want %s", row.rule, got, err, row.err)
		}
	}
}
