// Package scaling decides how many replicas a workload should run.
//
// It reads KEDA's ScaledObjects and TriggerAuthentications ([Parse]) and turns readings of their
// triggers into a size and the reason for it ([Decide]). It does no I/O, holds no state and never
// reads the clock: the same values in give the same values out.
package scaling

import (
	"slices"
	"time"
)

// A ScaledObject is one keda.sh/v1alpha1 ScaledObject: parsed, with KEDA's defaults filled in, validated.
type ScaledObject struct {
	Cluster   string // annotation leda.dev/cluster; empty means the stack's only cluster
	Namespace string
	Name      string

	Target TargetRef // the workload whose scale is set
	Policy Policy

	PollingInterval       time.Duration // how often an idle target is looked at, at least 1 s
	CooldownPeriod        time.Duration // from the last active look to the step to zero or idle
	InitialCooldownPeriod time.Duration // the same for a target that was never seen active

	IdleReplicaCount *int32 // size while inactive, instead of zero; nil when not written
	MinReplicaCount  *int32 // nil when not written, which KEDA reads as 0
	MaxReplicaCount  int32

	// ScaleUp and ScaleDown are nil without a behavior. With one, both are there, as the API fills in a
	// direction that is not written: such a one is Implied, and only policy keda follows it.
	ScaleUp   *ScalingRules
	ScaleDown *ScalingRules

	Fallback  *Fallback         // nil when not written
	Modifiers *ScalingModifiers // nil when not written

	Pause           Pause
	ForceActivation bool // annotation autoscaling.keda.sh/force-activation

	// Doorbell is the ARN of an SNS topic that also feeds the queue, so that each message wakes the function
	// (annotation leda.dev/doorbell); empty when not written.
	Doorbell string

	// BesideKEDA says that Leda scales it although KEDA runs in the cluster (annotation leda.dev/beside-keda).
	BesideKEDA bool

	// HPAName is what KEDA calls the HPA that it makes for it, by which it is known that KEDA scales it.
	HPAName string

	// RestoreOriginal asks for the size from before it was scaled when the ScaledObject is deleted from a cluster
	// (advanced.restoreToOriginalReplicaCount).
	RestoreOriginal bool

	Bucket int // which of its namespace's memory ConfigMaps (leda-memory-<n>) keeps its memory

	Triggers []Trigger
}

// TargetRef names the workload, in the ScaledObject's namespace, by its scale subresource.
type TargetRef struct {
	APIVersion string // "apps/v1" unless written
	Kind       string // "Deployment" unless written
	Name       string
}

// Policy is how far Leda follows KEDA and the HPA.
type Policy string

// The policies a ScaledObject may ask for with the annotation leda.dev/policy.
const (
	PolicyDirect Policy = "direct" // straight to the size that the readings ask for
	PolicyKEDA   Policy = "keda"   // what KEDA and the HPA would have done
)

// Pause is what the autoscaling.keda.sh/paused* annotations say.
type Pause struct {
	Paused   bool   // nothing is changed
	Replicas *int32 // paused-replicas: this size, whatever the triggers say
	ScaleIn  bool   // never shrink
	ScaleOut bool   // never grow
}

// Trigger is one source of a metric value.
type Trigger struct {
	ID         string // its name, or s0, s1, … by position
	Name       string // empty when not written
	Type       string // TypeSQS, TypeCloudWatch or TypeCron
	MetricType MetricType

	// The metadata of its type.
	SQS        SQSTrigger
	CloudWatch CloudWatchTrigger
	Cron       *CronTrigger // nil for the others

	Authentication    Authentication // of a trigger that reads from AWS
	AuthenticationRef string         // the name in authenticationRef; empty when not written
}

// KEDA's names of the triggers that Leda knows.
const (
	TypeSQS        = "aws-sqs-queue"
	TypeCloudWatch = "aws-cloudwatch"
	TypeCron       = "cron"
)

// MetricType says what a trigger's value is compared with, in the HPA's words.
type MetricType string

// The metric types an external metric may have.
const (
	AverageValue MetricType = "AverageValue" // the target is what one replica carries
	Value        MetricType = "Value"        // the target is what all ready pods together carry
)

// Target is the value that the trigger scales to.
func (t *Trigger) Target() float64 {
	switch t.Type {
	case TypeSQS:
		return float64(t.SQS.QueueLength)
	case TypeCloudWatch:
		return t.CloudWatch.TargetMetricValue
	}
	return 1 // cron: its value is a number of replicas
}

