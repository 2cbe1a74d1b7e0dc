package scaling

import (
	"errors"
	"net/url"
	"strconv"
	"strings"
)

func parseTriggers(spec fields, namespace, container string, known authentications, check *checker) []Trigger {
	items := spec.list("triggers")
	if len(items) == 0 {
		check.problem("spec.triggers", "must have at least one trigger")
	}
	var triggers []Trigger
	named := map[string]bool{}
	for i, f := range items {
		t := Trigger{Type: f.requiredText("type"), Name: f.text("name")}
		t.ID = t.Name
		if t.Name == "" {
			t.ID = "s" + strconv.Itoa(i)
		} else if named[t.Name] {
			check.problem(f.at("name"), "must be unique among the triggers, got %q twice", t.Name)
		}
		named[t.Name] = true
		if ref, ok := f.in["authenticationRef"].(map[string]any); ok {
			t.AuthenticationRef, _ = ref["name"].(string)
		}

		t.MetricType = parseMetricType(f, check)
		if f.boolean("useCachedMetrics", false) {
			if t.Type == TypeCron {
				check.problem(f.at("useCachedMetrics"), "must not be true for cron, got true; remove it")
			} else {
				check.note(f.at("useCachedMetrics"), "has no effect: readings are always shared")
			}
		}

		in := f.texts("metadata")
		if in == nil && !f.has("metadata") {
			check.problem(f.at("metadata"), "is required")
		}
		m := newMetadata(in, f.at("metadata"), check)
		switch t.Type {
		case TypeSQS:
			t.SQS = parseSQS(m, container)
			t.Authentication = resolve(f, m, namespace, known)
			m.done()
		case TypeCloudWatch:
			t.CloudWatch = parseCloudWatch(m)
			t.Authentication = resolve(f, m, namespace, known)
			m.done()
		case TypeCron:
			t.Cron = parseCron(m)
			m.done()
			if f.has("authenticationRef") {
				check.note(f.at("authenticationRef"), "has no effect: cron asks nobody")
			}
			f.pass("authenticationRef")
			if t.MetricType == Value {
				check.note(f.at("metricType"), "Value makes the HPA multiply desiredReplicas by the ready pods, in KEDA too; AverageValue is what is usually meant")
			}
		case "":
		default:
			check.problem(f.at("type"), "%q is not supported; Leda knows aws-sqs-queue, aws-cloudwatch and cron", t.Type)
			f.pass("authenticationRef")
		}
		f.done()
		triggers = append(triggers, t)
	}
	for i, t := range triggers {
		if j, err := strconv.Atoi(strings.TrimPrefix(t.Name, "s")); err == nil && j >= 0 && j != i && j < len(triggers) && t.Name == triggers[j].ID {
			check.problem(items[i].at("name"), "must not be %s: that is what trigger %d without a name is called", t.Name, j)
		}
	}
	return triggers
}

func parseMetricType(f fields, check *checker) MetricType {
	switch t := MetricType(f.text("metricType")); t {
	case "":
	case AverageValue, Value:
		return t
	default:
		check.problem(f.at("metricType"), "must be AverageValue or Value, got %q", t)
	}
	return AverageValue
}

// parseSQS reads an aws-sqs-queue trigger as KEDA's aws_sqs_queue_scaler.go (v2.20) does.
func parseSQS(m metadata, container string) SQSTrigger {
	t := SQSTrigger{
		QueueURL:              m.text("queueURL"),
		Region:                m.text("awsRegion"),
		Endpoint:              m.text("awsEndpoint"),
		QueueLength:           m.integer("queueLength", 5),
		ActivationQueueLength: m.integer("activationQueueLength", 0),
		ScaleOnInFlight:       m.boolean("scaleOnInFlight", true),
		ScaleOnDelayed:        m.boolean("scaleOnDelayed", false),
	}
	variable := m.text("queueURLFromEnv")
	var ok bool
	switch t.QueueName, t.AccountID, ok = queueName(t.QueueURL); {
	case t.QueueURL == "" && variable != "":
		t.QueueURLFrom = Source{Kind: FromEnv, Name: variable, Key: container}
	case t.QueueURL == "":
		m.problem("queueURL", "is required: the queue's URL, or its name (or queueURLFromEnv, the workload's variable that holds it)")
	case !ok:
		m.problem("queueURL", "must be https://sqs.REGION.amazonaws.com/ACCOUNT/NAME or a bare queue name, got %q", t.QueueURL)
	default:
		m.checkQueue("queueURL", t.QueueName, t.AccountID)
		if variable != "" {
			m.note("queueURLFromEnv", "has no effect beside queueURL, in KEDA either")
		}
	}
	if t.Region == "" {
		m.problem("awsRegion", "is required")
	}
	m.checkRegion("awsRegion", t.Region)
	m.checkEndpoint("awsEndpoint", t.Endpoint)
	if t.QueueLength <= 0 {
		m.problem("queueLength", "must be at least 1, got %d", t.QueueLength)
	}
	if t.QueueLength > maxTarget {
		m.problem("queueLength", "must be at most %d, got %d", int64(maxTarget), t.QueueLength)
	}
	return t
}

// At is the trigger when queueURL is what queueURLFromEnv names. The error does not say what that is, since
// nobody knows what a wrong variable holds.
func (t SQSTrigger) At(queueURL string) (SQSTrigger, error) {
	t.QueueURL = strings.TrimSpace(queueURL)
	var ok bool
	t.QueueName, t.AccountID, ok = queueName(t.QueueURL)
	if !ok || !isQueueName(t.QueueName) {
		return t, errors.New("must be https://sqs.REGION.amazonaws.com/ACCOUNT/NAME or a bare queue name")
	}
	return t, nil
}

// queueName is the name within a queue URL, by KEDA's rule: a text that is a request URI must have
// exactly the path /ACCOUNT/NAME, any other text is the name itself.
func queueName(queueURL string) (name, account string, ok bool) {
	u, err := url.ParseRequestURI(queueURL)
	if err != nil {
		return queueURL, "", true
	}
	parts := strings.Split(u.Path, "/")
	if len(parts) != 3 || parts[2] == "" {
		return "", "", false
	}
	return parts[2], parts[1], true
}

const (
	lower  = "abcdefghijklmnopqrstuvwxyz"
	upper  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits = "0123456789"
)

func consistsOf(characters, text string) bool { return strings.Trim(text, characters) == "" }

// checkQueue refuses a name or an account that no queue can have. KEDA would fail at every look; and the
// function's rights are made of these texts, in which a star would be more than one queue.
func (m metadata) checkQueue(key, name, account string) {
	if !isQueueName(name) {
		m.problem(key, "must have a name that SQS allows (letters, digits, - and _, at most 80, with .fifo for a FIFO queue), got %q; write the queue's whole URL or its bare name", name)
	}
	if account != "" && (len(account) != 12 || !consistsOf(digits, account)) {
		m.problem(key, "must have an account of 12 digits, got %q", account)
	}
}

func isQueueName(text string) bool {
	base := strings.TrimSuffix(text, ".fifo")
	return base != "" && len(text) <= 80 && consistsOf(lower+upper+digits+"-_", base)
}

// checkRegion refuses what is no region's name, for the same reasons.
func (m metadata) checkRegion(key, region string) {
	if region != "" && (strings.Count(region, "-") < 2 || !consistsOf(lower+digits+"-", region)) {
		m.problem(key, "must be a region's name such as eu-west-1, got %q", region)
	}
}
