package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const good = `
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: orders, namespace: shop}
spec:
  scaleTargetRef: {name: orders}
  triggers: [{type: aws-sqs-queue, useCachedMetrics: true, metadata: {queueURL: orders, awsRegion: eu-west-1, identityOwner: operator}}]
`

// run is the command line as it was typed at a fixed time, without anybody's environment.
func run(args []string, in io.Reader, out, problems io.Writer) int {
	now := time.Date(2026, time.March, 1, 12, 0, 30, 0, time.UTC)
	return console{in, out, problems, func(string) string { return "" }, func() time.Time { return now }}.run(context.Background(), args)
}

func TestCommandLine(t *testing.T) {
	folder := t.TempDir()
	for name, text := range map[string]string{"good.yaml": good, "sub/bad.yaml": strings.ReplaceAll(good, "kind: ScaledObject", "kind: ScaledJob"), "note.txt": "no manifest"} {
		file := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, row := range []struct {
		rule     string
		args     string
		in       string
		code     int
		out      []string // each is in standard output, which is empty when there are none
		problems []string // the same for standard error
	}{
		{"no verb", "", "", 2, nil, []string{"leda validate [FILE…]"}},
		{"an unknown verb", "destroy", "", 2, nil, []string{`there is no verb "destroy"`}},
		{"help", "help", "", 0, []string{"leda rbac [FILE…]"}, nil},
		{"each verb's help has an example", "rbac -h", "", 0, nil, []string{"leda rbac scaledobjects | kubectl apply -f -"}},
		{"an unknown flag", "validate -x", "", 2, nil, []string{"flag provided but not defined"}},
		{"standard input, with a note", "validate -", good, 0, []string{"note: standard input: ScaledObject shop/orders: spec.triggers[0].useCachedMetrics: has no effect", "ScaledObject shop/orders: fine"}, nil},
		{"a file", "validate FOLDER/good.yaml", "", 0, []string{"ScaledObject shop/orders: fine"}, nil},
		{"a folder and what is below it, other files passed over", "validate FOLDER", "", 2, nil, []string{"FOLDER/sub/bad.yaml: kind: must be ScaledObject, TriggerAuthentication or ClusterTriggerAuthentication"}},
		{"a file that is not there", "validate FOLDER/none.yaml", "", 2, nil, []string{"none.yaml", "name a file, a folder, or -"}},
		{"rights", "rbac FOLDER/good.yaml", "", 0, []string{"name: leda-memory-0", "deployments/scale", "namespace: shop", "name: leda\n"}, nil},
		{"rights for another group", "rbac -group scalers FOLDER/good.yaml", "", 0, []string{"name: scalers"}, nil},
		{"rights for what is in the cluster", "rbac -source cluster -namespaces shop,bank", "", 0, []string{"ScaledObjects are read from namespaces shop, bank", "name: leda-memory-7", "- triggerauthentications"}, nil},
		{"rights for both", "rbac -source both -namespaces shop -buckets 1 FOLDER/good.yaml", "", 0, []string{"name: leda-memory-0", "- triggerauthentications"}, nil},
		{"rights that are wider only when they are asked for", "rbac -source cluster -namespaces shop -secrets", "", 0, []string{"Leda may read every Secret"}, nil},
		{"all flags that do not go together", "rbac -namespaces Shop -secrets", "", 2, nil, []string{"leda rbac: -namespaces: must be names", "leda rbac: -namespaces: go with", "leda rbac: -secrets: goes with"}},
		{"the kinds", "crds", "", 0, []string{"name: scaledobjects.keda.sh", "name: triggerauthentications.keda.sh", "name: clustertriggerauthentications.keda.sh"}, nil},
		{"the kinds of nothing in particular", "crds all", "", 2, nil, []string{"leda crds: takes no arguments"}},
		{"files beside a source without files", "rbac -source cluster -namespaces shop FOLDER", "", 2, nil, []string{"-source cluster takes no files"}},
		{"no rights for what is not fine", "rbac FOLDER", "", 2, nil, []string{"bad.yaml"}},
	} {
		var out, problems bytes.Buffer
		args := strings.Fields(strings.ReplaceAll(row.args, "FOLDER", folder))
		code := run(args, strings.NewReader(row.in), &out, &problems)
		if code != row.code {
			t.Errorf("%s: got exit status %d, want %d: %s", row.rule, code, row.code, &problems)
		}
		for stream, want := range map[*bytes.Buffer][]string{&out: row.out, &problems: row.problems} {
			if len(want) == 0 && stream.Len() > 0 {
				t.Errorf("%s: got %q, want nothing", row.rule, stream)
			}
			for _, text := range want {
				if !strings.Contains(stream.String(), strings.ReplaceAll(text, "FOLDER", folder)) {
					t.Errorf("%s: got %q, want %q in it", row.rule, stream, text)
				}
			}
		}
	}
}
