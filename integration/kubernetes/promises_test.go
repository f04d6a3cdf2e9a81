package kubernetes_test

import (
	"net"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"
)

func TestAFieldThatTheAPIDoesNotHaveIsRefused(t *testing.T) {
	const service = "apiVersion: v1\nkind: Service\nmetadata: { name: outrider }\nspec: { clusterIP: None, "
	if _, err := decode([]byte(service + "publishNotReadyAddresses: true }")); err != nil {
		t.Error(err)
	}
	for _, wrong := range []string{"publishNotReadyAdresses: true }", "ports: [{ port: http }] }", "clusterIP: None }"} {
		if _, err := decode([]byte(service + wrong)); err == nil {
			t.Errorf("not refused: %s", wrong)
		}
	}
}

func TestNamesAreThoseThatTheAPIAllows(t *testing.T) {
	m := build(t)
	var faults []string
	for name := range m.services {
		faults = append(faults, validation.IsDNS1035Label(name)...)
	}
	for _, c := range []corev1.Container{m.sidecar(), m.app()} {
		faults = append(faults, validation.IsDNS1123Label(c.Name)...)
		for _, p := range c.Ports {
			faults = append(faults, validation.IsValidPortName(p.Name)...)
		}
		for _, e := range c.Env {
			faults = append(faults, validation.IsEnvVarName(e.Name)...)
		}
	}
	for key := range m.config.Data {
		faults = append(faults, validation.IsConfigMapKey(key)...)
	}
	for _, value := range m.deployment.Spec.Template.Labels {
		faults = append(faults, validation.IsValidLabelValue(value)...)
	}
	if len(faults) > 0 {
		t.Error(strings.Join(faults, "\n"))
	}
}

// The folder that the test makes has what the two volumes hold, and the variables
// are those of the container.
func TestTheSidecarTakesItsConfiguration(t *testing.T) {
	m := build(t)
	dir := t.TempDir()
	for name, content := range m.config.Data {
		write(t, filepath.Join(dir, name), []byte(content))
	}
	secret := filepath.Join(dir, "gossip")
	write(t, secret, m.secret.Data[path.Base(m.settings(t).Gossip.SecretFile)])
	for _, address := range []string{"10.1.2.3", "fd00::7"} {
		env := []string{"OUTRIDER_GOSSIP__SECRET_FILE=" + secret}
		for _, e := range m.sidecar().Env {
			if e.ValueFrom == nil {
				env = append(env, e.Name+"="+e.Value)
				continue
			}
			if e.ValueFrom.FieldRef.FieldPath != "status.podIP" {
				t.Fatalf("%s: what is its value in a pod?", e.Name)
			}
			env = append(env, e.Name+"="+address)
		}
		told := outrider(t, dir, env, "validate")
		if !strings.Contains(told, "is fine: 2 listeners, 3 clusters, script route.js, 3 tests") {
			t.Errorf("with the address %s: %s", address, told)
		}
	}
	if s := m.settings(t); s.Gossip.Advertise != "${POD_IP}" {
		t.Errorf("the sidecar advertises %q, not the pod's address", s.Gossip.Advertise)
	}
}

func TestTheSidecarStartsBeforeTheAppAndEndsAfterIt(t *testing.T) {
	m := build(t)
	if p := m.sidecar().RestartPolicy; p == nil || *p != corev1.ContainerRestartPolicyAlways {
		t.Error("without restartPolicy: Always the app never starts: an init container has to end first")
	}
	if m.sidecar().StartupProbe == nil {
		t.Error("without a startup probe the app starts before the sidecar serves")
	}
	if links := m.pod().EnableServiceLinks; links == nil || *links {
		t.Error("service links are on: the Service outrider becomes OUTRIDER_PORT and the like")
	}
}

func TestProbesAskTheStatusListener(t *testing.T) {
	m := build(t)
	want := port(t, m.settings(t).Status.Listen)
	for name, probe := range map[string]struct {
		*corev1.Probe
		path string
	}{
		"startup":   {m.sidecar().StartupProbe, "/readyz"},
		"liveness":  {m.sidecar().LivenessProbe, "/livez"},
		"readiness": {m.sidecar().ReadinessProbe, "/readyz"},
	} {
		if probe.Probe == nil || probe.HTTPGet == nil {
			t.Errorf("no %s probe by HTTP", name)
			continue
		}
		if probe.HTTPGet.Port.IntVal != want || probe.HTTPGet.Path != probe.path {
			t.Errorf("the %s probe asks %s at %s, and the status listener has %s at %d",
				name, probe.HTTPGet.Path, probe.HTTPGet.Port.String(), probe.path, want)
		}
	}
}

