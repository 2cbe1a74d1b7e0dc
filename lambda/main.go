// Command lambda is the function: woken by a schedule, an alarm or a direct invoke, it looks at its
// targets, decides their sizes and sets them.
package main

import (
	"fmt"
	"log/slog"
	"os"
	"time"
	_ "time/tzdata" // cron triggers name time zones, and Lambda has no such data

	"github.com/aws/aws-lambda-go/lambda"
)

func main() {
	log := slog.New(slog.NewJSONHandler(os.Stdout, nil))
	h, err := start(os.Getenv, log)
	if err != nil {
		log.Error("start", "error", err.Error())
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	lambda.Start(h.handle)
}

// now is the only clock of the function.
func now() time.Time { return time.Now() }
