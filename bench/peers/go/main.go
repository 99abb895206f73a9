// go ROW SIZE: goroutines on one P (two for the wake rows).
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

const (
	clockMonotonic  = 1
	clockProcessCPU = 2
	fireFirst       = 100 * time.Millisecond
	fireSpread      = 200 * time.Millisecond
	cancelFirst     = 100 * time.Second
	cancelSpread    = 1000 * time.Second
	cancelBatch     = 100
)

func cpuNs() float64 {
	var t syscall.Timespec
	syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, clockProcessCPU, uintptr(unsafe.Pointer(&t)), 0)
	return float64(t.Nano())
}

func memoryBytes() float64 {
	text, _ := os.ReadFile("/proc/self/status")
	kib := 0
	for _, line := range strings.Split(string(text), "\n") {
		if strings.HasPrefix(line, "VmRSS:") || strings.HasPrefix(line, "VmPTE:") {
			n, _ := strconv.Atoi(strings.Fields(line)[1])
			kib += n
		}
	}
	return float64(kib) * 1024
}

func spread(i int, limit time.Duration) time.Duration {
	h := uint64(i) * 0x9E3779B97F4A7C15
	return time.Duration((h >> 32) * uint64(limit) >> 32)
}

func print(row string, value float64, unit string) { fmt.Printf("%s %.6g %s\n", row, value, unit) }

// Four functions: goroutines suspended at four sites.
func site1(n int, wg *sync.WaitGroup) {
	for ; n > 0; n-- {
		runtime.Gosched()
	}
	wg.Done()
}
func site2(n int, wg *sync.WaitGroup) {
	for i := 0; i < n; i++ {
		runtime.Gosched()
	}
	wg.Done()
}
func site3(n int, wg *sync.WaitGroup) {
	for n != 0 {
		runtime.Gosched()
		n--
	}
	wg.Done()
}
func site4(n int, wg *sync.WaitGroup) {
	for i := n; i > 0; i-- {
		runtime.Gosched()
	}
	wg.Done()
}

func runSwitch(tasks, each int) {
	var wg sync.WaitGroup
	sites := []func(int, *sync.WaitGroup){site1, site2, site3, site4}
	wg.Add(tasks)
	for i := 0; i < tasks; i++ {
		go sites[i%4](each, &wg)
	}
	wg.Wait()
}

func rowSwitch(row string, size int) {
	tasks, _ := strconv.Atoi(strings.TrimPrefix(row, "switch"))
	runSwitch(tasks, size/tasks/10+1)
	start := cpuNs()
	runSwitch(tasks, size/tasks)
	print(row, (cpuNs()-start)/float64(size/tasks*tasks), "ns")
}

func spawnBatches(batches int) {
	var wg sync.WaitGroup
	for ; batches > 0; batches-- {
		wg.Add(1000)
		for i := 0; i < 1000; i++ {
			go wg.Done()
		}
		wg.Wait()
	}
}

func rowSpawn(row string, size int) {
	spawnBatches(20)
	start := cpuNs()
	spawnBatches(size / 1000)
	print(row, (cpuNs()-start)/float64(size/1000*1000), "ns")
}

func skynet(result chan int, base, size int) {
	if size == 1 {
		result <- base
		return
	}
	children := make(chan int)
	for i := 0; i < 10; i++ {
		go skynet(children, base+i*(size/10), size/10)
	}
	sum := 0
	for i := 0; i < 10; i++ {
		sum += <-children
	}
	result <- sum
}

func rowSkynet(row string, size int) {
	result := make(chan int)
	go skynet(result, 0, size/10) // warm-up
	<-result
	start := cpuNs()
	go skynet(result, 0, size)
	if sum := <-result; sum != size*(size-1)/2 {
		panic("skynet: wrong sum")
	}
	print(row, (cpuNs()-start)/1e6, "ms")
}

func rowMemory(row string, size int) {
	wake := make(chan struct{})
	var parked, ended sync.WaitGroup
	parked.Add(size)
	ended.Add(size)
	before, start := memoryBytes(), cpuNs()
	for i := 0; i < size; i++ {
		go func() {
			parked.Done()
			<-wake
			ended.Done()
		}()
	}
	parked.Wait()
	runtime.Gosched()
	created := cpuNs()
	bytes := (memoryBytes() - before) / float64(size)
	wakeStart := cpuNs()
	close(wake)
	ended.Wait()
	fmt.Printf("%s %.6g B create_ns=%.0f wake_ns=%.0f\n", row, bytes, (created-start)/float64(size), (cpuNs()-wakeStart)/float64(size))
}

func rowTimerCancel(row string, size int) {
	live := make([]*time.Timer, size)
	deadlines := 0
	create := func() *time.Timer {
		deadlines++
		return time.AfterFunc(cancelFirst+spread(deadlines, cancelSpread), func() {})
	}
	for i := range live {
		live[i] = create()
	}
	var batch [cancelBatch]*time.Timer
	churn := func(n int) {
		for ; n > 0; n -= cancelBatch {
			for i := range batch {
				batch[i] = create()
			}
			for _, t := range batch {
				t.Stop()
			}
		}
	}
	churn(size / 10)
	start := cpuNs()
	churn(size)
	print(row, (cpuNs()-start)/float64(size), "ns")
	runtime.KeepAlive(live)
}