func TestServicesLeadToPortsOfThePods(t *testing.T) {
	m := build(t)
	template := m.deployment.Spec.Template.Labels
	selector, err := metav1.LabelSelectorAsSelector(m.deployment.Spec.Selector)
	if err != nil || !selector.Matches(labels.Set(template)) {
		t.Errorf("the Deployment does not select its own pods: %v", err)
	}
	for name, service := range m.services {
		if len(service.Spec.Selector) == 0 || !labels.SelectorFromSet(service.Spec.Selector).Matches(labels.Set(template)) {
			t.Errorf("the Service %s does not select the pods", name)
		}
		for _, p := range service.Spec.Ports {
			if !m.opens(p.TargetPort.IntVal, protocol(p.Protocol)) {
				t.Errorf("the Service %s leads to %s %s, which no container opens", name, protocol(p.Protocol), p.TargetPort.String())
			}
			if service.Spec.ClusterIP == corev1.ClusterIPNone && p.Port != p.TargetPort.IntVal {
				t.Errorf("the Service %s is headless, and nobody turns its port %d into %s", name, p.Port, p.TargetPort.String())
			}
		}
	}
}

// opens tells whether a container declares the port.
func (m *manifests) opens(number int32, by corev1.Protocol) bool {
	return slices.ContainsFunc(slices.Concat(m.sidecar().Ports, m.app().Ports), func(p corev1.ContainerPort) bool {
		return p.ContainerPort == number && protocol(p.Protocol) == by
	})
}

// protocol is what the API makes of one that is not written.
func protocol(written corev1.Protocol) corev1.Protocol {
	if written == "" {
		return corev1.ProtocolTCP
	}
	return written
}

func TestDeclaredPortsAreTheConfigurations(t *testing.T) {
	m := build(t)
	s := m.settings(t)
	want := map[int32]string{port(t, s.Status.Listen): "status.listen"}
	for _, l := range s.Listen {
		if host, _, _ := net.SplitHostPort(l.Address); host == "" {
			want[port(t, l.Address)] = "listen " + l.Name
		}
	}
	for _, address := range s.Gossip.Join {
		want[port(t, address)] = "gossip"
	}
	for number, what := range want {
		if !m.opens(number, corev1.ProtocolTCP) {
			t.Errorf("%s is port %d, which the pod does not declare", what, number)
		}
	}
	for _, p := range m.sidecar().Ports {
		if want[p.ContainerPort] == "" {
			t.Errorf("the sidecar does not listen on %s, port %d", p.Name, p.ContainerPort)
		}
	}
	if p := m.app().Ports; len(p) != 1 || p[0].ContainerPort != port(t, s.App) {
		t.Errorf("app is %s, and the app's container declares %v", s.App, p)
	}
}

// The front door leads through the sidecar, the other one past it.
func TestEachServiceOfTheAppLeadsWhereItSays(t *testing.T) {
	m := build(t)
	s := m.settings(t)
	front := slices.IndexFunc(s.Listen, func(l struct{ Name, Address, Cluster string }) bool { return l.Cluster == "app" })
	if front < 0 {
		t.Fatal("no listener leads to the app")
	}
	if to := m.services["shop"].Spec.Ports[0].TargetPort.IntVal; to != port(t, s.Listen[front].Address) {
		t.Errorf("the Service shop leads to %d, not to the sidecar in front of the app", to)
	}
	pods := m.services["shop-pods"].Spec
	if pods.ClusterIP != corev1.ClusterIPNone || pods.Ports[0].TargetPort.IntVal != port(t, s.App) {
		t.Error("the Service shop-pods does not stand for the app in each pod")
	}
}

func TestSidecarsFindEachOther(t *testing.T) {
	m := build(t)
	for _, address := range m.settings(t).Gossip.Join {
		host, _, _ := net.SplitHostPort(address)
		service := m.services[host]
		if service == nil {
			t.Errorf("join names %s, and there is no such Service", host)
			continue
		}
		if service.Spec.ClusterIP != corev1.ClusterIPNone || !service.Spec.PublishNotReadyAddresses {
			t.Errorf("the Service %s has to be headless and to publish who is not ready", host)
		}
		for _, by := range []corev1.Protocol{corev1.ProtocolTCP, corev1.ProtocolUDP} {
			if !slices.ContainsFunc(service.Spec.Ports, func(p corev1.ServicePort) bool {
				return p.Port == port(t, address) && protocol(p.Protocol) == by
			}) {
				t.Errorf("the Service %s lacks %s of %s", host, by, address)
			}
		}
	}
}

