// What passes between tasks: messages, groups, locks, jobs of other threads.
use crate::{cpu_ns, runtime};
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{mpsc, Mutex, Notify, Semaphore};
use tokio::task::{spawn, spawn_blocking, yield_now, JoinSet};

// There is no channel without a place: `places` is 1 for the hand-over.
async fn messages(size: usize, places: usize) -> f64 {
    let (sender, mut receiver) = mpsc::channel::<usize>(places);
    let warm = size / 10;
    spawn(async move {
        for i in 0..warm + size {
            sender.send(i).await.unwrap();
        }
    });
    for _ in 0..warm {
        receiver.recv().await.unwrap();
    }
    let start = cpu_ns();
    for _ in 0..size {
        receiver.recv().await.unwrap();
    }
    (cpu_ns() - start) / size as f64
}

async fn repeat<F: Future<Output = ()>>(size: usize, each: usize, body: impl Fn() -> F) -> f64 {
    for _ in 0..size / each / 10 + 1 {
        body().await;
    }
    let start = cpu_ns();
    for _ in 0..size / each {
        body().await;
    }
    (cpu_ns() - start) / (size / each * each) as f64
}

async fn gather() {
    let handles: Vec<_> = (0..1000).map(|i| spawn(async move { i })).collect();
    for handle in handles {
        handle.await.unwrap();
    }
}

async fn group() {
    let mut set = JoinSet::new();
    for _ in 0..1000 {
        set.spawn(async {});
    }
    while set.join_next().await.is_some() {}
}

async fn thousand<F: Future<Output = ()> + Send + 'static>(size: usize, body: impl Fn(usize) -> F) -> f64 {
    let rounds = size / 1000;
    let mut start = 0.0;
    for n in [2, rounds] {
        start = cpu_ns();
        let handles: Vec<_> = (0..1000).map(|_| spawn(body(n))).collect();
        for handle in handles {
            handle.await.unwrap();
        }
    }
    (cpu_ns() - start) / (rounds * 1000) as f64
}

async fn lock1000(size: usize) -> f64 {
    let lock = Arc::new(Mutex::new(()));
    thousand(size, |rounds| {
        let lock = lock.clone();
        async move {
            for _ in 0..rounds {
                let _held = lock.lock().await;
                yield_now().await;
            }
        }
    })
    .await
}

async fn semaphore1000(size: usize) -> f64 {
    let permits = Arc::new(Semaphore::new(10));
    thousand(size, |rounds| {
        let permits = permits.clone();
        async move {
            for _ in 0..rounds {
                let _held = permits.acquire().await.unwrap();
                yield_now().await;
            }
        }
    })
    .await
}

async fn event1000() {
    let (gate, waiting) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
    let handles: Vec<_> = (0..1000)
        .map(|_| {
            let (gate, waiting) = (gate.clone(), waiting.clone());
            spawn(async move {
                waiting.fetch_add(1, Ordering::Relaxed);
                gate.notified().await
            })
        })
        .collect();
    while waiting.load(Ordering::Relaxed) < 1000 {
        yield_now().await;
    }
    gate.notify_waiters();
    for handle in handles {
        handle.await.unwrap();
    }
}

async fn jobs(size: usize) -> f64 {
    spawn_blocking(|| ()).await.unwrap();
    let start = Instant::now();
    for _ in 0..size {
        spawn_blocking(|| ()).await.unwrap();
    }
    start.elapsed().as_nanos() as f64 / size as f64 / 1e3
}

async fn threadsafe(size: usize) -> f64 {
    let (sender, mut receiver) = mpsc::unbounded_channel::<Box<dyn FnOnce() + Send>>();
    let start = Instant::now();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let sender = sender.clone();
            std::thread::spawn(move || {
                for _ in 0..size / 4 {
                    let _ = sender.send(Box::new(|| ()));
                }
            })
        })
        .collect();
    for _ in 0..size / 4 * 4 {
        (receiver.recv().await.unwrap())();
    }
    let spent = start.elapsed();
    for thread in threads {
        thread.join().unwrap();
    }
    spent.as_nanos() as f64 / (size / 4 * 4) as f64
}

pub fn row(row: &str, size: usize) -> Option<String> {
    runtime().block_on(async {
        let ns = match row {
            "handover" => messages(size, 1).await,
            "queue1024" => messages(size, 1024).await,
            "gather1000" => repeat(size, 1000, gather).await,
            "group1000" => repeat(size, 1000, group).await,
            "lock" => {
                let lock = Mutex::new(());
                repeat(size, 1, || async { drop(lock.lock().await) }).await
            }
            "semaphore" => {
                let permits = Semaphore::new(10);
                repeat(size, 1, || async { drop(permits.acquire().await.unwrap()) }).await
            }
            "lock1000" => lock1000(size).await,
            "semaphore1000" => semaphore1000(size).await,
            "event1000" => repeat(size, 1000, event1000).await,
            "job" => return Some(format!("{:.6} us", jobs(size).await)),
            "threadsafe4" => threadsafe(size).await,
            _ => return None,
        };
        Some(format!("{ns:.6} ns"))
    })
}
