/* limits ROW SIZE: hand-written lower bounds, one row per call. */
#include "limits.h"

int main(int argc, char **argv)
{
    static const struct bench_entry rows[] = {
        {"switch2", limit_switch_row},
        {"switch1000", limit_switch_row},
        {"spawn", limit_spawn_row},
        {"skynet", limit_skynet_row},
        {"memory", limit_memory_row},
        {"memory_tiny", limit_memory_tiny_row},
        {"timer_cancel", limit_timer_cancel_row},
        {"timer_cancel_lazy", limit_timer_cancel_lazy_row},
        {"timer_fire", limit_timer_fire_row},
        {"handover", limit_handover_row},
        {"queue1024", limit_queue_row},
        {"generator", limit_generator_row},
        {"wake_asleep", limit_wake_ring_row},
        {"wake_asleep_futex", limit_wake_futex_row},
        {"wake_asleep_eventfd", limit_wake_eventfd_row},
        {"wake_busy", limit_wake_busy_row},
        {"process", limit_process_row},
        {"process_output", limit_process_row},
        {"names", limit_names_row},
        {"tls_echo", limit_tls_echo_row},
        {"tls_handshake", limit_tls_handshake_row},
        {"tls_idle", limit_tls_idle_row},
        {"read_4k", limit_read_row},
        {"read_4k_32", limit_read_row},
        {"write_64", limit_write_row},
        {"copy_large", limit_copy_large_row},
        {"copy_small", limit_copy_small_row},
    };
    return bench_main(argc, argv, rows, sizeof rows / sizeof *rows);
}
