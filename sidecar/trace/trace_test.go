package trace

import (
	"strings"
	"testing"
)

func TestTheVariablesSayWhetherToTrace(t *testing.T) {
	const endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318"
	for _, row := range []struct {
		env   string
		trace bool
		err   string
	}{
		{"", false, ""},
		{endpoint, true, ""},
		{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://127.0.0.1:4318/v1/traces", true, ""},
		{endpoint + " OTEL_TRACES_EXPORTER=none", false, ""},
		{endpoint + " OTEL_TRACES_EXPORTER=otlp OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf", true, ""},
		{endpoint + " OTEL_SDK_DISABLED=true", false, ""},
		{endpoint + " OTEL_TRACES_EXPORTER=zipkin", false, "write otlp, or none"},
		{endpoint + " OTEL_EXPORTER_OTLP_PROTOCOL=grpc", false, "write http/protobuf"},
	} {
		got, err := asked(func(name string) string {
			for pair := range strings.FieldsSeq(row.env) {
				if value, ok := strings.CutPrefix(pair, name+"="); ok {
					return value
				}
			}
			return ""
		})
		if got != row.trace || (err == nil) != (row.err == "") || err != nil && !strings.Contains(err.Error(), row.err) {
			t.Errorf("%q: %v, %v", row.env, got, err)
		}
	}
}

func TestAMethodThatNobodyKnowsMakesNoNewName(t *testing.T) {
	if attribute, name := methodOf("X-EVIL"); attribute != "_OTHER" || name != "HTTP" {
		t.Errorf("it is %s in %s", attribute, name)
	}
}
