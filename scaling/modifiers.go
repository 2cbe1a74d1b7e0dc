package scaling

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/vm"
	"k8s.io/apimachinery/pkg/api/resource"
)

// ScalingModifiers makes one metric of all triggers, by a formula over their names.
type ScalingModifiers struct {
	Formula          string
	Target           float64 // in whole thousandths, as the HPA gets it
	ActivationTarget float64 // active when the formula's value is above this
	MetricType       MetricType

	whole   bool // the target is written as a whole number, without which KEDA honours no fallback
	program *vm.Program
	names   []string // of the triggers, by position
}

// maxFormula keeps a formula's parser from running out of stack. KEDA has no limit of its own.
const maxFormula = 10_000

// parseModifiers reads scalingModifiers as KEDA's webhook and reconciler do
// (apis/keda/v1alpha1/scaledobject_webhook.go ValidateAndCompileScalingModifiers, v2.20).
func parseModifiers(f fields, triggers []Trigger) *ScalingModifiers {
	check := f.check
	formula, target, activation, metricType := f.text("formula"), f.text("target"), f.text("activationTarget"), f.text("metricType")
	f.done()
	if formula == "" && target == "" && activation == "" && metricType == "" {
		return nil // as if it were not written
	}
	s := &ScalingModifiers{Formula: formula, MetricType: AverageValue}
	switch MetricType(metricType) {
	case "", AverageValue:
	case Value:
		s.MetricType = Value
	default:
		check.problem(f.at("metricType"), "must be AverageValue or Value, got %q", metricType)
	}
	n, err := strconv.ParseFloat(target, 64)
	switch {
	case target == "":
		check.problem(f.at("target"), "is required: the value of the formula that one replica is to carry")
	case err != nil || !(n*1000 >= 1) || n > maxTarget:
		check.problem(f.at("target"), "must be a number above 0 (from 0.001 to %d) as a string, got %q", int64(maxTarget), target)
	default:
		s.Target = math.Trunc(n*1000) / 1000
	}
	_, err = strconv.ParseInt(target, 10, 64)
	s.whole = err == nil
	if activation != "" {
		n, err := strconv.ParseFloat(activation, 64)
		if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
			check.problem(f.at("activationTarget"), "must be a number as a string, got %q", activation)
		}
		s.ActivationTarget = n
	}
	environment := map[string]float64{}
	for i, t := range triggers {
		if t.Name == "" {
			check.note("spec.triggers["+strconv.Itoa(i)+"].name", "is not written, so the formula cannot use the trigger: it has no effect but when it fails, in KEDA either")
		} else {
			environment[t.Name] = -1 // what KEDA tries formulas with
		}
		s.names = append(s.names, t.Name)
	}
	switch {
	case strings.TrimSpace(formula) == "":
		check.problem(f.at("formula"), "is required")
	case len(formula) > maxFormula:
		check.problem(f.at("formula"), "must have at most %d characters, got %d", maxFormula, len(formula))
	default:
		if s.program, err = compile(formula, environment); err != nil {
			first, _, _ := strings.Cut(err.Error(), "\n")
			check.problem(f.at("formula"), "must be an expression over the triggers' names that gives a number: %s, got %q", first, formula)
		}
	}
	return s
}

// compile makes the program and tries it, as KEDA does. A formula that reads the clock is refused: what is
// decided would depend on more than what was read.
func compile(formula string, environment map[string]float64) (program *vm.Program, err error) {
	defer func() {
		if r := recover(); r != nil { // a library that other people's text is given to
			program, err = nil, fmt.Errorf("%v", r)
		}
	}()
	program, err = expr.Compile(asNumber(formula), expr.Env(environment), expr.DisableBuiltin("now"))
	if err != nil {
		return nil, err
	}
	_, err = expr.Run(program, environment)
	return program, err
}

// asNumber makes a formula's result a number, by KEDA's rule (castToFloatIfNecessary, v2.20): a text that
// begins with float( is taken to be one, and with ?? nothing at all may come out.
func asNumber(formula string) string {
	switch {
	case strings.Contains(formula, "??"):
		return "let _ledaResult = (" + formula + "); _ledaResult == nil ? nil : float(_ledaResult)"
	case strings.HasPrefix(formula, "float("):
		return formula
	}
	return "float(" + formula + ")"
}

