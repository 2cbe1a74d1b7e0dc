package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/leda-autoscaler/leda/scaling"
)

// deployment is a function that Leda runs in, asked with the caller's own AWS credentials.
type deployment struct {
	function, region string
	config           aws.Config
}

func (d *deployment) register(flags *flag.FlagSet) {
	flags.StringVar(&d.function, "function", "leda", "the name of Leda's function")
	flags.StringVar(&d.region, "region", "", "its AWS region (default: your configuration's)")
}

// connect reads the caller's AWS configuration.
func (d *deployment) connect(ctx context.Context) error {
	var options []func(*config.LoadOptions) error
	if d.region != "" {
		options = append(options, config.WithRegion(d.region))
	}
	cfg, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return fmt.Errorf("read your AWS configuration: %w", err)
	}
	if cfg.Region == "" {
		return errors.New("no AWS region is set: give -region, or set AWS_REGION")
	}
	d.config, d.region = cfg, cfg.Region
	return nil
}

func (d *deployment) logGroup() string { return "/aws/lambda/" + d.function }

// deployedReport is the function's answer to a direct invoke.
type deployedReport struct {
	Looks     int
	Failed    int
	Decisions []deployedDecision
}

// deployedDecision is one target's part of the report.
type deployedDecision struct {
	Target string
	scaling.Record
	Changed bool
	Error   string // what was decided could not be done, or nothing could be decided
	Memory  string // what is wrong with its memory
}

// dryRun has the function decide without changing anything: on the targets, or on all.
func (d *deployment) dryRun(ctx context.Context, targets ...string) (deployedReport, error) {
	event, err := json.Marshal(struct {
		Targets []string `json:"targets,omitempty"`
		DryRun  bool     `json:"dryRun"`
	}{targets, true})
	if err != nil {
		return deployedReport{}, err
	}
	answer, err := lambda.NewFromConfig(d.config).Invoke(ctx, &lambda.InvokeInput{FunctionName: &d.function, Payload: event})
	if err != nil {
		return deployedReport{}, d.advise("ask function "+d.function, err)
	}
	if answer.FunctionError != nil {
		var failure struct{ ErrorMessage string }
		if json.Unmarshal(answer.Payload, &failure) != nil || failure.ErrorMessage == "" {
			failure.ErrorMessage = string(answer.Payload)
		}
		return deployedReport{}, fmt.Errorf("function %s: %s", d.function, failure.ErrorMessage)
	}
	var r deployedReport
	if err := json.Unmarshal(answer.Payload, &r); err != nil {
		return deployedReport{}, fmt.Errorf("function %s gives no report: is it Leda's, and as new as this program? %w", d.function, err)
	}
	return r, nil
}

// advise adds to an error of AWS's what to do about it.
func (d *deployment) advise(doing string, err error) error {
	var missing *types.ResourceNotFoundException
	if errors.As(err, &missing) {
		return fmt.Errorf("%s: there is none of that name in %s: deploy it (cdk deploy), or name it with -function and -region", doing, d.region)
	}
	return fmt.Errorf("%s in %s: %w", doing, d.region, err)
}

// logged is what a line of the function's log says, as far as it is of use here.
type logged struct {
	Time     time.Time
	Msg      string
	Target   string
	From, To int32
	Reason   scaling.Reason
	Error    string
	DryRun   bool
}

// lines calls see with each line of the function's own of the log since then that fits the pattern (CloudWatch
// Logs' filter pattern), oldest first within a stream.
func (d *deployment) lines(ctx context.Context, since time.Time, pattern string, see func(logged)) error {
	pages := cloudwatchlogs.NewFilterLogEventsPaginator(cloudwatchlogs.NewFromConfig(d.config), &cloudwatchlogs.FilterLogEventsInput{
		LogGroupName: aws.String(d.logGroup()), StartTime: aws.Int64(since.UnixMilli()), FilterPattern: &pattern,
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("read log group %s in %s: %w", d.logGroup(), d.region, err)
		}
		for _, event := range page.Events {
			var line logged
			if text := aws.ToString(event.Message); strings.HasPrefix(text, "{") && json.Unmarshal([]byte(text), &line) == nil {
				see(line)
			}
		}
	}
	return nil
}

// shortNames leaves out the cluster where all targets share one.
func shortNames(decisions []deployedDecision) func(string) string {
	clusters := map[string]bool{}
	for _, d := range decisions {
		cluster, _, _ := strings.Cut(d.Target, "/")
		clusters[cluster] = true
	}
	return func(target string) string {
		if _, short, ok := strings.Cut(target, "/"); ok && len(clusters) < 2 {
			return short
		}
		return target
	}
}
