package infra

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/leda-autoscaler/leda/scaling"
)

// Settings is what people choose: in the context of cdk.json, or with `cdk deploy -c key=value`.
// The zero value of a field stands for its default. docs/deploy.md says what each is good for.
type Settings struct {
	// Name (name) is the stack's, begins the alarms' names and, in lower case, is the function's. Default: Leda,
	// or the name of the stack that [New] adds to.
	Name string

	// Cluster (cluster) is the name of the only EKS cluster, in the stack's account and region.
	Cluster string
	// Clusters (clusters) are the EKS clusters, where Cluster does not say enough.
	Clusters []Cluster
	// Source, Namespaces, Buckets and Secrets (source, namespaces, buckets, secrets) are Cluster's; those of Clusters have
	// their own.
	Source     string
	Namespaces []string
	Buckets    int
	Secrets    bool
	// ScaledObjects (scaledObjects) is the folder of ScaledObjects and TriggerAuthentications. Default: scaledobjects,
	// which need not be there when all clusters have their own.
	ScaledObjects string
	// ClusterObjectNamespace (clusterObjectNamespace) is where what a ClusterTriggerAuthentication refers to is kept.
	// Default: keda.
	ClusterObjectNamespace string

	// Queues (queues) are made, each with a dead-letter queue. Queues that exist already are only named in ScaledObjects.
	Queues []Queue
	// ReadableQueues (readableQueues) are names or ARNs of queues that the function's role may read although no trigger
	// names them at synth. Stars and question marks stand for any characters of a name; a trigger's queue that fits
	// needs no right of its own then.
	ReadableQueues []string
	// ReadableMetrics (readableMetrics) lets the function's role read CloudWatch metrics although no trigger does at
	// synth. Default: false.
	ReadableMetrics bool
	// AssumableRoles (assumableRoles) are the ARNs of roles that are only known at run time.
	AssumableRoles []string

	// Architecture (architecture) is the function's: arm64 or x86_64. Default: arm64.
	Architecture string
	// Memory (memory) is the function's, in MB. Default: 128 up to 100 targets, 512 up to 1,000, 1,769 beyond. A
	// namespace whose ScaledObjects are in the cluster counts as many targets as its memory has room for.
	Memory int
	// LogRetentionDays (logRetentionDays) is how long the function's log is kept. Default: 30.
	LogRetentionDays int
	// Shards (shards) is how many concurrent invocations share the targets. Default: 1.
	Shards int
	// ReservedConcurrency (reservedConcurrency) sets that many invocations of the account's aside. Default: none.
	ReservedConcurrency int
	// ActiveLook and SteadyLook (activeLook, steadyLook) are the longest waits for the next look, in seconds, at a
	// target that may grow and at one that is at its maximum or may shrink. Default: 5 and 15.
	ActiveLook, SteadyLook int
	// IdleLook (idleLook) says when an idle target is looked at: pollingInterval, or tick, which makes every
	// invocation return after one look. Default: pollingInterval.
	IdleLook string
	// Environment (environment) is given to the function beside its own.
	Environment map[string]string

	// Subnets and SecurityGroups (subnets, securityGroups) put the function into a VPC. Default: none.
	Subnets, SecurityGroups []string
	// PermissionsBoundary (permissionsBoundary) is the name or ARN of the policy that bounds every role made.
	PermissionsBoundary string
	// Tags (tags) are put on everything that is made and can have them.
	Tags map[string]string

	// Alarms (alarms) says whether each SQS trigger has an alarm that wakes the function too.
	// Default (nil): true up to 100 triggers.
	Alarms *bool
	// AlarmTopic (alarmTopic) is the ARN of the SNS topic that the alarms on Leda's own health tell. Default: none.
	AlarmTopic string
	// Dashboard (dashboard) says whether there is one. Default (nil): true.
	Dashboard *bool
}

// Queue is a queue to make.
type Queue struct {
	// Name is the queue's; one that ends in .fifo is a FIFO queue.
	Name string
	// VisibilityTimeout is how long, in seconds, a message that was received stays hidden: longer than it takes to
	// work on. Default: 30, which is SQS's.
	VisibilityTimeout int
}

