package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"
)

func TestMain(m *testing.M) {
	status := m.Run()
	jsii.Close() // ends the node process behind CDK and removes its files
	os.Exit(status)
}

func TestAMistakeIsToldInItsOwnWords(t *testing.T) {
	dir := t.TempDir()
	manifests := filepath.Join(dir, "scaledobjects")
	if err := os.Mkdir(manifests, 0o755); err != nil {
		t.Fatal(err)
	}
	wrong := filepath.Join(manifests, "wrong.yaml")
	if err := os.WriteFile(wrong, []byte("apiVersion: v1\nkind: Service\n---\napiVersion: v1\nkind: Secret\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	deployer := map[string]string{"CDK_DEFAULT_ACCOUNT": "111111111111", "CDK_DEFAULT_REGION": "eu-north-1"}
	for _, test := range []struct {
		name    string
		context map[string]any
		getenv  map[string]string
		want    []string // how each line begins
	}{
		{
			"ScaledObjects: one line a problem, with its file",
			map[string]any{"cluster": "demo", "scaledObjects": manifests},
			deployer,
			[]string{wrong + ": kind: must be ScaledObject", wrong + ": kind: must be ScaledObject"},
		},
		{
			"context: one line a problem, with its key",
			map[string]any{"memory": 1, "scaledObjects": manifests},
			deployer,
			[]string{"context cluster: is required", "context memory: must be from 128"},
		},
		{
			"no account",
			map[string]any{"cluster": "demo", "scaledObjects": manifests},
			map[string]string{"CDK_DEFAULT_REGION": "eu-north-1"},
			[]string{"the account and region to deploy to are not known"},
		},
		{
			"no region",
			map[string]any{"cluster": "demo", "scaledObjects": manifests},
			map[string]string{"CDK_DEFAULT_ACCOUNT": "111111111111"},
			[]string{"the account and region to deploy to are not known"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			app := awscdk.NewApp(&awscdk.AppProps{Outdir: jsii.String(filepath.Join(dir, "cdk.out")), Context: &test.context})
			err := synth(t.Context(), app, func(name string) string { return test.getenv[name] })
			if err == nil {
				t.Fatal("got no error")
			}
			lines := strings.Split(err.Error(), "\n")
			if len(lines) != len(test.want) {
				t.Fatalf("got %d lines, want %d:\n%v", len(lines), len(test.want), err)
			}
			for i, want := range test.want {
				if !strings.HasPrefix(lines[i], want) {
					t.Errorf("got line %q, want it to begin with %q", lines[i], want)
				}
			}
		})
	}
}
