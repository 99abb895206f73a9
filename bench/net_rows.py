"""The rows of the network: which mode of the servers, which load, and what cosy is to reach."""


class NetRow:
    clock = "net"
    optional = True  # by --net or --row

    def __init__(self, title, mode, connections, size=64, depth=1, load=None, options=(), variants=(), reach=(), unit="/s"):
        self.title = title
        self.mode = mode  # of the server
        self.load = load or mode  # of the load generator
        self.connections = connections
        self.size = size
        self.depth = depth
        self.options = options  # more for the load generator
        self.variants = variants  # contestants that only some rows have
        self.reach = reach  # see net.judge
        self.unit = unit
        self.once = unit == "B"
        self.higher_is_better = unit != "B"


# Within 3 % of the better hand-written loop, in operations and in CPU time for each; on epoll within 5 % of the hand-written one;
# and no longer tail than that loop: latencies are told apart to 1.6 %, so by no more than two buckets.
ECHO = (("hand", 0.97), ("cpu", 1.03), ("epoll", 0.95), ("tail", 1.03))
AHEAD = (("peer", 1.0),)
BATCHED = ("epoll_single",)
LARGE = ("io_uring_sqe", "io_uring_zc", "io_uring_bundle")
DATAGRAM = 1200  # of QUIC

ROWS = {
    "echo1x1k": NetRow("round trips of 1 KiB on 1 connection; the load spins", "echo", 1, 1024, options=("--spin",),
                       variants=("io_uring_sqe", "cosy_spin"), reach=(*ECHO, ("level", 0.97), ("spin", 2.0))),
    "echo50x1k": NetRow("round trips of 1 KiB on 50 connections", "echo", 50, 1024, variants=("io_uring_sqe",), reach=ECHO),
    "echo1000x1k": NetRow("round trips of 1 KiB on 1,000 connections", "echo", 1000, 1024, variants=("io_uring_sqe",),
                          reach=ECHO),
    "echo50x16k": NetRow("round trips of 16 KiB on 50 connections", "echo", 50, 16 * 1024, variants=LARGE,
                         reach=ECHO),
    "echo1000x16k": NetRow("round trips of 16 KiB on 1,000 connections", "echo", 1000, 16 * 1024, variants=LARGE,
                           reach=ECHO),
    "pipelined50x64": NetRow("messages of 64 B answered one by one, 64 under way on each of 50 connections", "pipelined", 50, 64,
                             depth=64, variants=BATCHED, reach=AHEAD),
    "sink4x64": NetRow("messages of 64 B taken one by one from 4 connections", "sink", 4, 64, variants=BATCHED, reach=AHEAD),
    "sink4x64k": NetRow("messages of 64 KiB from 4 connections", "sink", 4, 64 * 1024, variants=("io_uring_bundle",), reach=AHEAD),
    "source4x64": NetRow("messages of 64 B written one by one to 4 connections", "source", 4, 64, variants=BATCHED, reach=AHEAD),
    "source4x64k": NetRow("messages of 64 KiB to 4 connections", "source", 4, 64 * 1024, variants=("io_uring_zc",), reach=AHEAD),
    "accept50": NetRow("connect, one request, close; 50 at once", "accept", 50, reach=AHEAD),
    "forward50x1k": NetRow("round trips of 1 KiB through a port forwarder, 50 connections", "forward", 50, 1024,
                           load="forward_echo", variants=("epoll_copy",), reach=AHEAD),
    "forward4x64k": NetRow("64 KiB through a port forwarder, 4 connections", "forward", 4, 64 * 1024, load="forward_stream",
                           variants=("epoll_copy",), reach=AHEAD),
    "udp_echo": NetRow("datagrams of 1,200 B echoed, 32 under way on each of 2 sockets", "udp_echo", 2, DATAGRAM, depth=32,
                       variants=BATCHED, reach=AHEAD),
    "udp_echo_gso": NetRow("the same, the server with segmentation offload", "udp_echo_gso", 2, DATAGRAM, depth=32),
    "udp_sink": NetRow("datagrams of 1,200 B received and counted", "udp_sink", 2, DATAGRAM, depth=32, variants=BATCHED,
                       reach=AHEAD),
    "udp_sink_gso": NetRow("the same, the server with segmentation offload", "udp_sink_gso", 2, DATAGRAM, depth=32),
    "idle10000": NetRow("memory of an idle connection of 10,000", "idle", 10_000, unit="B", reach=(("below", 6144),)),
    "workers2": NetRow("load that two workers on two processors carry, in loads of one; requests of some 0.6 ms of CPU time", "work",
                       64, options=("--rounds", "300000"), unit="x", reach=(("workers", 1.9),)),
}
