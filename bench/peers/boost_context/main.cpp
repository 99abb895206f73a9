// boost_context ROW SIZE: bare fibers resumed by a loop; a yield is two switches. There is no scheduler, no timer, no
// wake.
#include "../../bench.h"
#include <boost/context/fiber.hpp>
#include <boost/context/fixedsize_stack.hpp>
#include <boost/context/pooled_fixedsize_stack.hpp>
#include <memory>
#include <vector>

using boost::context::fiber;

static long visits;

template <int site> static fiber spin(fiber &&loop)
{
    for (;;) {
        loop = std::move(loop).resume();
        visits += site;
        if (visits < 0)
            return std::move(loop);
    }
}

static void run_rounds(std::vector<fiber> &tasks, long rounds)
{
    for (; rounds > 0; rounds--)
        for (auto &task : tasks)
            task = std::move(task).resume();
}

static int switch_row(const char *name, long size)
{
    long count = atol(name + strlen("switch"));
    boost::context::pooled_fixedsize_stack stacks(8192 + 64);
    std::vector<fiber> tasks;
    for (long i = 0; i < count; i++)
        switch (i % 4) {
        case 0:
            tasks.emplace_back(std::allocator_arg, stacks, spin<1>);
            break;
        case 1:
            tasks.emplace_back(std::allocator_arg, stacks, spin<2>);
            break;
        case 2:
            tasks.emplace_back(std::allocator_arg, stacks, spin<3>);
            break;
        default:
            tasks.emplace_back(std::allocator_arg, stacks, spin<4>);
            break;
        }
    run_rounds(tasks, size / count / 10 + 1);
    double start = bench_cpu_ns();
    run_rounds(tasks, size / count);
    return bench_print(name, (bench_cpu_ns() - start) / (double)(size / count * count), "ns");
}

static void spawn_batches(boost::context::pooled_fixedsize_stack &stacks, long batches)
{
    std::vector<fiber> tasks;
    tasks.reserve(1000);
    for (; batches > 0; batches--) {
        for (int i = 0; i < 1000; i++)
            tasks.emplace_back(std::allocator_arg, stacks, [](fiber &&loop) { return std::move(loop); });
        for (auto &task : tasks)
            task = std::move(task).resume();
        tasks.clear();
    }
}

static int spawn_row(const char *name, long size)
{
    boost::context::pooled_fixedsize_stack stacks(8192);
    spawn_batches(stacks, 20);
    double start = bench_cpu_ns();
    spawn_batches(stacks, size / 1000);
    return bench_print(name, (bench_cpu_ns() - start) / (double)(size / 1000 * 1000), "ns");
}

static long skynet(boost::context::pooled_fixedsize_stack &stacks, long base, long size)
{
    long sum = 0;
    if (size == 1)
        return base;
    for (long i = 0; i < 10; i++) {
        fiber child(std::allocator_arg, stacks, [&, i](fiber &&parent) {
            sum += skynet(stacks, base + i * (size / 10), size / 10);
            return std::move(parent);
        });
        std::move(child).resume();
    }
    return sum;
}

static int skynet_row(const char *name, long size)
{
    boost::context::pooled_fixedsize_stack stacks(8192);
    skynet(stacks, 0, size / 10);
    double start = bench_cpu_ns();
    if (skynet(stacks, 0, size) != size * (size - 1) / 2)
        return fprintf(stderr, "skynet: wrong sum\n"), 1;
    return bench_print(name, (bench_cpu_ns() - start) / 1e6, "ms");
}

static int memory_row(const char *name, long size)
{
    boost::context::fixedsize_stack stacks(8192);
    double before = bench_memory_bytes(), start = bench_cpu_ns();
    auto tasks = std::make_unique<fiber[]>((size_t)size);
    for (long i = 0; i < size; i++)
        tasks[(size_t)i] = fiber(std::allocator_arg, stacks, [](fiber &&loop) {
                               loop = std::move(loop).resume();
                               return std::move(loop);
                           }).resume();
    double created = bench_cpu_ns(), bytes = (bench_memory_bytes() - before) / (double)size;
    for (long i = 0; i < size; i++)
        tasks[(size_t)i] = std::move(tasks[(size_t)i]).resume();
    printf("%s %.6g B create_ns=%.0f wake_ns=%.0f\n", name, bytes, (created - start) / (double)size,
           (bench_cpu_ns() - created) / (double)size);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct bench_entry rows[] = {
        {"switch2", switch_row}, {"switch1000", switch_row}, {"spawn", spawn_row},
        {"skynet", skynet_row},  {"memory", memory_row},
    };
    return bench_main(argc, argv, rows, sizeof rows / sizeof *rows);
}
