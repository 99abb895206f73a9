//! read_4k, read_4k_32, write_64, copy_large, copy_small: tokio has no positioned reads, so that each task has an open file of its own and
//! seeks. What it writes to a file is written when flush has returned.
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};

const READ_SIZE: usize = 4096;
const READ_BLOCKS: u64 = 16384;
const SMALL_FILE: usize = 4096;
const LINE: usize = 64;

struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        let path = std::env::temp_dir().join(format!("cosy-bench-tokio-{}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Folder(path)
    }
    fn path(&self, name: &str, number: u64) -> PathBuf {
        self.0.join(format!("{name}{number}"))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn make_file(path: &Path, bytes: usize) {
    std::fs::write(path, vec![b'x'; bytes]).unwrap();
}

fn read_at(i: u64) -> u64 {
    ((i.wrapping_mul(0x9E3779B97F4A7C15) as u128 * READ_BLOCKS as u128) >> 64) as u64 * READ_SIZE as u64
}

async fn read_all(path: &Path, size: u64, depth: u64) {
    let next = Arc::new(AtomicU64::new(0));
    let mut tasks = Vec::new();
    for _ in 0..depth {
        let (next, path) = (next.clone(), path.to_path_buf());
        tasks.push(tokio::spawn(async move {
            let mut file = tokio::fs::File::open(path).await.unwrap();
            let mut data = [0u8; READ_SIZE];
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= size {
                    return;
                }
                file.seek(std::io::SeekFrom::Start(read_at(n))).await.unwrap();
                file.read_exact(&mut data).await.unwrap();
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
}

async fn read_row(row: &str, size: u64) -> String {
    let folder = Folder::new();
    let depth = if row == "read_4k_32" { 32 } else { 1 };
    make_file(&folder.path("read", 0), READ_SIZE * READ_BLOCKS as usize);
    read_all(&folder.path("read", 0), size / 10 + 1, depth).await;
    let start = Instant::now();
    read_all(&folder.path("read", 0), size, depth).await;
    format!("{:.6} ns", start.elapsed().as_nanos() as f64 / size as f64)
}

async fn write_lines(file: &mut tokio::fs::File, count: usize) {
    let line = [b'x'; LINE];
    for _ in 0..count {
        file.write_all(&line).await.unwrap();
        file.flush().await.unwrap();
    }
}

async fn write_row(size: usize) -> String {
    let folder = Folder::new();
    let mut file = tokio::fs::File::create(folder.path("lines", 0)).await.unwrap();
    write_lines(&mut file, size / 10 + 1).await;
    let start = Instant::now();
    write_lines(&mut file, size).await;
    format!("{:.6} us", start.elapsed().as_nanos() as f64 / 1e3 / size as f64)
}

async fn copy_large(size: usize) -> String {
    let folder = Folder::new();
    make_file(&folder.path("from", 0), size << 20);
    let start = Instant::now();
    tokio::fs::copy(folder.path("from", 0), folder.path("to", 0)).await.unwrap();
    format!("{:.6} ms", start.elapsed().as_nanos() as f64 / 1e6)
}

async fn copy_small(size: u64) -> String {
    let folder = Arc::new(Folder::new());
    for i in 0..size {
        make_file(&folder.path("from", i), SMALL_FILE);
    }
    let next = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..4 {
        let (next, folder) = (next.clone(), folder.clone());
        tasks.push(tokio::spawn(async move {
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= size {
                    return;
                }
                tokio::fs::copy(folder.path("from", n), folder.path("to", n)).await.unwrap();
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    format!("{:.6} us", start.elapsed().as_nanos() as f64 / 1e3 / size as f64)
}

pub fn row(row: &str, size: usize) -> Option<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    match row {
        "read_4k" | "read_4k_32" => Some(runtime.block_on(read_row(row, size as u64))),
        "write_64" => Some(runtime.block_on(write_row(size))),
        "copy_large" => Some(runtime.block_on(copy_large(size))),
        "copy_small" => Some(runtime.block_on(copy_small(size as u64))),
        _ => None,
    }
}
