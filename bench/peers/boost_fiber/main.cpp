// boost_fiber ROW SIZE: fibers under the round-robin scheduler of one thread. Timers are sleeps only: no timer rows.
#include "../../bench.h"
#include <atomic>
#include <boost/fiber/all.hpp>
#include <memory>
#include <thread>
#include <vector>

namespace fibers = boost::fibers;
using boost::this_fiber::yield;

static long visits;

template <int site> static void spin(long rounds)
{
    for (; rounds > 0; rounds--) {
        yield();
        visits += site;
    }
}

static void run_switch(fibers::pooled_fixedsize_stack &stacks, long count, long each)
{
    static void (*const sites[])(long) = {spin<1>, spin<2>, spin<3>, spin<4>};
    std::vector<fibers::fiber> tasks;
    for (long i = 0; i < count; i++)
        tasks.emplace_back(std::allocator_arg, stacks, sites[i % 4], each);
    for (auto &task : tasks)
        task.join();
}

static int switch_row(const char *name, long size)
{
    fibers::pooled_fixedsize_stack stacks(16384 + 64);
    long count = atol(name + strlen("switch"));
    run_switch(stacks, count, size / count / 10 + 1);
    double start = bench_cpu_ns();
    run_switch(stacks, count, size / count);
    return bench_print(name, (bench_cpu_ns() - start) / (double)(size / count * count), "ns");
}

static void spawn_batches(fibers::pooled_fixedsize_stack &stacks, long batches)
{
    std::vector<fibers::fiber> tasks;
    tasks.reserve(1000);
    for (; batches > 0; batches--) {
        for (int i = 0; i < 1000; i++)
            tasks.emplace_back(std::allocator_arg, stacks, [] {});
        for (auto &task : tasks)
            task.join();
        tasks.clear();
    }
}

static int spawn_row(const char *name, long size)
{
    fibers::pooled_fixedsize_stack stacks(16384);
    spawn_batches(stacks, 20);
    double start = bench_cpu_ns();
    spawn_batches(stacks, size / 1000);
    return bench_print(name, (bench_cpu_ns() - start) / (double)(size / 1000 * 1000), "ns");
}

// launch::dispatch runs the child at once: child first, as the row asks.
static long skynet(fibers::pooled_fixedsize_stack &stacks, long base, long size)
{
    long sum = 0;
    if (size == 1)
        return base;
    for (long i = 0; i < 10; i++)
        fibers::fiber(fibers::launch::dispatch, std::allocator_arg, stacks, [&, i] {
            sum += skynet(stacks, base + i * (size / 10), size / 10);
        }).join();
    return sum;
}

static int skynet_row(const char *name, long size)
{
    fibers::pooled_fixedsize_stack stacks(16384);
    skynet(stacks, 0, size / 10);
    double start = bench_cpu_ns();
    if (skynet(stacks, 0, size) != size * (size - 1) / 2)
        return fprintf(stderr, "skynet: wrong sum\n"), 1;
    return bench_print(name, (bench_cpu_ns() - start) / 1e6, "ms");
}

static int memory_row(const char *name, long size)
{
    fibers::fixedsize_stack stacks(16384);
    fibers::mutex mutex;
    fibers::condition_variable gate;
    bool open = false;
    long parked = 0, ended = 0;
    double before = bench_memory_bytes(), start = bench_cpu_ns();
    for (long i = 0; i < size; i++)
        fibers::fiber(std::allocator_arg, stacks, [&] {
            std::unique_lock<fibers::mutex> lock(mutex);
            parked++;
            while (!open)
                gate.wait(lock);
            ended++;
        }).detach();
    while (parked < size)
        yield();
    yield();
    double created = bench_cpu_ns(), bytes = (bench_memory_bytes() - before) / (double)size;
    open = true;
    gate.notify_all();
    while (ended < size)
        yield();
    printf("%s %.6g B create_ns=%.0f wake_ns=%.0f\n", name, bytes, (created - start) / (double)size,
           (bench_cpu_ns() - created) / (double)size);
    return 0;
}

// Round trips between the schedulers of two threads. Busy: each also runs a fiber that only yields.
static double wake(long size, bool busy)
{
    fibers::buffered_channel<long> ping(2), pong(2);
    std::atomic<bool> done{false};
    auto keep_busy = [&done] {
        while (!done)
            yield();
    };
    bench_pin(0);
    std::thread other([&] {
        bench_pin(1);
        fibers::fiber spinner;
        if (busy)
            spinner = fibers::fiber(keep_busy);
        for (long message; ping.pop(message) == fibers::channel_op_status::success;)
            pong.push(message);
        if (busy)
            spinner.join();
    });
    fibers::fiber spinner;
    if (busy)
        spinner = fibers::fiber(keep_busy);
    double start = 0;
    for (long i = -(size / 10), message; i < size; i++) {
        if (i == 0)
            start = bench_wall_ns();
        ping.push(i);
        pong.pop(message);
    }
    double spent = bench_wall_ns() - start;
    done = true;
    ping.close();
    if (busy)
        spinner.join();
    other.join();
    return spent / (double)size;
}

static int wake_asleep(const char *name, long size)
{
    return bench_print(name, wake(size, false) / 1e3, "us");
}
static int wake_busy(const char *name, long size)
{
    return bench_print(name, wake(size, true), "ns");
}

int main(int argc, char **argv)
{
    static const struct bench_entry rows[] = {
        {"switch2", switch_row}, {"switch1000", switch_row},   {"spawn", spawn_row},     {"skynet", skynet_row},
        {"memory", memory_row},  {"wake_asleep", wake_asleep}, {"wake_busy", wake_busy},
    };
    return bench_main(argc, argv, rows, sizeof rows / sizeof *rows);
}
