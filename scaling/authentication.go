package scaling

import (
	"maps"
	"regexp"
	"slices"
)

// authentication is a parsed TriggerAuthentication or ClusterTriggerAuthentication.
type authentication struct {
	kind, name string
	aws        bool // podIdentity.provider is aws
	role       Role
	parameters map[string]Source
	problems   Problems // for whom they are those of who names it
}

// ValidRoleARN says whether a text is a role's ARN.
func ValidRoleARN(text string) bool { return regexp.MustCompile(roleARN).MatchString(text) }

const roleARN = `^arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]+$`

func parseAuthentication(d document) (authentication, name, *checker) {
	root, id, _, check := parseMetadata(d)
	a := authentication{kind: kind(d), name: id.name, parameters: map[string]Source{}}
	spec, ok := root.object("spec")
	if !ok && !root.has("spec") {
		check.problem("spec", "is required")
	}
	root.done()
	if !ok {
		return a, id, check
	}
	if identity, ok := spec.object("podIdentity"); ok {
		a.parseIdentity(identity, check)
	}
	// KEDA lets the later list overrule the earlier (pkg/scaling/resolver/scale_resolvers.go, v2.20).
	for _, list := range []struct {
		field string
		kind  SourceKind
		key   string
	}{{"env", FromEnv, "containerName"}, {"configMapTargetRef", FromConfigMap, "key"}, {"secretTargetRef", FromSecret, "key"}} {
		given := map[string]Source{}
		for _, f := range spec.list(list.field) {
			parameter := f.requiredText("parameter")
			if _, twice := given[parameter]; twice {
				check.problem(f.at("parameter"), "%q is there twice; remove one", parameter)
			}
			source := Source{Kind: list.kind, Name: f.requiredText("name")}
			if list.kind != FromEnv && source.Name != "" && !isObjectName(source.Name) {
				check.problem(f.at("name"), "must be a name as Kubernetes allows them (a-z, 0-9, - and .), got %q", source.Name)
			}
			if list.kind == FromEnv {
				source.Key = f.text(list.key)
			} else {
				source.Key = f.requiredText(list.key)
			}
			given[parameter] = source
			f.done()
		}
		maps.Copy(a.parameters, given)
	}
	const otherStore = "is not supported; put the access key into a Kubernetes Secret and name it in secretTargetRef, or use podIdentity aws"
	for _, store := range []string{
		"filePath", "hashiCorpVault", "azureKeyVault", "gcpSecretManager", "awsSecretManager", "boundServiceAccountToken", "oauth2",
	} {
		refuse(spec, store, otherStore)
	}
	spec.done()
	return a, id, check
}

func (a *authentication) parseIdentity(identity fields, check *checker) {
	switch provider := identity.text("provider"); provider {
	case "aws":
		a.aws = true
	case "none", "":
	default:
		check.problem(identity.at("provider"), "must be aws (the function's own role, or the one in roleArn) or none, got %q", provider)
	}
	a.role = Role{ARN: identity.text("roleArn"), ExternalID: identity.text("externalID")}
	switch {
	case a.role.ARN == "" && a.role.ExternalID != "":
		check.problem(identity.at("externalID"), "goes with roleArn only; add roleArn or remove it")
	case a.role.ARN != "" && !ValidRoleARN(a.role.ARN):
		check.problem(identity.at("roleArn"), "must be arn:aws:iam::ACCOUNT:role/NAME, got %q", a.role.ARN)
	case a.role.ARN != "" && !a.aws:
		check.problem(identity.at("roleArn"), "goes with provider aws only; write provider: aws or remove it")
	}
	if owner := identity.text("identityOwner"); owner != "" && owner != "keda" {
		check.problem(identity.at("identityOwner"), "%q is not supported: the function has no pod whose role it could take; write the role in roleArn without identityOwner, or leave both out for the function's own role", owner)
	}
	identity.done()
}

// authentications are all there are to refer to, by kind and name; nil when nobody asks for credentials.
type authentications map[string]map[name]authentication

func (all authentications) add(a authentication, id name) (twice bool) {
	if all[a.kind] == nil {
		all[a.kind] = map[name]authentication{}
	}
	_, twice = all[a.kind][id]
	all[a.kind][id] = a
	return twice
}

