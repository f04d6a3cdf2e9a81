// Package kubernetes holds manifests that put Outrider beside an app in a pod, and
// the tests that hold them against the types of Kubernetes' own API and against the
// real program. It is a module of its own, so that the product needs none of that.
package kubernetes
