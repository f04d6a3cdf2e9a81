package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestCallsAreAnsweredAndEverythingIsCounted(t *testing.T) {
	asks, ask := io.Pipe()
	tells, tell := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- run([]string{"8", "1"}, asks, tell) }()
	told := bufio.NewReader(tells)
	var one, two int
	for _, server := range []struct {
		name string
		port *int
	}{{"one", &one}, {"two", &two}} {
		if _, err := fmt.Fscanf(told, server.name+" %d\n", server.port); err != nil {
			t.Fatal(err)
		}
	}
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	message := []byte("\x00\x00\x00\x00\x02hi")
	response, err := client.Post(fmt.Sprintf("http://127.0.0.1:%d/one/Call", one), "application/grpc", bytes.NewReader(message))
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if err != nil || !bytes.Equal(got, message) || response.Trailer.Get("Grpc-Status") != "0" {
		t.Errorf("a call is answered %q %v, %v", got, response.Trailer, err)
	}
	for range 2 {
		response, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d/", two))
		if err != nil {
			t.Fatal(err)
		}
		got, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if string(got) != "two....." {
			t.Errorf("got %q", got)
		}
	}
	_, _ = io.WriteString(ask, "\n")
	if line, _ := told.ReadString('\n'); strings.TrimSpace(line) != "one 1 two 2" {
		t.Errorf("it counts %q", line)
	}
	_ = ask.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
