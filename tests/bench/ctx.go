// SPDX-License-Identifier: MIT

// The peer of ctx.c: the same operations with Go's context, and with a registry built like
// gorilla/context (maps under one lock). Prints `name nanoseconds` and `name bytes` lines.
package main

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"
)

type key int

var (
	anyCtx context.Context
	anyVal interface{}
	anyErr error
)

func measure(name string, n int, f func(n int)) {
	f(n / 10)
	begin := time.Now()
	f(n)
	fmt.Printf("%s %.2f\n", name, float64(time.Since(begin).Nanoseconds())/float64(n))
}

func size(name string, make func(root context.Context) context.Context) {
	const n = 100000
	var before, after runtime.MemStats
	keep := new([n]context.Context)
	root, cancel := context.WithCancel(context.Background())
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range keep {
		keep[i] = make(root)
	}
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&after)
	fmt.Printf("%s %.0f\n", name, (float64(after.HeapAlloc)-float64(before.HeapAlloc))/n)
	runtime.KeepAlive(keep)
	cancel()
}

type registry struct {
	lock   sync.RWMutex
	values map[*int]map[interface{}]interface{}
	since  map[*int]int64
}

func (g *registry) set(r *int, k, v interface{}) {
	g.lock.Lock()
	if g.values[r] == nil {
		g.values[r] = map[interface{}]interface{}{}
		g.since[r] = time.Now().Unix()
	}
	g.values[r][k] = v
	g.lock.Unlock()
}

func (g *registry) get(r *int, k interface{}) interface{} {
	g.lock.RLock()
	v := g.values[r][k]
	g.lock.RUnlock()
	return v
}

func (g *registry) clear(r *int) {
	g.lock.Lock()
	delete(g.values, r)
	delete(g.since, r)
	g.lock.Unlock()
}

func values() {
	v := new(int)
	deep := context.Background()
	for i := key(0); i < 10; i++ {
		deep = context.WithValue(deep, i, v)
	}
	measure("with_value", 2000000, func(n int) {
		for i := 0; i < n; i++ {
			anyCtx = context.WithValue(context.Background(), key(1), v)
		}
	})
	measure("value_depth_1", 10000000, func(n int) {
		for i := 0; i < n; i++ {
			anyVal = deep.Value(key(9))
		}
	})
	measure("value_depth_10", 5000000, func(n int) {
		for i := 0; i < n; i++ {
			anyVal = deep.Value(key(0))
		}
	})
}

func cancels() {
	root, cancelRoot := context.WithCancel(context.Background())
	defer cancelRoot()
	measure("with_cancel_child", 1000000, func(n int) {
		for i := 0; i < n; i++ {
			_, cancel := context.WithCancel(root)
			cancel()
		}
	})
	measure("with_cancel", 1000000, func(n int) {
		for i := 0; i < n; i++ {
			_, cancel := context.WithCancel(context.Background())
			cancel()
		}
	})
	measure("err", 20000000, func(n int) {
		for i := 0; i < n; i++ {
			anyErr = root.Err()
		}
	})
	v := new(int)
	measure("request", 1000000, func(n int) {
		for i := 0; i < n; i++ {
			c, cancel := context.WithCancel(context.Background())
			anyCtx = context.WithValue(context.WithValue(c, key(1), v), key(2), v)
			cancel()
		}
	})
}

func timeouts() {
	one := func(n int) {
		for i := 0; i < n; i++ {
			_, cancel := context.WithTimeout(context.Background(), time.Hour)
			cancel()
		}
	}
	measure("with_timeout", 1000000, one)
	cancels := make([]context.CancelFunc, 400000)
	for i := range cancels {
		_, cancels[i] = context.WithTimeout(context.Background(), time.Hour)
	}
	measure("timeout_400k", 500000, one)
	for _, cancel := range cancels {
		cancel()
	}
}

func registries() {
	g := registry{values: map[*int]map[interface{}]interface{}{}, since: map[*int]int64{}}
	others := make([]int, 1000)
	for i := range others {
		g.set(&others[i], key(1), &others[i])
	}
	r := new(int)
	measure("registry_cycle", 1000000, func(n int) {
		for i := 0; i < n; i++ {
			g.set(r, key(1), r)
			anyVal = g.get(r, key(1))
			g.clear(r)
		}
	})
	measure("registry_get", 5000000, func(n int) {
		for i := 0; i < n; i++ {
			anyVal = g.get(&others[i%8], key(1))
		}
	})
}

func main() {
	values()
	cancels()
	registries()
	timeouts()
	size("bytes_value", func(root context.Context) context.Context {
		return context.WithValue(root, key(1), &anyErr)
	})
	size("bytes_cancel", func(root context.Context) context.Context {
		c, _ := context.WithCancel(root)
		return c
	})
	size("bytes_timeout", func(root context.Context) context.Context {
		c, _ := context.WithTimeout(root, time.Hour)
		return c
	})
}