// Cluster is an EKS cluster whose workloads are scaled.
type Cluster struct {
	Name    string
	Region  string // default: the stack's
	Account string // default: RoleARN's, else the stack's

	// RoleARN is the role that the cluster knows the function by; empty for the function's own.
	RoleARN string

	// Endpoint and CertificateAuthority (base64 of PEM) may be given together; then EKS is not asked for them.
	Endpoint, CertificateAuthority string

	// Source says where the cluster's ScaledObjects are: files, cluster or both. Default: files.
	Source string
	// Namespaces are where ScaledObjects are read from the cluster. None without Source.
	Namespaces []string
	// Buckets is how many ConfigMaps keep the memory of one of Namespaces, each of 50 targets. Default: 8.
	Buckets int
	// Secrets lets what is read from the cluster name Secrets, ConfigMaps and environments there. Default: false.
	Secrets bool
}

// source is what the function is told of where the cluster's ScaledObjects are.
func (c Cluster) source() scaling.Cluster {
	return scaling.Cluster{Name: c.Name, Source: c.Source, Namespaces: c.Namespaces, Buckets: c.Buckets}
}

// sourceProblems judges it. The keys of the only cluster are the settings' own.
func (c Cluster) sourceProblems(only bool) []problem {
	var all []problem
	add := func(key, message string) {
		if only {
			all = append(all, problem{key, message})
		} else {
			all = append(all, problem{"clusters", fmt.Sprintf("%s: %s %s", c.Name, key, message)})
		}
	}
	for _, p := range c.source().Problems() {
		add(p.Path, p.Message)
	}
	if c.Secrets && !c.source().ReadsObjects() {
		add("secrets", "goes with source cluster or both; files say which Secrets they need")
	}
	return all
}

// A problem is one setting that cannot be used.
type problem struct{ key, message string }

func (p problem) Error() string { return "context " + p.key + ": " + p.message }

func (s Settings) withDefaults() Settings {
	if s.ScaledObjects == "" {
		s.ScaledObjects = "scaledobjects"
	}
	if s.Architecture == "" {
		s.Architecture = "arm64"
	}
	if s.LogRetentionDays == 0 {
		s.LogRetentionDays = 30
	}
	if s.Shards == 0 {
		s.Shards = 1
	}
	if s.IdleLook == "" {
		s.IdleLook = idleLooks[0]
	}
	return s
}

// idleLooks are the values of idleLook, the default first.
var idleLooks = []string{"pollingInterval", "tick"}

// memoryFor is the default: what a pass over so many targets needs to end in time.
func memoryFor(targets int) int {
	switch {
	case targets <= 100:
		return 128
	case targets <= 1000:
		return 512
	}
	return 1769 // a whole vCPU
}

var (
	stackName     = regexp.MustCompile(`^[A-Za-z][0-9A-Za-z-]{0,49}$`)
	clusterName   = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z_-]{0,99}$`)
	namespaceName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	// newQueueName leaves room for the suffix -dead within the 80 characters of a queue's name.
	newQueueName  = regexp.MustCompile(`^([0-9A-Za-z_-]{1,75}|[0-9A-Za-z_-]{1,70}\.fifo)$`)
	readableQueue = regexp.MustCompile(`^(arn:aws[a-z-]*:sqs:[a-z]{2}(-[a-z]+)+-[0-9]:[0-9]{12}:)?[0-9A-Za-z_*?.-]{1,80}$`)
	roleARN       = regexp.MustCompile(`^arn:aws[a-z-]*:iam::([0-9]{12}):role/[\w+=,.@/-]+$`)
	policyName    = regexp.MustCompile(`^(arn:aws[a-z-]*:iam::([0-9]{12}|aws):policy/)?[\w+=,.@/-]+$`)
	topicARN      = regexp.MustCompile(`^arn:aws[a-z-]*:sns:([a-z]{2}(?:-[a-z]+)+-[0-9]):([0-9]{12}):[0-9A-Za-z_-]{1,256}$`)
	subnetID      = regexp.MustCompile(`^subnet-([0-9a-f]{8}|[0-9a-f]{17})$`)
	groupID       = regexp.MustCompile(`^sg-([0-9a-f]{8}|[0-9a-f]{17})$`)
	accountID     = regexp.MustCompile(`^[0-9]{12}$`)
	regionName    = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-[0-9]$`)
	serverAddress = regexp.MustCompile(`^https://[^/\s]+$`)
	variableName  = regexp.MustCompile(`^[A-Za-z][0-9A-Za-z_]+$`)
	// reservedVariable are those that Lambda sets itself and refuses to be given.
	reservedVariable = regexp.MustCompile(`^(AWS_(REGION|DEFAULT_REGION|EXECUTION_ENV|ACCESS_KEY|ACCESS_KEY_ID|SECRET_ACCESS_KEY|SESSION_TOKEN|LAMBDA_.*|XRAY_.*)|LAMBDA_(TASK_ROOT|RUNTIME_DIR)|_.*)$`)
)

