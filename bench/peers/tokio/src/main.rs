// tokio ROW SIZE: tasks on the current-thread runtime (two of them, one per thread, for the wake rows).
mod rows_files;
mod rows_sync;
mod serve;

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, Notify};
use tokio::task::{spawn, yield_now};

const FIRE_FIRST: Duration = Duration::from_millis(100);
const FIRE_SPREAD: Duration = Duration::from_millis(200);
const CANCEL_FIRST: Duration = Duration::from_secs(100);
const CANCEL_SPREAD: Duration = Duration::from_secs(1000);
const CANCEL_BATCH: usize = 100;

#[repr(C)]
struct Timespec {
    seconds: i64,
    nanoseconds: i64,
}

extern "C" {
    fn clock_gettime(clock: i32, t: *mut Timespec) -> i32;
    fn sched_getaffinity(pid: i32, size: usize, mask: *mut u8) -> i32;
    fn sched_setaffinity(pid: i32, size: usize, mask: *const u8) -> i32;
}

fn cpu_ns() -> f64 {
    let mut t = Timespec { seconds: 0, nanoseconds: 0 };
    unsafe { clock_gettime(2, &mut t) };
    t.seconds as f64 * 1e9 + t.nanoseconds as f64
}

// What the process may use: to be read before any thread is pinned.
fn allowed_cpus() -> [u8; 128] {
    let mut allowed = [0u8; 128];
    unsafe { sched_getaffinity(0, 128, allowed.as_mut_ptr()) };
    allowed
}

fn pin(allowed: &[u8; 128], n: usize) {
    let mut one = [0u8; 128];
    if let Some(cpu) = (0..1024).filter(|c| allowed[c / 8] & (1 << (c % 8)) != 0).nth(n) {
        one[cpu / 8] = 1 << (cpu % 8);
        unsafe { sched_setaffinity(0, 128, one.as_ptr()) };
    }
}

fn memory_bytes() -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib: f64 = text
        .lines()
        .filter(|l| l.starts_with("VmRSS:") || l.starts_with("VmPTE:"))
        .map(|l| l.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap())
        .sum();
    kib * 1024.0
}

