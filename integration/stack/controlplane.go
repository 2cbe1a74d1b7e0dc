package stack

import (
	"context"
	_ "embed"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"
)

//go:embed node.yaml
var nodeManifest string

func (s *Stack) kubernetesEndpoint() string {
	return fmt.Sprintf("https://127.0.0.1:%d", s.ports.apiserver)
}

// startControlPlane starts Kubernetes, up to a node on which pods become Ready.
func (s *Stack) startControlPlane(ctx context.Context) error {
	if given := s.allGiven(); given != nil {
		s.progress(Step{Text: "KUBEBUILDER_ASSETS has " + strings.Join(given, ", "), Done: true})
	}
	if err := s.startEtcd(ctx); err != nil {
		return err
	}
	if err := s.startAPIServer(ctx); err != nil {
		return err
	}

	done := s.progress.timed("Kubernetes schedules and runs pods")
	if err := s.launch("kube-controller-manager", nil, s.tool("kube-controller-manager"), s.controllerManagerFlags()...); err != nil {
		return err
	}
	if err := s.launch("kube-scheduler", nil, s.tool("kube-scheduler"), s.schedulerFlags()...); err != nil {
		return err
	}
	if err := s.launch("kwok", nil, s.tool("kwok"), s.kwokFlags()...); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.createNode(ctx) })
	group.Go(func() error { // without it the API server refuses pods
		return s.kubectl(ctx, "", "wait", "--for=create", "serviceaccount/default", "--timeout="+patience.String())
	})
	if err := group.Wait(); err != nil {
		return err
	}
	done()
	return nil
}

func (s *Stack) startEtcd(ctx context.Context) error {
	done := s.progress.timed("etcd is ready")
	client := fmt.Sprintf("http://127.0.0.1:%d", s.ports.etcd)
	peer := fmt.Sprintf("http://127.0.0.1:%d", s.ports.etcdPeer)
	if err := s.launch("etcd", nil, s.tool("etcd"),
		"--name=local",
		"--data-dir="+filepath.Join(s.folder, "etcd"),
		"--listen-client-urls="+client, "--advertise-client-urls="+client,
		"--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer, "--initial-cluster=local="+peer,
		"--unsafe-no-fsync", // what a crash would lose is thrown away anyway
		"--log-level=warn",
	); err != nil {
		return err
	}
	if err := s.await(ctx, "etcd", client+"/readyz"); err != nil {
		return err
	}
	done()
	return nil
}

func (s *Stack) startAPIServer(ctx context.Context) error {
	done := s.progress.timed("kube-apiserver is ready")
	if err := s.launch("kube-apiserver", nil, s.tool("kube-apiserver"),
		"--bind-address=127.0.0.1", "--advertise-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", s.ports.apiserver),
		fmt.Sprintf("--etcd-servers=http://127.0.0.1:%d", s.ports.etcd),
		"--service-cluster-ip-range=10.0.0.0/24",
		"--endpoint-reconciler-type=none", // no Service leads to it
		"--cert-dir="+filepath.Join(s.folder, "pki"),
		"--tls-cert-file="+s.pki("kubernetes.crt"), "--tls-private-key-file="+s.pki("kubernetes.key"),
		"--client-ca-file="+s.pki("kubernetes-ca.crt"),
		"--service-account-issuer="+s.kubernetesEndpoint(),
		"--service-account-key-file="+s.pki("service-account.key"), "--service-account-signing-key-file="+s.pki("service-account.key"),
		"--authorization-mode=Node,RBAC",
		// AWS says who a token is, as on EKS; that it no longer is shows soon.
		"--authentication-token-webhook-config-file="+s.webhookConfig(),
		"--authentication-token-webhook-cache-ttl=10s",
		"--disable-admission-plugins=TaintNodesByCondition", // nobody here would take a new node's taint away
	); err != nil {
		return err
	}
	if err := s.await(ctx, "kube-apiserver", s.kubernetesEndpoint()+"/readyz"); err != nil {
		return err
	}
	done()
	return nil
}

func (s *Stack) controllerManagerFlags() []string {
	return []string{
		"--kubeconfig=" + s.Kubeconfig(),
		"--leader-elect=false",
		"--secure-port=0",
		"--use-service-account-credentials=false",
		"--service-account-private-key-file=" + s.pki("service-account.key"),
		"--controllers=" + strings.Join([]string{
			"deployment-controller", "replicaset-controller", "namespace-controller", "garbage-collector-controller",
			"serviceaccount-controller", "serviceaccount-token-controller",
		}, ","),
	}
}

func (s *Stack) schedulerFlags() []string {
	return []string{"--kubeconfig=" + s.Kubeconfig(), "--leader-elect=false", "--secure-port=0"}
}

// kwokFlags have kwok play the kubelet of every node.
func (s *Stack) kwokFlags() []string {
	flags := []string{"--kubeconfig=" + s.Kubeconfig(), "--manage-all-nodes=true"}
	for _, stage := range stageFiles() {
		flags = append(flags, "--config="+s.stageFile(stage))
	}
	return flags
}

func (s *Stack) createNode(ctx context.Context) error {
	if err := s.kubectl(ctx, nodeManifest, "apply", "--filename=-"); err != nil {
		return err
	}
	return s.kubectl(ctx, "", "wait", "--for=condition=Ready", "node", "--all", "--timeout="+patience.String())
}

func (s *Stack) kubectl(ctx context.Context, input string, args ...string) error {
	cmd := exec.CommandContext(ctx, s.tool("kubectl"), args...)
	cmd.Dir = s.folder
	cmd.Env = append(s.Environ(), mark(s.folder))
	cmd.Stdin = strings.NewReader(input)
	_, err := s.spawner.run(ctx, cmd)
	return err
}

func (s *Stack) webhookConfig() string { return filepath.Join(s.folder, "token-webhook.kubeconfig") }

// tokenWebhook leads the API server to MiniStack's half of EKS, which verifies
// the signature in a token and looks up the caller's access entry.
func (s *Stack) tokenWebhook() []byte {
	return kubeconfig(s.awsEndpoint()+"/_ministack/eks-auth/"+Account+"/"+Region+"/"+Cluster+"/"+s.secret, s.pki("aws-ca.crt"), "")
}

// adminConfig lets a person in as a member of the group that may do everything.
func (s *Stack) adminConfig(ca *authority) ([]byte, error) {
	certificate, key, err := ca.client("admin", "system:masters")
	if err != nil {
		return nil, err
	}
	if err := writeCertificate(certificate, key, s.pki("admin.crt"), s.pki("admin.key")); err != nil {
		return nil, err
	}
	user := "client-certificate: " + strconv.Quote(s.pki("admin.crt")) + ", client-key: " + strconv.Quote(s.pki("admin.key"))
	return kubeconfig(s.kubernetesEndpoint(), s.pki("kubernetes-ca.crt"), user), nil
}

func kubeconfig(server, authorityFile, user string) []byte {
	return fmt.Appendf(nil, `apiVersion: v1
kind: Config
clusters:
- name: local
  cluster: {server: %q, certificate-authority: %q}
users:
- name: local
  user: {%s}
contexts:
- name: local
  context: {cluster: local, user: local}
current-context: local
`, server, authorityFile, user)
}
