package kubernetes_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

var binary string // the real program

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "kubernetes")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "outrider")
	build := exec.Command("go", "build", "-o", binary, "./sidecar")
	build.Dir = filepath.Join("..", "..")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the sidecar: %v\n%s", err, text)
		return 1
	}
	return m.Run()
}

// outrider runs the real program to its end, with no environment but the given.
func outrider(t *testing.T, dir string, env []string, args ...string) string {
	t.Helper()
	command := exec.Command(binary, args...)
	command.Dir, command.Env = dir, append([]string{}, env...)
	text, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("outrider %q: %v\n%s", args, err, text)
	}
	return string(text)
}

// manifests are what kubectl apply -k would send to a cluster.
type manifests struct {
	deployment *appsv1.Deployment
	services   map[string]*corev1.Service
	config     *corev1.ConfigMap
	secret     *corev1.Secret
}

func (m *manifests) pod() corev1.PodSpec { return m.deployment.Spec.Template.Spec }

// sidecar and app are the two containers of the pod.
func (m *manifests) sidecar() corev1.Container { return m.pod().InitContainers[0] }
func (m *manifests) app() corev1.Container     { return m.pod().Containers[0] }

// build makes the manifests in a copy of this folder, with a key of its own.
func build(t *testing.T) *manifests {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(".")); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "gossip.key")); err != nil {
		t.Fatal(err)
	}
	outrider(t, dir, nil, "keygen", "--if-absent", "gossip.key")
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		t.Fatal(err)
	}
	text, err := resources.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	m, err := decode(text)
	if err != nil {
		t.Fatal(err)
	}
	if m.deployment == nil || m.config == nil || m.secret == nil || len(m.pod().InitContainers) != 1 || len(m.pod().Containers) != 1 {
		t.Fatalf("want a Deployment of one sidecar and one app, a ConfigMap and a Secret in:\n%s", text)
	}
	return m
}

// decode reads documents into the API's own types. A field that these do not have,
// or that stands there twice, is an error.
func decode(text []byte) (*manifests, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(corev1.AddToScheme(scheme), appsv1.AddToScheme(scheme)); err != nil {
		return nil, err
	}
	decoder := json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme, scheme, json.SerializerOptions{Yaml: true, Strict: true})
	m := &manifests{services: map[string]*corev1.Service{}}
	for documents := yaml.NewDocumentDecoder(io.NopCloser(bytes.NewReader(text))); ; {
		document := make([]byte, len(text))
		n, err := documents.Read(document)
		if errors.Is(err, io.EOF) {
			return m, nil
		}
		if err != nil {
			return nil, err
		}
		object, _, err := decoder.Decode(document[:n], nil, nil)
		if err != nil {
			return nil, fmt.Errorf("%w in:\n%s", err, document[:n])
		}
		if err := m.add(object); err != nil {
			return nil, err
		}
	}
}

func (m *manifests) add(object runtime.Object) error {
	switch o := object.(type) {
	case *appsv1.Deployment:
		m.deployment = o
	case *corev1.Service:
		m.services[o.Name] = o
	case *corev1.ConfigMap:
		m.config = o
	case *corev1.Secret:
		m.secret = o
	default:
		return fmt.Errorf("no promise is made about a %T: add one", object)
	}
	return nil
}
