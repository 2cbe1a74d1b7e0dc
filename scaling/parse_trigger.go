package scaling

import (
	"net/url"
	"strconv"
	"strings"
)

func parseTriggers(spec fields, namespace string, authentications map[name]authentication, check *checker) []Trigger {
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

		switch metricType := f.text("metricType"); metricType {
		case "", "AverageValue":
		case "Value":
			check.problem(f.at("metricType"), "Value is not supported yet; use AverageValue")
		default:
			check.problem(f.at("metricType"), "must be AverageValue, got %q", metricType)
		}
		if f.boolean("useCachedMetrics", false) {
			check.note(f.at("useCachedMetrics"), "has no effect: readings are always shared")
		}

		metadata := f.texts("metadata")
		if metadata == nil && !f.has("metadata") {
			check.problem(f.at("metadata"), "is required")
		}
		switch t.Type {
		case TypeSQS:
			m := newMetadata(metadata, f.at("metadata"), check)
			t.SQS = parseSQS(m)
			t.Authentication = resolve(f, m, namespace, authentications)
			m.done()
		case "":
		default:
			check.problem(f.at("type"), "%q is not supported; Leda reads aws-sqs-queue", t.Type)
			f.pass("authenticationRef")
		}
		f.done()
		triggers = append(triggers, t)
	}
	return triggers
}

// parseSQS reads an aws-sqs-queue trigger as KEDA's aws_sqs_queue_scaler.go (v2.20) does.
func parseSQS(m metadata) SQSTrigger {
	t := SQSTrigger{
		QueueURL:              m.text("queueURL"),
		Region:                m.text("awsRegion"),
		Endpoint:              m.text("awsEndpoint"),
		QueueLength:           m.integer("queueLength", 5),
		ActivationQueueLength: m.integer("activationQueueLength", 0),
		ScaleOnInFlight:       m.boolean("scaleOnInFlight", true),
		ScaleOnDelayed:        m.boolean("scaleOnDelayed", false),
	}
	m.refuse("queueURLFromEnv", "is not supported yet; write queueURL")
	var ok bool
	if t.QueueName, t.AccountID, ok = queueName(t.QueueURL); t.QueueURL == "" {
		m.problem("queueURL", "is required: the queue's URL, or its name")
	} else if !ok {
		m.problem("queueURL", "must be https://sqs.REGION.amazonaws.com/ACCOUNT/NAME or a bare queue name, got %q", t.QueueURL)
	}
	if t.Region == "" {
		m.problem("awsRegion", "is required")
	}
	if t.Endpoint != "" {
		if u, err := url.Parse(t.Endpoint); err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
			m.problem("awsEndpoint", "must be a URL such as https://sqs.eu-west-1.amazonaws.com, got %q", t.Endpoint)
		}
	}
	if t.QueueLength <= 0 {
		m.problem("queueLength", "must be at least 1, got %d", t.QueueLength)
	}
	return t
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