// Reading is what the trigger says when its source gave value.
func (t *Trigger) Reading(value float64) Reading {
	activation := 0.0
	switch t.Type {
	case TypeSQS:
		activation = float64(t.SQS.ActivationQueueLength)
	case TypeCloudWatch:
		activation = t.CloudWatch.ActivationTargetMetricValue
	}
	return Reading{Trigger: t.ID, Value: value, Target: t.Target(), MetricType: t.MetricType, Active: value > activation}
}

// Failed is what the trigger says when its source could not be read.
func (t *Trigger) Failed(err error) Reading {
	return Reading{Trigger: t.ID, Target: t.Target(), MetricType: t.MetricType, Err: err}
}

// SQSTrigger is the metadata of an aws-sqs-queue trigger.
type SQSTrigger struct {
	QueueURL              string // a full URL or a bare name; sent to SQS as it is
	QueueURLFrom          Source // of the workload's environment, when QueueURL is not written (queueURLFromEnv)
	QueueName             string // the last part of the URL, or the bare name; empty while QueueURL is
	AccountID             string // from the URL; empty for a bare name
	Region                string
	Endpoint              string // awsEndpoint: where to ask instead of SQS's own address
	QueueLength           int64  // messages a replica
	ActivationQueueLength int64  // active when the depth is above this
	ScaleOnInFlight       bool   // count messages that are being worked on
	ScaleOnDelayed        bool   // count messages that are not yet visible
}

// CloudWatchTrigger is the metadata of an aws-cloudwatch trigger.
type CloudWatchTrigger struct {
	Namespace  string
	MetricName string
	Dimensions []Dimension
	Expression string // metric math or Metrics Insights; then the three above and Stat and Unit are empty

	Stat          string        // metricStat
	Unit          string        // metricUnit; empty for any
	Period        time.Duration // metricStatPeriod
	Collection    time.Duration // metricCollectionTime: how far the window looks back
	EndOffset     time.Duration // metricEndTimeOffset: how long before now it ends
	Region        string
	Endpoint      string // awsEndpoint
	SourceAccount string // awsAccountId: whose metrics, seen through cross-account observability

	TargetMetricValue           float64
	ActivationTargetMetricValue float64 // active when the value is above this
	MinMetricValue              float64 // the value when there is no data
	IgnoreNullValues            bool    // no data is MinMetricValue, else an error
}

// Dimension narrows a CloudWatch metric.
type Dimension struct{ Name, Value string }

// Window is the span of data a query at now asks for: Go's truncation, which is KEDA's
// (aws_cloudwatch_scaler.go computeQueryWindow, v2.20).
func (t *CloudWatchTrigger) Window(now time.Time) (start, end time.Time) {
	end = now.Add(-t.EndOffset).Truncate(t.Period)
	return end.Add(-t.Collection), end
}

// Authentication says with whose credentials a trigger's source is read.
// The zero value is the function's own role.
type Authentication struct {
	// Keys says where an access key is kept; nil when a role is used.
	Keys *KeyReferences
	// Role is assumed by the function's own one; its ARN is empty for the function's own role alone.
	Role Role
	// Cluster says that what is referred to is in the namespace of cluster objects (KEDA's own), since a
	// ClusterTriggerAuthentication says so, and not in the target's.
	Cluster bool
}

// Sources are the places in the cluster that the credentials are put together from.
func (a Authentication) Sources() []Source {
	var all []Source
	if a.Role.ARNFrom.Name != "" {
		all = append(all, a.Role.ARNFrom)
	}
	if a.Keys != nil {
		all = append(all, a.Keys.AccessKeyID, a.Keys.SecretAccessKey)
		if a.Keys.SessionToken.Name != "" {
			all = append(all, a.Keys.SessionToken)
		}
	}
	return all
}

// Role is an IAM role to be assumed.
type Role struct {
	ARN        string
	ARNFrom    Source // where the ARN is kept, when it is not written
	ExternalID string
}

// KeyReferences says where the parts of an AWS access key are kept.
type KeyReferences struct {
	AccessKeyID     Source
	SecretAccessKey Source
	SessionToken    Source // Name is empty when there is none
}

// Source is where a text is kept in the target's cluster.
type Source struct {
	Kind SourceKind
	Name string // of the Secret, the ConfigMap or the environment variable
	Key  string // the entry; for an environment variable the container, empty for the first
}

// SourceKind is what a Source's Name names.
type SourceKind string

// The kinds of places that a TriggerAuthentication can point to.
const (
	FromSecret    SourceKind = "Secret"
	FromConfigMap SourceKind = "ConfigMap"
	FromEnv       SourceKind = "env" // of the workload's container, where it is a literal
)

