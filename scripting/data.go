package scripting

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/dop251/goja"
)

// MaxData is the largest data, in bytes.
const MaxData = 4 << 20

// maxDataDepth is how deep data may nest: building it recurses.
const maxDataDepth = 100

// A dataset is the JSON that a script sees as ctx.data.
type dataset struct {
	name string
	text []byte
}

// dataset is that of the options. A byte order mark, which some editors write, is
// not part of it (RFC 8259 section 8.1).
func (o *Options) dataset() dataset {
	return dataset{o.DataName, bytes.TrimPrefix(o.Data, []byte("\uFEFF"))}
}

// check refuses what is no JSON, with its place.
func (d dataset) check() error {
	if len(d.text) > MaxData {
		return &LoadError{File: d.name, Message: fmt.Sprintf("the data has %d bytes, the most is %d", len(d.text), MaxData)}
	}
	if !utf8.Valid(d.text) {
		return d.at(invalidUTF8(d.text)+1, "the data is not UTF-8")
	}
	var anything any
	if err := json.Unmarshal(d.text, &anything); err != nil {
		if broken, ok := errors.AsType[*json.SyntaxError](err); ok {
			return d.at(int(broken.Offset), "this is not JSON: "+broken.Error())
		}
		return d.at(len(d.text), "this is not JSON: "+err.Error())
	}
	if depth(anything) > maxDataDepth {
		return &LoadError{File: d.name, Message: fmt.Sprintf("the data nests more than %d deep", maxDataDepth)}
	}
	return nil
}

// depth is how deep a JSON value nests.
func depth(value any) int {
	deepest := 0
	switch value := value.(type) {
	case []any:
		for _, v := range value {
			deepest = max(deepest, depth(v))
		}
	case map[string]any:
		for _, v := range value {
			deepest = max(deepest, depth(v))
		}
	default:
		return 0
	}
	return deepest + 1
}

// at blames the byte before an offset.
func (d dataset) at(offset int, message string) error {
	s := &source{name: d.name, text: string(d.text)}
	return s.faultAt(max(offset-1, 0), message)
}

// value builds the data in a runtime, frozen to the ground.
func (d dataset) value(rt *runtime, parse native) goja.Value {
	value := parse(goja.FunctionCall{This: goja.Undefined(), Arguments: []goja.Value{rt.text(string(d.text))}})
	rt.freezeAll(value)
	return value
}

func (rt *runtime) freezeAll(value goja.Value) {
	object, ok := value.(*goja.Object)
	if !ok {
		return
	}
	for _, key := range object.Keys() {
		rt.freezeAll(object.Get(key))
	}
	rt.freeze(object)
}
