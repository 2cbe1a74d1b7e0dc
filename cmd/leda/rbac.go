package main

import (
	"fmt"
	"io"

	"github.com/leda-autoscaler/leda/kube"
	"github.com/leda-autoscaler/leda/scaling"
)

const rbacHelp = `leda rbac [FILE…]: the Kubernetes rights these ScaledObjects need, as a manifest

  leda rbac scaledobjects | kubectl apply -f -

`

func rbac(args []string, in io.Reader, out, problems io.Writer) int {
	flags := verbFlags("rbac", rbacHelp, problems)
	group := flags.String("group", kube.Group, "the Kubernetes group that the access entry maps the function's role to")
	clusterObjects := flags.String("cluster-objects", scaling.DefaultClusterObjectNamespace,
		"the namespace of the Secrets and ConfigMaps that ClusterTriggerAuthentications refer to")
	rest, code, ok := parseFlags(flags, args)
	if !ok {
		return code
	}
	parsed, ok := manifests(rest, in, problems)
	if !ok {
		return exitBadInput
	}
	manifest, err := kube.RBAC(parsed.ScaledObjects, *group, *clusterObjects)
	if err != nil {
		fmt.Fprintln(problems, err)
		return exitNotInOrder
	}
	if _, err := out.Write(manifest); err != nil {
		fmt.Fprintln(problems, err)
		return exitNotInOrder
	}
	return exitFine
}
