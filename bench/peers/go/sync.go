package main

import (
	"runtime"
	"sync"
	"time"
)

// One goroutine sends, this one receives; per message.
func messages(row string, size int, c chan int) {
	warm := size / 10
	go func() {
		for i := 0; i < warm+size; i++ {
			c <- i
		}
	}()
	for i := 0; i < warm; i++ {
		<-c
	}
	start := cpuNs()
	for i := 0; i < size; i++ {
		<-c
	}
	print(row, (cpuNs()-start)/float64(size), "ns")
}

func rowHandover(row string, size int) { messages(row, size, make(chan int)) }
func rowQueue(row string, size int)    { messages(row, size, make(chan int, 1024)) }

func repeat(row string, size, each int, body func()) {
	for i := 0; i < size/each/10+1; i++ {
		body()
	}
	start := cpuNs()
	for i := 0; i < size/each; i++ {
		body()
	}
	print(row, (cpuNs()-start)/float64(size/each*each), "ns")
}

// A thousand goroutines and their results, or their end alone.
func rowGather(row string, size int) {
	results := make([]int, 1000)
	repeat(row, size, 1000, func() {
		var wg sync.WaitGroup
		wg.Add(1000)
		for i := range results {
			go func(i int) {
				results[i] = i
				wg.Done()
			}(i)
		}
		wg.Wait()
	})
}

func rowGroup(row string, size int) {
	repeat(row, size, 1000, func() {
		var wg sync.WaitGroup
		wg.Add(1000)
		for i := 0; i < 1000; i++ {
			go wg.Done()
		}
		wg.Wait()
	})
}

func rowLock(row string, size int) {
	var lock sync.Mutex
	repeat(row, size, 1, func() {
		lock.Lock()
		lock.Unlock()
	})
}

// A channel is what Go has for a semaphore.
func rowSemaphore(row string, size int) {
	permits := make(chan struct{}, 10)
	repeat(row, size, 1, func() {
		permits <- struct{}{}
		<-permits
	})
}

func rowEvent(row string, size int) {
	set := make(chan struct{})
	close(set)
	repeat(row, size, 1, func() { <-set })
}

func thousand(row string, size int, body func(rounds int)) {
	run := func(rounds int) {
		var wg sync.WaitGroup
		wg.Add(1000)
		for i := 0; i < 1000; i++ {
			go func() {
				body(rounds)
				wg.Done()
			}()
		}
		wg.Wait()
	}
	run(2)
	rounds := size / 1000
	start := cpuNs()
	run(rounds)
	print(row, (cpuNs()-start)/float64(rounds*1000), "ns")
}

func rowLock1000(row string, size int) {
	var lock sync.Mutex
	thousand(row, size, func(rounds int) {
		for ; rounds > 0; rounds-- {
			lock.Lock()
			runtime.Gosched()
			lock.Unlock()
		}
	})
}

func rowSemaphore1000(row string, size int) {
	permits := make(chan struct{}, 10)
	thousand(row, size, func(rounds int) {
		for ; rounds > 0; rounds-- {
			permits <- struct{}{}
			runtime.Gosched()
			<-permits
		}
	})
}

func rowEvent1000(row string, size int) {
	repeat(row, size, 1000, func() {
		set := make(chan struct{})
		var wg sync.WaitGroup
		wg.Add(1000)
		for i := 0; i < 1000; i++ {
			go func() {
				<-set
				wg.Done()
			}()
		}
		runtime.Gosched()
		close(set)
		wg.Wait()
	})
}

// A generator is a goroutine behind a channel.
func rowGenerator(row string, size int) { messages(row, size, make(chan int)) }

// Four threads that each post calls to one loop: four goroutines of their own threads, one channel.
func rowThreadsafe(row string, size int) {
	runtime.GOMAXPROCS(2)
	calls := make(chan func(), 1024)
	count := 0
	start := time.Now()
	for t := 0; t < 4; t++ {
		go func() {
			runtime.LockOSThread()
			for i := 0; i < size/4; i++ {
				calls <- func() { count++ }
			}
		}()
	}
	for i := 0; i < size/4*4; i++ {
		(<-calls)()
	}
	print(row, float64(time.Since(start))/float64(size/4*4), "ns")
}

var syncRows = map[string]func(string, int){
	"handover": rowHandover, "queue1024": rowQueue, "gather1000": rowGather, "group1000": rowGroup,
	"lock": rowLock, "semaphore": rowSemaphore, "event": rowEvent,
	"lock1000": rowLock1000, "semaphore1000": rowSemaphore1000, "event1000": rowEvent1000,
	"generator": rowGenerator, "threadsafe4": rowThreadsafe,
}
