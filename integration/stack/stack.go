package stack

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"golang.org/x/sync/errgroup"

	"github.com/leda-autoscaler/leda/integration/cloudwatch"
)

// What every local stack has in common with every other.
const (
	Account = "000000000000"
	Region  = "us-east-1"
	Cluster = "demo" // the EKS cluster's name
)

// A Stack is a running local stack.
type Stack struct {
	place
	name     string
	folder   string // .local/run/NAME
	ports    ports
	secret   string // part of the address to which the API server posts tokens
	progress Progress
	spawner  *spawner
	client   *http.Client

	alive context.Context // ends, with the cause, when the stack stops or fails
	fail  context.CancelCauseFunc
	loops sync.WaitGroup

	mu       sync.Mutex // AWS and Kubernetes are started at the same time
	children []*child

	stop     sync.Once
	stopping error
}

var errStopped = errors.New("it was stopped")

// Start prepares and starts a stack. Its ctx bounds the start only: once it
// runs, the stack does so until Stop, or until one of its processes ends by
// itself. A start that fails leaves nothing but the logs its error names.
func Start(ctx context.Context, root, name string, progress Progress) (*Stack, error) {
	if err := Prepare(ctx, root, progress); err != nil {
		return nil, fmt.Errorf("prepare the local stack: %w", err)
	}
	p, err := newPlace(root)
	if err != nil {
		return nil, err
	}
	folder, err := p.claim(ctx, name)
	if err != nil {
		return nil, err
	}
	s := &Stack{place: p, name: name, folder: folder, secret: rand.Text(), progress: oneAtATime(progress), spawner: newSpawner()}
	s.alive, s.fail = context.WithCancelCause(context.WithoutCancel(ctx))

	release := context.AfterFunc(ctx, func() { s.fail(fmt.Errorf("%w: %w", errStopped, context.Cause(ctx))) })
	err = s.start(s.alive)
	release()
	if err != nil {
		s.fail(err)
	}
	if cause := context.Cause(s.alive); cause != nil { // a process that died says more than what came of it
		err := fmt.Errorf("start the local stack %q: %w", name, cause)
		if !errors.Is(cause, errStopped) {
			err = fmt.Errorf("%w\nlogs: %s", err, p.failed(name))
		}
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// start brings everything up; AWS and Kubernetes at the same time.
func (s *Stack) start(ctx context.Context) error {
	var err error
	if s.ports, err = freePorts(ctx); err != nil {
		return err
	}
	if err := s.writeFiles(); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.startMiniStack(ctx) })
	group.Go(func() error { return s.startControlPlane(ctx) })
	if err := group.Wait(); err != nil {
		return err
	}
	if err := s.imitateCloudWatch(); err != nil {
		return err
	}
	return os.WriteFile(s.envFile(), []byte(s.envScript()), 0o600) // last: who finds it finds all ready
}

// writeFiles makes the folders, certificates and wrappers.
func (s *Stack) writeFiles() error {
	for _, folder := range []string{"aws", "bin", "etcd", "logs", "pids", "pki", "tmp"} {
		if err := os.Mkdir(filepath.Join(s.folder, folder), 0o700); err != nil {
			return err
		}
	}
	if err := s.writePKI(time.Now()); err != nil {
		return fmt.Errorf("make certificates: %w", err)
	}
	return s.writeWrappers()
}

// writePKI makes two authorities, one for Kubernetes and one for AWS, since on
// AWS too nothing that trusts the one trusts the other.
func (s *Stack) writePKI(now time.Time) error {
	kubernetes, err := newAuthority("leda local Kubernetes", now)
	if err != nil {
		return err
	}
	awsCA, err := newAuthority("leda local AWS", now)
	if err != nil {
		return err
	}
	trusted := x509.NewCertPool()
	for file, ca := range map[string]*authority{"kubernetes-ca.crt": kubernetes, "aws-ca.crt": awsCA} {
		if err := os.WriteFile(s.pki(file), certificatePEM(ca.certificate), 0o600); err != nil {
			return err
		}
		trusted.AddCert(ca.certificate)
	}
	s.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted}}}

	if err := kubernetes.writeServer("kube-apiserver", s.pki("kubernetes.crt"), s.pki("kubernetes.key")); err != nil {
		return err
	}
	if err := awsCA.writeServer("ministack", s.pki("aws.crt"), s.pki("aws.key")); err != nil {
		return err
	}
	if err := writeNewKey(s.pki("service-account.key")); err != nil {
		return err
	}
	admin, err := s.adminConfig(kubernetes)
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(s.Kubeconfig(), admin, 0o600),
		os.WriteFile(s.webhookConfig(), s.tokenWebhook(), 0o600),
	)
}

func (s *Stack) pki(file string) string { return filepath.Join(s.folder, "pki", file) }

// imitateCloudWatch does for as long as the stack lives what CloudWatch does by itself.
func (s *Stack) imitateCloudWatch() error {
	log, err := os.OpenFile(filepath.Join(s.folder, "logs", "cloudwatch.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	s.loops.Go(func() {
		defer log.Close()
		if err := cloudwatch.Run(s.alive, s.AWS(), slog.New(slog.NewTextHandler(log, nil))); err != nil {
			s.fail(fmt.Errorf("imitate CloudWatch: %w", err))
		}
	})
	return nil
}

// AWS returns what an AWS client needs to speak to the stack as its root user.
func (s *Stack) AWS() aws.Config {
	return aws.Config{
		Region:       Region,
		BaseEndpoint: aws.String(s.awsEndpoint()),
		Credentials:  credentials.NewStaticCredentialsProvider("test", "test", ""),
		HTTPClient:   s.client,
	}
}

// Kubeconfig returns the file with which kubectl is the cluster's admin.
func (s *Stack) Kubeconfig() string { return filepath.Join(s.folder, "kubeconfig") }

// Folder returns where the stack keeps its state, until Stop removes it.
func (s *Stack) Folder() string { return s.folder }

// Context returns a context that ends when the stack stops or fails. Its
// context.Cause says why, with the last lines of the log of what failed.
func (s *Stack) Context() context.Context { return s.alive }

// Stop ends every process of the stack and removes its folder; of a stack that
// had failed, the logs are kept beside it.
func (s *Stack) Stop() error {
	s.stop.Do(func() {
		s.fail(errStopped)
		s.loops.Wait()
		if s.client != nil {
			s.client.CloseIdleConnections()
		}
		s.terminateChildren()
		s.spawner.close()
		if !errors.Is(context.Cause(s.alive), errStopped) {
			s.stopping = s.keepLogs()
		}
		s.stopping = errors.Join(s.stopping, os.RemoveAll(s.folder))
	})
	return s.stopping
}

// keepLogs moves the logs out of the folder that is about to go, with the cause.
func (s *Stack) keepLogs() error {
	kept := s.failed(s.name)
	if err := os.RemoveAll(kept); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(s.folder, "logs"), kept); err != nil {
		if !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if err := os.Mkdir(kept, 0o700); err != nil { // it failed before there were logs
			return err
		}
	}
	return os.WriteFile(filepath.Join(kept, "cause"), []byte(context.Cause(s.alive).Error()+"\n"), 0o600)
}
