package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// scenario is one kind of load, and what is read off each contender under it.
type scenario struct {
	name        string // on the command line
	title       string // of its table
	connections int    // of the load generator
	workers     int    // cores, and worker processes or threads, of every proxy
	bodyBytes   int    // of each answer
	uploadBytes int    // of each request; 0: a GET
	unbuffered  bool   // nginx passes bodies on as they come, as the others do
	clients     int    // connections that a proxy must be ready for
	fresh       bool   // each request has a connection of its own
	upgrades    bool   // requests ask for WebSocket
	encrypted   bool   // clients speak TLS
	streams     bool   // and HTTP/2 in it
	calls       bool   // backends speak HTTP/2, in cleartext

	contenders []contender
	before     func(*bench, context.Context) error // of each round; nil: nothing
	measure    func(*bench, context.Context, *proxy) (measurement, error)
	view       view
}

const (
	kilobyte = 1000
	megabyte = 1000 * kilobyte

	// idleConnections are opened by the scenario "idle"; fewer where the system allows fewer descriptors.
	idleConnections = 20_000
)

// scenarios are all that can be run, in the order of the report. The first is the one that figures are quoted from.
func scenarios() []scenario {
	all := []scenario{
		{name: "c32", title: "32 connections, small answers", contenders: contenders()},
		{name: "c1", title: "One connection", connections: 1},
		{name: "c4", title: "4 connections", connections: 4},
		{name: "c256", title: "256 connections", connections: 256},
		{name: "workers2", title: "Two workers, which share two cores with the load", workers: 2},
		{name: "body10k", title: "Answers of 10 kB", bodyBytes: 10 * kilobyte},
		{name: "body1m", title: "Answers of 1 MB (1 us/request is 1 ms per GB)", bodyBytes: megabyte, unbuffered: true},
		{name: "upload10k", title: "Uploads of 10 kB", uploadBytes: 10 * kilobyte},
		{name: "upload1m", title: "Uploads of 1 MB (1 us/request is 1 ms per GB)", uploadBytes: megabyte, unbuffered: true},
		{name: "websocket", title: "Messages of 120 bytes, echoed over WebSocket", upgrades: true, measure: (*bench).converse, view: echoView()},
		{
			name: "pace", title: "A fixed rate: half of what the slowest can", contenders: contenders(),
			before: (*bench).findPace, measure: (*bench).keepPace, view: paceView(),
		},
		{
			name: "idle", title: "Idle connections", contenders: withoutFloor(contenders()),
			clients: idleConnections + spareDescriptors, measure: (*bench).crowd, view: idleView(),
		},
		{name: "tls", title: "TLS: 32 connections, small answers", encrypted: true, contenders: encrypting(), view: encryptedView()},
		{name: "tls1m", title: "TLS: answers of 1 MB (1 us/request is 1 ms per GB)", encrypted: true, bodyBytes: megabyte, unbuffered: true, contenders: encrypting(), view: encryptedView()},
		{name: "handshake", title: "TLS: a connection with a whole handshake for each request", encrypted: true, contenders: encrypting(), measure: (*bench).shakeHands, view: shakeView()},
		{name: "resume", title: "TLS: a connection that resumes a session for each request", encrypted: true, contenders: encrypting(), measure: (*bench).resume, view: shakeView()},
		{name: "h2", title: "HTTP/2 from clients, HTTP/1.1 to backends: 8 connections, four streams each", encrypted: true, streams: true, contenders: encrypting(), measure: (*bench).stream, view: encryptedView()},
		{name: "grpc", title: "gRPC, unary calls: 8 connections over TLS, four calls each, h2c to the backends", encrypted: true, streams: true, calls: true, contenders: encrypting(), measure: (*bench).call, view: encryptedView()},
		{name: "features", title: "What each feature costs", contenders: variants(), view: featureView()},
		// The last: it fills the kernel's table of connections, where there is one, for two minutes.
		{name: "fresh", title: "A new connection for each request", fresh: true, contenders: withoutFloor(central())},
	}
	for i := range all {
		all[i].fill()
	}
	return all
}

// fill puts the usual in the place of what is not set.
func (s *scenario) fill() {
	if s.connections == 0 {
		s.connections = 32
	}
	if s.workers == 0 {
		s.workers = 1
	}
	if s.bodyBytes == 0 {
		s.bodyBytes = 128
	}
	if s.clients == 0 {
		s.clients = 4096
	}
	if s.contenders == nil {
		s.contenders = central()
	}
	if s.measure == nil {
		s.measure = (*bench).saturate
	}
	if s.view.figure == nil {
		s.view = loadView()
	}
}

// only leaves the contenders of these names; all when there are none.
func (s *scenario) only(names []string) {
	if len(names) > 0 {
		s.contenders = slices.DeleteFunc(slices.Clone(s.contenders), func(c contender) bool { return !slices.Contains(names, c.name) })
	}
}

// central are those that scenarios off the centre are run with.
func central() []contender {
	return slices.DeleteFunc(contenders(), func(c contender) bool {
		return c.name == "caddy" || c.name == "reverseproxy" || strings.HasSuffix(c.name, "njs") || strings.HasSuffix(c.name, "lua")
	})
}

// withoutFloor leaves out the relay where it has nothing to compare: it gives each client a backend connection,
// and does not end connections.
func withoutFloor(all []contender) []contender {
	return slices.DeleteFunc(all, func(c contender) bool { return c.floor })
}

// chooseScenarios returns those of a comma-separated list of names, in its order.
func chooseScenarios(known []scenario, names string) ([]scenario, error) {
	var chosen []scenario
	for name := range strings.SplitSeq(names, ",") {
		i := slices.IndexFunc(known, func(s scenario) bool { return s.name == name })
		if i < 0 {
			return nil, fmt.Errorf("-scenario: %q is not known; there are %s", name, strings.Join(scenarioNames(known), ", "))
		}
		chosen = append(chosen, known[i])
	}
	return chosen, nil
}

func scenarioNames(all []scenario) []string {
	var names []string
	for _, s := range all {
		names = append(names, s.name)
	}
	return names
}
