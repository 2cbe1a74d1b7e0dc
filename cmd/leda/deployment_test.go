package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// world is an AWS account and a cluster with Leda in it, in order unless a test changes something.
type world struct {
	*testing.T
	function bool
	report   string // the function's answer
	failure  string // its errorMessage, when not empty
	event    string // what it was last asked
	log      []string
	patterns []string
	queues   []string
	groups   []string // of the access entry; none when nil
	endpoint string   // of cluster demo; the API server's below when empty
	denied   string   // an action that the caller may not do

	objects map[string]string // the API server's, by path
	rights  func(map[string]any) bool
	reviews []string // what was asked of the API server

	manifest string
}

const inOrderReport = `{"looks":1,"changed":0,"failed":0,"decisions":[{"target":"demo/shop/orders","from":1,"to":3,"reason":"DesiredWithinRange",` +
	`"why":"s0: 11 / 5 a replica = 2.2 → 3; within 1…5: 1 → 3","active":true,"readings":[{"trigger":"s0","value":11,"target":5}],"changed":false}]}`

// aWorld is typed at 2026-03-01T12:00:30Z.
func aWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		T: t, function: true, report: inOrderReport, queues: []string{"orders"}, groups: []string{"leda"},
		log: []string{
			`START RequestId: 1`,
			`{"time":"2026-03-01T11:30:00Z","msg":"decision","target":"demo/shop/orders","from":5,"to":1,"reason":"TooFewReplicas"}`,
			`{"time":"2026-03-01T11:58:00Z","msg":"decision","target":"demo/shop/orders","from":1,"to":3,"reason":"DesiredWithinRange","error":"conflict"}`,
			`{"time":"2026-03-01T11:59:00Z","msg":"decision","target":"demo/shop/orders","from":1,"to":1,"reason":"DesiredWithinRange"}`,
			`{"time":"2026-03-01T11:59:10Z","msg":"decision","target":"demo/shop/orders","from":1,"to":3,"reason":"DesiredWithinRange","dryRun":true}`,
			`{"time":"2026-03-01T11:59:58Z","msg":"done","targets":1}`,
		},
		objects: map[string]string{
			"/apis/apps/v1/namespaces/shop/deployments/orders/scale":                      `{"kind":"Scale","apiVersion":"autoscaling/v1","spec":{"replicas":1}}`,
			"/api/v1/namespaces/shop/configmaps/leda-memory-0":                            `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"leda-memory-0"}}`,
			"/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers":               `{"kind":"HorizontalPodAutoscalerList","apiVersion":"autoscaling/v2","items":[]}`,
			"/apis/keda.sh/v1alpha1/namespaces/shop/scaledobjects":                        "",
			"/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers?limit=500&x=y": "",
		},
		rights:   func(map[string]any) bool { return true },
		manifest: strings.ReplaceAll(object("", "  minReplicaCount: 1\n  maxReplicaCount: 5\n"+oneQueue), "awsRegion", "identityOwner: operator, awsRegion"),
	}
	return w
}

// types runs the command line in this world; FILE stands for its ScaledObject's file.
func (w *world) types(command string) (code int, out, problems string) {
	w.Helper()
	amazon := httptest.NewServer(http.HandlerFunc(w.amazon))
	defer amazon.Close()
	cluster := httptest.NewServer(http.HandlerFunc(w.cluster))
	defer cluster.Close()
	awsAt(w.T, amazon.URL)
	w.Setenv("AWS_REGION", "eu-west-1")
	folder := w.TempDir()
	kubeconfig, file := filepath.Join(folder, "kubeconfig"), filepath.Join(folder, "orders.yaml")
	for name, text := range map[string]string{
		file:       w.manifest,
		kubeconfig: `{"apiVersion":"v1","kind":"Config","current-context":"c","contexts":[{"name":"c","context":{"cluster":"c","user":"u"}}],"clusters":[{"name":"c","cluster":{"server":"` + cluster.URL + `"}}],"users":[{"name":"u","user":{}}]}`,
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			w.Fatal(err)
		}
	}
	w.Setenv("KUBECONFIG", kubeconfig)
	w.Setenv("LEDA_TEST_CLUSTER", cluster.URL)
	var stdout, stderr strings.Builder
	code = run(strings.Fields(strings.ReplaceAll(command, "FILE", file)), strings.NewReader(""), &stdout, &stderr)
	return code, strings.ReplaceAll(stdout.String(), file, "FILE"), strings.ReplaceAll(stderr.String(), file, "FILE")
}

