package infra

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/leda-autoscaler/leda/scaling"
)

// readFleet reads a folder of ScaledObjects and places them on the fleet's clusters.
// What is wrong with them is [scaling.Problems], each with its file.
func readFleet(folder string, fleet scaling.Fleet) (scaling.Fleet, scaling.Manifests, error) {
	parent, base := filepath.Split(filepath.Clean(folder))
	files, err := scaling.ReadFolder(os.DirFS(filepath.Clean(parent)), base)
	if (errors.Is(err, fs.ErrNotExist) || errors.Is(err, scaling.ErrNoFiles)) && !slices.ContainsFunc(fleet.Clusters, needsFiles) {
		err = nil
	}
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
	if fleet.Objects, err = scaling.Documents(files...); err != nil {
		return scaling.Fleet{}, scaling.Manifests{}, err
	}
	targets, err := fleet.Targets()
	targets.Notes = parsed.Notes // these name their files
	return fleet, targets, err
}

// needsFiles says whether there is nothing to scale in a cluster without files.
func needsFiles(c scaling.Cluster) bool { return !c.ReadsObjects() }

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

// named says whether the queue is known before run time.
func (q queue) named() bool { return q.SQS.QueueName != "" }

// arn is empty when the queue is not known before run time.
func (q queue) arn() string {
	if !q.named() {
		return ""
	}
	return q.place.arn("sqs", q.SQS.QueueName)
}

// String names the trigger everywhere, as the function reads it from an alarm's name: cluster/namespace/name/s0.
func (q queue) String() string { return fmt.Sprintf("%s/s%d", q.object.ID(), q.index) }

// queuesOf lists the queue of every SQS trigger. A queue without an account in its URL is in the stack's.
//
// Its name, account and region become an ARN in a policy, where a star would grant more than one queue; the parser has
// seen to it that each is what AWS allows.
func queuesOf(objects []scaling.ScaledObject, here place) []queue {
	var queues []queue
	for _, object := range objects {
		for i, trigger := range object.Triggers {
			if trigger.Type != scaling.TypeSQS {
				continue
			}
			q := queue{trigger, object, i, place{here.partition, trigger.SQS.Region, trigger.SQS.AccountID}}
			if q.place.account == "" {
				q.place.account = here.account
			}
			queues = append(queues, q)
		}
	}
	return queues
}
