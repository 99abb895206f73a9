/*
 * load MODE PORT [--connections N] [--size BYTES] [--depth N] [--rounds N] [--seconds S] [--warm-up S] [--spin]
 *                [--pid SERVER] [--cpu N]
 *
 * Prints `MODE VALUE UNIT key=value ...`: operations per second in the measured time, latencies in us, and for each
 * operation the server's own CPU time (--pid) and all time in which its processor was not idle (--cpu). foreign_percent
 * is the share of the processors that neither the server nor the load had nor left idle.
 */
#include "load.h"

struct load load = {.connections = 1, .size = NET_REQUEST, .depth = 1, .seconds = 1.5, .warm_up = 0.3, .cpu = -1};

uint64_t load_clock_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void load_fail(const char *what)
{
    fprintf(stderr, "load %s: %s%s%s\n", load.mode, what, errno ? ": " : "", errno ? strerror(errno) : "");
    exit(1);
}

static void control(int operation, struct watch *watch, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};
    if (epoll_ctl(load.epoll, operation, watch->fd, &event) < 0)
        load_fail("epoll_ctl");
}

void load_watch(struct watch *watch, uint32_t events)
{
    control(EPOLL_CTL_ADD, watch, events);
}

void load_rewatch(struct watch *watch, uint32_t events)
{
    control(EPOLL_CTL_MOD, watch, events);
}

void load_turn(int timeout_ms)
{
    struct epoll_event events[256];
    int count = epoll_wait(load.epoll, events, 256, timeout_ms);
    for (int i = 0; i < count; i++) {
        struct watch *watch = events[i].data.ptr;
        watch->ready(watch, events[i].events);
    }
}

void load_close_by_reset(int fd)
{
    struct linger reset = {.l_onoff = 1};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
}

int load_connect(int port)
{
    struct sockaddr_in address = net_address(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        load_fail("connect");
    net_set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    load_close_by_reset(fd);
    return fd;
}

void load_set_nonblocking(int fd)
{
    if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
        load_fail("fcntl");
}

bool load_would_block(ssize_t result)
{
    if (result >= 0)
        return false;
    if (errno != EAGAIN && errno != EINTR)
        load_fail("socket");
    return true;
}

void load_write_all(int fd, const void *data, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t count = send(fd, (const char *)data + done, size - done, MSG_NOSIGNAL);
        if (count < 0)
            load_fail("send");
        done += (size_t)count;
    }
}

void load_read_all(int fd, void *data, size_t size)
{
    struct timeval limit = {.tv_sec = 10};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    for (size_t done = 0; done < size;) {
        errno = 0;
        ssize_t count = recv(fd, (char *)data + done, size - done, 0);
        if (count <= 0)
            load_fail(count ? "recv" : "the server closed the connection");
        done += (size_t)count;
    }
}

unsigned char *load_pattern(size_t size)
{
    unsigned char *bytes = bench_need(malloc(size));
    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)(i * 31 + (i >> 8) * 7 + 5);
    return bytes;
}

/* Runs the loop for so long; returns how long it was. The clock is read once for each batch of events. */
static double run_phase(const struct load_mode *mode, double seconds)
{
    uint64_t start = load_clock_ns(), end = start + (uint64_t)(seconds * 1e9), next_tick = start;
    load.done = load.lost = 0;
    histogram_clear(&load.latency);
    while ((load.now = load_clock_ns()) < end) {
        load_turn(load.spin ? 0 : 100);
        if (mode->tick && load.now >= next_tick) {
            mode->tick();
            next_tick = load.now + 100000000u;
        }
    }
    return (double)(load.now - start);
}

/* What the measured time cost, as differences of these. */
struct costs {
    double server_ns, processor_ns, own_ns, all_ns;
    int processors;
};

static struct costs read_costs(void)
{
    struct costs costs = {.server_ns = load_server_cpu_ns(load.pid), .processor_ns = load_processor_busy_ns(load.cpu)};
    costs.own_ns = bench_cpu_ns();
    costs.all_ns = load_all_busy_ns(&costs.processors);
    return costs;
}

