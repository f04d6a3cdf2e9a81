package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/sirupsen/logrus"

	"outrider/sidecar/app"
)

// passedSockets are the sockets that systemd opened for this process (sd_listen_fds(3)).
func passedSockets() (app.Sockets, error) {
	sockets := make(app.Sockets)
	for _, file := range activation.Files(true) {
		if sockets[file.Name()] != nil {
			return nil, fmt.Errorf("two sockets were passed on that are named %q: a listener has one; write another FileDescriptorName=", file.Name())
		}
		sockets[file.Name()] = file
	}
	return sockets, nil
}

// tellSystemd tells the service manager what the sidecar is at (sd_notify(3)), where
// there is one.
func tellSystemd(s app.Stage, log logrus.FieldLogger) {
	if os.Getenv("NOTIFY_SOCKET") == "" {
		return
	}
	state := daemon.SdNotifyReady
	switch s {
	case app.Reloading:
		state = strings.TrimSpace(daemon.SdNotifyReloading + "\n" + daemon.SdNotifyMonotonicUsec())
	case app.Stopping:
		state = daemon.SdNotifyStopping
	case app.Serving:
	}
	if _, err := daemon.SdNotify(false, state); err != nil {
		log.WithError(err).Warn("systemd could not be told what the sidecar is at")
	}
}
