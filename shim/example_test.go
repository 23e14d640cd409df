// SPDX-License-Identifier: Apache-2.0

package shim_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"croft/shim"
)

// node answers as a node would, for the examples.
func node() (socket string, stop func()) {
	dir, err := os.MkdirTemp("", "shim")
	if err != nil {
		panic(err)
	}
	socket = filepath.Join(dir, "node.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/topics/load", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"id":"9c41","neighbours":2,"here":1}`)
	})
	mux.HandleFunc("GET /v1/topics/load", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, `{"id":"9c41","author":"6f3z","made":1795442400123,"data":"eyJsb2FkMSI6MC4zfQ=="}`)
	})
	mux.HandleFunc("POST /v1/topics/{owner}/{slice}/{topic}", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `{"status":403,"detail":"the slice's owner does not let you publish on this topic"}`)
	})
	mux.HandleFunc("GET /v1/lease/events", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, `{"lease":"4f0a","until":1795445600,"left":3188,"state":"active"}`)
		fmt.Fprintln(w, `{"lease":"77b2","until":1795449200,"left":6700,"state":"active"}`)
	})
	mux.HandleFunc("GET /v1/paths", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `[{"node":"dkbt","name":"lab-c/n1","way":"direct","rtt_ms":92.4,"asked":32,"missed":1,"loss":0.03125}]`)
	})
	go http.Serve(l, mux)
	return socket, func() { l.Close(); os.RemoveAll(dir) }
}

func ExampleNode_Publish() {
	socket, stop := node()
	defer stop()
	n := shim.At(socket) // in a sliver: shim.Open()
	told, err := n.Publish(context.Background(), "load", []byte(`{"load1":0.3}`))
	fmt.Println(told.Neighbours, "neighbours,", err)
	_, err = n.Publish(context.Background(), "web@7cq7/news", []byte("all is well"))
	fmt.Println(errors.Is(err, shim.ErrNotAllowed), err)
	// Output:
	// 2 neighbours, <nil>
	// true publishing on web@7cq7/news: refused by the node: the slice's owner does not let you publish on this topic
}

func ExampleNode_Hear() {
	socket, stop := node()
	defer stop()
	for m, err := range shim.At(socket).Hear(context.Background(), "load") {
		if err != nil {
			continue // the node is started anew: more follows
		}
		fmt.Printf("%s says %s\n", m.Author, m.Data)
		break
	}
	// Output: 6f3z says {"load1":0.3}
}

func ExampleNode_Leases() {
	socket, stop := node()
	defer stop()
	for l, err := range shim.At(socket).Leases(context.Background()) {
		fmt.Println(l.State, "for", l.Left, "s", err)
	}
	// Output:
	// active for 3188 s <nil>
	// active for 6700 s <nil>
}

func ExampleNode_Paths() {
	socket, stop := node()
	defer stop()
	paths, err := shim.At(socket).Paths(context.Background())
	for _, p := range paths {
		fmt.Printf("%s %s %.1f ms, %.0f%% lost\n", p.Name, p.Way, p.RTT, 100*p.Loss)
	}
	fmt.Println(err)
	// Output:
	// lab-c/n1 direct 92.4 ms, 3% lost
	// <nil>
}
