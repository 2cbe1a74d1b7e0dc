package infra

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	"github.com/leda-autoscaler/leda/scaling"
)

// readFleet reads a folder of ScaledObjects and places them on the cluster.
// What is wrong with them is [scaling.Problems], each with its file.
func readFleet(folder string, cluster scaling.Cluster) (scaling.Fleet, scaling.Manifests, error) {
	parent, base := filepath.Split(filepath.Clean(folder))
	files, err := scaling.ReadFolder(os.DirFS(filepath.Clean(parent)), base)
	if err != nil {
		return scaling.Fleet{}, scaling.Manifests{}, problem{"scaledObjects", err.Error()}
	}
	for i := range files {
		files[i].Name = filepath.Join(parent, files[i].Name)
	}
	parsed, err := scaling.Parse(files...)
	if err != nil {
		return scaling.Fleet{}, scaling.Manifests{}, err
	}
	documents, err := scaling.Documents(files...)
	if err != nil {
		return scaling.Fleet{}, scaling.Manifests{}, err
	}
	fleet := scaling.Fleet{Clusters: []scaling.Cluster{cluster}, Objects: documents}
	targets, err := fleet.Targets()
	targets.Notes = parsed.Notes // these name their files
	return fleet, targets, err
}

// place is where the stack is deployed.
type place struct{ partition, region, account string }

func (p place) arn(service, resource string) string {
	return fmt.Sprintf("arn:%s:%s:%s:%s:%s", p.partition, service, p.region, p.account, resource)
}

// queue is the source of one trigger.
type queue struct {
	scaling.Trigger
	object scaling.ScaledObject
	index  int // of the trigger, in the ScaledObject
	place  place
}

func (q queue) arn() string { return q.place.arn("sqs", q.SQS.QueueName) }

// String names the trigger everywhere, as the function reads it from an alarm's name: cluster/namespace/name/s0.
func (q queue) String() string { return fmt.Sprintf("%s/s%d", q.object.ID(), q.index) }

var (
	sqsQueueName = regexp.MustCompile(`^([0-9A-Za-z_-]{1,80}|[0-9A-Za-z_-]{1,75}\.fifo)$`)
	sqsAccount   = regexp.MustCompile(`^[0-9]{12}$`)
	sqsRegion    = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-[0-9]$`)
)

// queuesOf lists the queue of every SQS trigger. A queue without an account in its URL is in the stack's.
//
// These texts become ARNs in a policy, where a star would grant more than one queue, so each must be what SQS
// itself allows; the error is [scaling.Problems].
func queuesOf(objects []scaling.ScaledObject, here place) ([]queue, error) {
	var queues []queue
	var problems scaling.Problems
	for _, object := range objects {
		for i, trigger := range object.Triggers {
			if trigger.Type != scaling.TypeSQS {
				continue
			}
			q := queue{trigger, object, i, place{here.partition, trigger.SQS.Region, trigger.SQS.AccountID}}
			if q.place.account == "" {
				q.place.account = here.account
			}
			check := func(field, what, got string, valid *regexp.Regexp) {
				if !valid.MatchString(got) {
					problems = append(problems, scaling.Problem{
						Object:  fmt.Sprintf("ScaledObject %s/%s", object.Namespace, object.Name),
						Path:    fmt.Sprintf("spec.triggers[%d].metadata.%s", i, field),
						Message: fmt.Sprintf("must have %s, got %q", what, got),
					})
				}
			}
			check("queueURL", "a queue name that SQS allows (letters, digits, - and _, at most 80)", trigger.SQS.QueueName, sqsQueueName)
			check("queueURL", "an account of 12 digits", q.place.account, sqsAccount)
			check("awsRegion", "a region's name such as eu-west-1", trigger.SQS.Region, sqsRegion)
			queues = append(queues, q)
		}
	}
	if len(problems) > 0 {
		return nil, problems
	}
	return queues, nil
}
