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
		if o.Modifiers != nil && o.Modifiers.MetricType == Value {
			refuse("spec.advanced.scalingModifiers.metricType", "Value (it needs the number of ready pods)")
		}
		for i, t := range o.Triggers {
			at := "spec.triggers[" + strconv.Itoa(i) + "]"
			if t.MetricType == Value {
				refuse(at+".metricType", "Value (it needs the number of ready pods)")
			}
		}
	}
	return problems
}
