package infra

import (
	"errors"
	"fmt"

	"github.com/leda-autoscaler/leda/scaling"
)

// plan is what the settings and the ScaledObjects come to, before anything is made.
type plan struct {
	fleet     scaling.Fleet
	clusters  []cluster
	objects   []scaling.ScaledObject
	memory    int
	rights    rights
	doorbells []string // topics
	waking    []alarmGroup
	depths    []queue  // whose metrics CloudWatch shows here
	notes     []string // for people, at synth
}

func newPlan(settings Settings, here place) (plan, error) {
	problems := settings.problems()
	if len(problems) > 0 {
		return plan{}, joined(problems)
	}
	clusters, problems := settings.clustersFrom(here)
	fleet, targets, err := readFleet(settings.ScaledObjects, scaling.Fleet{
		Clusters:               fleetClusters(clusters),
		ClusterObjectNamespace: settings.ClusterObjectNamespace,
		Looks: scaling.Looks{
			OncePerTick:      settings.IdleLook == "tick",
			GrowingSeconds:   settings.ActiveLook,
			ShrinkingSeconds: settings.SteadyLook,
		},
	})
	if err != nil {
		return plan{}, errors.Join(joined(problems), err)
	}
	queues := queuesOf(targets.ScaledObjects, here)
	topics := topicsOf(targets.ScaledObjects)
	rights, more := rightsFor(settings, here, clusters, targets.ScaledObjects, queues, len(topics))
	problems = append(problems, more...)
	waking, notes, more := wakingAlarms(queues, here, settings.Name, settings.Alarms)
	problems = append(problems, more...)
	if topic := topicARN.FindStringSubmatch(settings.AlarmTopic); topic != nil && topic[1] != here.region {
		problems = append(problems, problem{"alarmTopic", fmt.Sprintf("must be in the stack's region %s, the only one that an alarm can tell, got %s", here.region, settings.AlarmTopic)})
	}
	if len(problems) > 0 {
		return plan{}, joined(problems)
	}

	memory := settings.Memory
	if memory == 0 {
		memory = memoryFor(targetsOf(clusters, len(targets.ScaledObjects)))
	}
	for _, note := range targets.Notes {
		notes = append(notes, note.String())
	}
	notes = append(notes, clusterNotes(clusters, here)...)
	notes = append(notes, doorbellNotes(topics, here)...)
	notes = append(notes, patternNotes(settings.ReadableQueues)...)
	return plan{fleet, clusters, targets.ScaledObjects, memory, rights, topics, waking, depths(queues, here), notes}, nil
}
