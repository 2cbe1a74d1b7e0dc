package scaling

import (
	"math"
	"regexp"
	"slices"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
)

// KEDA's defaults (apis/keda/v1alpha1/scaledobject_types.go and the CRD, v2.20).
const (
	defaultPollingInterval = 30
	defaultCooldownPeriod  = 300
	defaultMaxReplicaCount = 100
)

const topicARN = `^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[\w-]{1,256}$`

func parseScaledObject(d document, known authentications) (ScaledObject, *checker) {
	root, id, annotations, check := parseMetadata(d)
	o := ScaledObject{Namespace: id.namespace, Name: id.name, Policy: PolicyDirect}
	if len(id.name) > 63 {
		check.problem("metadata.name", "must have at most 63 characters, got %d", len(id.name))
	}
	readAnnotations(&o, annotations, check)

	spec, ok := root.object("spec")
	root.done()
	if !ok {
		if !root.has("spec") {
			check.problem("spec", "is required")
		}
		return o, check
	}

	target, ok := spec.object("scaleTargetRef")
	if !ok && !spec.has("scaleTargetRef") {
		check.problem("spec.scaleTargetRef", "is required: it names the workload to scale")
	}
	container := "" // whose environment the trigger's …FromEnv values are in; the first one's when not written
	if ok {
		o.Target = TargetRef{APIVersion: target.text("apiVersion"), Kind: target.text("kind"), Name: target.requiredText("name")}
		container = target.text("envSourceContainerName")
		target.done()
	}
	if o.Target.APIVersion == "" {
		o.Target.APIVersion = "apps/v1"
	}
	if o.Target.Kind == "" {
		o.Target.Kind = "Deployment"
	}

	checkTarget(o.Target, check)
	o.PollingInterval = seconds(spec.integerOr("pollingInterval", 1, math.MaxInt32, defaultPollingInterval))
	o.CooldownPeriod = seconds(spec.integerOr("cooldownPeriod", 0, math.MaxInt32, defaultCooldownPeriod))
	o.InitialCooldownPeriod = seconds(spec.integerOr("initialCooldownPeriod", 0, math.MaxInt32, 0))
	o.IdleReplicaCount = optional(spec.integer("idleReplicaCount", 0, math.MaxInt32))
	o.MinReplicaCount = optional(spec.integer("minReplicaCount", 0, math.MaxInt32))
	o.MaxReplicaCount = spec.integerOr("maxReplicaCount", 1, math.MaxInt32, defaultMaxReplicaCount)
	checkBounds(&o, check)

	if o.Floor() == o.Min() && spec.has("cooldownPeriod") {
		check.note("spec.cooldownPeriod", "has no effect: minReplicaCount is above 0, and there is no idleReplicaCount to go to")
	}

	o.Triggers = parseTriggers(spec, id.namespace, container, known, check)
	readAdvanced(&o, spec, check)
	implyBehavior(&o, check)
	o.Fallback = parseFallback(spec, o.Modifiers, check)
	spec.done()
	return o, check
}

// checkTarget allows nothing that would lead to another path of the API server.
func checkTarget(t TargetRef, check *checker) {
	if t.Name != "" && !isObjectName(t.Name) {
		check.problem("spec.scaleTargetRef.name", "must be a name as Kubernetes allows them (a-z, 0-9, - and .), got %q", t.Name)
	}
	if !isKind(t.Kind) {
		check.problem("spec.scaleTargetRef.kind", "must be letters and digits, got %q", t.Kind)
	}
	if !isAPIVersion(t.APIVersion) {
		check.problem("spec.scaleTargetRef.apiVersion", "must be GROUP/VERSION or VERSION, got %q", t.APIVersion)
	}
}

// checkBounds is CheckReplicaCountBoundsAreValid of KEDA's scaledobject_types.go: an unset
// minReplicaCount counts as 0 there, a written 0 as the HPA's 1.
func checkBounds(o *ScaledObject, check *checker) {
	lower := int32(0)
	if o.MinReplicaCount != nil {
		lower = o.Min()
	}
	if lower > o.MaxReplicaCount {
		check.problem("spec.minReplicaCount", "must be at most maxReplicaCount (%d), got %d", o.MaxReplicaCount, lower)
	}
	if o.IdleReplicaCount != nil && *o.IdleReplicaCount >= lower {
		check.problem("spec.idleReplicaCount", "must be less than minReplicaCount (%d), got %d", lower, *o.IdleReplicaCount)
	}
}

