package main

import (
	"slices"
	"strings"
	"testing"
)

func TestDoctorFindsNothing(t *testing.T) {
	w := aWorld(t)
	code, out, problems := w.types("doctor FILE")
	want := `ok AWS account 123456789012 in eu-west-1, as arn:aws:iam::123456789012:user/anna
ok queue orders in eu-west-1 can be read: 11 messages
ok function leda is there, last deployed 2026-02-28T09:00:00Z
ok its heart beats: the last invocation ended 32s ago
ok the function reads queues, workload and memory of 1 of its 1 targets
ok cluster demo admits the function's role as group leda
ok group leda may do all that the ScaledObjects need (5 rights)
ok Deployment orders in namespace shop is there, at 1 replicas
ok no HorizontalPodAutoscaler and no ScaledObject of KEDA's scales the same
   workloads
`
	if code != exitFine || out != want || problems != "" {
		t.Errorf("exit %d, %s\n got %s\nwant %s", code, problems, out, want)
	}
	for _, review := range []string{
		"[leda system:authenticated] get deployments/scale orders in shop",
		"[leda system:authenticated] update deployments/scale orders in shop",
		"[leda system:authenticated] update configmaps/ leda-memory-0 in shop",
	} {
		if !slices.Contains(w.reviews, review) {
			t.Errorf("the API server was not asked %q: %q", review, w.reviews)
		}
	}
}

func TestDoctorFinds(t *testing.T) {
	const ours = `"spec":{"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"orders"}}`
	for _, row := range []struct {
		rule   string
		change func(*world)
		want   []string // a finding, and the command behind it
	}{
		{"no function", func(w *world) { w.function = false }, []string{"NO there is no function leda in eu-west-1", "     cdk deploy"}},
		{"a heart that has stopped", func(w *world) { w.log[5] = strings.Replace(w.log[5], "11:59:58", "11:40:00", 1) }, []string{"NO the last invocation ended 20m ago", "     aws logs tail /aws/lambda/leda --since 10m"}},
		{"a heart that never beat", func(w *world) { w.log = nil }, []string{"NO no invocation of the last hour has ended", "list-schedules"}},
		{"a log that may not be read", func(w *world) { w.denied = "logs:FilterLogEvents" }, []string{"?  whether its heart beats is not known", "not authorized to perform"}},
		{"a function that may not be asked", func(w *world) { w.denied = "lambda:InvokeFunction" }, []string{"?  it could not be asked for its decisions"}},
		{"a queue that the function cannot read", func(w *world) {
			w.report = strings.Replace(w.report, `"value":11,"target":5`, `"error":"AccessDenied on sqs:GetQueueAttributes"`, 1)
		}, []string{"NO the function cannot read s0 of shop/orders: AccessDenied", "     leda explain -function leda shop/orders"}},
		{"a Role that is missing, in the function's words", func(w *world) {
			w.report = "{\"decisions\":[{\"target\":\"demo/shop/orders\",\"error\":\"the Role does not allow get: apply `leda rbac`\"}]}"
		}, []string{"NO the function on shop/orders: the Role does not allow", "     leda rbac FILE | kubectl apply -f -"}},
		{"a ScaledObject that was not deployed", func(w *world) { w.report = `{"looks":0}` }, []string{"NO ScaledObject shop/orders of FILE is not one of the function's targets", "     cdk deploy"}},
		{"a target of other files", func(w *world) {
			w.report = strings.Replace(w.report, `"decisions":[`, `"decisions":[{"target":"demo/shop/other","from":1,"to":1,"reason":"TooFewReplicas"},`, 1)
		}, []string{"?  target shop/other of the function is in none of FILE"}},
		{"a queue that is not there", func(w *world) { w.queues = nil }, []string{"NO there is no queue orders in eu-west-1", "     aws sqs create-queue --queue-name orders --region eu-west-1"}},
		{"a queue that you may not read", func(w *world) { w.denied = "sqs:GetQueueAttributes" }, []string{"?  queue orders in eu-west-1 could not be read by you"}},
		{"no access entry", func(w *world) { w.groups = nil }, []string{"NO cluster demo has no access entry", "     aws eks create-access-entry --cluster-name demo --principal-arn arn:aws:iam::123456789012:role/leda --kubernetes-groups leda"}},
		{"another group", func(w *world) { w.groups = []string{"viewers"} }, []string{`NO the access entry of cluster demo maps the function's role to the groups`, "     aws eks update-access-entry"}},
		{"a cluster that you may not look at", func(w *world) { w.denied = "eks:DescribeCluster" }, []string{"?  cluster demo could not be looked at"}},
		{"a right that is missing", func(w *world) {
			w.rights = func(a map[string]any) bool { return a["verb"] != "update" || a["subresource"] != "scale" }
		}, []string{"NO group leda may not update deployments/scale orders in namespace shop", "     leda rbac FILE | kubectl apply -f -"}},
		{"no memory", func(w *world) { delete(w.objects, "/api/v1/namespaces/shop/configmaps/leda-memory-0") }, []string{"NO namespace shop has no ConfigMap leda-memory-0", "     leda rbac FILE | kubectl apply -f -"}},
		{"no workload", func(w *world) { delete(w.objects, "/apis/apps/v1/namespaces/shop/deployments/orders/scale") }, []string{"NO there is no Deployment orders in namespace shop with a scale", "     kubectl get deployments -n shop"}},
		{"a workload that you may not see", func(w *world) { w.objects["/apis/apps/v1/namespaces/shop/deployments/orders/scale"] = "forbidden" }, []string{"?  Deployment orders in namespace shop could not be looked at"}},
		{"an HPA on the same workload", func(w *world) {
			w.objects["/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers"] = `{"kind":"HorizontalPodAutoscalerList","apiVersion":"autoscaling/v2","items":[{"metadata":{"name":"busy"},` + ours + `}]}`
		}, []string{"NO HorizontalPodAutoscaler busy scales Deployment orders in namespace shop too", "     kubectl delete hpa busy -n shop"}},
		{"KEDA on the same workload", func(w *world) {
			w.objects["/apis/keda.sh/v1alpha1/namespaces/shop/scaledobjects"] = `{"kind":"ScaledObjectList","apiVersion":"keda.sh/v1alpha1","items":[{"metadata":{"name":"orders"},"spec":{"scaleTargetRef":{"name":"orders"}}}]}`
		}, []string{"NO KEDA's ScaledObject orders scales Deployment orders in namespace shop too", "     kubectl annotate scaledobject orders -n shop autoscaling.keda.sh/paused=true"}},
	} {
		w := aWorld(t)
		row.change(w)
		code, out, problems := w.types("doctor FILE")
		if code != exitNotInOrder || problems != "" {
			t.Errorf("%s: exit %d, %q; want 1 and findings only", row.rule, code, problems)
		}
		lines := strings.ReplaceAll(out, "\n   ", " ") // as if the terminal were wide; a command keeps its own line
		lines = strings.ReplaceAll(lines, "   ", "\n     ")
		for _, want := range row.want {
			if !strings.Contains(lines, strings.TrimSpace(want)) {
				t.Errorf("%s: got\n%s\nwant %q", row.rule, out, want)
			}
		}
	}
}

