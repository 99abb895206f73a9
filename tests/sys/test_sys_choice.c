/* Which backend is opened, and what io_uring makes do with. */
#include "sys_test.h"

/* ---- the choice ---- */

static int open_chosen(enum cosy_sys_kind kind, const char *environment, char *ret_name)
{
    environment ? setenv("COSY_BACKEND", environment, 1) : unsetenv("COSY_BACKEND");
    struct cosy_sys *sys = NULL;
    int error = cosy_sys_open(&sys, &(struct cosy_sys_config){.kind = kind});
    strcpy(ret_name, error ? "" : sys->ops->name);
    if (!error)
        sys->ops->close(sys);
    unsetenv("COSY_BACKEND");
    return error;
}

START_TEST(the_environment_chooses)
{
    char name[16];
    for (int i = have_uring ? 0 : 1; i < 3; i++) {
        ck_assert_int_eq(open_chosen(COSY_SYS_AUTO, names[i], name), 0);
        ck_assert_str_eq(name, names[i]);
    }
    ck_assert_int_eq(open_chosen(COSY_SYS_AUTO, "kqueue", name), -EINVAL);
    ck_assert_int_eq(open_chosen(COSY_SYS_AUTO, "Epoll", name), -EINVAL);
    ck_assert_int_eq(open_chosen(COSY_SYS_SIM, "epoll", name), 0);
    ck_assert_str_eq(name, "sim"); /* the configuration goes first */
    ck_assert_int_eq(open_chosen(COSY_SYS_EPOLL, "kqueue", name), 0);
    ck_assert_int_eq(open_chosen((enum cosy_sys_kind)77, NULL, name), -EINVAL);
    ck_assert_int_eq(open_chosen(COSY_SYS_AUTO, "", name), 0);
    ck_assert_str_eq(name, have_uring ? "uring" : "epoll");
    ck_assert_int_eq(open_chosen(COSY_SYS_AUTO, NULL, name), 0);
    ck_assert_str_eq(name, have_uring ? "uring" : "epoll");
    struct cosy_sys *sys;
    ck_assert_int_eq(cosy_sys_open(&sys, NULL), 0);
    sys->ops->close(sys);
}
END_TEST

START_TEST(epoll_steps_in_where_io_uring_is_refused)
{
    static const int refusals[] = {EPERM, ENOSYS, ENOMEM, EACCES};
    enum { SETUP = 2 }; /* after the eventfd */
    char name[16];
    for (size_t i = 0; i < COUNT_OF(refusals); i++) {
        cosy_sys_fail_nth(SETUP, refusals[i]);
        ck_assert_int_eq(open_chosen(COSY_SYS_AUTO, NULL, name), 0);
        cosy_sys_fail_nth(0, 0);
        ck_assert_str_eq(name, "epoll");
        cosy_sys_fail_nth(SETUP, refusals[i]);
        ck_assert_int_eq(open_chosen(COSY_SYS_AUTO, "uring", name), -refusals[i]);
        cosy_sys_fail_nth(0, 0);
    }
}
END_TEST

/* A kernel that does not know a flag answers EINVAL: the next set of flags has to work as well. */
START_TEST(older_kernels_flags_work_too)
{
    enum { SETUP = 2 };
    cosy_sys_fail_nth(SETUP, EINVAL);
    struct cosy_sys *sys = NULL;
    ck_assert_int_eq(cosy_sys_open(&sys, &(struct cosy_sys_config){.kind = COSY_SYS_URING}), 0);
    cosy_sys_fail_nth(0, 0);
    struct visit here = {.sys = sys, .pipe = make_pipe()};
    here.mark = &here;
    watch(sys, here.pipe.in, COSY_SYS_READ, &here);
    for (int i = 0; i < 3; i++)
        visit(&here);
    ck_assert_int_eq(sys->ops->wake(sys), 0);
    struct cosy_sys_event events[EVENTS];
    ck_assert_int_eq(sys->ops->wait(sys, COSY_NEVER, events, EVENTS), 0);
    close_pair(here.pipe);
    sys->ops->close(sys);
}
END_TEST

/* A kernel before 5.11 has no epoll_pwait2. */
START_TEST(milliseconds_are_rounded_up)
{
    struct cosy_sys *sys = NULL;
    struct cosy_sys_event events[EVENTS];
    ck_assert_int_eq(cosy_sys_open(&sys, &(struct cosy_sys_config){.kind = COSY_SYS_EPOLL}), 0);
    if (!under_valgrind()) /* where the call is not tried */
        cosy_sys_fail_nth(1, ENOSYS);
    for (int i = 0; i < 3; i++) {
        cosy_ns deadline = now_of(sys) + COSY_US(1500);
        do /* once, unless valgrind interrupts the call, as it does now and then */
            ck_assert_int_eq(sys->ops->wait(sys, deadline, events, EVENTS), 0);
        while (under_valgrind() && now_of(sys) < deadline);
        ck_assert_int_ge(now_of(sys), deadline);
    }
    if (!under_valgrind())
        ck_assert_int_eq(cosy_sys_counted(), 4); /* asked for once, and then one call each */
    cosy_sys_fail_nth(0, 0);
    sys->ops->close(sys);
}
END_TEST

/* ---- the program ---- */

static void add_choice(Suite *suite)
{
    TCase *choice = tcase_create("choice");
    tcase_add_test(choice, the_environment_chooses);
    tcase_add_test(choice, milliseconds_are_rounded_up);
    if (have_uring) {
        tcase_add_test(choice, epoll_steps_in_where_io_uring_is_refused);
        tcase_add_test(choice, older_kernels_flags_work_too);
    }
    suite_add_tcase(suite, choice);
}

int main(void)
{
    Suite *suite = create_suite("sys_choice");
    add_choice(suite);
    return run_suite(suite);
}
