// Package scaling decides how many replicas a workload should run.
//
// It reads KEDA's ScaledObjects and TriggerAuthentications ([Parse]) and turns readings of their
// triggers into a size and the reason for it ([Decide]). It does no I/O, holds no state and never
// reads the clock: the same values in give the same values out.
package scaling

import "time"

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

	ScaleUp   *ScalingRules // nil when behavior.scaleUp is not written
	ScaleDown *ScalingRules // nil when behavior.scaleDown is not written

	Pause           Pause
	ForceActivation bool // annotation autoscaling.keda.sh/force-activation

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
	ID   string // its name, or s0, s1, … by position
	Name string // empty when not written
	Type string // "aws-sqs-queue"

	SQS            SQSTrigger
	Authentication Authentication
}

// TypeSQS is KEDA's name of the trigger that reads the depth of an SQS queue.
const TypeSQS = "aws-sqs-queue"

// SQSTrigger is the metadata of an aws-sqs-queue trigger.
type SQSTrigger struct {
	QueueURL              string // a full URL or a bare name; sent to SQS as it is
	QueueName             string // the last part of the URL, or the bare name
	AccountID             string // from the URL; empty for a bare name
	Region                string
	Endpoint              string // awsEndpoint: where to ask instead of SQS's own address
	QueueLength           int64  // messages a replica
	ActivationQueueLength int64  // active when the depth is above this
	ScaleOnInFlight       bool   // count messages that are being worked on
	ScaleOnDelayed        bool   // count messages that are not yet visible
}

// Authentication says with whose credentials a trigger's source is read.
// The zero value is the function's own role.
type Authentication struct {
	// Keys names the Secret entries that hold an access key; nil means the function's own role.
	Keys *KeyReferences
}

// KeyReferences names where, in the target's namespace, the parts of an AWS access key are kept.
type KeyReferences struct {
	AccessKeyID     SecretKey
	SecretAccessKey SecretKey
	SessionToken    SecretKey // Name is empty when there is none
}

// SecretKey is one entry of a Kubernetes Secret.
type SecretKey struct{ Name, Key string }

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

// stabilizationWindow is kube-controller-manager's --horizontal-pod-autoscaler-downscale-stabilization, fixed on EKS.
const stabilizationWindow = 300 * time.Second

// DownWindow is how long the highest proposal holds a scale-in back.
func (o *ScaledObject) DownWindow() time.Duration {
	if o.ScaleDown != nil {
		return o.ScaleDown.Window
	}
	return stabilizationWindow
}

// upWindow is how long the lowest proposal holds a scale-out back.
func (o *ScaledObject) upWindow() time.Duration {
	if o.ScaleUp != nil {
		return o.ScaleUp.Window
	}
	return 0
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
