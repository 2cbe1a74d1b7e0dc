package stack

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
)

// ports are the stack's own on the loopback address.
type ports struct{ ministack, apiserver, etcd, etcdPeer int }

// freePorts picks ports below those that systems give to outgoing connections
// (32768 and up on Linux, 49152 on macOS), so that none of these takes one
// before our process listens on it.
func freePorts(ctx context.Context) (ports, error) {
	const first, last = 20000, 32767
	var p ports
	for _, port := range []*int{&p.ministack, &p.apiserver, &p.etcd, &p.etcdPeer} {
		for range 100 {
			candidate := first + rand.IntN(last-first+1)
			listener, err := new(net.ListenConfig).Listen(ctx, "tcp4", fmt.Sprintf("127.0.0.1:%d", candidate))
			if err != nil {
				continue
			}
			defer listener.Close() // only when all are picked, so that none is picked twice
			*port = candidate
			break
		}
		if *port == 0 {
			return ports{}, fmt.Errorf("no free port on 127.0.0.1 in 100 tries between %d and %d", first, last)
		}
	}
	return p, nil
}
