package story

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// line is a decision line of the function's, as far as the story looks at it.
type line struct {
	Msg      string
	Target   string
	From, To int
	Reason   string
	Why      string
	Error    string
	Readings []struct {
		Trigger string
		Value   float64
	}
	text string
}

// saw says whether the line rests on a reading of those messages; a look may have come before the last was sent.
func (l line) saw(messages int) bool {
	if len(l.Readings) == 0 {
		return false
	}
	depth := l.Readings[0].Value
	return depth <= float64(messages) && (depth > 0 || messages == 0)
}

// logCommand is how a person reads the function's log.
func logCommand(since time.Time) string {
	return fmt.Sprintf("aws logs filter-log-events --log-group-name /aws/lambda/leda --start-time %d --query 'events[].message'", since.UnixMilli())
}

// lines reads the function's decision lines.
func (s shell) lines(ctx context.Context, since time.Time) ([]line, error) {
	printed, err := s.quietly(ctx, logCommand(since))
	if err != nil {
		return nil, err
	}
	var messages []string
	if err := json.Unmarshal([]byte(printed), &messages); err != nil {
		return nil, fmt.Errorf("read the function's log: %w: %s", err, printed)
	}
	var lines []line
	for _, message := range messages {
		l := line{text: strings.TrimSpace(message)}
		if json.Unmarshal([]byte(message), &l) == nil && l.Msg == "decision" { // START, END and REPORT are no JSON
			lines = append(lines, l)
		}
	}
	return lines, nil
}

// decision waits for the first decision line since a moment that fits.
func (s shell) decision(ctx context.Context, since time.Time, fits func(line) bool) (line, error) {
	again := time.NewTicker(time.Second) // CloudWatch Logs tells nobody that something was written
	defer again.Stop()
	var last string
	for {
		lines, err := s.lines(ctx, since)
		if err != nil && ctx.Err() == nil {
			return line{}, err
		}
		for _, l := range lines {
			if fits(l) {
				return l, nil
			}
			last = l.text
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return line{}, fmt.Errorf("the decision expected is not in the function's log; the last one there: %s: %w", last, context.Cause(ctx))
		}
	}
}
