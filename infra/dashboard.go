package infra

import (
	"encoding/json"
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// depthsShown is how many queues one graph shows: more lines nobody can tell apart.
const depthsShown = 50

// depths lists, once each, the queues whose metrics are in the stack's own account, which the dashboard can show.
func depths(queues []queue, here place) []queue {
	seen := map[string]bool{}
	var shown []queue
	for _, q := range queues {
		if arn := q.arn(); q.named() && q.place.account == here.account && !seen[arn] {
			seen[arn] = true
			shown = append(shown, q)
		}
	}
	return shown
}

// widget is a part of a dashboard, as CloudWatch's Dashboard Body Structure has it.
type widget struct {
	Type       string         `json:"type"`
	X          int            `json:"x"`
	Y          int            `json:"y"`
	Width      int            `json:"width"`
	Height     int            `json:"height"`
	Properties map[string]any `json:"properties"`
}

// dashboardBody shows the queues, what was decided upon them, and how the function is.
func dashboardBody(here place, function string, settings Settings, queues []queue) (string, error) {
	const half, whole, height = 12, 24, 7
	graph := func(x, row, width int, title, statistic string, metrics ...[]any) widget {
		return widget{"metric", x, row * height, width, height, map[string]any{
			"title": title, "region": here.region, "view": "timeSeries", "period": 60, "stat": statistic, "metrics": metrics,
		}}
	}
	query := func(x, row, width int, title, view, text string) widget {
		return widget{"log", x, row * height, width, height, map[string]any{
			"title": title, "region": here.region, "view": view, "query": "SOURCE '/aws/lambda/" + function + "' | " + text,
		}}
	}

	title := "Messages visible"
	if len(queues) > depthsShown {
		title = fmt.Sprintf("Messages visible, in %d of %d queues", depthsShown, len(queues))
		queues = queues[:depthsShown]
	}
	depth := [][]any{}
	for _, q := range queues {
		depth = append(depth, []any{"AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", q.SQS.QueueName, map[string]any{"region": q.place.region}})
	}
	dead := [][]any{{"AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", failedEvents(function)}}
	for _, queue := range settings.Queues {
		dead = append(dead, []any{"AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", deadLetters(queue.Name)})
	}
	lambda := func(name, statistic string) []any {
		return []any{"AWS/Lambda", name, "FunctionName", function, map[string]any{"stat": statistic}}
	}
	body, err := json.Marshal(map[string]any{"widgets": []widget{
		graph(0, 0, whole, title, "Maximum", depth...),
		query(0, 1, whole, "Replicas decided", "table", latestDecisions),
		query(0, 2, half, "Looks, sizes changed, failures", "timeSeries", counts),
		graph(half, 2, half, "Failed events and dead letters", "Maximum", dead...),
		graph(0, 3, half, "The function", "Sum", lambda("Invocations", "Sum"), lambda("Errors", "Sum"), lambda("Throttles", "Sum"), lambda("ConcurrentExecutions", "Maximum")),
		graph(half, 3, half, "Its time, in ms", "Average", lambda("Duration", "p50"), lambda("Duration", "Maximum")),
	}})
	if err != nil {
		return "", fmt.Errorf("write the dashboard: %w", err)
	}
	return string(body), nil
}

func newDashboard(scope constructs.Construct, here place, name, body string) {
	awscloudwatch.NewCfnDashboard(scope, jsii.String("Dashboard"), &awscloudwatch.CfnDashboardProps{
		DashboardName: jsii.String(name + "-" + here.region), // the dashboards of all regions share their names
		DashboardBody: jsii.String(body),
	})
}

// Logs Insights reads the fields of the function's JSON lines by their names.
const (
	decisions       = `filter msg = "decision"`
	latestDecisions = decisions + " | stats latest(@timestamp) as at, latest(`from`) as was, latest(to) as replicas, latest(reason) as because, latest(error) as failed by target | sort at desc | limit 100"
	counts          = `filter msg = "done" | stats sum(looks) as looks, sum(changed) as changed, sum(failed) as failed by bin(1m)`
)

// newQueries saves the questions that people ask of the function's log. Saved queries cost nothing; a run costs what
// it scans.
func newQueries(scope constructs.Construct, name string, log awslogs.CfnLogGroup) {
	within := constructs.NewConstruct(scope, jsii.String("Queries"))
	for _, q := range []struct{ id, title, text string }{
		{
			"Why", "why did it (not) scale at 09-03",
			"# Choose the time above the query; put the target's name between the slashes.\n" +
				"fields @timestamp, target, `from`, to, reason, why, error\n| " + decisions + " and target like /shop\\/orders/\n| sort @timestamp asc\n| limit 1000",
		},
		{"Latest", "the latest decision for each target", latestDecisions},
		{"Changes", "every change of size", "fields @timestamp, target, `from`, to, reason, why\n| " + decisions + " and `from` != to\n| sort @timestamp desc\n| limit 1000"},
		{
			"Failures", "what fails",
			"fields @timestamp, target, reason, error, memory, readings.0.error\n| filter level in [\"WARN\", \"ERROR\"] or reason in [\"FailedGetExternalMetric\", \"TriggerError\", \"PartialTriggerError\"]\n| sort @timestamp desc\n| limit 1000",
		},
		{"Slow", "how long looks take", decisions + "\n| stats count(*) as lines, pct(took_ms, 50) as p50, pct(took_ms, 99) as p99, max(took_ms) as longest by bin(5m)"},
	} {
		awslogs.NewCfnQueryDefinition(within, jsii.String(q.id), &awslogs.CfnQueryDefinitionProps{
			Name:          jsii.String(name + "/" + q.title),
			LogGroupNames: &[]*string{log.Ref()},
			QueryString:   jsii.String(q.text),
		})
	}
}
