/* cosy ROW SIZE: the library through its public header alone, one file per group of rows. */
#pragma once

#include "../bench.h"
#include <cosy.h>

/* Instruction counts are a difference of two sizes, which a warm-up that grows with the size would spoil: it is left
 * out. */
static inline bool bench_warms_up(void)
{
    return !getenv("BENCH_NO_WARM_UP");
}

bench_row cosy_switch_row, cosy_spawn_row, cosy_skynet_row;
bench_row cosy_memory_row, cosy_memory_tiny_row, cosy_memory_sleep_row;
bench_row cosy_timer_cancel_row, cosy_timer_fire_row;
bench_row cosy_wake_asleep_row, cosy_wake_busy_row;
bench_row cosy_handover_row, cosy_queue_row, cosy_generator_row;
bench_row cosy_gather_row, cosy_group_row, cosy_lock_row, cosy_semaphore_row, cosy_event_row;
bench_row cosy_lock_thousand_row, cosy_semaphore_thousand_row, cosy_event_thousand_row;
bench_row cosy_job_row, cosy_threadsafe_row, cosy_process_row;
bench_row cosy_job_row, cosy_threadsafe_row;
bench_row cosy_names_row;
bench_row cosy_tls_echo_row, cosy_tls_handshake_row, cosy_tls_idle_row;
bench_row cosy_read_row, cosy_write_row, cosy_copy_large_row, cosy_copy_small_row;