// logRetention is what CloudWatch Logs accepts, in days.
var logRetention = []int{1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}

const (
	environmentBytes = 4096 // of a function, names and values together
	mostShards       = 100  // each is a schedule, and there are only so many targets
)

// problems judges the values, whatever way they came.
func (s Settings) problems() []problem {
	var all []problem
	add := func(key, format string, args ...any) { all = append(all, problem{key, fmt.Sprintf(format, args...)}) }
	within := func(key string, value, low, high int, unit string) { // 0 is the default
		if value != 0 && (value < low || value > high) {
			add(key, "must be from %d to %d%s, got %d", low, high, unit, value)
		}
	}
	fits := func(key, value, what string, valid *regexp.Regexp) {
		if value != "" && !valid.MatchString(value) {
			add(key, "must be %s, got %q", what, value)
		}
	}
	oneOf := func(key, value string, values ...string) {
		if value != "" && !slices.Contains(values, value) {
			add(key, "must be %s, got %q", strings.Join(values, " or "), value)
		}
	}

	fits("name", s.Name, "letters, digits and -, the first a letter, at most 50", stackName)
	all = append(all, s.clusterProblems()...)
	fits("clusterObjectNamespace", s.ClusterObjectNamespace, "a namespace", namespaceName)
	all = append(all, s.queueProblems()...)
	all = append(all, each("readableQueues", s.ReadableQueues, "names or ARNs of queues, with stars and question marks in the name only", readableQueue)...)
	all = append(all, each("assumableRoles", s.AssumableRoles, "arn:aws:iam::ACCOUNT:role/NAME, without stars", roleARN)...)
	oneOf("architecture", s.Architecture, "arm64", "x86_64")
	within("memory", s.Memory, 128, 10240, " MB")
	if s.LogRetentionDays != 0 && !slices.Contains(logRetention, s.LogRetentionDays) {
		add("logRetentionDays", "must be one of %s, got %d", strings.Trim(fmt.Sprint(logRetention), "[]"), s.LogRetentionDays)
	}
	within("shards", s.Shards, 1, mostShards, "")
	if s.ReservedConcurrency != 0 && s.ReservedConcurrency < s.Shards+2 {
		add("reservedConcurrency", "must be at least shards + 2 = %d, for ticks that overlap and doorbells, got %d", s.Shards+2, s.ReservedConcurrency)
	}
	within("activeLook", s.ActiveLook, 1, 60, " s")
	within("steadyLook", s.SteadyLook, 1, 60, " s")
	oneOf("idleLook", s.IdleLook, idleLooks...)
	all = append(all, s.environmentProblems()...)
	if (len(s.Subnets) == 0) != (len(s.SecurityGroups) == 0) {
		add("subnets", "and securityGroups go together, got %d and %d", len(s.Subnets), len(s.SecurityGroups))
	}
	all = append(all, each("subnets", s.Subnets, "ids such as subnet-0123456789abcdef0", subnetID)...)
	all = append(all, each("securityGroups", s.SecurityGroups, "ids such as sg-0123456789abcdef0", groupID)...)
	fits("permissionsBoundary", s.PermissionsBoundary, "the name or the ARN of a managed policy", policyName)
	for _, key := range slices.Sorted(maps.Keys(s.Tags)) {
		if key == "" || len(key) > 128 || len(s.Tags[key]) > 256 || strings.HasPrefix(strings.ToLower(key), "aws:") {
			add("tags", "must have keys of 1 to 128 characters that do not begin with aws: and values of at most 256, got %q: %q", key, s.Tags[key])
		}
	}
	fits("alarmTopic", s.AlarmTopic, "the ARN of an SNS topic, arn:aws:sns:REGION:ACCOUNT:NAME", topicARN)
	return all
}

