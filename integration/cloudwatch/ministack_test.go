package cloudwatch

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cftypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

// TestAlarmInvokesFunction tells the whole story against MiniStack, over TLS and with IAM enforced: messages become a
// metric, the metric an alarm, the alarm one invocation; drained, the alarm is OK again.
//
// The function fails each event, and is not retried, so that each invocation leaves its payload in the queue "invoked".
// A period of a second, which AWS would refuse, only makes the story short.
func TestAlarmInvokesFunction(t *testing.T) {
	cfg := startMiniStack(t)
	changes := countSetAlarmState(&cfg)
	queues, metrics := sqs.NewFromConfig(cfg), cloudwatch.NewFromConfig(cfg)
	deploy(t, cfg, "testdata/stack.json")
	const name = "Leda/demo/shop/orders/s0"

	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		pace := Pace{Publish: 200 * time.Millisecond, Evaluate: 200 * time.Millisecond}
		ended <- pace.Run(ctx, cfg, slog.New(slog.NewTextHandler(t.Output(), nil)))
	}()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	}()

	awaitState(t, metrics, name, types.StateValueOk)
	awaitState(t, metrics, "depth", types.StateValueOk)
	for range 6 {
		_, err := queues.SendMessage(t.Context(), &sqs.SendMessageInput{
			QueueUrl: aws.String("orders"), MessageBody: aws.String("an order"),
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	awaitState(t, metrics, name, types.StateValueAlarm)
	awaitState(t, metrics, "depth", types.StateValueAlarm)
	first := receive(t, queues, "invoked", 1)
	if len(first) != 1 {
		t.Fatalf("got %d invocations, want 1", len(first))
	}
	checkPayload(t, *first[0].Body)

	// Taken but not done with, the messages are no longer visible, but still part of the sum.
	taken := receive(t, queues, "orders", 6)
	awaitState(t, metrics, name, types.StateValueOk)
	checkState(t, metrics, "depth", types.StateValueAlarm)
	for _, message := range taken {
		_, err := queues.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{
			QueueUrl: aws.String("orders"), ReceiptHandle: message.ReceiptHandle,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	awaitState(t, metrics, "depth", types.StateValueOk)
	checkState(t, metrics, "another queue", types.StateValueOk)
	if more := receive(t, queues, "invoked", 0); len(more) > 0 {
		t.Errorf("invoked once more, with %s", *more[0].Body)
	}
	// Three alarms became OK, two of them ALARM and OK again.
	if got := changes.Load(); got != 7 {
		t.Errorf("SetAlarmState was called %d times, want 7: once a change", got)
	}
}

// countSetAlarmState counts the calls that are made with cfg from now on.
func countSetAlarmState(cfg *aws.Config) *atomic.Int32 {
	var calls atomic.Int32
	client := cfg.HTTPClient
	cfg.HTTPClient = smithyhttp.ClientDoFunc(func(r *http.Request) (*http.Response, error) {
		if strings.HasSuffix(r.URL.Path, "/SetAlarmState") {
			calls.Add(1)
		}
		return client.Do(r)
	})
	return &calls
}

// checkPayload compares what the function was invoked with to what AWS documents for a Lambda alarm action.
func checkPayload(t *testing.T, body string) {
	t.Helper()
	var failure struct {
		RequestPayload map[string]any `json:"requestPayload"`
	}
	if err := json.Unmarshal([]byte(body), &failure); err != nil {
		t.Fatal(err)
	}
	// What differs from run to run, as depths do that are read while messages are still being sent, is checked for its
	// shape and then named by it.
	shapes := map[string]*regexp.Regexp{
		"<time>":    regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000$`),
		"<id>":      regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`),
		"<reasons>": regexp.MustCompile(`^datapoints \[.*[1-6]\], oldest first; alarm when 1 of 1 are GreaterThanThreshold 0; .*notBreaching$`),
		"<reason>":  regexp.MustCompile(`^datapoints \[.*\], oldest first; alarm when .*`),
		"<data>":    regexp.MustCompile(`^\{.*"period":1,"queryDate":"[^"]*","recentDatapoints":\[.*[1-6]\],"statistic":"Maximum","threshold":0,.*\}$`),
	}
	shape := func(at map[string]any, key, name string) {
		value, _ := at[key].(string)
		if !shapes[name].MatchString(value) {
			t.Errorf("%s is %q, not of the shape %s", key, value, shapes[name])
		}
		at[key] = name
	}
	got := failure.RequestPayload
	data, _ := got["alarmData"].(map[string]any)
	state, _ := data["state"].(map[string]any)
	previous, _ := data["previousState"].(map[string]any)
	configuration, _ := data["configuration"].(map[string]any)
	watched, _ := configuration["metrics"].([]any)
	if state == nil || previous == nil || len(watched) != 1 {
		t.Fatalf("the payload lacks state, previousState or its one metric: %s", body)
	}
	shape(got, "time", "<time>")
	shape(state, "timestamp", "<time>")
	shape(state, "reason", "<reasons>")
	shape(state, "reasonData", "<data>")
	shape(previous, "timestamp", "<time>")
	shape(previous, "reason", "<reason>")
	shape(watched[0].(map[string]any), "id", "<id>")

	var want map[string]any
	if err := json.Unmarshal(read(t, "testdata/alarm-event.json"), &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("payload (-want +got):\n%s", diff)
	}
}

// receive returns at least atLeast messages of the queue, and whatever else is there.
func receive(t *testing.T, queues *sqs.Client, queue string, atLeast int) []sqstypes.Message {
	t.Helper()
	var messages []sqstypes.Message
	for {
		wait := int32(0)
		if len(messages) < atLeast {
			wait = 10
		}
		got, err := queues.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{
			QueueUrl: &queue, MaxNumberOfMessages: 10, WaitTimeSeconds: wait,
		})
		if err != nil {
			t.Fatal(err)
		}
		messages = append(messages, got.Messages...)
		if len(messages) < atLeast && len(got.Messages) == 0 {
			t.Fatalf("queue %s: got %d messages, want %d", queue, len(messages), atLeast)
		}
		if len(got.Messages) == 0 {
			return messages
		}
	}
}

func awaitState(t *testing.T, metrics *cloudwatch.Client, alarm string, want types.StateValue) {
	t.Helper()
	await(t, fmt.Sprintf("alarm %q is %s", alarm, want), func() bool { return stateOf(t, metrics, alarm) == want })
}

func checkState(t *testing.T, metrics *cloudwatch.Client, alarm string, want types.StateValue) {
	t.Helper()
	if got := stateOf(t, metrics, alarm); got != want {
		t.Errorf("alarm %q is %s, want %s", alarm, got, want)
	}
}

func stateOf(t *testing.T, metrics *cloudwatch.Client, alarm string) types.StateValue {
	t.Helper()
	got, err := metrics.DescribeAlarms(t.Context(), &cloudwatch.DescribeAlarmsInput{AlarmNames: []string{alarm}})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.MetricAlarms) != 1 {
		t.Fatalf("there are %d alarms %q", len(got.MetricAlarms), alarm)
	}
	return got.MetricAlarms[0].StateValue
}

// deploy creates the stack of a template by CloudFormation.
func deploy(t *testing.T, cfg aws.Config, template string) {
	t.Helper()
	stacks := cloudformation.NewFromConfig(cfg)
	_, err := stacks.CreateStack(t.Context(), &cloudformation.CreateStackInput{
		StackName:    aws.String("Leda"),
		TemplateBody: aws.String(string(read(t, template))),
		Capabilities: []cftypes.Capability{cftypes.CapabilityCapabilityIam},
	})
	if err != nil {
		t.Fatal(err)
	}
	await(t, "the stack is created", func() bool {
		got, err := stacks.DescribeStacks(t.Context(), &cloudformation.DescribeStacksInput{StackName: aws.String("Leda")})
		if err != nil {
			t.Fatal(err)
		}
		switch status := got.Stacks[0].StackStatus; status {
		case cftypes.StackStatusCreateComplete:
			return true
		case cftypes.StackStatusCreateInProgress:
			return false
		default:
			t.Fatalf("the stack is %s: %s", status, aws.ToString(got.Stacks[0].StackStatusReason))
			return false
		}
	})
}

// await polls, since AWS's API has nothing to wait on.
func await(t *testing.T, what string, happened func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !happened() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 30 s: %s", what)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// startMiniStack runs MiniStack by its launcher for the length of the test and returns the config to reach it with.
func startMiniStack(t *testing.T) aws.Config {
	t.Helper()
	if testing.Short() {
		t.Skip("starts MiniStack; not with -short")
	}
	venv := os.Getenv("MINISTACK_VENV")
	if venv == "" {
		venv = filepath.Join("..", "..", ".local", "venv", "ministack")
	}
	python := filepath.Join(venv, "bin", "python")
	if _, err := os.Stat(python); err != nil {
		t.Skipf("no MiniStack: %v; make its virtual environment by `make up`, or name one in MINISTACK_VENV", err)
	}
	t.Cleanup(func() { goleak.VerifyNone(t) })

	folder := t.TempDir()
	certificate, key := filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")
	trust := writeCertificate(t, certificate, key)
	port := freePort(t)
	url := "https://127.0.0.1:" + strconv.Itoa(port)

	output, err := os.Create(filepath.Join(folder, "log"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	process := exec.CommandContext(ctx, python, "-B", filepath.Join("..", "ministack", "launcher.py"))
	process.Cancel = func() error { return process.Process.Signal(syscall.SIGTERM) }
	process.WaitDelay = 10 * time.Second
	process.Stdout, process.Stderr = output, output
	process.Env = []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + folder,
		"TMPDIR=" + folder,
		"STATE_DIR=" + folder,
		"GATEWAY_PORT=" + strconv.Itoa(port),
		"MINISTACK_HOST=127.0.0.1",
		"USE_SSL=1",
		"MINISTACK_SSL_CERT=" + certificate,
		"MINISTACK_SSL_KEY=" + key,
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: trust},
		ForceAttemptHTTP2: true, // as the SDK's own client does
	}}
	t.Cleanup(func() {
		client.CloseIdleConnections()
		stop()
		if err := process.Wait(); err != nil && process.ProcessState.ExitCode() != 0 {
			t.Errorf("MiniStack ended with %v", err)
		}
		output.Close()
		if t.Failed() {
			t.Logf("MiniStack said:\n%s", read(t, output.Name()))
		}
	})
	await(t, "MiniStack answers at "+url, func() bool {
		response, err := client.Get(url + "/_ministack/health")
		if err != nil {
			return false
		}
		response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
	return configOf(url, client)
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

// writeCertificate makes a certificate for 127.0.0.1 and returns the trust in it.
func writeCertificate(t *testing.T, certificate, key string) *x509.CertPool {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		NotBefore:             time.Now().Add(-time.Minute),
		NotAfter:              time.Now().Add(time.Hour),
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	encoded := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed})
	for file, content := range map[string][]byte{
		certificate: encoded,
		key:         pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}),
	} {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	trust := x509.NewCertPool()
	trust.AppendCertsFromPEM(encoded)
	return trust
}
