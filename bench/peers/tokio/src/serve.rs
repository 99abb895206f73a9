// tokio serve MODE PORT: a task per connection on the current-thread runtime. The wire: bench/net/README.md.
use std::io::Result;
use tokio::io::{copy_bidirectional, AsyncReadExt, AsyncWriteExt, BufReader, BufWriter};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::runtime::Builder;
use tokio::signal::unix::{signal, SignalKind};
use tokio::task::spawn;

const CHUNK: usize = 64 * 1024;
const REQUEST: usize = 64;

async fn echo(mut c: TcpStream, size: usize) -> Result<()> {
    let mut buffer = vec![0; size];
    loop {
        let n = c.read(&mut buffer).await?;
        if n == 0 {
            return Ok(());
        }
        c.write_all(&buffer[..n]).await?;
    }
}

// Answers are written out when no whole message is left to be read.
async fn pipelined(c: TcpStream) -> Result<()> {
    let (read, write) = c.into_split();
    let (mut read, mut write) = (BufReader::with_capacity(CHUNK, read), BufWriter::with_capacity(CHUNK, write));
    let mut message = vec![0; read.read_u32_le().await? as usize];
    loop {
        read.read_exact(&mut message).await?;
        write.write_all(&message).await?;
        if read.buffer().len() < message.len() {
            write.flush().await?;
        }
    }
}

async fn sink(c: TcpStream) -> Result<()> {
    let mut c = BufReader::with_capacity(CHUNK, c);
    let mut message = vec![0; c.read_u32_le().await? as usize];
    let mut count = 0u64;
    while c.read_exact(&mut message).await.is_ok() {
        count += 1;
    }
    c.write_all(&count.to_le_bytes()).await
}

async fn source(mut c: TcpStream) -> Result<()> {
    let size = c.read_u32_le().await? as usize;
    let message: Vec<u8> = (0..size).map(|i| i as u8).collect();
    let mut c = BufWriter::with_capacity(CHUNK, c);
    loop {
        c.write_all(&message).await?;
    }
}

async fn accept(mut c: TcpStream) -> Result<()> {
    let mut request = [0; REQUEST];
    c.read_exact(&mut request).await?;
    c.write_all(&request).await
}

async fn work(mut c: TcpStream) -> Result<()> {
    let mut request = [0; REQUEST];
    loop {
        c.read_exact(&mut request).await?;
        let mut x = 0x9E3779B97F4A7C15u64;
        for _ in 0..u32::from_le_bytes(request[..4].try_into().unwrap()) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
        }
        request[..8].copy_from_slice(&x.to_le_bytes());
        c.write_all(&request).await?;
    }
}

async fn forward(mut c: TcpStream, port: u16) -> Result<()> {
    let mut far = TcpStream::connect(("127.0.0.1", port)).await?;
    far.set_nodelay(true)?;
    copy_bidirectional(&mut c, &mut far).await.map(|_| ())
}

async fn udp(port: u16, sink: bool) -> Result<()> {
    let socket = UdpSocket::bind(("127.0.0.1", port)).await?;
    println!("ready");
    let mut buffer = [0; 2048];
    let mut count = 0u64;
    loop {
        let (n, sender) = socket.recv_from(&mut buffer).await?;
        count += 1;
        if !sink {
            socket.send_to(&buffer[..n], sender).await?;
        } else if buffer[0] == 1 {
            socket.send_to(&count.to_le_bytes(), sender).await?;
        }
    }
}

async fn tcp(mode: String, port: u16) -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("ready");
    loop {
        let (c, _) = listener.accept().await?;
        c.set_nodelay(true)?;
        match mode.as_str() {
            "echo" => spawn(echo(c, 16 * 1024)),
            "idle" => spawn(echo(c, 1024)),
            "pipelined" => spawn(pipelined(c)),
            "sink" => spawn(sink(c)),
            "source" => spawn(source(c)),
            "accept" => spawn(accept(c)),
            "work" => spawn(work(c)),
            _ => spawn(forward(c, port + 1)),
        };
    }
}

async fn report_on_sigterm() {
    signal(SignalKind::terminate()).unwrap().recv().await;
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = pages.split_whitespace().nth(1).map_or(0, |n| n.parse().unwrap());
    println!("cpu_us {:.0} rss_kib {}", crate::cpu_ns() / 1e3, pages * 4);
    std::process::exit(0);
}

pub fn serve(mode: &str, port: u16) {
    let known = ["echo", "idle", "pipelined", "sink", "source", "accept", "work", "forward", "udp_echo", "udp_sink"];
    if !known.contains(&mode) {
        println!("{mode} n/a");
        return;
    }
    let workers = std::env::var("BENCH_WORKERS").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    let runtime = match workers {
        1 => Builder::new_current_thread().enable_all().build(),
        n => Builder::new_multi_thread().worker_threads(n).enable_all().build(),
    };
    runtime.unwrap().block_on(async {
        spawn(report_on_sigterm());
        match mode {
            "udp_echo" | "udp_sink" => udp(port, mode == "udp_sink").await,
            _ => tcp(mode.to_string(), port).await,
        }
        .unwrap()
    });
}