func (w *world) deny(answer http.ResponseWriter, action string) bool {
	if w.denied != action {
		return false
	}
	answer.Header().Set("X-Amzn-Errortype", "AccessDeniedException")
	answer.WriteHeader(http.StatusForbidden)
	fmt.Fprintf(answer, `{"__type":"AccessDeniedException","message":"User is not authorized to perform: %s"}`, action)
	return true
}

func (w *world) amazon(answer http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.Error(err)
	}
	missing := func(kind string) {
		answer.Header().Set("X-Amzn-Errortype", kind)
		answer.WriteHeader(http.StatusNotFound)
		fmt.Fprintf(answer, `{"__type":"%s","message":"not there"}`, kind)
	}
	switch target := r.Header.Get("X-Amz-Target"); {
	case strings.Contains(string(body), "Action=GetCallerIdentity"):
		answer.Header().Set("Content-Type", "text/xml")
		fmt.Fprint(answer, `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Arn>arn:aws:iam::123456789012:user/anna</Arn><UserId>A</UserId><Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`)
	case target == "AmazonSQS.GetQueueAttributes":
		var asked struct{ QueueUrl string }
		if err := json.Unmarshal(body, &asked); err != nil {
			w.Error(err)
		}
		if w.deny(answer, "sqs:GetQueueAttributes") {
			return
		}
		if !slices.Contains(w.queues, asked.QueueUrl) {
			answer.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(answer, `{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"no"}`)
			return
		}
		fmt.Fprint(answer, `{"Attributes":{"ApproximateNumberOfMessages":"11"}}`)
	case target == "Logs_20140328.FilterLogEvents":
		w.filter(answer, body)
	case strings.HasPrefix(r.URL.Path, "/2015-03-31/functions/") && !w.function:
		missing("ResourceNotFoundException")
	case r.URL.Path == "/2015-03-31/functions/leda/invocations":
		if w.deny(answer, "lambda:InvokeFunction") {
			return
		}
		w.event = string(body)
		if w.failure != "" {
			answer.Header().Set("X-Amz-Function-Error", "Unhandled")
			fmt.Fprintf(answer, `{"errorMessage":%q,"errorType":"errorString"}`, w.failure)
			return
		}
		fmt.Fprint(answer, w.report)
	case r.URL.Path == "/2015-03-31/functions/leda/configuration":
		fmt.Fprint(answer, `{"FunctionName":"leda","State":"Active","Role":"arn:aws:iam::123456789012:role/leda","LastModified":"2026-02-28T09:00:00Z"}`)
	case r.URL.Path == "/clusters/demo":
		if w.deny(answer, "eks:DescribeCluster") {
			return
		}
		fmt.Fprintf(answer, `{"cluster":{"name":"demo","endpoint":%q,"accessConfig":{"authenticationMode":"API"}}}`, cmp.Or(w.endpoint, os.Getenv("LEDA_TEST_CLUSTER")))
	case r.URL.Path == "/clusters/other":
		missing("ResourceNotFoundException")
	case r.URL.Path == "/clusters/demo/access-entries/arn:aws:iam::123456789012:role/leda":
		if w.groups == nil {
			missing("ResourceNotFoundException")
			return
		}
		groups, _ := json.Marshal(w.groups)
		fmt.Fprintf(answer, `{"accessEntry":{"kubernetesGroups":%s}}`, groups)
	default:
		w.Errorf("asked AWS for %s %s %s %s", r.Method, r.URL, target, body)
		answer.WriteHeader(http.StatusBadRequest)
	}
}

