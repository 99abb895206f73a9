#include "rows.h"
#include "serve.h"

int main(int argc, char **argv)
{
    static const struct bench_entry rows[] = {
        {"switch2", cosy_switch_row},
        {"switch1000", cosy_switch_row},
        {"spawn", cosy_spawn_row},
        {"skynet", cosy_skynet_row},
        {"memory", cosy_memory_row},
        {"memory_tiny", cosy_memory_tiny_row},
        {"memory_sleep", cosy_memory_sleep_row},
        {"timer_cancel", cosy_timer_cancel_row},
        {"timer_fire", cosy_timer_fire_row},
        {"wake_asleep", cosy_wake_asleep_row},
        {"wake_busy", cosy_wake_busy_row},
        {"handover", cosy_handover_row},
        {"queue1024", cosy_queue_row},
        {"generator", cosy_generator_row},
        {"gather1000", cosy_gather_row},
        {"group1000", cosy_group_row},
        {"lock", cosy_lock_row},
        {"semaphore", cosy_semaphore_row},
        {"event", cosy_event_row},
        {"lock1000", cosy_lock_thousand_row},
        {"semaphore1000", cosy_semaphore_thousand_row},
        {"event1000", cosy_event_thousand_row},
        {"job", cosy_job_row},
        {"threadsafe4", cosy_threadsafe_row},
        {"process", cosy_process_row},
        {"process_output", cosy_process_row},
        {"names", cosy_names_row},
        {"names_ares", cosy_names_row},
        {"tls_echo", cosy_tls_echo_row},
        {"tls_handshake", cosy_tls_handshake_row},
        {"tls_idle", cosy_tls_idle_row},
        {"read_4k", cosy_read_row},
        {"read_4k_32", cosy_read_row},
        {"write_64", cosy_write_row},
        {"copy_large", cosy_copy_large_row},
        {"copy_small", cosy_copy_small_row},
    };
    if (argc == 4 && strcmp(argv[1], "serve") == 0)
        return cosy_serve(argv[2], atoi(argv[3]));
    return bench_main(argc, argv, rows, sizeof rows / sizeof *rows);
}
