// go serve MODE PORT: a goroutine per connection, net and bufio as their users write them. The wire: bench/net/README.md.
package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"
)

const (
	requestSize = 64
	chunkSize   = 64 * 1024
)

func reportAndExit() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	<-signals
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	text, _ := os.ReadFile("/proc/self/statm")
	var size, pages int
	fmt.Sscan(string(text), &size, &pages)
	fmt.Println("cpu_us", (usage.Utime.Nano()+usage.Stime.Nano())/1000, "rss_kib", pages*os.Getpagesize()/1024)
	os.Exit(0)
}

func readSize(r io.Reader) (int, error) {
	var header [4]byte
	_, err := io.ReadFull(r, header[:])
	return int(binary.LittleEndian.Uint32(header[:])), err
}

func serveEcho(c net.Conn, port int) { echo(c, make([]byte, 16*1024)) }
func serveIdle(c net.Conn, port int) { echo(c, make([]byte, 1024)) }

func echo(c net.Conn, buffer []byte) {
	for {
		n, err := c.Read(buffer)
		if err != nil {
			return
		}
		if _, err := c.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// Answers are written out when no whole message is left to be read.
func servePipelined(c net.Conn, port int) {
	in, out := bufio.NewReaderSize(c, chunkSize), bufio.NewWriterSize(c, chunkSize)
	size, err := readSize(in)
	message := make([]byte, size)
	for err == nil {
		if _, err = io.ReadFull(in, message); err != nil {
			return
		}
		if _, err = out.Write(message); err == nil && in.Buffered() < size {
			err = out.Flush()
		}
	}
}

func serveSink(c net.Conn, port int) {
	in := bufio.NewReaderSize(c, chunkSize)
	size, err := readSize(in)
	message := make([]byte, size)
	count := uint64(0)
	for err == nil {
		if _, err = io.ReadFull(in, message); err == nil {
			count++
		}
	}
	var answer [8]byte
	binary.LittleEndian.PutUint64(answer[:], count)
	c.Write(answer[:])
}

func serveSource(c net.Conn, port int) {
	size, err := readSize(c)
	out := bufio.NewWriterSize(c, chunkSize)
	message := make([]byte, size)
	for i := range message {
		message[i] = byte(i)
	}
	for err == nil {
		_, err = out.Write(message)
	}
}

func serveAccept(c net.Conn, port int) {
	var request [requestSize]byte
	if _, err := io.ReadFull(c, request[:]); err == nil {
		c.Write(request[:])
	}
}

func serveWork(c net.Conn, port int) {
	var request [requestSize]byte
	for {
		if _, err := io.ReadFull(c, request[:]); err != nil {
			return
		}
		x := uint64(0x9E3779B97F4A7C15)
		for rounds := binary.LittleEndian.Uint32(request[:]); rounds > 0; rounds-- {
			x ^= x << 13
			x ^= x >> 7
			x ^= x << 17
		}
		binary.LittleEndian.PutUint64(request[:], x)
		if _, err := c.Write(request[:]); err != nil {
			return
		}
	}
}

// io.Copy splices between two TCP connections.
func serveForward(c net.Conn, port int) {
	far, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port+1))
	if err != nil {
		return
	}
	defer far.Close()
	done := make(chan struct{})
	go func() {
		io.Copy(far, c)
		far.(*net.TCPConn).CloseWrite()
		close(done)
	}()
	io.Copy(c, far)
	c.(*net.TCPConn).CloseWrite()
	<-done
}

func serveUDP(port int, sink bool) {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("ready")
	buffer := make([]byte, 2048)
	var answer [8]byte
	for count := uint64(0); ; {
		n, sender, err := c.ReadFromUDPAddrPort(buffer)
		if err != nil {
			continue
		}
		count++
		if !sink {
			c.WriteToUDPAddrPort(buffer[:n], sender)
		} else if buffer[0] == 1 {
			binary.LittleEndian.PutUint64(answer[:], count)
			c.WriteToUDPAddrPort(answer[:], sender)
		}
	}
}

var streamModes = map[string]func(net.Conn, int){
	"echo": serveEcho, "idle": serveIdle, "pipelined": servePipelined, "sink": serveSink, "source": serveSource, "accept": serveAccept,
	"work": serveWork, "forward": serveForward,
}

func serve(mode string, port int) {
	if workers, err := strconv.Atoi(os.Getenv("BENCH_WORKERS")); err == nil {
		runtime.GOMAXPROCS(workers)
	}
	go reportAndExit()
	if mode == "udp_echo" || mode == "udp_sink" {
		serveUDP(port, mode == "udp_sink")
	}
	run, ok := streamModes[mode]
	if !ok {
		fmt.Println(mode, "n/a")
		return
	}
	listener, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("ready")
	for {
		c, err := listener.Accept() // nodelay is Go's default
		if err != nil {
			continue
		}
		go func() {
			defer c.Close()
			run(c, port)
		}()
	}
}
