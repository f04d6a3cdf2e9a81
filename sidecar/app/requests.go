package app

import (
	"github.com/sirupsen/logrus"

	"outrider/sidecar/proxy"
)

// LogRequests writes a line for each request at debug level: above all, which
// backend was chosen. It is nil, and costs nothing, when log does not write
// those.
func LogRequests(log *logrus.Logger) func(*proxy.Summary) {
	if !log.IsLevelEnabled(logrus.DebugLevel) {
		return nil
	}
	return func(s *proxy.Summary) {
		fields := logrus.Fields{
			"client": s.Request.IP(), "method": s.Request.Method(), "path": s.Request.Path(),
			"status": s.Status, "ms": float64(s.Duration.Microseconds()) / 1000,
		}
		if s.Cluster != nil {
			fields["cluster"] = s.Cluster.Name()
		}
		if s.Backend != nil {
			fields["backend"] = s.Backend.String()
		}
		if s.Retries > 0 {
			fields["retries"] = s.Retries
		}
		if s.Outcome != "" {
			fields["outcome"] = s.Outcome
		}
		if s.Fault != nil {
			fields["cause"] = s.Fault.Error()
		}
		log.WithFields(fields).Debug("request")
	}
}
