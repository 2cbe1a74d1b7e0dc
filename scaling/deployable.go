package scaling

import "strconv"

// NotDeployable is the one list of what Decide can use and the function cannot read yet. A fleet that asks
// for any of it is refused, at synth and when the function starts, instead of being scaled by less than it says.
func NotDeployable(objects []ScaledObject) Problems {
	var problems Problems
	for _, o := range objects {
		refuse := func(path, what string) {
			problems = append(problems, Problem{
				Object: "ScaledObject " + o.Namespace + "/" + o.Name, Path: path,
				Message: what + " cannot be deployed with this version yet; validate and simulate know it",
			})
		}
		for i, t := range o.Triggers {
			at := "spec.triggers[" + strconv.Itoa(i) + "]"
			if t.Type == TypeCloudWatch {
				refuse(at+".type", TypeCloudWatch)
			}
			a := t.Authentication
			switch keys := a.Keys; {
			case a.Role.ARN != "" || a.Role.ARNFrom.Name != "":
				refuse(at+".authenticationRef", "a role other than the function's own")
			case keys == nil:
			case a.Cluster:
				refuse(at+".authenticationRef", "an access key from a ClusterTriggerAuthentication")
			case !keys.fromSecrets():
				refuse(at+".authenticationRef", "an access key from anything but a Secret")
			}
		}
	}
	return problems
}

func (k KeyReferences) fromSecrets() bool {
	return k.AccessKeyID.Kind == FromSecret && k.SecretAccessKey.Kind == FromSecret &&
		(k.SessionToken.Name == "" || k.SessionToken.Kind == FromSecret)
}
