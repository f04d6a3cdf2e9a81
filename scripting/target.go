package scripting

import (
	"math"
	"slices"
	"strconv"

	"github.com/dop251/goja"
)

// isWeights tells a split, { one: 90, two: 10 }, from an object that describes a
// decision. Behind cluster there can be no such object, so that a cluster may
// have any name there.
func isWeights(object *goja.Object, keys []string, behindCluster bool) bool {
	if len(keys) == 0 {
		return false
	}
	for _, key := range keys {
		if !behindCluster && slices.Contains(decisionKeys, key) || !goja.IsNumber(object.Get(key)) {
			return false
		}
	}
	return true
}

// toTarget reads where a request goes: a name, a list, or a split, whose side
// hashKey chooses where it is not empty.
func (rt *runtime) toTarget(value goja.Value, hashKey string) Decision {
	switch value := value.(type) {
	case goja.String:
		return rt.toCluster(value.String())
	case *goja.Object:
		switch value.ClassName() {
		case "Array":
			return rt.toList(value)
		case "Object":
			if keys := value.Keys(); isWeights(value, keys, true) {
				return rt.toSplit(value, keys, hashKey)
			}
		}
	}
	return rt.badReturn("the target is %s: it takes a cluster's name, a list of names, or weights such as { one: 90, two: 10 }", kindOf(value))
}

// toList takes the first cluster of a list that has a usable backend; if none has
// one, the first: what then happens is the same as for a single name.
func (rt *runtime) toList(list *goja.Object) Decision {
	length := list.Get("length").ToInteger()
	if length == 0 || length > MaxList {
		return rt.badReturn("route returned a list of %d, it takes 1 to %d clusters", length, MaxList)
	}
	decision := Decision{}
	usable := false
	for i := range int(length) {
		name, ok := list.Get(strconv.Itoa(i)).(goja.String)
		if !ok || name.Length() == 0 {
			return rt.badReturn("route returned a list with %s in place %d, it takes names of clusters", kindOf(list.Get(strconv.Itoa(i))), i)
		}
		healthy, _, ok := rt.health(name.String())
		if !ok {
			return rt.script.unknownCluster(name.String())
		}
		if i == 0 {
			decision.Cluster = name.String()
		}
		if !usable && healthy > 0 {
			usable = true
			if i > 0 {
				decision = Decision{Cluster: name.String(), Outcome: Fallback}
			}
		}
	}
	return decision
}

// A side of a split.
type side struct {
	name   string
	weight float64
	usable bool
}

// toSplit draws a side. One that has no usable backend is drawn again, among
// those that have one; so the others keep those who were theirs.
func (rt *runtime) toSplit(object *goja.Object, keys []string, hashKey string) Decision {
	sides, failed := rt.readSides(object, keys)
	if sides == nil {
		return failed
	}
	at := rt.draw(hashKey)
	drawn := pickSide(sides, at, func(side) bool { return true })
	if drawn == nil {
		return rt.badReturn("route returned weights that are all 0")
	}
	if drawn.usable {
		return Decision{Cluster: drawn.name, Outcome: OK}
	}
	if other := pickSide(sides, at, func(s side) bool { return s.usable }); other != nil {
		return Decision{Cluster: other.name, Outcome: Fallback}
	}
	return Decision{Cluster: sides[0].name, Outcome: OK}
}

// draw is a number in [0,1): the key's own, or any.
func (rt *runtime) draw(hashKey string) float64 {
	if hashKey != "" {
		return hash(hashKey)
	}
	return rt.dice.roll()
}

func (rt *runtime) readSides(object *goja.Object, keys []string) ([]side, Decision) {
	if len(keys) > MaxList {
		return nil, rt.badReturn("route returned weights of %d clusters, the most is %d", len(keys), MaxList)
	}
	sides := make([]side, 0, len(keys))
	for _, name := range keys {
		weight := object.Get(name).ToFloat()
		if weight < 0 || math.IsNaN(weight) || math.IsInf(weight, 0) {
			return nil, rt.badReturn("route returned the weight %v for %q, it takes a number from 0", weight, shorten(name, maxName))
		}
		healthy, _, ok := rt.health(name)
		if !ok {
			return nil, rt.script.unknownCluster(name)
		}
		sides = append(sides, side{name, weight, healthy > 0})
	}
	return sides, Decision{}
}

// pickSide is the side at a place, 0 to 1, of all that are eligible. Nil: none is,
// or they weigh nothing.
func pickSide(sides []side, at float64, eligible func(side) bool) *side {
	total := 0.0
	for _, s := range sides {
		if eligible(s) {
			total += s.weight
		}
	}
	var last *side
	left := at * total
	for i, s := range sides {
		if !eligible(s) || s.weight == 0 {
			continue
		}
		last = &sides[i]
		if left -= s.weight; left < 0 {
			return last
		}
	}
	return last // what rounding has left over
}
