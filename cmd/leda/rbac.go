package main

import (
	"context"
	"flag"
	"fmt"

	"github.com/leda-autoscaler/leda/kube"
	"github.com/leda-autoscaler/leda/scaling"
)

const rbacHelp = `leda rbac [FILE…]: the Kubernetes rights these ScaledObjects need, as a manifest

  leda rbac scaledobjects | kubectl apply -f -

`

type rbacFlags struct{ group, clusterObjects string }

func (r *rbacFlags) register(flags *flag.FlagSet) {
	flags.StringVar(&r.group, "group", kube.Group, "the Kubernetes group that the access entry maps the function's role to")
	flags.StringVar(&r.clusterObjects, "cluster-objects", scaling.DefaultClusterObjectNamespace,
		"the namespace of the Secrets and ConfigMaps that ClusterTriggerAuthentications refer to")
}

func (c console) rbac(_ context.Context, args []string) int {
	flags := c.verbFlags("rbac", rbacHelp)
	var asked rbacFlags
	asked.register(flags)
	rest, code, ok := parseFlags(flags, args)
	if !ok {
		return code
	}
	parsed, ok := c.manifests(rest)
	if !ok {
		return exitBadInput
	}
	manifest, err := kube.RBAC(parsed.ScaledObjects, asked.group, asked.clusterObjects)
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
