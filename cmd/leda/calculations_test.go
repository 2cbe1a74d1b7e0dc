package main

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// The tables of docs/calculations.md are true.
func TestCalculations(t *testing.T) {
	page, err := os.ReadFile("../../docs/calculations.md")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile(`(?m)^\| (direct|keda) \| (.*queueLength: (\d+)) \| (\d+) \| ([-0-9× ]+) \| ([0-9× ]+) \|$`)
	rows := row.FindAllStringSubmatch(string(page), -1)
	if want := strings.Count(string(page), "queueLength:"); len(rows) != want || want < 20 {
		t.Fatalf("read %d rows of %d", len(rows), want)
	}
	for _, r := range rows {
		policy, spec, length, from := r[1], strings.TrimSuffix(r[2], "queueLength: "+r[3]), r[3], r[4]
		manifest := object("", "  triggers: [{type: aws-sqs-queue, metadata: {queueURL: orders, awsRegion: eu-west-1, queueLength: '"+length+"'}}]\n")
		for _, field := range topLevel(spec) {
			manifest += "  " + field + "\n"
		}
		series := "time,s0\n"
		for i, value := range spread(t, r[5]) {
			if value == "-" {
				value = ""
			}
			series += fmt.Sprintf("%ds,%s\n", i*15, value)
		}
		if got, want := replayed(t, manifest, series, "-policy", policy, "-replicas", from), strings.Join(spread(t, r[6]), " "); got != want {
			t.Errorf("%s\n got %s\nwant %s", r[0], got, want)
		}
	}
}

// topLevel cuts "a: 1, b: {c: 2, d: 3}, " at the commas outside brackets.
func topLevel(spec string) []string {
	var fields []string
	depth, start := 0, 0
	for i, r := range spec {
		switch r {
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case ',':
			if depth == 0 {
				fields = append(fields, strings.TrimSpace(spec[start:i]))
				start = i + 1
			}
		}
	}
	return fields
}

// spread writes "5×3 1" out as 5 5 5 1.
func spread(t *testing.T, text string) []string {
	t.Helper()
	var all []string
	for _, part := range strings.Fields(text) {
		value, times, repeated := strings.Cut(part, "×")
		n := 1
		if repeated {
			var err error
			if n, err = strconv.Atoi(times); err != nil {
				t.Fatal(err)
			}
		}
		for range n {
			all = append(all, value)
		}
	}
	return all
}
