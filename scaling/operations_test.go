package scaling

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"
)

// docs/operations.md is where someone on call looks a reason up: it must explain each.
func TestOperationsExplainEveryReason(t *testing.T) {
	guide, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := parser.ParseFile(token.NewFileSet(), "decision.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	reasons := 0
	ast.Inspect(source, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if kind, ok := spec.Type.(*ast.Ident); !ok || kind.Name != "Reason" {
			return true
		}
		for _, name := range spec.Names {
			reasons++
			if !strings.Contains(string(guide), "\n| `"+name.Name+"` | ") {
				t.Errorf("docs/operations.md does not explain %s", name.Name)
			}
		}
		return true
	})
	if reasons < 10 {
		t.Fatalf("found %d reasons in decision.go: the test looks in the wrong place", reasons)
	}
}
