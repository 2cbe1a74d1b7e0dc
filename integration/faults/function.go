package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// function is one process of the real function, with Lambda's Runtime API for it alone.
type function struct {
	cmd    *exec.Cmd
	server *http.Server
	served chan struct{}
	events chan event
	ended  chan struct{} // closed when the process is over

	mu      sync.Mutex
	answers map[string]chan answer
	n       int
	lines   []string // of its log
	stderr  bytes.Buffer
}

type event struct{ id, text string }

// answer is what the function answered to an event, or why it did not.
type answer struct {
	text string
	err  error
}

// report is the function's, as far as it is looked at.
type report struct {
	Looks, Changed, Failed int
	Decisions              []decision
}

// decision is one line of the log, or one target's in a report.
type decision struct {
	Target   string
	From, To int32
	Reason   string
	Changed  bool
	Error    string
	Memory   string
	Readings []struct{ Error string }
	TookMS   int64 `json:"took_ms"`
}

// says is everything that a decision says went wrong.
func (d decision) says() string {
	all := []string{d.Error, d.Memory}
	for _, r := range d.Readings {
		all = append(all, r.Error)
	}
	return strings.TrimSpace(strings.Join(all, " "))
}

func (r report) of(target string) decision {
	for _, d := range r.Decisions {
		if d.Target == target {
			return d
		}
	}
	return decision{Error: "the report has no decision for " + target}
}

// startFunction starts a program in a folder with its leda.json.
func startFunction(ctx context.Context, program, folder string, environ ...string) (*function, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp4", loopback+":0")
	if err != nil {
		return nil, err
	}
	f := &function{events: make(chan event), ended: make(chan struct{}), served: make(chan struct{}), answers: map[string]chan answer{}}
	f.server = &http.Server{Handler: f, ReadHeaderTimeout: time.Minute}
	go func() { defer close(f.served); _ = f.server.Serve(listener) }() // until it is closed
	f.cmd = exec.Command(program)                                       //nolint:noctx // kill ends it
	f.cmd.Env = append([]string{
		"AWS_LAMBDA_RUNTIME_API=" + listener.Addr().String(), "LAMBDA_TASK_ROOT=" + folder, "AWS_LAMBDA_FUNCTION_NAME=leda", "AWS_REGION=" + region,
		"AWS_ACCESS_KEY_ID=AKIAOWN", "AWS_SECRET_ACCESS_KEY=" + canarySecret, "AWS_SESSION_TOKEN=" + canarySession,
		"AWS_CA_BUNDLE=" + filepath.Join(folder, "aws.pem"),
	}, environ...)
	stdout, err := f.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	f.cmd.Stderr = &f.stderr
	if err := f.cmd.Start(); err != nil {
		_ = f.server.Close()
		return nil, fmt.Errorf("start the function: %w", err)
	}
	go func() {
		defer close(f.ended)
		scanner := bufio.NewScanner(stdout)
		scanner.Buffer(nil, 64<<20) // a line that long is a finding, and no reason to stop reading
		for scanner.Scan() {
			f.mu.Lock()
			f.lines = append(f.lines, scanner.Text())
			f.mu.Unlock()
		}
		_ = f.cmd.Wait() // it was killed
	}()
	return f, nil
}

// ServeHTTP is Lambda's Runtime API.
func (f *function) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	const root = "/2018-06-01/runtime/"
	path := strings.TrimPrefix(r.URL.Path, root)
	switch {
	case path == "invocation/next":
		select {
		case e := <-f.events:
			w.Header().Set("Lambda-Runtime-Aws-Request-Id", e.id)
			w.Header().Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(time.Now().Add(75*time.Second).UnixMilli(), 10))
			w.Header().Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:"+region+":000000000000:function:leda")
			_, _ = io.WriteString(w, e.text)
		case <-r.Context().Done():
		case <-f.ended:
		}
	case strings.HasPrefix(path, "invocation/"):
		body, err := io.ReadAll(r.Body)
		parts := strings.Split(path, "/")
		a := answer{text: string(body), err: err}
		if parts[2] == "error" {
			a.err = errors.New("the function failed: " + string(body))
		}
		f.mu.Lock()
		waiting := f.answers[parts[1]]
		f.mu.Unlock()
		w.WriteHeader(http.StatusAccepted)
		if waiting != nil {
			waiting <- a
		}
	default:
		w.WriteHeader(http.StatusAccepted) // an error of the start, which is in its log
	}
}

// errKilled is that the process ended before it had answered.
var errKilled = errors.New("the process ended")

// invoke has the function serve an event.
func (f *function) invoke(ctx context.Context, text string) (report, error) {
	f.mu.Lock()
	f.n++
	e := event{strconv.Itoa(f.n), text}
	waiting := make(chan answer, 1)
	f.answers[e.id] = waiting
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		delete(f.answers, e.id)
		f.mu.Unlock()
	}()
	select {
	case f.events <- e:
	case <-f.ended:
		return report{}, errKilled
	case <-ctx.Done():
		return report{}, ctx.Err()
	}
	select {
	case a := <-waiting:
		var r report
		if a.err != nil {
			return r, a.err
		}
		return r, json.Unmarshal([]byte(a.text), &r)
	case <-f.ended:
		return report{}, errKilled
	case <-ctx.Done():
		return report{}, ctx.Err()
	}
}

// log is what was logged from the nth line on.
func (f *function) log(from int) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.lines[from:]...)
}

// line is the last decision that was logged of a target from the nth line on.
func (f *function) line(from int, target string) (decision, bool) {
	lines := f.log(from)
	for i := len(lines) - 1; i >= 0; i-- {
		var d struct {
			decision
			Msg string
		}
		if json.Unmarshal([]byte(lines[i]), &d) == nil && d.Msg == "decision" && d.Target == target {
			return d.decision, true
		}
	}
	return decision{}, false
}

// kill ends the process at once, as Lambda does.
func (f *function) kill() { f.end(syscall.SIGKILL) }

func (f *function) end(signal syscall.Signal) {
	_ = f.cmd.Process.Signal(signal) // it may have ended
	<-f.ended
	_ = f.server.Close()
	<-f.served
}

// use is what a process holds.
type use struct {
	resident, peak int64 // bytes
	files          int   // open ones, connections too
}

func (f *function) use() use {
	var u use
	proc := filepath.Join("/proc", strconv.Itoa(f.cmd.Process.Pid))
	status, _ := os.ReadFile(filepath.Join(proc, "status"))
	for line := range strings.SplitSeq(string(status), "\n") {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		kib, _ := strconv.ParseInt(fields[1], 10, 64)
		switch fields[0] {
		case "VmRSS:":
			u.resident = kib << 10
		case "VmHWM:":
			u.peak = kib << 10
		}
	}
	files, _ := os.ReadDir(filepath.Join(proc, "fd"))
	u.files = len(files)
	return u
}

var goroutine = regexp.MustCompile(`(?m)^goroutine \d+ .*\[`)

// goroutines ends the process with a dump of its goroutines, and returns how many there were, and those of
// Leda's own but for the main one: an invocation is over when they are.
func (f *function) goroutines() (all int, left []string) {
	f.end(syscall.SIGQUIT)
	for stack := range strings.SplitSeq(f.stderr.String(), "\n\n") {
		if !goroutine.MatchString(stack) {
			continue
		}
		all++
		if !strings.Contains(stack, "main.main()") && (strings.Contains(stack, "\nmain.") || strings.Contains(stack, "leda-autoscaler/leda/") || strings.Contains(stack, "created by main.")) {
			left = append(left, stack)
		}
	}
	return all, left
}
