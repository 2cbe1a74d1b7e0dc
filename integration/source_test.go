package integration_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/leda-autoscaler/leda/integration/stack"
)

// TestScaledObjectsOfACluster deploys Leda for ScaledObjects that stay in the cluster, and uses them as KEDA's users do. It
// waits for a dozen ticks one after the other, so it is not part of `make test`.
func TestScaledObjectsOfACluster(t *testing.T) {
	if testing.Short() || os.Getenv("LEDA_SOURCE") == "" {
		t.Skip("no LEDA_SOURCE: ScaledObjects of a cluster were not tested end to end (make source), only in process on a real API server (package lambda)")
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	s, err := stack.Start(t.Context(), root, "source", func(stack.Step) {})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	p := person{t, s.Environ(), root}
	p.types("go run ./cmd/leda crds | kubectl apply --server-side -f -")
	p.types("kubectl wait --for condition=established --timeout 30s crd/scaledobjects.keda.sh crd/triggerauthentications.keda.sh crd/clustertriggerauthentications.keda.sh")
	for _, namespace := range []string{"keda-test", "keda-cron", "shop-chart", "keda"} { // the last may be there
		p.types("kubectl create namespace " + namespace + " --dry-run=client -o yaml | kubectl apply -f -")
	}
	p.types("kubectl -n keda-test create deployment nginx-deployment --image nginx --replicas 1")
	p.types("kubectl -n keda-cron create deployment my-deployment --image nginx --replicas 1")
	p.types("aws sqs create-queue --region eu-west-1 --queue-name myQueue")
	p.types("aws sqs create-queue --queue-name elsewhere")
	p.keysFromKEDAsDocs()

	folder := p.TempDir()
	context := ` -c name=Fourth -c cluster= -c queues=chart-shop -c 'readableQueues=["chart-*"]' -c scaledObjects=` + filepath.Join(folder, "none") +
		` -c clusters='[{"name":"demo","source":"cluster","namespaces":["keda-test","keda-cron","shop-chart"],"secrets":true}]'`
	p.types("CDK_OUTPUT=" + filepath.Join(folder, "cdk.out") + " cdk deploy" + context)
	p.types("go run ./cmd/leda rbac -source cluster -namespaces keda-test,keda-cron,shop-chart -secrets | kubectl apply -f -")

	at := func(t *testing.T) person { return person{t, s.Environ(), root} }
	t.Run("the examples of KEDA's documentation", func(t *testing.T) {
		t.Run("cron", func(t *testing.T) { t.Parallel(); at(t).kedasCron() })
		t.Run("aws-sqs-queue, then aws-cloudwatch for the same workload", func(t *testing.T) { t.Parallel(); at(t).kedasQueue() })
		t.Run("a chart is installed, upgraded, paused and removed", func(t *testing.T) { t.Parallel(); at(t).chart() })
	})
	t.Run("KEDA at work keeps Leda away", func(t *testing.T) { at(t).besideKEDA() })
	p.types("CDK_OUTPUT=" + filepath.Join(folder, "cdk.out") + " cdk destroy --force" + context)
}

// keysFromKEDAsDocs makes the Secret that the examples name.
func (p person) keysFromKEDAsDocs() {
	p.Helper()
	p.types("aws iam create-user --user-name keda-docs")
	p.types(`aws iam put-user-policy --user-name keda-docs --policy-name read --policy-document '{"Version":"2012-10-17","Statement":[` +
		`{"Effect":"Allow","Action":"sqs:GetQueueAttributes","Resource":"arn:aws:sqs:eu-west-1:000000000000:myQueue"},{"Effect":"Allow","Action":"cloudwatch:GetMetricData","Resource":"*"}]}'`)
	p.types(`set -- $(aws iam create-access-key --query 'AccessKey.[AccessKeyId,SecretAccessKey]' --output text --user-name keda-docs) && ` +
		`kubectl -n keda-test create secret generic test-secrets --from-literal AWS_ACCESS_KEY_ID=$1 --from-literal AWS_SECRET_ACCESS_KEY=$2`)
}

// shows waits for what a kubectl get of a ScaledObject prints.
func (p person) shows(object, path, want string) {
	p.Helper()
	p.eventually("kubectl get scaledobject -n "+object+" -o jsonpath='{"+path+"}'", func(printed string) bool { return strings.Contains(printed, want) })
}

func condition(kind string) string {
	return `range .status.conditions[?(@.type=="` + kind + `")]}{.status} {.reason} {.message}{end`
}

// size waits for a workload's size.
func (p person) size(workload string, replicas int) {
	p.Helper()
	p.types(fmt.Sprintf("kubectl wait -n %s --for=jsonpath='{.spec.replicas}'=%d --timeout=4m", workload, replicas))
}

func (p person) kedasCron() {
	// In namespace default, which the example names, the story has its own rights, and a Role leda is one installation's.
	p.types("sed 's#namespace: default#namespace: keda-cron#' integration/testdata/source/keda-cron.yaml | kubectl apply -f -")
	india := time.Now().In(time.FixedZone("Asia/Kolkata", 5*3600+1800))
	if india.Hour() >= 6 && india.Hour() < 20 {
		p.size("keda-cron deployment/my-deployment", 10)
		return
	}
	p.shows("keda-cron cron-scaledobject", condition("Active"), "False Scaler") // ScalerCooldown, then ScalerNotActive
	if got := p.types("kubectl -n keda-cron get deployment my-deployment -o jsonpath='{.spec.replicas}'"); got != "1" && got != "0" {
		p.Errorf("outside of the window: got %s replicas, want 1 as before, or 0 after the cooldown", got)
	}
}

func (p person) kedasQueue() {
	p.types("kubectl apply -f integration/testdata/source/keda-sqs.yaml")
	queue := "--region eu-west-1 --queue-url $(aws sqs get-queue-url --region eu-west-1 --queue-name myQueue --query QueueUrl --output text)"
	p.types("for n in 1 2 3 4 5 6 7 8 9 10 11; do aws sqs send-message " + queue + " --message-body $n; done")
	p.size("keda-test deployment/nginx-deployment", 3)
	const object = "keda-test aws-sqs-queue-scaledobject"
	p.shows(object, condition("Ready"), "True ScaledObjectReady")
	p.shows(object, condition("Active"), "True ScalerActive")
	p.shows(object, condition("Paused"), "False")
	line := p.types("kubectl -n keda-test get scaledobject aws-sqs-queue-scaledobject")
	for _, want := range []string{"SCALETARGETKIND", "SCALETARGETNAME", "READY", "ACTIVE", "FALLBACK", "PAUSED", "apps/v1.Deployment", "nginx-deployment"} {
		if !strings.Contains(line, want) {
			p.Errorf("kubectl get scaledobject does not show %s:\n%s", want, line)
		}
	}
	p.types("kubectl -n keda-test delete scaledobject aws-sqs-queue-scaledobject --timeout 30s") // a finalizer of ours would hold it

	p.types("kubectl -n keda-test scale deployment nginx-deployment --replicas 1")
	p.types("aws cloudwatch put-metric-data --region eu-west-1 --namespace AWS/SQS --metric-data 'MetricName=ApproximateNumberOfMessagesVisible,Value=7,Dimensions=[{Name=QueueName,Value=keda}]'")
	p.types("kubectl apply -f integration/testdata/source/keda-cloudwatch.yaml")
	p.size("keda-test deployment/nginx-deployment", 4) // 7 / 2
	p.shows("keda-test aws-cloudwatch-queue-scaledobject", condition("Ready"), "True ScaledObjectReady")
}

// helm applies what a chart renders, as `helm upgrade --install` would.
func (p person) helm(tag, length string) {
	p.Helper()
	p.types("sed 's#TAG#" + tag + "#; s#LENGTH#" + length + "#' integration/testdata/source/chart.yaml | kubectl apply -f -")
}

// ticks waits until a tick that began from now on is over.
func (p person) ticks(function string) {
	p.Helper()
	since := time.Now()
	p.eventually(logOf(function)+" --start-time "+millis(since.Add(time.Minute)), func(printed string) bool { return strings.Contains(printed, `\"msg\":\"done\"`) })
}

func (p person) chart() {
	const object, workload = "shop-chart shop", "shop-chart deployment/shop"
	p.helm("1.0", "5")
	p.send("chart-shop", 11)
	p.size(workload, 3)

	end := p.sizesIn("shop-chart", "deployment/shop")
	p.helm("1.1", "5") // another image only
	p.helm("1.1", "2") // ceil(11 / 2)
	p.size(workload, 6)
	if got := strings.Join(end(), " "); got != "3 6" {
		p.Errorf("upgrades: got sizes %s, want 3 and then 6: none resets what was scaled", got)
	}

	p.types("kubectl -n shop-chart annotate scaledobject shop autoscaling.keda.sh/paused-replicas=2")
	p.size(workload, 2)
	p.shows(object, condition("Paused"), "True")
	p.types("kubectl -n shop-chart annotate scaledobject shop autoscaling.keda.sh/paused-replicas-")
	p.size(workload, 6)
	p.shows(object, condition("Paused"), "False")

	p.helm("1.1", "many") // the kind's schema leaves what a trigger says to KEDA, or to Leda
	p.shows(object, condition("Ready"), "queueLength")
	p.size(workload, 6)
	p.helm("1.1", "2")
	p.shows(object, condition("Ready"), "True ScaledObjectReady")

	p.types(`kubectl -n shop-chart get scaledobject shop -o json | sed 's#chart-shop#elsewhere#; s#"name": "shop"#"name": "elsewhere"#' | kubectl create -f -`)
	p.shows("shop-chart elsewhere", condition("Ready"), "readableQueues")
	p.types("kubectl -n shop-chart delete scaledobject elsewhere --timeout 30s")

	p.types("kubectl -n shop-chart delete scaledobject shop --timeout 30s") // restoreToOriginalReplicaCount
	p.size(workload, 1)
}

// besideKEDA is the way from KEDA to Leda and back, as far as it goes without KEDA's operator: what Leda sees of it is
// its lease, and the HPA.
func (p person) besideKEDA() {
	const object, workload = "shop-chart shop", "shop-chart deployment/shop"
	lease := func(at time.Time) {
		p.types(`kubectl apply -f - <<E
{"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":"operator.keda.sh","namespace":"keda"},
"spec":{"holderIdentity":"keda-operator","leaseDurationSeconds":3600,"renewTime":"` + at.UTC().Format("2006-01-02T15:04:05.000000Z") + `"}}
E`)
	}
	stands := condition("LedaStandsAside")
	p.purge("chart-shop")
	lease(time.Now())
	p.helm("1.1", "5")
	p.shows(object, stands, "True")
	p.types("kubectl -n shop-chart scale deployment shop --replicas 4") // KEDA's size
	end := p.sizesIn("shop-chart", "deployment/shop")
	p.send("chart-shop", 36)
	p.ticks("fourth")
	if got := strings.Join(end(), " "); got != "4" {
		p.Errorf("beside KEDA: got sizes %s, want 4 as KEDA left it", got)
	}

	p.types("kubectl -n keda delete lease operator.keda.sh") // KEDA's operator is gone
	p.size(workload, 8)
	p.eventually("kubectl -n shop-chart get scaledobject shop -o jsonpath='{.status.conditions}'", func(printed string) bool { return !strings.Contains(printed, "LedaStandsAside") })

	lease(time.Now()) // and is back
	p.shows(object, stands, "True")
	end = p.sizesIn("shop-chart", "deployment/shop")
	p.purge("chart-shop")
	p.ticks("fourth")
	if got := strings.Join(end(), " "); got != "8" {
		p.Errorf("KEDA is back: got sizes %s, want 8 as Leda left it", got)
	}
	p.types("kubectl -n keda delete lease operator.keda.sh")
	p.types("kubectl -n shop-chart delete scaledobject shop --timeout 30s")
}
