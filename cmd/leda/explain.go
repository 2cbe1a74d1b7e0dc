package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/leda-autoscaler/leda/scaling"
)

const explainHelp = `leda explain NAMESPACE/NAME…: what the deployed function makes of these targets now, and why

The function reads and decides as ever, and changes nothing. It is asked with your AWS credentials
(right: lambda:InvokeFunction). Exit status 1 when a target could not be decided upon.

  leda explain default/orders

`

func (c console) explain(ctx context.Context, args []string) int {
	flags := c.verbFlags("explain", explainHelp)
	var d deployment
	d.register(flags)
	targets, code, ok := parseFlags(flags, args)
	if !ok {
		return code
	}
	if len(targets) == 0 {
		fmt.Fprintln(c.problems, "leda explain: name a target as NAMESPACE/NAME; leda status lists them all")
		return exitBadInput
	}
	r, err := c.askDeployment(ctx, &d, targets...)
	if err != nil {
		fmt.Fprintf(c.problems, "leda explain: %v\n", err)
		return exitNotInOrder
	}
	code = exitFine
	for i, decision := range r.Decisions {
		if i > 0 {
			fmt.Fprintln(c.out)
		}
		c.explainOne(decision)
		if decision.Error != "" || decision.Memory != "" {
			code = exitNotInOrder
		}
	}
	if len(r.Decisions) < len(targets) {
		fmt.Fprintln(c.problems, "leda explain: not every target is one of the function's; leda status lists them all")
		return exitNotInOrder
	}
	return code
}

// askDeployment makes a dry run, and shows that it takes its time.
func (c console) askDeployment(ctx context.Context, d *deployment, targets ...string) (deployedReport, error) {
	if err := d.connect(ctx); err != nil {
		return deployedReport{}, err
	}
	done := c.progress(func() string { return "asking function " + d.function })
	defer done()
	return d.dryRun(ctx, targets...)
}

// explainOne prints one decision as a person would write it.
func (c console) explainOne(d deployedDecision) {
	paint := c.painter()
	if d.Reason == "" { // nothing was decided
		fmt.Fprintf(c.out, "%s: %s\n", paint.bold(d.Target), paint.red("no decision"))
		c.printWrapped("  ", d.Error)
		return
	}
	size := fmt.Sprintf("stays at %d", d.To)
	if d.From != d.To {
		size = paint.yellow(fmt.Sprintf("%d → %d", d.From, d.To))
	}
	fmt.Fprintf(c.out, "%s: %s (%s)\n", paint.bold(d.Target), size, d.Reason)
	for _, part := range strings.Split(d.Why, "; ") {
		c.printWrapped("  ", part)
	}
	if text := meaning(d.Reason); text != "" {
		c.printWrapped("  ", text)
	}
	for _, r := range d.Readings {
		if r.Error != "" {
			c.printWrapped("  ", paint.red(r.Trigger+": ")+r.Error)
		}
	}
	for _, problem := range []string{d.Error, d.Memory} {
		if problem != "" {
			c.printWrapped("  ", paint.red("not in order: ")+problem)
		}
	}
}

// meaning says in a sentence what a reason comes to, where the arithmetic alone does not.
func meaning(reason scaling.Reason) string {
	switch reason {
	case scaling.DesiredWithinRange, scaling.ScalerActive:
		return "That is what the readings ask for, at once."
	case scaling.TooManyReplicas:
		return "The readings ask for more than maxReplicaCount allows."
	case scaling.ScaleDownStabilized:
		return "It shrinks when no look within the window has asked for more (stabilizationWindowSeconds, 300 unless written)."
	case scaling.ScaleUpStabilized:
		return "It grows when every look within scaleUp's window asks for that."
	case scaling.ScaleUpLimit, scaling.ScaleDownLimit:
		return "The policies of behavior say how far one period may go; it goes on with the next."
	case scaling.ScalerCooldown:
		return "It goes to zero or idle when cooldownPeriod has passed since it was last active."
	case scaling.FailedGetExternalMetric, scaling.TriggerError, scaling.PartialTriggerError:
		return "A reading that failed is never 0: nothing shrinks until it can be read again, or a fallback stands in."
	case scaling.ScaledObjectPaused:
		return "An annotation autoscaling.keda.sh/paused… of the ScaledObject says so."
	}
	return ""
}
