"""serve(kind, mode, port): asyncio with streams, uvloop with protocols. The wire: bench/net/README.md."""
import asyncio
import os
import resource
import signal
import struct

CHUNK = 64 * 1024
REQUEST = 64


def report_and_exit(*_):
    usage = resource.getrusage(resource.RUSAGE_SELF)
    with open("/proc/self/statm") as statm:
        pages = int(statm.read().split()[1])
    print("cpu_us", round((usage.ru_utime + usage.ru_stime) * 1e6), "rss_kib", pages * resource.getpagesize() // 1024,
          flush=True)
    os._exit(0)


def message_of(size):
    return bytes(i & 255 for i in range(size))


# Streams: a task per connection.

async def echo(reader, writer):
    while data := await reader.read(CHUNK):
        writer.write(data)
        await writer.drain()


async def read_size(reader):
    return struct.unpack("<I", await reader.readexactly(4))[0]


async def pipelined(reader, writer):
    size = await read_size(reader)
    while True:
        writer.write(await reader.readexactly(size))
        await writer.drain()


async def sink(reader, writer):
    size, count = await read_size(reader), 0
    try:
        while True:
            await reader.readexactly(size)
            count += 1
    except asyncio.IncompleteReadError:
        writer.write(struct.pack("<Q", count))
        await writer.drain()


async def source(reader, writer):
    message = message_of(await read_size(reader))
    while True:
        writer.write(message)
        await writer.drain()


async def accept(reader, writer):
    writer.write(await reader.readexactly(REQUEST))
    await writer.drain()


async def copy(reader, writer):
    while data := await reader.read(CHUNK):
        writer.write(data)
        await writer.drain()
    writer.write_eof()


def forward_to(port):
    async def forward(reader, writer):
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(copy(reader, far_writer), copy(far_reader, writer))
        far_writer.close()
    return forward


STREAM_MODES = {"echo": echo, "idle": echo, "pipelined": pipelined, "sink": sink, "source": source, "accept": accept}


async def serve_streams(mode, port):
    handler = forward_to(port + 1) if mode == "forward" else STREAM_MODES[mode]

    async def connected(reader, writer):
        try:
            await handler(reader, writer)
        except (OSError, asyncio.IncompleteReadError):  # the load ends with resets
            pass
        writer.close()

    return await asyncio.start_server(connected, "127.0.0.1", port, backlog=4096)


# Protocols: callbacks, no task.

class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


class Pipelined(Echo):
    size, rest = 0, b""

    def data_received(self, data):
        data = self.rest + data if self.rest else data
        if not self.size:
            self.size, data = struct.unpack_from("<I", data)[0], data[4:]
        whole = len(data) // self.size * self.size
        for at in range(0, whole, self.size):
            self.message(data[at:at + self.size])
        self.rest = data[whole:]

    def message(self, data):
        self.transport.write(data)


class Sink(Pipelined):
    count = 0

    def message(self, data):
        self.count += 1

    def eof_received(self):
        self.transport.write(struct.pack("<Q", self.count))


class Source(Echo):
    paused = False

    def data_received(self, data):
        self.data = message_of(struct.unpack("<I", data)[0])
        self.send()

    def send(self):
        while not self.paused and not self.transport.is_closing():
            self.transport.write(self.data)

    def pause_writing(self):
        self.paused = True

    def resume_writing(self):
        self.paused = False
        self.send()


class Accept(Echo):
    received = b""

    def data_received(self, data):
        self.received += data
        if len(self.received) == REQUEST:
            self.transport.write(self.received)
            self.transport.close()


class Half(asyncio.Protocol):
    """One of the two connections of a forwarder; the other reads no further while this one cannot write."""
    other = transport = None
    ended = False
    early = b""  # what came before the other connection stood

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        if self.other:
            self.other.transport.write(data)
        else:
            self.early += data

    def pause_writing(self):
        self.other.transport.pause_reading()

    def resume_writing(self):
        self.other.transport.resume_reading()

    def eof_received(self):
        self.ended = True
        if not self.other.transport.is_closing():
            self.other.transport.write_eof()
        if self.other.ended:
            self.transport.close()
            self.other.transport.close()
        return True

    def connection_lost(self, error):
        if self.other:
            self.other.transport.close()


class Near(Half):
    port = 0

    def connection_made(self, transport):
        self.transport = transport
        transport.pause_reading()  # uvloop may deliver what it has read already
        self.task = asyncio.get_running_loop().create_task(self.connect())

    async def connect(self):
        far = Half()
        far.other = self
        transport, _ = await asyncio.get_running_loop().create_connection(lambda: far, "127.0.0.1", Near.port)
        self.other = far
        if self.early:
            transport.write(self.early)
        self.transport.resume_reading()


PROTOCOL_MODES = {"echo": Echo, "idle": Echo, "pipelined": Pipelined, "sink": Sink, "source": Source, "accept": Accept,
                  "forward": Near}


async def serve_protocols(mode, port):
    Near.port = port + 1
    return await asyncio.get_running_loop().create_server(PROTOCOL_MODES[mode], "127.0.0.1", port, backlog=4096)


class Datagrams(asyncio.DatagramProtocol):
    sink, count = False, 0

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, sender):
        self.count += 1
        if not self.sink:
            self.transport.sendto(data, sender)
        elif data[0] == 1:
            self.transport.sendto(struct.pack("<Q", self.count), sender)


async def serve_datagrams(mode, port):
    Datagrams.sink = mode == "udp_sink"
    return await asyncio.get_running_loop().create_datagram_endpoint(Datagrams, ("127.0.0.1", port))


async def run(kind, mode, port):
    if mode.startswith("udp_"):
        server = await serve_datagrams(mode, port)
    else:
        server = await (serve_protocols if kind == "uvloop" else serve_streams)(mode, port)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, report_and_exit)
    print("ready", flush=True)
    await asyncio.Event().wait()
    del server


def serve(kind, mode, port):
    if mode not in PROTOCOL_MODES and mode not in ("udp_echo", "udp_sink"):
        print(mode, "n/a")
        return
    asyncio.run(run(kind, mode, port))