func each(key string, values []string, what string, valid *regexp.Regexp) []problem {
	var all []problem
	for _, value := range values {
		if !valid.MatchString(value) {
			all = append(all, problem{key, fmt.Sprintf("must be %s, got %q", what, value)})
		}
	}
	return all
}

// onlyCluster is what Cluster stands for.
func (s Settings) onlyCluster() Cluster {
	return Cluster{Name: s.Cluster, Source: s.Source, Namespaces: s.Namespaces, Buckets: s.Buckets, Secrets: s.Secrets}
}

func (s Settings) clusterProblems() []problem {
	var all []problem
	add := func(key, format string, args ...any) { all = append(all, problem{key, fmt.Sprintf(format, args...)}) }
	const name = "an EKS cluster's name (letters, digits, - and _, at most 100)"
	switch {
	case s.Cluster == "" && len(s.Clusters) == 0:
		add("cluster", "is required: the name of the EKS cluster, in cdk.json or with -c cluster=NAME; or clusters, for several")
	case s.Cluster != "" && len(s.Clusters) > 0:
		add("cluster", "and clusters exclude each other; remove one")
	case s.Cluster != "" && !clusterName.MatchString(s.Cluster):
		add("cluster", "must be %s, got %q", name, s.Cluster)
	}
	if s.Cluster == "" {
		if s.Source != "" || len(s.Namespaces) > 0 || s.Buckets != 0 || s.Secrets {
			add("source", "and namespaces, buckets and secrets go with cluster; with clusters write them to each of these")
		}
	} else {
		all = append(all, s.onlyCluster().sourceProblems(true)...)
	}
	seen := map[string]bool{}
	for _, c := range s.Clusters {
		all = append(all, c.sourceProblems(false)...)
		check := func(field, value, what string, valid *regexp.Regexp) {
			if value != "" && !valid.MatchString(value) {
				add("clusters", "%s: %s must be %s, got %q", c.Name, field, what, value)
			}
		}
		switch {
		case !clusterName.MatchString(c.Name):
			add("clusters", "name must be %s, got %q", name, c.Name)
		case seen[c.Name]:
			add("clusters", "%s is there twice, and a ScaledObject could not say which it means; deploy one of them with a stack of its own", c.Name)
		}
		seen[c.Name] = true
		check("region", c.Region, "a region's name such as eu-west-1", regionName)
		check("account", c.Account, "12 digits", accountID)
		check("roleArn", c.RoleARN, "arn:aws:iam::ACCOUNT:role/NAME", roleARN)
		check("endpoint", c.Endpoint, "https:// and a host", serverAddress)
		if (c.Endpoint == "") != (c.CertificateAuthority == "") {
			add("clusters", "%s: endpoint and certificateAuthority go together; add the other or remove both", c.Name)
		}
	}
	return all
}

func (s Settings) queueProblems() []problem {
	var all []problem
	add := func(format string, args ...any) { all = append(all, problem{"queues", fmt.Sprintf(format, args...)}) }
	names := map[string]bool{}
	for _, queue := range s.Queues {
		name := queue.Name
		switch {
		case !newQueueName.MatchString(name):
			add("must be queue names (letters, digits, - and _, at most 75, those of FIFO queues with .fifo at the end), got %q", name)
		case names[name] || names[deadLetters(name)]:
			add("%q is there twice, as a queue or as another's dead-letter queue; remove one", name)
		}
		if queue.VisibilityTimeout < 0 || queue.VisibilityTimeout > 43200 {
			add("%s: visibilityTimeout must be from 1 to 43200 s, got %d", name, queue.VisibilityTimeout)
		}
		names[name], names[deadLetters(name)] = true, true
	}
	return all
}

func (s Settings) environmentProblems() []problem {
	var all []problem
	bytes := 0
	for _, name := range slices.Sorted(maps.Keys(s.Environment)) {
		bytes += len(name) + len(s.Environment[name])
		switch {
		case reservedVariable.MatchString(name):
			all = append(all, problem{"environment", fmt.Sprintf("%s is Lambda's own; remove it", name)})
		case !variableName.MatchString(name):
			all = append(all, problem{"environment", fmt.Sprintf("must have names of letters, digits and _, the first a letter, got %q", name)})
		}
	}
	if bytes > environmentBytes {
		all = append(all, problem{"environment", fmt.Sprintf("must have at most %d bytes, got %d", environmentBytes, bytes)})
	}
	return all
}
