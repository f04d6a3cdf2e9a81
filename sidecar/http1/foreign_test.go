package http1_test

import (
	"errors"
	"testing"

	"outrider/sidecar/http1"
)

func TestARequestOfAnotherProtocolIsRecognised(t *testing.T) {
	for name, row := range map[string]struct {
		raw  string
		want *http1.Error
	}{
		"TLS":                       {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", http1.ErrTLS},
		"the first byte of TLS":     {"\x16", http1.ErrTLS},
		"HTTP/2":                    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", http1.ErrHTTP2},
		"HTTP/0.9":                  {"GET /\r\n", http1.ErrHTTP09},
		"SOCKS 4":                   {"\x04\x01\x00\x50\x7f\x00\x00\x01\x00", http1.ErrSOCKS},
		"SOCKS 5":                   {"\x05\x01\x00", http1.ErrSOCKS},
		"PROXY of TCP over IPv4":    {"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nGET / HTTP/1.1\r\n", http1.ErrPROXY},
		"PROXY of TCP over IPv6":    {"PROXY TCP6 ::1 ::2 1 2\r\n", http1.ErrPROXY},
		"PROXY of something":        {"PROXY UNKNOWN\r\n", http1.ErrPROXY},
		"PROXY, version 2":          {"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c", http1.ErrPROXY},
		"SSH":                       {"SSH-2.0-OpenSSH_9.2\r\n", http1.ErrSSH},
		"nothing known":             {"\x80\x01", http1.ErrNotHTTP},
		"a method called PROXY":     {"PROXY / HTTP/1.1 \r\n", http1.ErrRequestLine},
		"a method called SSH":       {"SSH /\r\n", http1.ErrRequestLine},
		"another version of HTTP":   {"PRI * HTTP/3.0\r\n", http1.ErrVersion},
		"a POST without a version":  {"POST /\r\n", http1.ErrRequestLine},
		"what begins a line of two": {"\r\n\r\nQUIT", http1.ErrRequestLine},
	} {
		t.Run(name, func(t *testing.T) {
			var r http1.Request
			for range 2 { // asking again does not help
				if done, err := r.Parse([]byte(row.raw), limits()); done || !errors.Is(err, row.want) {
					t.Errorf("done %v, error %v, want %v", done, err, row.want)
				}
			}
		})
	}
}

func TestAResponseOfAnotherProtocolIsRecognised(t *testing.T) {
	for name, row := range map[string]struct {
		raw  string
		want *http1.Error
	}{
		"a TLS alert":           {"\x15\x03\x01\x00\x02\x02\x46", http1.ErrTLSAnswer},
		"a TLS handshake":       {"\x16\x03\x03\x00\x7a", http1.ErrTLSAnswer},
		"SETTINGS":              {"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03", http1.ErrHTTP2Answer},
		"GOAWAY":                {"\x00\x00\x08\x07\x00\x00\x00\x00\x00", http1.ErrHTTP2Answer},
		"another frame":         {"\x00\x00\x08\x01\x00\x00\x00\x00\x00", http1.ErrNotHTTP},
		"a frame of a stream":   {"\x00\x00\x12\x04\x00\x00\x00\x00\x01", http1.ErrNotHTTP},
		"the half of a frame":   {"\x00\x00\x12\x04", http1.ErrNotHTTP},
		"SSH":                   {"SSH-2.0-OpenSSH_9.2\r\n", http1.ErrSSHAnswer},
		"SMTP":                  {"220 mail.example ESMTP\r\n", http1.ErrMailAnswer},
		"FTP":                   {"220-Welcome\r\n220 here\r\n", http1.ErrMailAnswer},
		"Redis":                 {"-ERR unknown command 'GET'\r\n", http1.ErrRedisAnswer},
		"HTTP/0.9":              {"<html>hello</html>\n", http1.ErrHTTP09Answer},
		"nothing known":         {"hello", http1.ErrNotHTTP},
		"another HTTP":          {"HTTP/2 200\r\n", http1.ErrStatusLine},
		"the first byte of TLS": {"\x15", http1.ErrNotHTTP},
	} {
		t.Run(name, func(t *testing.T) {
			var r http1.Response
			for range 2 {
				if done, err := r.Parse([]byte(row.raw), limits()); done || !errors.Is(err, row.want) {
					t.Errorf("done %v, error %v, want %v", done, err, row.want)
				}
			}
		})
	}
}
