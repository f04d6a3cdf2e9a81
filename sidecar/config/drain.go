package config

import "time"

// drainAuto stands for `auto` until it is known whether there is an app.
const (
	drainAuto    time.Duration = -1
	drainWithApp               = 2 * time.Second
)

// drain is a duration or auto, which is stored as drainAuto until the app is known.
func drain(into *time.Duration) value {
	inner := duration(into, 0, time.Hour).(scalar[time.Duration])
	parse := inner.parse
	inner.kind = "auto, or " + inner.kind
	inner.want = "auto or a duration such as 2s"
	inner.form = schema{"anyOf": []schema{{"const": "auto"}, inner.form}}
	inner.parse = func(s string) (time.Duration, error) {
		if s == "auto" {
			return drainAuto, nil
		}
		return parse(s)
	}
	return inner
}