static void print_result(double spent_ns, const struct costs *from, const struct costs *to)
{
    double done = (double)load.done, server_ns = to->server_ns - from->server_ns;
    if (!load.done)
        load_fail("no operation was completed");
    printf("%s %.6g per_s mib_per_s=%.1f", load.mode, done * 1e9 / spent_ns,
           done * (double)load.size / 1048576 * 1e9 / spent_ns);
    if (load.latency.count)
        printf(" p50_us=%.2f p99_us=%.2f p999_us=%.2f max_us=%.1f", histogram_quantile(&load.latency, 0.5) / 1e3,
               histogram_quantile(&load.latency, 0.99) / 1e3, histogram_quantile(&load.latency, 0.999) / 1e3,
               (double)load.latency.most / 1e3);
    printf(" load_us=%.4f", (to->own_ns - from->own_ns) / done / 1e3);
    if (load.cpu >= 0)
        printf(" cpu_us=%.4f", (to->processor_ns - from->processor_ns) / done / 1e3);
    if (load.pid) {
        double foreign = to->all_ns - from->all_ns - server_ns - (to->own_ns - from->own_ns);
        printf(" server_us=%.4f foreign_percent=%.1f", server_ns / done / 1e3,
               foreign > 0 ? foreign * 100 / spent_ns / to->processors : 0);
    }
    printf(" lost=%lu\n", (unsigned long)load.lost);
}

static int measure(const struct load_mode *mode)
{
    load.epoll = net_check(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
    mode->open();
    run_phase(mode, load.warm_up);
    struct costs from = read_costs();
    double spent = run_phase(mode, load.seconds);
    struct costs to = read_costs();
    uint64_t done = load.done, lost = load.lost;
    if (mode->close)
        mode->close();
    load.done = done;
    load.lost = lost;
    print_result(spent, &from, &to);
    return 0;
}

static const struct load_mode *find_mode(const char *name)
{
    static const struct {
        const struct load_mode *modes;
        size_t count;
    } groups[] = {{load_closed_loop_modes, 3},
                  {load_stream_modes, 2},
                  {load_forward_modes, 2},
                  {load_udp_modes, 4},
                  {&load_accept_mode, 1}};
    for (size_t group = 0; group < sizeof groups / sizeof *groups; group++)
        for (size_t i = 0; i < groups[group].count; i++)
            if (strcmp(groups[group].modes[i].name, name) == 0)
                return &groups[group].modes[i];
    return NULL;
}

static int usage(void)
{
    fprintf(stderr, "usage: load MODE PORT [--connections N] [--size BYTES] [--depth N] [--rounds N] [--seconds S]\n"
                    "            [--warm-up S] [--spin] [--pid SERVER] [--cpu N]\n");
    return 2;
}

static bool parse_option(const char *name, const char *value)
{
    if (strcmp(name, "--connections") == 0)
        load.connections = atoi(value);
    else if (strcmp(name, "--size") == 0)
        load.size = strtoul(value, NULL, 10);
    else if (strcmp(name, "--depth") == 0)
        load.depth = atoi(value);
    else if (strcmp(name, "--rounds") == 0)
        load.rounds = (uint32_t)strtoul(value, NULL, 10);
    else if (strcmp(name, "--seconds") == 0)
        load.seconds = atof(value);
    else if (strcmp(name, "--warm-up") == 0)
        load.warm_up = atof(value);
    else if (strcmp(name, "--pid") == 0)
        load.pid = atoi(value);
    else if (strcmp(name, "--cpu") == 0)
        load.cpu = atoi(value);
    else
        return false;
    return true;
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return usage();
    load.mode = argv[1];
    load.port = atoi(argv[2]);
    for (int i = 3; i < argc; i++) {
        if (strcmp(argv[i], "--spin") == 0)
            load.spin = true;
        else if (i + 1 == argc || !parse_option(argv[i], argv[i + 1]))
            return usage();
        else
            i++;
    }
    if (load.connections < 1 || load.depth < 1 || load.size < 1)
        return usage();
    signal(SIGPIPE, SIG_IGN);
    if (strcmp(load.mode, "idle") == 0)
        return load_idle();
    const struct load_mode *mode = find_mode(load.mode);
    return mode ? measure(mode) : usage();
}