// Composite is what the formula made of the readings.
type Composite struct {
	Value  float64
	Target float64
}

// assessFormula is assess where one metric is made of all triggers. KEDA does without the formula while a
// trigger fails, and where a fallback other than scalingModifiers is in force
// (pkg/scaling/scale_handler.go, pkg/scaling/modifiers/formula.go, v2.20).
func (o *ScaledObject) assessFormula(seen *Observed, spec int32, m *Memory) assessment {
	s := assessment{proposal: -1, fallback: -1}
	f := o.Modifiers
	values := make(map[string]any, len(seen.Readings))
	standIn := -1.0
	for i := range seen.Readings {
		r := seen.Readings[i]
		name := r.Trigger
		if i < len(f.names) {
			name = f.names[i]
		}
		switch {
		case r.Err == nil:
			values[name] = asQuantity(r.Value)
		case o.Fallback != nil && o.Fallback.Behavior == FallbackModifiers && o.fellBack(r.Trigger, m):
			values[name] = nil
		default:
			size, ok := o.standIn(r.Trigger, f.MetricType, spec, seen, m)
			if !ok {
				s.failed++
				continue
			}
			standIn = max(standIn, size)
		}
	}
	var usage int64
	switch {
	case standIn >= 0:
		s.fallback = ceil(standIn)
		usage = int64(o.normalized(f.Target, f.MetricType, standIn, seen))
	case s.failed > 0:
		return s
	default:
		var ok bool
		var err error
		if usage, ok, err = f.evaluate(values); err != nil || !ok && o.Fallback == nil {
			s.blocked = true
			return s
		}
		if !ok { // every name the formula used is nil
			s.fallback = o.Fallback.Replicas
			if o.Policy != PolicyKEDA {
				s.fallback = max(1, s.fallback)
			}
			usage = int64(float64(s.fallback) * f.Target * 1000)
		}
	}
	s.composite = &Composite{Value: float64(usage) / 1000, Target: f.Target}
	s.active = s.failed == 0 && float64(usage)*math.Pow10(-3) > f.ActivationTarget
	if s.fallback >= 0 && o.Policy != PolicyKEDA {
		s.active, s.proposal = true, s.fallback
		return s
	}
	up, down := o.rules()
	amount := float64(usage)
	switch {
	case usage >= 0:
	case o.Policy != PolicyKEDA:
		amount = 0
	case f.MetricType != Value:
		amount = math.MaxInt64 // the HPA takes a negative sum for an overflow
	}
	size, ok := o.propose(f.MetricType, amount, milli(f.Target), spec, seen, up, down)
	if s.blocked = !ok; ok {
		s.proposal = size
	}
	return s
}

var errNoNumber = errors.New("the formula's result is no number the HPA can take")

// evaluate runs the formula; a trigger that scalingModifiers stands in for is nil. The value is in whole
// thousandths, cut as KEDA cuts it; ok is false when nothing came out, which ?? allows.
func (f *ScalingModifiers) evaluate(values map[string]any) (thousandths int64, ok bool, err error) {
	result, err := expr.Run(f.program, values)
	if err != nil {
		return 0, false, err
	}
	if result == nil {
		return 0, false, nil
	}
	n, isNumber := result.(float64)
	if !isNumber || !(math.Abs(n*1000) < math.MaxInt64) {
		return 0, false, errNoNumber
	}
	return int64(n * 1000), true, nil
}

// asQuantity is a value as it comes out of the quantity that KEDA makes of it: three decimals, nothing
// negative (pkg/scalers/scaler.go quantityFromFloat64, v2.20).
func asQuantity(v float64) float64 {
	if !(v > 0) || math.IsInf(v, 0) {
		return 0
	}
	q, err := resource.ParseQuantity(strconv.FormatFloat(v, 'f', 3, 64))
	if err != nil {
		return v
	}
	return q.AsApproximateFloat64()
}