// filter answers FilterLogEvents in pages of two.
func (w *world) filter(answer http.ResponseWriter, body []byte) {
	var asked struct {
		LogGroupName, FilterPattern, NextToken string
		StartTime                              int64
	}
	if err := json.Unmarshal(body, &asked); err != nil || asked.LogGroupName != "/aws/lambda/leda" {
		w.Errorf("asked the log for %s: %v", body, err)
	}
	if w.deny(answer, "logs:FilterLogEvents") {
		return
	}
	w.patterns = append(w.patterns, asked.FilterPattern)
	from := 0
	if asked.NextToken != "" {
		_, _ = fmt.Sscan(asked.NextToken, &from)
	}
	events := []map[string]string{}
	for _, line := range w.log[from:min(from+2, len(w.log))] {
		var l logged
		if json.Unmarshal([]byte(line), &l) != nil || l.Time.UnixMilli() >= asked.StartTime {
			events = append(events, map[string]string{"message": line})
		}
	}
	page := map[string]any{"events": events}
	if from+2 < len(w.log) {
		page["nextToken"] = fmt.Sprint(from + 2)
	}
	if err := json.NewEncoder(answer).Encode(page); err != nil {
		w.Error(err)
	}
}

// cluster is an API server, as far as leda doctor asks one.
func (w *world) cluster(answer http.ResponseWriter, r *http.Request) {
	answer.Header().Set("Content-Type", "application/json")
	status := func(code int, reason string) {
		answer.WriteHeader(code)
		fmt.Fprintf(answer, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":%q,"code":%d,"message":"it is %s"}`, reason, code, reason)
	}
	if r.URL.Path == "/apis/authorization.k8s.io/v1/subjectaccessreviews" {
		var review map[string]any
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
			w.Error(err)
		}
		spec := review["spec"].(map[string]any)
		a := spec["resourceAttributes"].(map[string]any)
		w.reviews = append(w.reviews, fmt.Sprintf("%v %v %v/%v %v in %v", spec["groups"], a["verb"], a["resource"], a["subresource"], a["name"], a["namespace"]))
		review["status"] = map[string]any{"allowed": w.rights(a)}
		answer.WriteHeader(http.StatusCreated)
		if err := json.NewEncoder(answer).Encode(review); err != nil {
			w.Error(err)
		}
		return
	}
	switch text, ok := w.objects[r.URL.Path]; {
	case ok && text == "forbidden":
		status(http.StatusForbidden, "Forbidden")
	case ok && text != "":
		fmt.Fprint(answer, text)
	default:
		status(http.StatusNotFound, "NotFound")
	}
}

func TestExplain(t *testing.T) {
	w := aWorld(t)
	code, out, problems := w.types("explain shop/orders")
	want := `demo/shop/orders: 1 → 3 (DesiredWithinRange)
  s0: 11 / 5 a replica = 2.2 → 3
  within 1…5: 1 → 3
  That is what the readings ask for, at once.
`
	if code != exitFine || out != want || problems != "" {
		t.Errorf("exit %d, %s\n got %q\nwant %q", code, problems, out, want)
	}
	if w.event != `{"targets":["shop/orders"],"dryRun":true}` {
		t.Errorf("the function was asked %s", w.event)
	}
	for _, row := range []struct {
		rule    string
		change  func(*world)
		command string
		code    int
		out     string
		problem string
	}{
		{"no target", func(*world) {}, "explain", 2, "", "name a target as NAMESPACE/NAME"},
		{"no function", func(w *world) { w.function = false }, "explain shop/orders", 1, "", "there is none of that name in eu-west-1: deploy it (cdk deploy), or name it with -function and -region"},
		{"the function's own error", func(w *world) { w.failure = `there is no target "shop/none": deploy it` }, "explain shop/none", 1, "", `function leda: there is no target "shop/none": deploy it`},
		{"no right", func(w *world) { w.denied = "lambda:InvokeFunction" }, "explain shop/orders", 1, "", "not authorized to perform: lambda:InvokeFunction"},
		{"not Leda", func(w *world) { w.report = `"hello"` }, "explain shop/orders", 1, "", "function leda gives no report"},
		{"one of two is unknown", func(*world) {}, "explain shop/orders shop/none", 1, "demo/shop/orders: 1 → 3", "not every target is one of the function's"},
		{"nothing could be decided", func(w *world) {
			w.report = `{"decisions":[{"target":"demo/shop/orders","error":"there is no deployments orders in namespace shop"}]}`
		}, "explain shop/orders", 1, "demo/shop/orders: no decision\n  there is no deployments orders in namespace shop\n", ""},
		{"a reading failed", func(w *world) {
			w.report = `{"decisions":[{"target":"demo/shop/orders","from":2,"to":2,"reason":"FailedGetExternalMetric","why":"s0 could not be read; nothing shrinks on a failed reading: stays 2","readings":[{"trigger":"s0","error":"read depth of queue \"orders\": AccessDenied"}],"memory":"it is gone"}]}`
		}, "explain shop/orders", 1, "  s0: read depth of queue \"orders\": AccessDenied\n  not in order: it is gone\n", ""},
	} {
		w := aWorld(t)
		row.change(w)
		code, out, problems := w.types(row.command)
		if code != row.code || !strings.Contains(out, row.out) || (row.out == "") != (out == "") || !strings.Contains(problems, row.problem) || (row.problem == "") != (problems == "") {
			t.Errorf("%s: exit %d, out %q, problems %q; want exit %d, %q, %q", row.rule, code, out, problems, row.code, row.out, row.problem)
		}
	}
}

