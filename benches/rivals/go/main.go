// The systems of the Go reference in their usual form, each timed for itself: what the report shows beside ours where
// a Go toolchain is found. Prints a line for each: its name, a tab, and the nanoseconds of one unit.
package main

import (
	"context"
	"fmt"
	"runtime"
	"sort"
	"sync"
	"time"
)

const rounds = 7

// report runs f, which does something n times, in several rounds, and prints the median.
func report(name string, n int, f func(n int)) {
	times := make([]float64, rounds)
	f(n / 10) // to warm up
	for i := range times {
		start := time.Now()
		f(n)
		times[i] = float64(time.Since(start).Nanoseconds()) / float64(n)
	}
	sort.Float64s(times)
	fmt.Printf("%s\t%.1f\n", name, times[rounds/2])
}

// flow sends n items from producers to consumers over one channel.
func flow(producers, consumers, capacity int) func(n int) {
	return func(n int) {
		items := make(chan int, capacity)
		var sent, taken sync.WaitGroup
		for p := 0; p < producers; p++ {
			sent.Add(1)
			go func() {
				defer sent.Done()
				for i := 0; i < n/producers; i++ {
					items <- i
				}
			}()
		}
		for c := 0; c < consumers; c++ {
			taken.Add(1)
			go func() {
				defer taken.Done()
				for range items {
				}
			}()
		}
		sent.Wait()
		close(items)
		taken.Wait()
	}
}

// workers runs n tasks on a few goroutines that read a channel of functions.
func workers(n int) {
	tasks := make(chan func(), 1024)
	var done sync.WaitGroup
	for w := 0; w < 2; w++ {
		done.Add(1)
		go func() {
			defer done.Done()
			for task := range tasks {
				task()
			}
		}()
	}
	var count [64]int
	for i := 0; i < n; i++ {
		i := i
		tasks <- func() { count[i%64] = i }
	}
	close(tasks)
	done.Wait()
}

func semaphore(n int) {
	permits := make(chan struct{}, 1)
	for i := 0; i < n; i++ {
		permits <- struct{}{}
		<-permits
	}
}

// scope starts ten goroutines and waits for them.
func scope(n int) {
	for i := 0; i < n; i++ {
		var all sync.WaitGroup
		for t := 0; t < 10; t++ {
			all.Add(1)
			go all.Done()
		}
		all.Wait()
	}
}

func cancel(n int) {
	for i := 0; i < n; i++ {
		_, stop := context.WithCancel(context.Background())
		stop()
	}
}

func timeout(n int) {
	for i := 0; i < n; i++ {
		limit, stop := context.WithTimeout(context.Background(), time.Minute)
		result := make(chan int, 1)
		go func() { result <- i }()
		select {
		case <-result:
		case <-limit.Done():
		}
		stop()
	}
}

func safeMap(n int) {
	var lock sync.RWMutex
	values := make(map[int]int)
	for i := 0; i < 1024; i++ {
		values[i] = i
	}
	var all sync.WaitGroup
	for t := 0; t < 8; t++ {
		all.Add(1)
		go func(t int) {
			defer all.Done()
			for i := 0; i < n/8; i++ {
				if i%10 == 0 {
					lock.Lock()
					values[(i*31+t)%1024] = i
					lock.Unlock()
				} else {
					lock.RLock()
					_ = values[(i*31+t)%1024]
					lock.RUnlock()
				}
			}
		}(t)
	}
	all.Wait()
}

// pipeline generates, filters and maps, a goroutine and an unbuffered channel each.
func pipeline(n int) {
	generated, filtered, mapped := make(chan int), make(chan int), make(chan int)
	go func() {
		for i := 0; i < n; i++ {
			generated <- i
		}
		close(generated)
	}()
	go func() {
		for i := range generated {
			if i%2 == 0 {
				filtered <- i
			}
		}
		close(filtered)
	}()
	go func() {
		for i := range filtered {
			mapped <- i * i
		}
		close(mapped)
	}()
	for range mapped {
	}
}

func main() {
	fmt.Printf("version\t%s\n", runtime.Version())
	report("1p1c capacity 1", 200_000, flow(1, 1, 1))
	report("1p1c capacity 128", 500_000, flow(1, 1, 128))
	report("4p4c capacity 128", 500_000, flow(4, 4, 128))
	report("1p1c, rendezvous", 200_000, flow(1, 1, 0))
	report("a task on 2 workers", 200_000, workers)
	report("acquire and release, uncontended", 1_000_000, semaphore)
	report("10 tasks and a wait", 20_000, scope)
	report("create and cancel a token", 500_000, cancel)
	report("an instant function with a time limit", 50_000, timeout)
	report("a map of 1,024 keys, 90/10 reads/writes, 8 threads", 500_000, safeMap)
	report("generate, filter, map: an item", 200_000, pipeline)
}
