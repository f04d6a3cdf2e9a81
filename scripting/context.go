package scripting

import (
	"github.com/dop251/goja"
)

// newContext makes the runtime's `ctx`. It reads data by the engine's own parser.
func (rt *runtime) newContext(parse native) goja.Value {
	ctx := rt.js.NewObject()
	clusters := rt.js.NewDynamicObject(&clusters{rt: rt, views: make(map[string]*goja.Object)})
	must(clusters.SetPrototype(nil))
	rt.define(ctx, "clusters", clusters)
	rt.define(ctx, "hash", rt.function("hash", func(call goja.FunctionCall) goja.Value {
		return rt.js.ToValue(hash(call.Argument(0).String()))
	}))
	rt.defineGetter(ctx, "now", func() goja.Value { return rt.js.ToValue(rt.clock().UnixMilli()) })
	if rt.script.options.Data != nil {
		rt.define(ctx, "data", rt.script.options.dataset().value(rt, parse))
	} else {
		rt.defineGetter(ctx, "data", func() goja.Value {
			rt.throw("there is no ctx.data: name a JSON file in script.data")
			return nil
		})
	}
	rt.define(ctx, "env", rt.newEnvironment())
	return rt.freeze(ctx)
}

// newEnvironment is `ctx.env`. A variable that is not listed is undefined.
func (rt *runtime) newEnvironment() *goja.Object {
	env := rt.js.NewObject()
	must(env.SetPrototype(nil))
	for name, value := range rt.script.options.Env {
		rt.define(env, name, rt.text(value))
	}
	return rt.freeze(env)
}

// A clusters is `ctx.clusters`: the live view. It implements goja.DynamicObject.
type clusters struct {
	rt    *runtime
	views map[string]*goja.Object
}

func (c *clusters) Get(name string) goja.Value {
	if !c.Has(name) {
		return nil
	}
	view := c.views[name]
	if view == nil {
		view = c.rt.newClusterView(name)
		c.views[name] = view
	}
	return view
}

func (c *clusters) Has(name string) bool {
	_, _, ok := c.rt.health(name)
	return ok
}

func (c *clusters) Keys() []string { return c.rt.clusters().Names() }

func (c *clusters) Set(string, goja.Value) bool {
	c.rt.throw("ctx.clusters is read-only")
	return false
}

func (c *clusters) Delete(string) bool {
	c.rt.throw("ctx.clusters is read-only")
	return false
}

// newClusterView makes one cluster's object, whose numbers are read live.
func (rt *runtime) newClusterView(name string) *goja.Object {
	view := rt.js.NewObject()
	rt.define(view, "name", rt.text(name))
	rt.defineGetter(view, "healthy", func() goja.Value {
		healthy, _, _ := rt.health(name)
		return rt.js.ToValue(healthy)
	})
	rt.defineGetter(view, "total", func() goja.Value {
		_, total, _ := rt.health(name)
		return rt.js.ToValue(total)
	})
	return rt.freeze(view)
}

// define makes a read-only property.
func (rt *runtime) define(object *goja.Object, name string, value goja.Value) {
	must(object.DefineDataProperty(name, value, goja.FLAG_FALSE, goja.FLAG_FALSE, goja.FLAG_TRUE))
}

// defineGetter makes a computed property.
func (rt *runtime) defineGetter(object *goja.Object, name string, get func() goja.Value) {
	getter := rt.function(name, func(goja.FunctionCall) goja.Value { return get() })
	must(object.DefineAccessorProperty(name, getter, nil, goja.FLAG_FALSE, goja.FLAG_TRUE))
}

// freeze keeps a script from adding properties to an object of ours, as it keeps
// assignments to misspelt ones from passing silently.
func (rt *runtime) freeze(object *goja.Object) *goja.Object {
	rt.freezer(goja.FunctionCall{This: goja.Undefined(), Arguments: []goja.Value{object}})
	return object
}