func fireAll(size int) float64 {
	var wg sync.WaitGroup
	wg.Add(size)
	start := cpuNs()
	for i := 0; i < size; i++ {
		time.AfterFunc(fireFirst+spread(i, fireSpread), wg.Done)
	}
	// A raw system call keeps the only P: nothing fires until all are due.
	due := time.Now().Add(fireFirst + fireSpread + 2*time.Millisecond)
	for left := time.Until(due); left > 0; left = time.Until(due) {
		t := syscall.NsecToTimespec(int64(left))
		syscall.RawSyscall(syscall.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&t)), 0, 0)
	}
	wg.Wait()
	return cpuNs() - start
}

func rowTimerFire(row string, size int) {
	fireAll(size / 10)
	print(row, fireAll(size)/float64(size), "ns")
}

// What the process may use, read before any thread is pinned.
var allowed [128]byte

func init() {
	syscall.RawSyscall(syscall.SYS_SCHED_GETAFFINITY, 0, 128, uintptr(unsafe.Pointer(&allowed)))
}

func pin(n int) {
	runtime.LockOSThread()
	var one [128]byte
	for cpu := 0; cpu < 1024; cpu++ {
		if allowed[cpu/8]&(1<<(cpu%8)) != 0 {
			if n == 0 {
				one[cpu/8] = 1 << (cpu % 8)
				syscall.RawSyscall(syscall.SYS_SCHED_SETAFFINITY, 0, 128, uintptr(unsafe.Pointer(&one)))
				return
			}
			n--
		}
	}
}

// Two goroutines, each locked to its own thread and processor, with a channel in each direction.
func rowWakeAsleep(row string, size int) {
	runtime.GOMAXPROCS(2)
	ping, pong := make(chan int), make(chan int)
	go func() {
		pin(1)
		for v := range ping {
			pong <- v
		}
	}()
	pin(0)
	var start time.Time
	for i := -size / 10; i < size; i++ {
		if i == 0 {
			start = time.Now()
		}
		ping <- i
		<-pong
	}
	print(row, float64(time.Since(start))/1e3/float64(size), "us")
}

// Both sides keep running and look at a channel in between: how long until work that is busy sees the message.
func rowWakeBusy(row string, size int) {
	runtime.GOMAXPROCS(2)
	ping, pong := make(chan int, 1), make(chan int, 1)
	wait := func(c chan int) int {
		for {
			select {
			case v := <-c:
				return v
			default:
			}
		}
	}
	go func() {
		pin(1)
		for i := size + size/10; i > 0; i-- {
			pong <- wait(ping)
		}
	}()
	pin(0)
	var start time.Time
	for i := -(size / 10); i < size; i++ {
		if i == 0 {
			start = time.Now()
		}
		ping <- i
		wait(pong)
	}
	print(row, float64(time.Since(start))/float64(size), "ns")
}

func rowProcess(row string, size int) {
	run := func() {
		if row == "process_output" {
			if out, err := exec.Command("/bin/echo", "hello").Output(); err != nil || len(out) != 6 {
				panic(err)
			}
		} else if err := exec.Command("/bin/true").Run(); err != nil {
			panic(err)
		}
	}
	for i := 0; i <= size/10; i++ {
		run()
	}
	start := time.Now()
	for i := 0; i < size; i++ {
		run()
	}
	print(row, float64(time.Since(start))/1e3/float64(size), "us")
}

// 1,000 look-ups at once, each by a goroutine: by the C library, or by Go's own resolver.
func rowNames(row string, size int) {
	resolver := &net.Resolver{PreferGo: row == "names_ares"}
	run := func() {
		var group sync.WaitGroup
		for i := 0; i < 1000; i++ {
			group.Add(1)
			go func() {
				defer group.Done()
				if _, err := resolver.LookupIPAddr(context.Background(), "localhost"); err != nil {
					panic(err)
				}
			}()
		}
		group.Wait()
	}
	run()
	rounds := (size + 999) / 1000
	start := time.Now()
	for i := 0; i < rounds; i++ {
		run()
	}
	print(row, float64(time.Since(start))/1e6/float64(rounds), "us")
}

func main() {
	runtime.GOMAXPROCS(1)
	if len(os.Args) == 4 && os.Args[1] == "serve" {
		port, _ := strconv.Atoi(os.Args[3])
		serve(os.Args[2], port)
		return
	}
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: go ROW SIZE | go serve MODE PORT")
		os.Exit(2)
	}
	row := os.Args[1]
	size, _ := strconv.Atoi(os.Args[2])
	rows := map[string]func(string, int){
		"switch2": rowSwitch, "switch1000": rowSwitch, "spawn": rowSpawn, "skynet": rowSkynet, "memory": rowMemory,
		"timer_cancel": rowTimerCancel, "timer_fire": rowTimerFire, "wake_asleep": rowWakeAsleep, "wake_busy": rowWakeBusy,
		"process": rowProcess, "process_output": rowProcess, "names": rowNames, "names_ares": rowNames,
	}
	if run, ok := rows[row]; ok {
		run(row, size)
	} else if run, ok := syncRows[row]; ok {
		run(row, size)
	} else {
		fmt.Println(row, "n/a")
	}
}
