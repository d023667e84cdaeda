// SPDX-License-Identifier: MIT

// The peer for restarts: net/http under facebookgo/grace; SIGUSR2 restarts it gracefully.
// Built by restart.py alone: GO111MODULE=off GOPATH=/usr/share/gocode go build grace.go
package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"

	"github.com/facebookgo/grace/gracehttp"
)

func main() {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "hello")
	})
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.Write(body)
	})
	log.Fatal(gracehttp.Serve(&http.Server{Addr: os.Args[1], Handler: mux}))
}
