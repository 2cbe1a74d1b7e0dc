package main

import (
	"context"
	"flag"
	"fmt"
	"strings"

	"github.com/leda-autoscaler/leda/kube"
	"github.com/leda-autoscaler/leda/scaling"
)

const rbacHelp = `leda rbac [FILE…]: the Kubernetes rights these ScaledObjects need, as a manifest

  leda rbac scaledobjects | kubectl apply -f -
  leda rbac -source cluster -namespaces shop,bank | kubectl apply -f -

With -source cluster ScaledObjects are read from the cluster, and there are no files; with -source both there are too.

`

type rbacFlags struct {
	group, clusterObjects string
	source, namespaces    string
	buckets               int
	secrets               bool
}

func (r *rbacFlags) register(flags *flag.FlagSet) {
	flags.StringVar(&r.group, "group", kube.Group, "the Kubernetes group that the access entry maps the function's role to")
	flags.StringVar(&r.clusterObjects, "cluster-objects", scaling.DefaultClusterObjectNamespace,
		"the namespace of the Secrets and ConfigMaps that ClusterTriggerAuthentications refer to")
	flags.StringVar(&r.source, "source", scaling.SourceFiles, "where the ScaledObjects are: files, cluster or both")
	flags.StringVar(&r.namespaces, "namespaces", "", "with -source cluster or both, the namespaces they are in: a,b")
	flags.IntVar(&r.buckets, "buckets", 0, fmt.Sprintf("with -source cluster or both, memory ConfigMaps a namespace, each for 50 targets (default %d)", scaling.DefaultBuckets))
	flags.BoolVar(&r.secrets, "secrets", false, "with -source cluster or both, let TriggerAuthentications there name Secrets, ConfigMaps and environments")
}

// cluster is the one that the flags speak of.
func (r *rbacFlags) cluster() (scaling.Cluster, error) {
	c := scaling.Cluster{Source: r.source, Buckets: r.buckets}
	if r.namespaces != "" {
		c.Namespaces = strings.Split(r.namespaces, ",")
	}
	problems := c.Problems()
	for i := range problems { // of flags, not of a cluster's
		problems[i].Object, problems[i].Path = "leda rbac", "-"+problems[i].Path
	}
	if r.secrets && !c.ReadsObjects() {
		problems = append(problems, scaling.Problem{Object: "leda rbac", Path: "-secrets", Message: "goes with -source cluster or both; files say which Secrets they need"})
	}
	if len(problems) > 0 {
		return c, problems
	}
	return c, nil
}

func (c console) rbac(_ context.Context, args []string) int {
	flags := c.verbFlags("rbac", rbacHelp)
	var asked rbacFlags
	asked.register(flags)
	rest, code, ok := parseFlags(flags, args)
	if !ok {
		return code
	}
	cluster, err := asked.cluster()
	if err == nil && len(rest) > 0 && !cluster.ReadsFiles() {
		err = fmt.Errorf("leda rbac: -source cluster takes no files, got %q; with -source both it does", rest)
	}
	if err != nil {
		fmt.Fprintln(c.problems, err)
		return exitBadInput
	}
	var parsed scaling.Manifests
	if cluster.ReadsFiles() {
		if parsed, ok = c.manifests(rest); !ok {
			return exitBadInput
		}
	}
	manifest, err := kube.SourceRBAC(cluster, asked.secrets, parsed.ScaledObjects, asked.group, asked.clusterObjects)
	if err != nil {
		fmt.Fprintln(c.problems, err)
		return exitNotInOrder
	}
	if _, err := c.out.Write(manifest); err != nil {
		fmt.Fprintln(c.problems, err)
		return exitNotInOrder
	}
	return exitFine
}