// Fallback is what stands in for a trigger that could not be read more than FailureThreshold times in a row.
type Fallback struct {
	FailureThreshold int32
	Replicas         int32
	Behavior         FallbackBehavior

	// Void says that it never comes into force: KEDA honours it only where scalingModifiers.target is a
	// whole number (pkg/fallback/fallback.go HasValidFallback, v2.20).
	Void bool
}

// FallbackBehavior chooses the size that stands in.
type FallbackBehavior string

// KEDA's fallback behaviors (apis/keda/v1alpha1/scaledobject_types.go, v2.20).
const (
	FallbackStatic          FallbackBehavior = "static"
	FallbackCurrent         FallbackBehavior = "currentReplicas"
	FallbackCurrentIfHigher FallbackBehavior = "currentReplicasIfHigher"
	FallbackCurrentIfLower  FallbackBehavior = "currentReplicasIfLower"
	FallbackModifiers       FallbackBehavior = "scalingModifiers" // the formula deals with it, by ??
)

// Min is the size below which an active workload is not taken: minReplicaCount, and at least 1, as the HPA's minReplicas.
func (o *ScaledObject) Min() int32 {
	if o.MinReplicaCount != nil && *o.MinReplicaCount > 0 {
		return *o.MinReplicaCount
	}
	return 1
}

// Floor is the size of the workload while nothing is to be done:
// idleReplicaCount where it is written, else minReplicaCount.
func (o *ScaledObject) Floor() int32 {
	switch {
	case o.IdleReplicaCount != nil:
		return *o.IdleReplicaCount
	case o.MinReplicaCount != nil:
		return *o.MinReplicaCount
	}
	return 0
}

// ScalingRules is one direction of autoscaling/v2 HorizontalPodAutoscalerBehavior, with the API's defaults filled in.
type ScalingRules struct {
	Implied   bool          // not written: a behavior that names the other direction brings it along
	Window    time.Duration // stabilizationWindowSeconds, 0 to 3600 s
	Select    SelectPolicy
	Policies  []ScalingPolicy
	Tolerance *float64 // nil when not written
}

// SelectPolicy chooses among the policies of a direction.
type SelectPolicy string

// The values autoscaling/v2 knows.
const (
	SelectMax      SelectPolicy = "Max"
	SelectMin      SelectPolicy = "Min"
	SelectDisabled SelectPolicy = "Disabled"
)

// ScalingPolicy limits how much one direction may change within a period.
type ScalingPolicy struct {
	Percent bool // Value counts percent of the size at the period's start, else pods
	Value   int32
	Period  time.Duration // 1 to 1800 s
}

// NeedsReady says whether the number of ready pods counts: for metricType Value, which compares with what they
// carry together.
func (o *ScaledObject) NeedsReady() bool {
	if o.Modifiers != nil {
		return o.Modifiers.MetricType == Value
	}
	return slices.ContainsFunc(o.Triggers, func(t Trigger) bool { return t.MetricType == Value })
}

// stabilizationWindow is kube-controller-manager's --horizontal-pod-autoscaler-downscale-stabilization, fixed on EKS.
const stabilizationWindow = 300 * time.Second

// rules are the ones that the policy follows. In policy keda they are both nil or neither is: the HPA
// takes one of two ways (horizontal.go normalizeDesiredReplicas and …WithBehaviors, Kubernetes 1.37).
func (o *ScaledObject) rules() (up, down *ScalingRules) {
	up, down = o.ScaleUp, o.ScaleDown
	if o.Policy != PolicyKEDA {
		if up != nil && up.Implied {
			up = nil
		}
		if down != nil && down.Implied {
			down = nil
		}
	}
	return up, down
}

// CountsGrowth says whether scaling policies count how much the target grew.
func (o *ScaledObject) CountsGrowth() bool {
	up, _ := o.rules()
	return up != nil
}

// DownWindow is how long the highest proposal holds a scale-in back.
func (o *ScaledObject) DownWindow() time.Duration {
	_, down := o.rules()
	return windowOf(down, stabilizationWindow)
}

func windowOf(rules *ScalingRules, otherwise time.Duration) time.Duration {
	if rules != nil {
		return rules.Window
	}
	return otherwise
}

// longestPeriod is the longest period of a direction's policies, 0 when none is written.
func (r *ScalingRules) longestPeriod() time.Duration {
	var longest time.Duration
	if r != nil {
		for _, p := range r.Policies {
			longest = max(longest, p.Period)
		}
	}
	return longest
}
