package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/leda-autoscaler/leda/scaling"
)

// The HPA's reasons for events (pkg/controller/podautoscaler/horizontal.go, Kubernetes 1.37).
const (
	SuccessfulRescale       = "SuccessfulRescale"
	FailedRescale           = "FailedRescale"
	FailedGetScale          = "FailedGetScale"
	FailedGetExternalMetric = "FailedGetExternalMetric"
)

// An Event is something that `kubectl describe` shows of a workload.
type Event struct {
	Warning bool
	Reason  string // one of the HPA's
	Message string // shown as it is, so without secrets
}

const (
	// warningInterval is how often a target may get the same warning. All functions that look at it share
	// one, since its name says the interval it is for.
	warningInterval = 10 * time.Minute

	// A target may have eventBurst events at once, and another one each eventInterval, as the recorder of
	// Kubernetes' own controllers allows (client-go tools/record, v0.37). The log has all of them.
	eventBurst    = 25
	eventInterval = 5 * time.Minute
)

// eventAllowance is what a target may still write.
type eventAllowance struct {
	left   int
	since  time.Time
	warned map[string]time.Time // reason: the interval that has its warning
}

// Event writes an event on a target's workload, which seen was read of. What would be too many is left
// out, and that is no error. The error wraps [ErrForbidden] where the Role does not allow events.
func (c *Cluster) Event(ctx context.Context, o *scaling.ScaledObject, seen Workload, e Event) error {
	now := c.Now()
	if !c.allowEvent(o, e, now) {
		return nil
	}
	body, err := json.Marshal(newEvent(o, seen, e, now))
	if err != nil {
		return fmt.Errorf("write event %s on %s: %w", e.Reason, workloadName(o), err)
	}
	_, err = c.request(ctx, http.MethodPost, "/api/v1/namespaces/"+o.Namespace+"/events", body)
	switch {
	case err == nil, errors.Is(err, ErrConflict): // another function has written the same warning
		return nil
	case errors.Is(err, ErrForbidden):
		err = fmt.Errorf("the Role in namespace %s does not allow create on events: apply `leda rbac` (%w)", o.Namespace, err)
	}
	return fmt.Errorf("write event %s on %s: %w", e.Reason, workloadName(o), err)
}

// allowEvent counts an event, if there may be one more.
func (c *Cluster) allowEvent(o *scaling.ScaledObject, e Event, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.allowances == nil {
		c.allowances = map[string]*eventAllowance{}
	}
	a := c.allowances[o.ID()]
	if a == nil {
		a = &eventAllowance{left: eventBurst, since: now, warned: map[string]time.Time{}}
		c.allowances[o.ID()] = a
	}
	if interval := now.Truncate(warningInterval); e.Warning {
		if a.warned[e.Reason].Equal(interval) {
			return false
		}
		a.warned[e.Reason] = interval
	}
	earned := int(now.Sub(a.since) / eventInterval)
	a.since = a.since.Add(time.Duration(earned) * eventInterval)
	if a.left = min(eventBurst, a.left+earned); a.left == 0 {
		return false
	}
	a.left--
	return true
}

// event is the part of core/v1 Event that is written.
type event struct {
	APIVersion         string          `json:"apiVersion"`
	Kind               string          `json:"kind"`
	Metadata           objectReference `json:"metadata"`
	InvolvedObject     objectReference `json:"involvedObject"`
	Type               string          `json:"type"`
	Reason             string          `json:"reason"`
	Message            string          `json:"message"`
	Source             eventSource     `json:"source"`
	ReportingComponent string          `json:"reportingComponent"`
	FirstTimestamp     string          `json:"firstTimestamp"`
	LastTimestamp      string          `json:"lastTimestamp"`
	Count              int             `json:"count"`
}

type objectReference struct {
	APIVersion string `json:"apiVersion,omitempty"`
	Kind       string `json:"kind,omitempty"`
	Namespace  string `json:"namespace"`
	Name       string `json:"name"`
	UID        string `json:"uid,omitempty"` // kubectl describe asks by it
}

type eventSource struct {
	Component string `json:"component"`
}

func newEvent(o *scaling.ScaledObject, seen Workload, e Event, now time.Time) event {
	const (
		longest     = 1024 // Kubernetes' own limit for newer events
		longestName = 220  // of the workload's, so that the event's is valid
	)
	name, message := o.Target.Name, e.Message
	if len(message) > longest {
		message = strings.ToValidUTF8(message[:longest-len("…")], "") + "…"
	}
	if len(name) > longestName {
		name = strings.TrimRight(name[:longestName], ".-")
	}
	// A change happens once. A warning stands for all of its kind in the interval, whoever finds it.
	kind, what := "Normal", strconv.FormatInt(now.UnixNano(), 36)
	if e.Warning {
		h := fnv.New64a()
		fmt.Fprintf(h, "%s/%s/%s/%s/%d", o.Target.APIVersion, o.Target.Kind, seen.uid, e.Reason, now.Truncate(warningInterval).Unix())
		kind, what = "Warning", strconv.FormatUint(h.Sum64(), 36)
	}
	at := now.UTC().Format(time.RFC3339)
	return event{
		APIVersion: "v1", Kind: "Event",
		Metadata:       objectReference{Namespace: o.Namespace, Name: name + ".leda." + what},
		InvolvedObject: objectReference{o.Target.APIVersion, o.Target.Kind, o.Namespace, o.Target.Name, seen.uid},
		Type:           kind, Reason: e.Reason, Message: message,
		Source: eventSource{"leda"}, ReportingComponent: "leda",
		FirstTimestamp: at, LastTimestamp: at, Count: 1,
	}
}
