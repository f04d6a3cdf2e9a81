package main

import "net"

// door is a listener that resets those who may not stay.
type door struct {
	net.Listener
	admit func() bool // asked once for each connection
}

func (d *door) Accept() (net.Conn, error) {
	for {
		conn, err := d.Listener.Accept()
		if err != nil || d.admit() {
			return conn, err
		}
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // a reset, no orderly end
		}
		_ = conn.Close()
	}
}
