package scaling

import "math"

// assessment is what the readings of one look come to.
type assessment struct {
	proposal  int32      // the largest size asked for; -1 when none is
	active    bool       // a trigger is active, or a fallback is in force
	failed    int        // triggers that could not be read and that no fallback stands in for
	blocked   bool       // all were read, but the HPA can make no size of one, or of the formula's result
	fallback  int32      // the size that a fallback stood in with; -1 when none did
	composite *Composite // with a formula that gave a value
}

// assess takes the largest proposal and whether any trigger is active. spec is the size asked for now.
func (o *ScaledObject) assess(seen *Observed, spec int32, m *Memory) assessment {
	if o.Modifiers != nil {
		return o.assessFormula(seen, spec, m)
	}
	s := assessment{proposal: -1, fallback: -1}
	up, down := o.rules()
	for i := range seen.Readings {
		r := seen.Readings[i]
		usage, target := milli(r.Value), milli(r.Target)
		if r.Err != nil {
			size, ok := o.standIn(r.Trigger, r.MetricType, spec, seen, m)
			if !ok {
				s.failed++
				continue
			}
			s.active, s.fallback = true, max(s.fallback, ceil(size))
			if o.Policy != PolicyKEDA {
				s.proposal = max(s.proposal, ceil(size))
				continue
			}
			usage = math.Trunc(o.normalized(r.Target, r.MetricType, size, seen))
		}
		s.active = s.active || r.Active && r.Err == nil
		if size, ok := o.propose(r.MetricType, usage, target, spec, seen, up, down); ok {
			s.proposal = max(s.proposal, size)
		} else {
			s.blocked = true
		}
	}
	return s
}
