package attach

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"text/template"
)

// write is the text of the override file.
func write(plans []plan, o Options) ([]byte, error) {
	page, err := template.New("override").Parse(layout)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, p := range plans {
		names = append(names, p.Service)
	}
	var text bytes.Buffer
	err = page.Execute(&text, map[string]any{
		"Plans": plans, "Folder": o.Folder, "Names": strings.Join(names, ", "),
		"Resets": slices.ContainsFunc(plans, func(p plan) bool { return len(p.reset) > 0 }),
	})
	return text.Bytes(), err
}

// What the template asks of a plan; it does not see fields that begin small.

func (m plan) Held() bool        { return m.form == Holder }
func (m plan) Why() string       { return m.why }
func (m plan) Moved() string     { return block(m.moved, "    ") }
func (m plan) Reset() []string   { return m.reset }
func (m plan) Published() string { return fmt.Sprintf("127.0.0.1:%d:%d", m.published, In) }

// Profiles are those of the service: without them, what belongs to it would start
// on its own.
func (m plan) Profiles() string {
	if m.profiles == nil {
		return ""
	}
	return "\n    profiles:" + block(m.profiles, "      ")
}

// Owner is the service whose network namespace the sidecar joins.
func (m plan) Owner() string {
	if m.form == Holder {
		return m.Holder()
	}
	return m.Service
}

const layout = `# Puts a sidecar of Outrider beside {{ .Names }}; compose reads this file after the one
# that it stands beside. To detach, delete it and say: docker compose up -d --remove-orphans
{{- if .Resets }}
#
# Needs Docker Compose 2.24.4 or newer, because of !reset. For docker-compose 1.x make it
# with --compose-v1.
{{- end }}

services:
{{- range .Plans }}
{{- if .Held }}
  # Owns the network of {{ .Service }}: its names, addresses and published ports. The app and the
  # sidecar join it, and either can be restarted alone. Would one join the other's, it was
  # left with nothing but lo whenever the other restarts.
  {{ .Holder }}:
    image: ${OUTRIDER_IMAGE:-outrider}
    command: [hold]{{ .Moved }}
    healthcheck: { disable: true }
    restart: unless-stopped{{ .Profiles }}

  {{ .Service }}:
    network_mode: "service:{{ .Holder }}"
{{- range .Reset }}
    {{ . }}: !reset null
{{- end }}
{{ else }}
  # The sidecar joins the network of {{ .Service }}, since
  # {{ .Why }}.
  # The limit: when the container of {{ .Service }} restarts, its network is a new one, and the
  # sidecar stays in the old, where nothing is but lo. "outrider healthcheck" fails then;
  # docker compose restart {{ .Sidecar }} mends it.
  {{ .Service }}:
    ports:
      - "{{ .Published }}" # through the sidecar; the other ports lead past it
{{ end }}
  {{ .Sidecar }}:
    image: ${OUTRIDER_IMAGE:-outrider}
    network_mode: "service:{{ .Owner }}"
    volumes: ["{{ $.Folder }}/{{ .Service }}:/etc/outrider:ro"]
    read_only: true
    cap_drop: [ALL]
    security_opt: ["no-new-privileges:true"]
    stop_grace_period: 12s # shutdown.drain and shutdown.grace, and a little
    restart: unless-stopped{{ .Profiles }}
{{ end -}}
`
