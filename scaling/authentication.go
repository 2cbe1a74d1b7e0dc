package scaling

// authentication is a parsed TriggerAuthentication.
type authentication struct {
	name   name
	aws    bool                 // podIdentity.provider is aws
	secret map[string]SecretKey // by parameter
}

func parseAuthentication(d document) (authentication, *checker) {
	root, id, _, check := parseMetadata(d)
	a := authentication{name: id, secret: map[string]SecretKey{}}
	spec, ok := root.object("spec")
	if !ok && !root.has("spec") {
		check.problem("spec", "is required")
	}
	root.done()
	if !ok {
		return a, check
	}
	if identity, ok := spec.object("podIdentity"); ok {
		switch provider := identity.text("provider"); provider {
		case "aws":
			a.aws = true
		case "none", "":
		default:
			check.problem(identity.at("provider"), "must be aws, which means the function's own role, got %q", provider)
		}
		refuse(identity, "roleArn", "is not supported yet; give the function's own role the right, or use secretTargetRef")
		refuse(identity, "externalID", "is not supported yet; it goes with roleArn")
		if owner := identity.text("identityOwner"); owner != "" && owner != "keda" {
			check.problem(identity.at("identityOwner"), "%q is not supported: the function has no pod whose role it could take; leave it out for the function's own role", owner)
		}
		identity.done()
	}
	for _, f := range spec.list("secretTargetRef") {
		parameter := f.requiredText("parameter")
		if _, twice := a.secret[parameter]; twice {
			check.problem(f.at("parameter"), "%q is there twice; remove one", parameter)
		}
		a.secret[parameter] = SecretKey{Name: f.requiredText("name"), Key: f.requiredText("key")}
		f.done()
	}
	const otherStore = "is not supported; put the access key into a Kubernetes Secret and name it in secretTargetRef, or use podIdentity aws"
	for _, store := range []string{
		"env", "configMapTargetRef", "filePath", "hashiCorpVault", "azureKeyVault", "gcpSecretManager",
		"awsSecretManager", "boundServiceAccountToken", "oauth2",
	} {
		refuse(spec, store, otherStore)
	}
	spec.done()
	return a, check
}

// resolve chooses the credentials of a trigger in KEDA's order
// (pkg/scalers/aws/aws_common.go, v2.20): pod identity, then identityOwner, then keys.
func resolve(trigger fields, m metadata, namespace string, authentications map[name]authentication) Authentication {
	check := trigger.check
	owner := m.text("identityOwner")
	for _, key := range []string{"awsAccessKeyID", "awsAccessKeyIDFromEnv", "awsSecretAccessKeyFromEnv"} {
		m.refuse(key, "is not supported: an access key belongs into a Secret; name it in a TriggerAuthentication's secretTargetRef")
	}
	ref, given := trigger.object("authenticationRef")
	var a authentication
	if given {
		id := name{namespace, ref.requiredText("name")}
		switch kind := ref.text("kind"); kind {
		case "", "TriggerAuthentication":
			var found bool
			if a, found = authentications[id]; !found {
				check.problem(ref.at("name"), "TriggerAuthentication %s is not among the files; add it", id)
				ref.done()
				return Authentication{}
			}
		default:
			check.problem(ref.at("kind"), "must be TriggerAuthentication, got %q", kind)
		}
		ref.done()
	}
	switch {
	case a.aws:
		return Authentication{}
	case owner != "" && owner != "pod":
		return Authentication{} // "operator", or by KEDA's reading any other word
	}
	keys := KeyReferences{SecretAccessKey: a.secret["awsSecretAccessKey"], SessionToken: a.secret["awsSessionToken"]}
	for _, parameter := range []string{"awsAccessKeyID", "awsAccessKeyId"} {
		if key, ok := a.secret[parameter]; ok {
			keys.AccessKeyID = key
			break
		}
	}
	if a.secret["awsRoleArn"].Name != "" {
		check.problem(trigger.at("authenticationRef"), "parameter awsRoleArn is not supported yet; use podIdentity aws or an access key")
		return Authentication{}
	}
	switch {
	case keys.AccessKeyID.Name == "":
		check.problem(trigger.at("authenticationRef"), "no credentials: refer to a TriggerAuthentication with podIdentity aws (the function's own role) or with secretTargetRef awsAccessKeyID and awsSecretAccessKey, or write metadata identityOwner: operator")
	case keys.SecretAccessKey.Name == "":
		check.problem(trigger.at("authenticationRef"), "awsSecretAccessKey is required beside awsAccessKeyID: add it to the TriggerAuthentication's secretTargetRef")
	}
	return Authentication{Keys: &keys}
}