// resolve chooses the credentials of a trigger in KEDA's order
// (pkg/scalers/aws/aws_common.go, v2.20): pod identity, then identityOwner, then keys.
func resolve(trigger fields, m metadata, namespace string, known authentications) Authentication {
	check := trigger.check
	owner := m.text("identityOwner")
	if known == nil { // nobody is going to read the trigger
		trigger.pass("authenticationRef")
		m.pass("awsAccessKeyID", "awsAccessKeyIDFromEnv", "awsSecretAccessKeyFromEnv")
		return Authentication{}
	}
	for _, key := range []string{"awsAccessKeyID", "awsAccessKeyIDFromEnv", "awsSecretAccessKeyFromEnv"} {
		m.refuse(key, "is not supported: an access key belongs into a Secret; name it in a TriggerAuthentication's secretTargetRef")
	}
	a, ok := refer(trigger, namespace, known)
	if !ok {
		return Authentication{}
	}
	if _, region := a.parameters["awsRegion"]; region && m.text("awsRegion") == "" {
		check.problem(trigger.at("authenticationRef"), "parameter awsRegion is not supported: the function's rights name the region; write awsRegion in the metadata")
	}
	cluster := a.kind == clusterKind
	role := a.role
	if role.ARN == "" {
		role.ARNFrom = a.parameters["awsRoleArn"]
	}
	switch {
	case a.aws && role.ARN == "" && role.ARNFrom.Name == "":
		return Authentication{}
	case a.aws:
		return Authentication{Role: role, Cluster: cluster}
	case owner != "" && owner != "pod":
		return Authentication{} // "operator", or by KEDA's reading any other word
	case role.ARNFrom.Name != "":
		return Authentication{Role: Role{ARNFrom: role.ARNFrom}, Cluster: cluster}
	}
	keys := KeyReferences{SecretAccessKey: a.parameters["awsSecretAccessKey"], SessionToken: a.parameters["awsSessionToken"]}
	for _, parameter := range []string{"awsAccessKeyID", "awsAccessKeyId"} {
		if key, ok := a.parameters[parameter]; ok {
			keys.AccessKeyID = key
			break
		}
	}
	switch {
	case keys.AccessKeyID.Name == "":
		check.problem(trigger.at("authenticationRef"), "no credentials: refer to a TriggerAuthentication with podIdentity aws (the function's own role) or with secretTargetRef awsAccessKeyID and awsSecretAccessKey, or write metadata identityOwner: operator")
	case keys.SecretAccessKey.Name == "":
		check.problem(trigger.at("authenticationRef"), "awsSecretAccessKey is required beside awsAccessKeyID: add it to the TriggerAuthentication's secretTargetRef")
	}
	return Authentication{Keys: &keys, Cluster: cluster}
}

const (
	namespacedKind = "TriggerAuthentication"
	clusterKind    = "ClusterTriggerAuthentication"
)

// refer finds what authenticationRef names; ok is false when it names something that is not there.
func refer(trigger fields, namespace string, known authentications) (a authentication, ok bool) {
	ref, given := trigger.object("authenticationRef")
	if !given {
		return a, true
	}
	defer ref.done()
	id := name{namespace, ref.requiredText("name")}
	switch kind := ref.text("kind"); kind {
	case "", namespacedKind:
		if a, ok = known[namespacedKind][id]; !ok {
			ref.check.problem(ref.at("name"), "TriggerAuthentication %s is not there; add it", id)
		}
	case clusterKind:
		if a, ok = known[clusterKind][name{name: id.name}]; !ok {
			ref.check.problem(ref.at("name"), "ClusterTriggerAuthentication %s is not there; add it", id.name)
		}
	default:
		ref.check.problem(ref.at("kind"), "must be TriggerAuthentication or ClusterTriggerAuthentication, got %q", kind)
	}
	for _, p := range a.problems {
		if !slices.Contains(ref.check.problems, p) {
			ref.check.problems = append(ref.check.problems, p)
		}
	}
	return a, ok && len(a.problems) == 0
}