func TestFilesAreMountedWhereTheConfigurationLooks(t *testing.T) {
	m := build(t)
	s := m.settings(t)
	mounts := map[string]corev1.Volume{}
	for _, mount := range m.sidecar().VolumeMounts {
		if mount.SubPath != "" || mount.SubPathExpr != "" {
			t.Errorf("%s is mounted by subPath: a change never arrives", mount.Name)
		}
		at := slices.IndexFunc(m.pod().Volumes, func(v corev1.Volume) bool { return v.Name == mount.Name })
		if at < 0 {
			t.Fatalf("there is no volume %s", mount.Name)
		}
		mounts[mount.MountPath] = m.pod().Volumes[at]
	}
	config := mounts["/etc/outrider"].ConfigMap // where the program looks by itself
	if config == nil || config.Name != m.config.Name || len(config.Items) > 0 {
		t.Error("/etc/outrider is not the whole ConfigMap")
	}
	secret := mounts[path.Dir(s.Gossip.SecretFile)].Secret
	if secret == nil || secret.SecretName != m.secret.Name || len(m.secret.Data[path.Base(s.Gossip.SecretFile)]) == 0 {
		t.Errorf("gossip.secret_file is %s, and no Secret is mounted there with that key", s.Gossip.SecretFile)
	}
	if secret != nil && (secret.DefaultMode == nil || *secret.DefaultMode&0o040 == 0 || *secret.DefaultMode&0o007 != 0) {
		t.Error("the secret is to be read by the group, and by nobody else")
	}
	if group := m.pod().SecurityContext.FSGroup; group == nil || *group != *m.sidecar().SecurityContext.RunAsGroup {
		t.Error("the sidecar is not in the group that may read the secret")
	}
	for _, folder := range []string{s.StateDir, m.variable("XDG_RUNTIME_DIR")} {
		if mounts[folder].EmptyDir == nil {
			t.Errorf("the sidecar writes to %q, which is no emptyDir", folder)
		}
	}
}

func (m *manifests) variable(name string) string {
	for _, e := range m.sidecar().Env {
		if e.Name == name {
			return e.Value
		}
	}
	return ""
}

// ownTime is what the app gets for itself after SIGTERM.
const ownTime = 30 * time.Second

func TestTheEndFitsIntoTheGracePeriod(t *testing.T) {
	m := build(t)
	s := m.settings(t)
	if m.sidecar().Lifecycle == nil || m.sidecar().Lifecycle.PreStop == nil || m.sidecar().Lifecycle.PreStop.Exec == nil ||
		m.app().Lifecycle == nil || m.app().Lifecycle.PreStop == nil || m.app().Lifecycle.PreStop.Sleep == nil {
		t.Fatal("want preStop by a command of the sidecar and by sleep of the app")
	}
	command := m.sidecar().Lifecycle.PreStop.Exec.Command
	announced := duration(t, command[slices.Index(command, "--wait")+1])
	asleep := time.Duration(m.app().Lifecycle.PreStop.Sleep.Seconds) * time.Second
	if asleep < announced {
		t.Errorf("the app sleeps %v, and goes before %q is over", asleep, command)
	}
	if drain := duration(t, s.Shutdown.Drain); drain != 0 {
		t.Errorf("shutdown.drain is %v: the app has ended by then", drain)
	}
	needed := asleep + ownTime + duration(t, s.Shutdown.Grace)
	if period := time.Duration(*m.pod().TerminationGracePeriodSeconds) * time.Second; period < needed {
		t.Errorf("the end takes up to %v, and the grace period is %v", needed, period)
	}
}

func TestContainersMayDoNothingButTheirWork(t *testing.T) {
	m := build(t)
	if token := m.pod().AutomountServiceAccountToken; token == nil || *token {
		t.Error("the pod has a token of the cluster's, and needs none")
	}
	if profile := m.pod().SecurityContext.SeccompProfile; profile == nil || profile.Type != corev1.SeccompProfileTypeRuntimeDefault {
		t.Error("no seccomp profile")
	}
	for _, c := range []corev1.Container{m.sidecar(), m.app()} {
		may := c.SecurityContext
		if may == nil || may.RunAsUser == nil || *may.RunAsUser == 0 || !isTrue(may.RunAsNonRoot) || !isTrue(may.ReadOnlyRootFilesystem) ||
			may.AllowPrivilegeEscalation == nil || *may.AllowPrivilegeEscalation ||
			may.Capabilities == nil || !slices.Equal(may.Capabilities.Drop, []corev1.Capability{"ALL"}) || len(may.Capabilities.Add) > 0 {
			t.Errorf("%s may do too much: %+v", c.Name, may)
		}
		if c.Resources.Requests.Memory().IsZero() || !c.Resources.Requests.Memory().Equal(*c.Resources.Limits.Memory()) {
			t.Errorf("%s: the memory it may take is not set aside for it", c.Name)
		}
		if c.Resources.Requests.Cpu().IsZero() || !c.Resources.Limits.Cpu().IsZero() {
			t.Errorf("%s: want a share of the CPU, and no limit", c.Name)
		}
	}
}

func isTrue(b *bool) bool { return b != nil && *b }

func write(t *testing.T, file string, content []byte) {
	t.Helper()
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
}
