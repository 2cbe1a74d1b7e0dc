package main

import (
	"context"
	"io"
	"net"
	"time"
)

// roundTrip is how far away the servers of the first pass are. On the loopback address only the processor would count.
const roundTrip = 20 * time.Millisecond

// farAway listens in front of a server, and lets all that the server says arrive a round trip later.
func farAway(ctx context.Context, server string) (net.Listener, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return // closed
			}
			far, err := (&net.Dialer{}).DialContext(ctx, "tcp", server)
			if err != nil {
				_ = near.Close()
				continue
			}
			go func() {
				_, _ = io.Copy(far, near) // either may end it
				_ = far.Close()
			}()
			go delay(near, far)
		}
	}()
	return listener, nil
}

// delay copies from far to near, and keeps each piece for a round trip without keeping those after it.
func delay(near, far net.Conn) {
	type piece struct {
		bytes []byte
		at    time.Time
	}
	pieces := make(chan piece, 1024)
	go func() {
		defer close(pieces)
		for {
			buffer := make([]byte, 16<<10)
			n, err := far.Read(buffer)
			if err != nil {
				return // either may end it
			}
			pieces <- piece{buffer[:n], time.Now().Add(roundTrip)}
		}
	}()
	for p := range pieces {
		time.Sleep(time.Until(p.at))
		if _, err := near.Write(p.bytes); err != nil {
			break
		}
	}
	_ = near.Close()
	for range pieces { // what nobody waits for any more
	}
}
