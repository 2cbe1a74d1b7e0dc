// Package stack runs AWS and Kubernetes on one machine, for the demo and the
// end-to-end tests: MiniStack for AWS, and a real etcd, kube-apiserver,
// kube-controller-manager and kube-scheduler with kwok for the nodes.
//
// What it needs it builds or installs into the repository's .local folder, and
// nothing is written elsewhere but Go's own caches. A running stack called NAME
// keeps its state, certificates, logs and pid files in .local/run/NAME, which
// Stop removes. Stacks of different names run side by side.
package stack