fn spread(i: usize, limit: Duration) -> Duration {
    let hash = (i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    Duration::from_nanos(((hash as u128 * limit.as_nanos()) >> 64) as u64)
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

async fn site1(n: usize) { for _ in 0..n { yield_now().await } }
async fn site2(mut n: usize) { while n > 0 { yield_now().await; n -= 1 } }
async fn site3(n: usize) { let mut i = 0; while i < n { yield_now().await; i += 1 } }
async fn site4(n: usize) { for _ in (0..n).rev() { yield_now().await } }

async fn run_switch(tasks: usize, each: usize) {
    let mut handles = Vec::with_capacity(tasks);
    for i in 0..tasks {
        handles.push(match i % 4 {
            0 => spawn(site1(each)),
            1 => spawn(site2(each)),
            2 => spawn(site3(each)),
            _ => spawn(site4(each)),
        });
    }
    for handle in handles {
        handle.await.unwrap();
    }
}

fn switch(row: &str, size: usize) -> String {
    let tasks: usize = row["switch".len()..].parse().unwrap();
    runtime().block_on(async {
        run_switch(tasks, size / tasks / 10 + 1).await;
        let start = cpu_ns();
        run_switch(tasks, size / tasks).await;
        format!("{:.6} ns", (cpu_ns() - start) / (size / tasks * tasks) as f64)
    })
}

async fn spawn_batches(batches: usize) {
    let mut handles = Vec::with_capacity(1000);
    for _ in 0..batches {
        handles.extend((0..1000).map(|_| spawn(async {})));
        for handle in handles.drain(..) {
            handle.await.unwrap();
        }
    }
}

fn spawn_row(size: usize) -> String {
    runtime().block_on(async {
        spawn_batches(20).await;
        let start = cpu_ns();
        spawn_batches(size / 1000).await;
        format!("{:.6} ns", (cpu_ns() - start) / (size / 1000 * 1000) as f64)
    })
}

fn skynet(base: usize, size: usize) -> Pin<Box<dyn Future<Output = usize> + Send>> {
    Box::pin(async move {
        if size == 1 {
            return base;
        }
        let mut children = Vec::with_capacity(10);
        for i in 0..10 {
            children.push(spawn(skynet(base + i * (size / 10), size / 10)));
        }
        let mut sum = 0;
        for child in children {
            sum += child.await.unwrap();
        }
        sum
    })
}

fn skynet_row(size: usize) -> String {
    runtime().block_on(async {
        skynet(0, size / 10).await;
        let start = cpu_ns();
        let sum = spawn(skynet(0, size)).await.unwrap();
        assert_eq!(sum, size * (size - 1) / 2);
        format!("{:.6} ms", (cpu_ns() - start) / 1e6)
    })
}

fn memory(size: usize) -> String {
    runtime().block_on(async {
        let gate = Arc::new(Notify::new());
        let ended = Arc::new(AtomicUsize::new(0));
        let parked = Arc::new(AtomicUsize::new(0));
        let (before, start) = (memory_bytes(), cpu_ns());
        for _ in 0..size {
            let (gate, parked, ended) = (gate.clone(), parked.clone(), ended.clone());
            spawn(async move {
                parked.fetch_add(1, Ordering::Relaxed);
                gate.notified().await;
                ended.fetch_add(1, Ordering::Relaxed);
            });
        }
        while parked.load(Ordering::Relaxed) < size {
            yield_now().await;
        }
        yield_now().await;
        let created = cpu_ns();
        let bytes = (memory_bytes() - before) / size as f64;
        let wake = cpu_ns();
        gate.notify_waiters();
        while ended.load(Ordering::Relaxed) < size {
            yield_now().await;
        }
        let n = size as f64;
        format!("{:.6} B create_ns={:.0} wake_ns={:.0}", bytes, (created - start) / n, (cpu_ns() - wake) / n)
    })
}

type Timer = Pin<Box<tokio::time::Sleep>>;

// A Sleep is registered when it is polled first.
async fn start_timer(delay: Duration) -> Timer {
    let mut timer = Box::pin(tokio::time::sleep(delay));
    std::future::poll_fn(|cx| {
        let _ = timer.as_mut().poll(cx);
        std::task::Poll::Ready(())
    })
    .await;
    timer
}

async fn churn(size: usize, seed: usize) {
    let mut batch = Vec::with_capacity(CANCEL_BATCH);
    for i in 0..size {
        batch.push(start_timer(CANCEL_FIRST + spread(seed + i, CANCEL_SPREAD)).await);
        if batch.len() == CANCEL_BATCH {
            batch.clear();
        }
    }
}

fn timer_cancel(size: usize) -> String {
    runtime().block_on(async {
        let mut live = Vec::with_capacity(size);
        for i in 0..size {
            live.push(start_timer(CANCEL_FIRST + spread(i, CANCEL_SPREAD)).await);
        }
        churn(size / 10, size).await;
        let start = cpu_ns();
        churn(size, size * 2).await;
        format!("{:.6} ns", (cpu_ns() - start) / size as f64)
    })
}

async fn fire(size: usize) -> f64 {
    let start = cpu_ns();
    let mut live = Vec::with_capacity(size);
    for i in 0..size {
        live.push(start_timer(FIRE_FIRST + spread(i, FIRE_SPREAD)).await);
    }
    std::thread::sleep(FIRE_FIRST + FIRE_SPREAD + Duration::from_millis(2));
    for timer in live {
        timer.await;
    }
    cpu_ns() - start
}

fn timer_fire(size: usize) -> String {
    runtime().block_on(async {
        fire(size / 10).await;
        format!("{:.6} ns", fire(size).await / size as f64)
    })
}

// Round trips between two runtimes in two threads. Busy: each also runs a task that only yields, so neither ever sleeps.
fn wake(size: usize, busy: bool) -> f64 {
    let (ping, mut pings) = mpsc::unbounded_channel::<()>();
    let (pong, mut pongs) = mpsc::unbounded_channel::<()>();
    let keep_busy = move || {
        spawn(async {
            loop {
                yield_now().await
            }
        })
    };
    let allowed = allowed_cpus();
    let other = std::thread::spawn(move || {
        pin(&allowed, 1);
        runtime().block_on(async {
            if busy {
                keep_busy();
            }
            while pings.recv().await.is_some() {
                pong.send(()).unwrap();
            }
        })
    });
    pin(&allowed, 0);
    let spent = runtime().block_on(async {
        if busy {
            keep_busy();
        }
        let mut start = Instant::now();
        for i in 0..size + size / 10 {
            if i == size / 10 {
                start = Instant::now();
            }
            ping.send(()).unwrap();
            pongs.recv().await.unwrap();
        }
        start.elapsed()
    });
    drop(ping);
    other.join().unwrap();
    spent.as_nanos() as f64 / size as f64
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.len() == 4 && arguments[1] == "serve" {
        return serve::serve(&arguments[2], arguments[3].parse().unwrap());
    }
    let row = arguments.get(1).expect("usage: tokio ROW SIZE | tokio serve MODE PORT").as_str();
    let size: usize = arguments.get(2).expect("usage: tokio ROW SIZE").parse().unwrap();
    let result = match row {
        "switch2" | "switch1000" => switch(row, size),
        "spawn" => spawn_row(size),
        "skynet" => skynet_row(size),
        "memory" => memory(size),
        "timer_cancel" => timer_cancel(size),
        "timer_fire" => timer_fire(size),
        "wake_asleep" => format!("{:.6} us", wake(size, false) / 1e3),
        "wake_busy" => format!("{:.6} ns", wake(size, true)),
        _ => rows_sync::row(row, size).or_else(|| rows_files::row(row, size)).unwrap_or_else(|| "n/a".to_string()),
    };
    println!("{row} {result}");
}
