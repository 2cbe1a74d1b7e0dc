package infra

import (
	"fmt"
	"regexp"

	"github.com/leda-autoscaler/leda/scaling"
)

// plan is what the settings and the ScaledObjects come to, before anything is made.
type plan struct {
	fleet    scaling.Fleet
	objects  []scaling.ScaledObject
	readable []string // ARNs of the queues that the function's role reads
	waking   []queue  // those with an alarm
	notes    []string // for people, at synth
}

var functionName = regexp.MustCompile(`^[0-9A-Za-z_-]{1,64}$`)

func newPlan(props Props, here place) (plan, error) {
	if !functionName.MatchString(props.Name) {
		return plan{}, fmt.Errorf("name: must be letters, digits, - and _, at most 64, since it is the function's too; got %q", props.Name)
	}
	if err := joined(props.problems()); err != nil {
		return plan{}, err
	}
	fleet, targets, err := readFleet(props.ScaledObjects, scaling.Cluster{Name: props.Cluster, Region: here.region})
	if err != nil {
		return plan{}, err
	}
	queues, err := queuesOf(targets.ScaledObjects, here)
	if err != nil {
		return plan{}, err
	}
	readable, err := readable(queues)
	if err != nil {
		return plan{}, err
	}
	waking, notes, err := wakingAlarms(queues, here, props.Name, props.Alarms)
	if err != nil {
		return plan{}, err
	}
	for _, note := range targets.Notes {
		notes = append(notes, note.String())
	}
	return plan{fleet, targets.ScaledObjects, readable, waking, notes}, nil
}
