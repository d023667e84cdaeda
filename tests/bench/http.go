// SPDX-License-Identifier: MIT

// The peer of http.py: net/http with the two routes of the example program that are measured.
// Usage: http_go ADDRESS:PORT
package main

import (
	"io"
	"log"
	"net/http"
	"os"
	"time"
)

func hello(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	io.WriteString(w, "hello\n")
}

// Computes for that long, without ever giving way by itself, until its client is gone.
func spin(w http.ResponseWriter, r *http.Request) {
	d, err := time.ParseDuration(r.URL.Query().Get("duration"))
	if err != nil {
		http.Error(w, err.Error(), 400)
		return
	}
	for end := time.Now().Add(d); time.Now().Before(end); {
		if r.Context().Err() != nil {
			return
		}
	}
	hello(w, r)
}

func main() {
	mux := http.NewServeMux()
	mux.HandleFunc("/", hello)
	mux.HandleFunc("/spin/", spin)
	log.Fatal(http.ListenAndServe(os.Args[1], mux))
}