func readAdvanced(o *ScaledObject, spec fields, check *checker) {
	o.HPAName = "keda-hpa-" + o.Name
	advanced, ok := spec.object("advanced")
	if !ok {
		return
	}
	if modifiers, ok := advanced.object("scalingModifiers"); ok {
		o.Modifiers = parseModifiers(modifiers, o.Triggers)
	}
	if o.RestoreOriginal = advanced.boolean("restoreToOriginalReplicaCount", false); o.RestoreOriginal {
		check.note(advanced.at("restoreToOriginalReplicaCount"), "has no effect in a file, only in a cluster: a workload that no file names any more keeps its size")
	}
	if hpa, ok := advanced.object("horizontalPodAutoscalerConfig"); ok {
		if name := hpa.text("name"); name != "" {
			o.HPAName = name
			check.note(hpa.at("name"), "has no effect: there is no HPA")
		}
		if behavior, ok := hpa.object("behavior"); ok {
			o.ScaleUp = parseRules(behavior, "scaleUp", check)
			o.ScaleDown = parseRules(behavior, "scaleDown", check)
			behavior.done()
		}
		hpa.done()
	}
	advanced.done()
}

// implyBehavior is what KEDA writes into the HPA for the paused-scale-in and -out annotations: a behavior,
// where there is none, so that both directions follow the API's defaults (controllers/keda/hpa.go, v2.20).
func implyBehavior(o *ScaledObject, check *checker) {
	if o.ScaleUp == nil && (o.Pause.ScaleIn || o.Pause.ScaleOut) {
		none := newFields(check, "", nil)
		o.ScaleUp, o.ScaleDown = parseRules(none, "scaleUp", check), parseRules(none, "scaleDown", check)
	}
}

// parseFallback reads fallback (apis/keda/v1alpha1/scaledobject_types.go, v2.20).
func parseFallback(spec fields, modifiers *ScalingModifiers, check *checker) *Fallback {
	f, ok := spec.object("fallback")
	if !ok {
		return nil
	}
	for _, key := range []string{"failureThreshold", "replicas"} {
		if !f.has(key) {
			check.problem(f.at(key), "is required")
		}
	}
	fallback := Fallback{
		FailureThreshold: f.integerOr("failureThreshold", 0, math.MaxInt32, 0),
		Replicas:         f.integerOr("replicas", 0, math.MaxInt32, 0),
		Behavior:         FallbackStatic,
	}
	behaviors := []FallbackBehavior{FallbackStatic, FallbackCurrent, FallbackCurrentIfHigher, FallbackCurrentIfLower, FallbackModifiers}
	if b := FallbackBehavior(f.text("behavior")); b != "" {
		if !slices.Contains(behaviors, b) {
			check.problem(f.at("behavior"), "must be static, currentReplicas, currentReplicasIfHigher, currentReplicasIfLower or scalingModifiers, got %q", b)
		}
		fallback.Behavior = b
	}
	if fallback.Behavior == FallbackModifiers && modifiers == nil {
		check.problem(f.at("behavior"), "scalingModifiers needs a formula in advanced.scalingModifiers")
	}
	if modifiers != nil && !modifiers.whole {
		fallback.Void = true
		check.note(f.path, "has no effect, in KEDA either: with scalingModifiers it needs a target that is a whole number")
	}
	f.done()
	return &fallback
}

// parseRules reads one direction of behavior and fills in what the autoscaling/v2 API does
// (pkg/apis/autoscaling/v2/defaults.go, Kubernetes 1.37).
func parseRules(behavior fields, direction string, check *checker) *ScalingRules {
	f, written := behavior.object(direction)
	rules := ScalingRules{Select: SelectMax, Implied: !written}
	defaultWindow := int32(0)
	if direction == "scaleDown" {
		defaultWindow = int32(stabilizationWindow / time.Second)
	}
	rules.Window = seconds(f.integerOr("stabilizationWindowSeconds", 0, 3600, defaultWindow))

	if s := SelectPolicy(f.text("selectPolicy")); s != "" {
		if !slices.Contains([]SelectPolicy{SelectMax, SelectMin, SelectDisabled}, s) {
			check.problem(f.at("selectPolicy"), "must be Max, Min or Disabled, got %q", s)
		}
		rules.Select = s
	}
	if f.has("policies") {
		items := f.list("policies")
		if len(items) == 0 {
			check.problem(f.at("policies"), "must not be empty; leave it out for the defaults")
		}
		for _, item := range items {
			rules.Policies = append(rules.Policies, parsePolicy(item, check))
		}
	} else {
		rules.Policies = []ScalingPolicy{{Percent: true, Value: 100, Period: 15 * time.Second}}
		if direction == "scaleUp" {
			rules.Policies = append(rules.Policies, ScalingPolicy{Value: 4, Period: 15 * time.Second})
		}
	}
	rules.Tolerance = parseTolerance(f, check)
	f.done()
	return &rules
}

