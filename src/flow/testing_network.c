/* testing_network.c - the test kit's words to the simulated network. */
#include <string.h>

#include <cosy/testing.h>
#include <cosy/trace.h>

#include "../sys/sim/network.h"
#include "../task/task.h"

_Static_assert((int)COSY_TEST_ANSWERS == (int)COSY_SIM_ANSWERS && (int)COSY_TEST_REFUSES == (int)COSY_SIM_REFUSES &&
                   (int)COSY_TEST_BLACK_HOLE == (int)COSY_SIM_BLACK_HOLE &&
                   (int)COSY_TEST_NET_UNREACHABLE == (int)COSY_SIM_NET_UNREACHABLE &&
                   (int)COSY_TEST_HOST_UNREACHABLE == (int)COSY_SIM_HOST_UNREACHABLE,
               "one list of behaviours");

/* The kernel of the running loop, if it is simulated. */
static int find_kernel(struct cosy_sys **ret_sys)
{
    struct cosy_loop *loop = cosy_running_loop();
    if (!loop)
        return cosy_fail(COSY_ENOLOOP, "the simulated network belongs to a running loop, and none runs in this thread");
    if (strcmp(loop->sys->ops->name, "sim") != 0)
        return cosy_fail(ENOTSUP, "only the simulated kernel has a simulated network");
    *ret_sys = loop->sys;
    return 0;
}

int cosy_test_network_(const struct cosy_test_network_options *options)
{
    struct cosy_sys *sys = NULL;
    int result = find_kernel(&sys);
    if (result < 0)
        return result;
    if (options->latency < 0 || options->jitter < 0 || options->max_descriptors < 0)
        return cosy_fail(EINVAL, "a latency, a jitter or a limit cannot be negative");
    struct cosy_sim_character character = {
        .latency = options->latency,
        .jitter = options->jitter,
        .torn_reads = options->torn_reads,
        .short_writes = options->short_writes,
        .again_per_million = options->again_per_million,
        .alarm_per_million = options->alarm_per_million,
        .reset_per_million = options->reset_per_million,
        .loss_per_million = options->loss_per_million,
        .most_descriptors = options->max_descriptors,
    };
    cosy_sim_set_character(sys, &character);
    return 0;
}

int cosy_test_add_host_(const char *name, const char *address, const struct cosy_test_host_options *options)
{
    struct cosy_sys *sys = NULL;
    int result = find_kernel(&sys);
    if (result < 0)
        return result;
    struct cosy_sim_host host = {
        .name = name,
        .address = address,
        .behaviour = (enum cosy_sim_behaviour)options->behaviour,
        .delay = options->delay,
        .reset_after = options->reset_after,
        .lookup_delay = options->lookup_delay,
        .lookup_error = options->lookup_error,
    };
    if (options->delay < 0 || options->lookup_delay < 0)
        return cosy_fail(EINVAL, "a delay cannot be negative");
    result = cosy_sim_add_host(sys, &host);
    if (result == -EINVAL)
        return cosy_fail(EINVAL, "host '%s' at '%s': a numeric address is needed, and an error that is negative",
                         name ? name : "(none)", address ? address : "(none)");
    return result;
}
