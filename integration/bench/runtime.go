package main

import (
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
	"strconv"
	"strings"
	"sync"
	"time"
)

// A function is a Lambda function's process with the Runtime API that gives it events, one at a time. A second
// function of the same program is what Lambda calls another execution environment.
type function struct {
	cmd    *exec.Cmd
	log    safeBuffer
	server *http.Server
	served chan error
	ended  chan error // gets what the process ended with

	asked  chan struct{} // it asks for work
	events chan string
	answer chan answer
}

type answer struct {
	body []byte
	at   time.Time
	err  error
}

// deadline is what the function is told of the time it has; the CDK gives it 75 s.
const deadline = 75 * time.Second

// launch starts the program bootstrap in folder, and returns when it asks for its first event.
func launch(ctx context.Context, bootstrap, folder string, environ []string) (*function, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	f := &function{served: make(chan error, 1), ended: make(chan error, 1), asked: make(chan struct{}, 1), events: make(chan string), answer: make(chan answer, 1)}
	f.server = &http.Server{ReadHeaderTimeout: time.Second, Handler: f}
	go func() { f.served <- f.server.Serve(listener) }()
	f.cmd = exec.CommandContext(ctx, bootstrap)
	f.cmd.Env = append([]string{
		"AWS_LAMBDA_RUNTIME_API=" + listener.Addr().String(), "LAMBDA_TASK_ROOT=" + folder, "AWS_LAMBDA_FUNCTION_NAME=leda",
		"AWS_REGION=" + region, "AWS_ACCESS_KEY_ID=" + keyID, "AWS_SECRET_ACCESS_KEY=" + secretKey, "AWS_SESSION_TOKEN=" + sessionToken,
	}, environ...)
	f.cmd.Stdout, f.cmd.Stderr = &f.log, &f.log
	if err := f.cmd.Start(); err != nil {
		_ = f.server.Close()
		<-f.served
		return nil, err
	}
	go func() { f.ended <- f.cmd.Wait() }()
	select {
	case <-f.asked:
		return f, nil
	case err := <-f.ended:
		f.ended <- err
		f.stop()
		return nil, fmt.Errorf("%s ended before it asked for an event: %w\n%s", filepath.Base(bootstrap), err, f.log.text())
	case <-ctx.Done():
		f.stop()
		return nil, ctx.Err()
	}
}

// ServeHTTP implements [http.Handler]: the Runtime API's four requests.
func (f *function) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch path := r.URL.Path; {
	case strings.HasSuffix(path, "/invocation/next"):
		f.asked <- struct{}{}
		select {
		case event := <-f.events:
			w.Header().Set("Lambda-Runtime-Aws-Request-Id", "1")
			w.Header().Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(time.Now().Add(deadline).UnixMilli(), 10))
			_, _ = io.WriteString(w, event) // to a process that has ended there is nothing to give
		case <-r.Context().Done():
		}
	case strings.HasSuffix(path, "/response"), strings.HasSuffix(path, "/error"):
		body, err := io.ReadAll(r.Body)
		if err == nil && strings.HasSuffix(path, "/error") {
			err = fmt.Errorf("the function failed: %s", body)
		}
		f.answer <- answer{body, time.Now(), err}
		w.WriteHeader(http.StatusAccepted)
	default:
		http.NotFound(w, r)
	}
}

// invoke gives the function an event and returns its report and how long it took to come.
func (f *function) invoke(ctx context.Context, event string) (report, time.Duration, error) {
	var r report
	began := time.Now()
	select {
	case f.events <- event:
	case err := <-f.ended:
		f.ended <- err
		return r, 0, fmt.Errorf("the function has ended: %w\n%s", err, f.log.text())
	case <-ctx.Done():
		return r, 0, ctx.Err()
	}
	select {
	case a := <-f.answer:
		<-f.asked // it is ready for the next
		if a.err == nil {
			a.err = json.Unmarshal(a.body, &r)
		}
		if a.err == nil && r.Failed > 0 {
			a.err = fmt.Errorf("%d looks failed:\n%s", r.Failed, f.log.text())
		}
		return r, a.at.Sub(began), a.err
	case err := <-f.ended:
		f.ended <- err
		return r, 0, fmt.Errorf("the function ended in an invocation: %w\n%s", err, f.log.text())
	case <-ctx.Done():
		return r, 0, ctx.Err()
	}
}

// report is what the function answers of its looks.
type report struct {
	Looks   int `json:"looks"`
	Changed int `json:"changed"`
	Failed  int `json:"failed"`
}

// cpu is what the process has used until now, over all of its threads.
func (f *function) cpu() (time.Duration, error) {
	threads, err := filepath.Glob(f.proc("task/*/schedstat"))
	if err == nil && threads == nil {
		err = errors.New("this system does not say what a running process has used")
	}
	var sum time.Duration
	for _, thread := range threads {
		text, readErr := os.ReadFile(thread)
		if readErr != nil {
			return 0, readErr
		}
		running, _, _ := strings.Cut(string(text), " ")
		ns, parseErr := strconv.ParseInt(running, 10, 64)
		if parseErr != nil {
			return 0, parseErr
		}
		sum += time.Duration(ns)
	}
	return sum, err
}

// peak is the most memory that the process had in use until now, in bytes.
func (f *function) peak() (int64, error) {
	status, err := os.ReadFile(f.proc("status"))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	var kilobytes int64
	if _, err := fmt.Sscanf(rest, "%d kB", &kilobytes); err != nil {
		return 0, fmt.Errorf("read the peak memory of process %d: %w", f.cmd.Process.Pid, err)
	}
	return kilobytes << 10, nil
}

func (f *function) proc(file string) string {
	return filepath.Join("/proc", strconv.Itoa(f.cmd.Process.Pid), file)
}

// stop ends the process.
func (f *function) stop() {
	_ = f.cmd.Process.Kill() // it may have ended by itself
	<-f.ended
	_ = f.server.Close()
	<-f.served
}

// safeBuffer keeps what a process prints.
type safeBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

// Write implements [io.Writer].
func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *safeBuffer) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	const enough = 4000
	text := b.buffer.Bytes()
	return string(text[max(0, len(text)-enough):])
}

func (b *safeBuffer) size() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Len()
}