// What does not concern these workloads is no finding.
func TestDoctorLeavesOthersAlone(t *testing.T) {
	w := aWorld(t)
	w.objects["/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers"] = `{"kind":"HorizontalPodAutoscalerList","apiVersion":"autoscaling/v2","items":[
		{"metadata":{"name":"a"},"spec":{"scaleTargetRef":{"kind":"Deployment","name":"payments"}}},
		{"metadata":{"name":"b"},"spec":{"scaleTargetRef":{"kind":"StatefulSet","name":"orders"}}}]}`
	w.objects["/apis/keda.sh/v1alpha1/namespaces/shop/scaledobjects"] = `{"kind":"ScaledObjectList","apiVersion":"keda.sh/v1alpha1","items":[
		{"metadata":{"name":"orders","annotations":{"autoscaling.keda.sh/paused":"true"}},"spec":{"scaleTargetRef":{"name":"orders"}}}]}`
	if code, out, _ := w.types("doctor FILE"); code != exitFine {
		t.Errorf("exit %d\n%s", code, out)
	}
}

func TestDoctorBadUsage(t *testing.T) {
	w := aWorld(t)
	w.manifest = "kind: Pod"
	if code, out, problems := w.types("doctor FILE"); code != exitBadInput || out != "" || problems == "" {
		t.Errorf("exit %d, %q, %q", code, out, problems)
	}
}

// A kubeconfig of another cluster is not taken for the function's.
func TestDoctorAtAnotherCluster(t *testing.T) {
	w := aWorld(t)
	w.endpoint = "https://elsewhere.example"
	code, out, _ := w.types("doctor FILE")
	if code != exitNotInOrder || !strings.Contains(out, "     aws eks update-kubeconfig --name demo\n") || len(w.reviews) > 0 {
		t.Errorf("exit %d, asked %q\n%s", code, w.reviews, out)
	}

	// Of two clusters, the kubeconfig speaks to one; the other's ScaledObjects are none of its business.
	w = aWorld(t)
	w.report = strings.Replace(w.report, `"decisions":[`, `"decisions":[{"target":"other/shop/slow","from":1,"to":1,"reason":"TooFewReplicas"},`, 1)
	w.manifest = strings.Replace(w.manifest, "annotations: {", "annotations: {leda.dev/cluster: demo", 1) + "---\n" +
		strings.NewReplacer("annotations: {", "annotations: {leda.dev/cluster: other", "name: orders", "name: slow").Replace(w.manifest)
	code, out, _ = w.types("doctor FILE")
	if code != exitNotInOrder || !strings.Contains(out, "?  whether your kubeconfig speaks to cluster other is not known") || !strings.Contains(out, "ok Deployment orders in") || strings.Contains(out, "Deployment slow") {
		t.Errorf("exit %d\n%s", code, out)
	}

	for _, row := range []struct {
		a, b string
		want bool
	}{
		{"https://ABC.gr7.eu-west-1.eks.amazonaws.com", "https://abc.gr7.eu-west-1.eks.amazonaws.com/", true},
		{"https://abc.gr7.eu-west-1.eks.amazonaws.com", "https://def.gr7.eu-west-1.eks.amazonaws.com", false},
		{"https://127.0.0.1:6443", "127.0.0.1:6443", true},
	} {
		if got := sameHost(row.a, row.b); got != row.want {
			t.Errorf("%s and %s: got %t", row.a, row.b, got)
		}
	}
}