func TestStatus(t *testing.T) {
	w := aWorld(t)
	code, out, problems := w.types("status")
	want := `TARGET        SIZE  REASON                   LAST CHANGE
shop/orders    1→3  DesiredWithinRange       5 → 1, 30m ago
`
	if code != exitFine || out != want || problems != "" {
		t.Errorf("exit %d, %s\n got %q\nwant %q", code, problems, out, want)
	}
	if w.event != `{"dryRun":true}` || !slices.Contains(w.patterns, `{ $.msg = "decision" }`) {
		t.Errorf("asked %s and %q", w.event, w.patterns)
	}

	w = aWorld(t)
	w.report = `{"decisions":[
		{"target":"two/shop/orders","error":"read the scale: forbidden"},
		{"target":"one/shop/a-name-that-is-too-long-for-the-table","from":7,"to":7,"reason":"TooManyReplicas","readings":[{"trigger":"s0","value":1,"target":1}]}]}`
	code, out, _ = w.types("status -since 2d")
	want = `TARGET                         SIZE  REASON                   LAST CHANGE
one/shop/a-name-that-is-too-long-for-the-table
                                  7  TooManyReplicas          none in 2d
two/shop/orders                   ?  not decided              none in 2d

two/shop/orders: read the scale: forbidden
`
	if code != exitNotInOrder || out != want {
		t.Errorf("exit %d\n got %s\nwant %s", code, out, want)
	}
	for _, line := range strings.Split(out, "\n") {
		if len([]rune(line)) > columns {
			t.Errorf("wider than the terminal: %s", line)
		}
	}

	w = aWorld(t)
	w.denied = "logs:FilterLogEvents"
	if code, out, problems := w.types("status"); code != exitNotInOrder || !strings.Contains(out, "shop/orders") || !strings.Contains(problems, "the last changes are not known: read log group /aws/lambda/leda in eu-west-1") {
		t.Errorf("without the log: exit %d, %q, %q", code, out, problems)
	}
	for _, command := range []string{"status shop/orders", "status -since yesterday", "status -since 0s"} {
		if code, out, problems := aWorld(t).types(command); code != exitBadInput || out != "" || problems == "" {
			t.Errorf("%s: exit %d, %q, %q", command, code, out, problems)
		}
	}
}

func TestAgo(t *testing.T) {
	for d, want := range map[time.Duration]string{-time.Second: "0s", 90 * time.Second: "90s", 5 * time.Minute: "5m", 119 * time.Minute: "119m", 26 * time.Hour: "26h", 72 * time.Hour: "3d"} {
		if got := ago(d); got != want {
			t.Errorf("%v ago is %q, want %q", d, got, want)
		}
	}
}
