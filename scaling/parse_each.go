package scaling

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Parsed is a ScaledObject as a cluster has it. It is not to be run while it has problems.
type Parsed struct {
	ScaledObject
	Created  string // metadata.creationTimestamp, as the API server writes it
	Problems Problems
}

// ParseEach is ParseJSON for ScaledObjects that different people wrote, as a cluster has them: what is wrong with one
// of them, or with the TriggerAuthentication it names, is that one's and harms no other. They come back in the order
// they are given in. Of two that would scale one workload the younger has the problem.
func ParseEach(objects ...json.RawMessage) []Parsed {
	known := authentications{}
	var documents []document
	for _, object := range objects {
		d := document{text: object, quiet: true}
		var head struct{ APIVersion, Kind string }
		if json.Unmarshal(object, &head) == nil && head.APIVersion == apiVersion && (head.Kind == namespacedKind || head.Kind == clusterKind) {
			if d.decode() == nil {
				a, id, check := parseAuthentication(d)
				a.problems = check.problems
				known.add(a, id)
			}
			continue
		}
		documents = append(documents, d)
	}
	all := make([]Parsed, len(documents))
	for i, d := range documents {
		p := &all[i]
		if err := d.decode(); err != nil {
			p.Problems = Problems{{Message: err.Error()}}
			continue
		}
		if kind := kind(d); kind != "ScaledObject" {
			p.Problems = Problems{{Path: "kind", Message: fmt.Sprintf("must be ScaledObject of %s, got %s", apiVersion, kind)}}
			continue
		}
		metadata, _ := d.body["metadata"].(map[string]any)
		p.Created, _ = metadata["creationTimestamp"].(string)
		var check *checker
		p.ScaledObject, check = parseScaledObject(d, known)
		p.Problems = check.problems
	}
	contested := Contested(all)
	for i := range all {
		if problem, ok := contested[name{all[i].Namespace, all[i].Name}.String()]; ok {
			all[i].Problems = append(all[i].Problems, problem)
		}
	}
	return all
}

// Contested names, by namespace/name, the ScaledObjects of one cluster whose workload is another's already: the oldest
// one's, so that a new ScaledObject takes no workload away. One without a time of creation is older than any.
func Contested(all []Parsed) map[string]Problem {
	order := make([]*Parsed, 0, len(all))
	for i := range all {
		if all[i].Target.Name != "" {
			order = append(order, &all[i])
		}
	}
	slices.SortStableFunc(order, func(a, b *Parsed) int {
		return cmp.Or(strings.Compare(a.Created, b.Created), strings.Compare(a.Name, b.Name))
	})
	type workload struct {
		namespace string
		target    TargetRef
	}
	owners := map[workload]*Parsed{}
	contested := map[string]Problem{}
	for _, p := range order {
		w := workload{p.Namespace, p.Target}
		owner, taken := owners[w]
		if !taken {
			owners[w] = p
			continue
		}
		if owner.Name == p.Name {
			continue
		}
		id := name{p.Namespace, p.Name}.String()
		contested[id] = Problem{
			Object: "ScaledObject " + id, Path: "spec.scaleTargetRef",
			Message: fmt.Sprintf("%s %s is scaled by ScaledObject %s already, which is older; two would fight over its size: remove one, or put both triggers into one", p.Target.Kind, p.Target.Name, owner.Name),
		}
	}
	return contested
}
