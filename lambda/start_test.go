package main

import (
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A cluster with a role of its own is reached with that role's credentials, and queues with the function's.
func TestStartWiresRoles(t *testing.T) {
	a := serveAWS(t)
	a.answer["sqs"], a.answer["sts"] = depth(7), assumes(a, &clock{at: now()})
	a.answer["eks"] = func(asked) answer { return failure("eks", http.StatusNotFound, "ResourceNotFoundException", "none") }
	dir := t.TempDir()
	const fleet = `{"clusters":[{"name":"far","region":"ap-south-2","roleArn":"` + readRole + `"},{"name":"near","region":"eu-west-1"}],"objects":[OBJECTS]}`
	object := func(cluster string) string {
		return `{"apiVersion":"keda.sh/v1alpha1","kind":"ScaledObject","metadata":{"name":"` + cluster + `","namespace":"shop","annotations":{"leda.dev/cluster":"` + cluster + `"}},
			"spec":{"scaleTargetRef":{"name":"` + cluster + `"},"triggers":[{"type":"aws-sqs-queue","metadata":{"queueURL":"orders","awsRegion":"eu-west-1","identityOwner":"operator"}}]}}`
	}
	text := strings.Replace(fleet, "OBJECTS", object("far")+","+object("near"), 1)
	if err := os.WriteFile(filepath.Join(dir, "leda.json"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	keys := ownKeys()
	environment := map[string]string{
		"LAMBDA_TASK_ROOT": dir, "AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL": a.URL, "AWS_LAMBDA_FUNCTION_NAME": "shop-leda",
		"AWS_ACCESS_KEY_ID": keys.AccessKeyID, "AWS_SECRET_ACCESS_KEY": keys.SecretAccessKey, "AWS_SESSION_TOKEN": keys.SessionToken,
	}
	h, err := start(func(name string) string { return environment[name] }, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.handle(t.Context(), []byte(`{"dryRun":true}`)); err != nil {
		t.Fatal(err)
	}
	var described []string
	for _, r := range a.requests("eks") {
		described = append(described, r.region+" "+r.key)
	}
	slices.Sort(described)
	if want := []string{"ap-south-2 ROLEKEY1", "eu-west-1 OWNKEY"}; !slices.Equal(slices.Compact(described), want) {
		t.Errorf("EKS was asked %q, want %q", described, want)
	}
	if sts := a.requests("sts"); len(sts) != 1 || sts[0].region != "ap-south-2" || !strings.Contains(sts[0].body, "RoleSessionName=shop-leda") {
		t.Errorf("STS was asked %+v", sts)
	}
	for _, r := range a.requests("sqs") {
		if r.key != "OWNKEY" {
			t.Errorf("SQS was asked with %s", r.key)
		}
	}
}
