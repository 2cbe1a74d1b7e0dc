package infra

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awseks"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/leda-autoscaler/leda/kube"
	"github.com/leda-autoscaler/leda/scaling"
)

// cluster is one of the fleet's, with where it is.
type cluster struct {
	scaling.Cluster
	place   place
	secrets bool // its ScaledObjects may name Secrets, ConfigMaps and environments
}

func (c cluster) arn() string { return c.place.arn("eks", "cluster/"+c.Name) }

// described says whether EKS is asked for the endpoint.
func (c cluster) described() bool { return c.Endpoint == "" }

// clustersFrom places the settings' clusters. A cluster is described by an identity of its own account only.
func (s Settings) clustersFrom(here place) ([]cluster, []problem) {
	given := s.Clusters
	if s.Cluster != "" {
		given = []Cluster{s.onlyCluster()}
	}
	var clusters []cluster
	var problems []problem
	for _, g := range given {
		asker := here.account
		if g.RoleARN != "" {
			asker = accountOf(g.RoleARN)
		}
		c := cluster{
			g.source(), place{here.partition, g.Region, g.Account}, g.Secrets,
		}
		c.Region, c.RoleARN, c.Endpoint, c.CertificateAuthority = g.Region, g.RoleARN, g.Endpoint, g.CertificateAuthority
		if c.Region == "" {
			c.Region, c.place.region = here.region, here.region
		}
		if c.place.account == "" {
			c.place.account = asker
		}
		if c.described() && c.place.account != asker {
			problems = append(problems, problem{"clusters", fmt.Sprintf(
				"%s: is in account %s, whose own identities alone may ask for its endpoint, and Leda would ask from %s; give a roleArn of that account, or endpoint and certificateAuthority",
				c.Name, c.place.account, asker)})
		}
		clusters = append(clusters, c)
	}
	return clusters, problems
}

func accountOf(role string) string { return roleARN.FindStringSubmatch(role)[1] }

func fleetClusters(clusters []cluster) []scaling.Cluster {
	all := make([]scaling.Cluster, len(clusters))
	for i, c := range clusters {
		all[i] = c.Cluster
	}
	return all
}

// targetsOf is how many there are in files, and room for in the clusters that have their own.
func targetsOf(clusters []cluster, files int) int {
	for _, c := range clusters {
		if c.ReadsObjects() {
			files += len(c.Namespaces) * c.MemoryTargets()
		}
	}
	return files
}

func clusterNotes(clusters []cluster, here place) []string {
	var notes []string
	for _, c := range clusters {
		if c.place != here {
			notes = append(notes, fmt.Sprintf(
				"cluster %s: is in account %s, region %s, where this stack cannot make its access entry; make it once, with the command that the deployment prints",
				c.Name, c.place.account, c.place.region))
		}
		if c.ReadsObjects() {
			notes = append(notes, fmt.Sprintf(
				"cluster %s: ScaledObjects in namespaces %s are read at run time; there is no alarm for them, only the schedule wakes their targets, and their queues are those of readableQueues",
				c.Name, strings.Join(c.Namespaces, ", ")))
		}
	}
	return notes
}

// admit lets the role that a cluster knows the function by into it, as a member of one group; what the group may do is
// in the RBAC manifest. CloudFormation reaches the stack's own account and region: for clusters elsewhere it returns
// the command to do the same, by their names.
func admit(scope constructs.Construct, here place, clusters []cluster, role awsiam.IRole) map[string]*string {
	commands := map[string]*string{}
	within := constructs.NewConstruct(scope, jsii.String("Clusters"))
	for _, c := range clusters {
		principal := role.RoleArn()
		if c.RoleARN != "" {
			principal = jsii.String(c.RoleARN)
		}
		if c.place != here {
			commands[c.Name] = awscdk.Fn_Join(jsii.String(""), &[]*string{
				jsii.String(fmt.Sprintf("aws eks create-access-entry --region %s --cluster-name %s --kubernetes-groups %s --principal-arn ", c.Region, c.Name, kube.Group)),
				principal,
			})
			continue
		}
		awseks.NewCfnAccessEntry(within, jsii.String(c.Name), &awseks.CfnAccessEntryProps{
			ClusterName:      jsii.String(c.Name),
			PrincipalArn:     principal,
			Type:             jsii.String("STANDARD"),
			KubernetesGroups: jsii.Strings(kube.Group),
		})
	}
	return commands
}

// writeRBAC writes the rights in each cluster to a file of its own, NAME-rbac.yaml for the only one, and returns the
// files by the clusters' names.
func writeRBAC(outdir, name string, p plan) (map[string]string, error) {
	files := map[string]string{}
	for _, c := range p.clusters {
		file := name + "-rbac.yaml"
		if len(p.clusters) > 1 {
			file = name + "-rbac-" + c.Name + ".yaml"
		}
		elsewhere := func(o scaling.ScaledObject) bool { return o.Cluster != c.Name }
		manifest, err := kube.SourceRBAC(c.Cluster, c.secrets, slices.DeleteFunc(slices.Clone(p.objects), elsewhere), kube.Group, p.fleet.ClusterObjects())
		if err != nil {
			return nil, err
		}
		files[c.Name] = filepath.Join(outdir, file)
		if err := os.WriteFile(files[c.Name], manifest, 0o644); err != nil {
			return nil, fmt.Errorf("write the rights in cluster %s: %w", c.Name, err)
		}
	}
	return files, nil
}