func parsePolicy(f fields, check *checker) ScalingPolicy {
	var p ScalingPolicy
	switch t := f.text("type"); t {
	case "Pods":
	case "Percent":
		p.Percent = true
	default:
		check.problem(f.at("type"), "must be Pods or Percent, got %q", t)
	}
	if !f.has("value") {
		check.problem(f.at("value"), "is required")
	}
	p.Value = f.integerOr("value", 1, math.MaxInt32, 1)
	if !f.has("periodSeconds") {
		check.problem(f.at("periodSeconds"), "is required")
	}
	p.Period = seconds(f.integerOr("periodSeconds", 1, 1800, 1))
	f.done()
	return p
}

// parseTolerance reads a Kubernetes quantity of at least 0, written as text ("0.05", "50m") or a number.
func parseTolerance(f fields, check *checker) *float64 {
	v := f.value("tolerance")
	if v == nil {
		return nil
	}
	quantity, err := resource.ParseQuantity(textOf(v))
	if err != nil || quantity.Sign() < 0 {
		check.problem(f.at("tolerance"), "must be a quantity of at least 0, such as \"0.05\", got %s", describe(v))
		return nil
	}
	tolerance := quantity.AsApproximateFloat64()
	return &tolerance
}

func readAnnotations(o *ScaledObject, annotations map[string]string, check *checker) {
	at := func(key string) string { return "metadata.annotations[" + key + "]" }
	for _, key := range sortedKeys(annotations) {
		value := annotations[key]
		switch key {
		case "leda.dev/policy":
			switch Policy(value) {
			case PolicyDirect, PolicyKEDA:
				o.Policy = Policy(value)
			default:
				check.problem(at(key), "must be direct or keda, got %q", value)
			}
		case "leda.dev/cluster":
			o.Cluster = value
		case "leda.dev/doorbell":
			if o.Doorbell = value; !regexp.MustCompile(topicARN).MatchString(value) {
				check.problem(at(key), "must be the ARN of an SNS topic, arn:aws:sns:REGION:ACCOUNT:NAME, got %q", value)
			}
		case "leda.dev/beside-keda":
			o.BesideKEDA = value == "true"
			if value != "true" && value != "false" {
				check.problem(at(key), "must be \"true\" or \"false\", got %q", value)
			}
		case "autoscaling.keda.sh/paused":
			o.Pause.Paused = truthy(value)
		case "autoscaling.keda.sh/paused-scale-in":
			o.Pause.ScaleIn = truthy(value)
		case "autoscaling.keda.sh/paused-scale-out":
			o.Pause.ScaleOut = truthy(value)
		case "autoscaling.keda.sh/force-activation":
			o.ForceActivation = truthy(value)
		case "autoscaling.keda.sh/paused-replicas":
			n, err := strconv.ParseInt(value, 10, 32)
			if err != nil || n < 0 {
				check.problem(at(key), "must be a whole number of at least 0, got %q", value)
				continue
			}
			replicas := int32(n)
			o.Pause.Replicas = &replicas
		case "scaledobject.keda.sh/transfer-hpa-ownership", "scaledobject.keda.sh/hpa-excluded-labels", "validations.keda.sh/hpa-ownership":
			check.note(at(key), "has no effect: there is no HPA")
		}
	}
}

// truthy is how KEDA reads its annotations: what is no Go boolean counts as true.
func truthy(s string) bool {
	b, err := strconv.ParseBool(s)
	return b || err != nil
}

func refuse(f fields, key, why string) {
	f.pass(key)
	if f.has(key) {
		f.check.problem(f.at(key), "%s", why)
	}
}

func optional(n int32, ok bool) *int32 {
	if !ok {
		return nil
	}
	return &n
}

func seconds(n int32) time.Duration { return time.Duration(n) * time.Second }
