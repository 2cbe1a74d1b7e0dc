package infra

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/leda-autoscaler/leda/kube"
)

// file is the part of cdk.json that rules the template.
type file struct{ Context map[string]any }

func cdkJSON(t *testing.T) file {
	t.Helper()
	return decode[file](t, "../cdk.json")
}

func TestRepositoryIsInOrder(t *testing.T) {
	settings, err := ReadContext(cdkJSON(t).Context)
	if err != nil {
		t.Fatal("cdk.json:", err)
	}
	settings.Name = "Leda"
	settings.ScaledObjects = filepath.Join("..", settings.ScaledObjects)
	plan, err := newPlan(settings, place{"aws", "us-east-1", "111111111111"})
	if err != nil {
		t.Fatal(err)
	}
	for _, arn := range plan.rights.queues { // else the example would need a queue that nobody makes
		if want := "arn:aws:sqs:us-east-1:111111111111:" + settings.Queues[0].Name; arn != want {
			t.Errorf("the ScaledObjects read %s, and cdk.json makes %s", arn, want)
		}
	}
}

func TestSynthWritesTheRightsInTheCluster(t *testing.T) {
	props := props(t)
	dir := synth(t, props)
	props.Name = "Leda"
	plan, err := newPlan(props.withDefaults(), nearby)
	if err != nil {
		t.Fatal(err)
	}
	want, err := kube.RBAC(plan.objects, "leda", "keda")
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, "leda-rbac.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("leda-rbac.yaml (-want +got):\n%s", diff)
	}
}

func TestSynthTellsTheNotes(t *testing.T) {
	want := []string{"prod/shop/partner/s0: no alarm, since queue partner is in account 222222222222, region eu-west-1; the schedule alone wakes its target"}
	if diff := cmp.Diff(want, notesIn(t, synth(t, props(t)))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAccountAndRegionMustBeKnown(t *testing.T) {
	_, err := NewStack(t.Context(), newApp(t), "Leda", awscdk.Environment{}, props(t))
	const want = "the account and region to deploy to are not known, and ScaledObjects name their queues within them: " +
		"give the CDK CLI credentials and a region (aws configure, AWS_PROFILE or AWS_REGION), from which it sets " +
		"CDK_DEFAULT_ACCOUNT and CDK_DEFAULT_REGION, or give the stack an Env"
	if err == nil || err.Error() != want {
		t.Errorf("got error %v, want %s", err, want)
	}
}

func TestSettingsReachTheTemplate(t *testing.T) {
	props := props(t)
	props.Name = "Scaler"
	props.Architecture, props.Memory, props.LogRetentionDays, props.Alarms, props.Queues = "x86_64", 512, 7, new(false), nil
	tm := readTemplate(t, synth(t, props))
	got := map[string]any{
		"function":     tm.of("AWS::Lambda::Function")[0].Properties["FunctionName"],
		"architecture": at(tm.of("AWS::Lambda::Function")[0].Properties, "Architectures", 0),
		"memory":       tm.of("AWS::Lambda::Function")[0].Properties["MemorySize"],
		"log":          tm.of("AWS::Logs::LogGroup")[0].Properties["LogGroupName"],
		"retention":    tm.of("AWS::Logs::LogGroup")[0].Properties["RetentionInDays"],
		"alarms":       len(tm.of("AWS::CloudWatch::Alarm")) + len(tm.of("AWS::Lambda::Permission")),
		"queues":       len(tm.of("AWS::SQS::Queue")),
	}
	want := map[string]any{
		"function": "scaler", "architecture": "x86_64", "memory": 512.0, "log": "/aws/lambda/scaler", "retention": 7.0,
		"alarms": 5, "queues": 1, // for its own health, and for failed events
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
