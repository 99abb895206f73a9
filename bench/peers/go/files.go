package main

import (
	"bytes"
	"fmt"
	"io"
	"math/bits"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

const blockBytes, blocks, smallFile, lineBytes = 4096, 16384, 4096, 64

func init() {
	syncRows["read_4k"] = rowRead
	syncRows["read_4k_32"] = rowRead
	syncRows["write_64"] = rowWrite
	syncRows["copy_large"] = rowCopyLarge
	syncRows["copy_small"] = rowCopySmall
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func makeFile(path string, bytes int) { check(os.WriteFile(path, make([]byte, bytes), 0600)) }

func blockAt(i int64) int64 {
	high, _ := bits.Mul64(uint64(i)*0x9E3779B97F4A7C15, blocks)
	return int64(high) * blockBytes
}

func readBlocks(file *os.File, size int, depth int) {
	var next int64
	var all sync.WaitGroup
	for i := 0; i < depth; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			data := make([]byte, blockBytes)
			for {
				n := atomic.AddInt64(&next, 1) - 1
				if n >= int64(size) {
					return
				}
				_, err := file.ReadAt(data, blockAt(n))
				check(err)
			}
		}()
	}
	all.Wait()
}

func rowRead(row string, size int) {
	folder, err := os.MkdirTemp("", "cosy-bench-")
	check(err)
	defer os.RemoveAll(folder)
	path := filepath.Join(folder, "read")
	makeFile(path, blockBytes*blocks)
	file, err := os.Open(path)
	check(err)
	depth := 1
	if row == "read_4k_32" {
		depth = 32
	}
	readBlocks(file, size/10+1, depth)
	start := time.Now()
	readBlocks(file, size, depth)
	print(row, float64(time.Since(start))/float64(size), "ns")
}

func writeLines(file *os.File, count int) {
	line := bytes.Repeat([]byte("x"), lineBytes)
	for i := 0; i < count; i++ {
		_, err := file.Write(line)
		check(err)
	}
}

func rowWrite(row string, size int) {
	folder, err := os.MkdirTemp("", "cosy-bench-")
	check(err)
	defer os.RemoveAll(folder)
	file, err := os.Create(filepath.Join(folder, "lines"))
	check(err)
	writeLines(file, size/10+1)
	start := time.Now()
	writeLines(file, size)
	print(row, float64(time.Since(start))/1e3/float64(size), "us")
}

func copyFile(from, to string) {
	in, err := os.Open(from)
	check(err)
	out, err := os.Create(to)
	check(err)
	_, err = io.Copy(out, in)
	check(err)
	check(in.Close())
	check(out.Close())
}

func rowCopyLarge(row string, size int) {
	folder, err := os.MkdirTemp("", "cosy-bench-")
	check(err)
	defer os.RemoveAll(folder)
	from := filepath.Join(folder, "from")
	makeFile(from, size<<20)
	start := time.Now()
	copyFile(from, filepath.Join(folder, "to"))
	print(row, float64(time.Since(start))/1e6, "ms")
}

func rowCopySmall(row string, size int) {
	folder, err := os.MkdirTemp("", "cosy-bench-")
	check(err)
	defer os.RemoveAll(folder)
	for i := 0; i < size; i++ {
		makeFile(filepath.Join(folder, fmt.Sprint("from", i)), smallFile)
	}
	var next int64
	var all sync.WaitGroup
	start := time.Now()
	for i := 0; i < 4; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			for n := atomic.AddInt64(&next, 1) - 1; n < int64(size); n = atomic.AddInt64(&next, 1) - 1 {
				copyFile(filepath.Join(folder, fmt.Sprint("from", n)), filepath.Join(folder, fmt.Sprint("to", n)))
			}
		}()
	}
	all.Wait()
	print(row, float64(time.Since(start))/1e3/float64(size), "us")
}
