/* process_user.c - whom a program becomes: names and numbers of users and groups. */
#include "process.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cosy/executor.h>
#include <cosy/trace.h>

#include "../base/heap.h"

#undef COSY_PLACE_
#define COSY_PLACE_ NULL

enum { ENTRY_ROOM = 1024, ENTRY_MOST = 1 << 20, GROUPS_MOST = 65536 };

static bool is_number(const char *text, unsigned *ret_number)
{
    char *end;
    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    unsigned long number = strtoul(text, &end, 10);
    *ret_number = (unsigned)number;
    return *end == 0 && errno == 0 && number < UINT32_MAX; /* the last one means "no change" */
}

static int unknown(const char *what, const char *name, int error)
{
    if (error == ENOMEM)
        return -ENOMEM;
    if (error == 0 || error == ENOENT || error == ESRCH || error == EBADF || error == EPERM)
        return cosy_fail(ENOENT, "there is no %s '%.100s'", what, name);
    return cosy_fail(error, "looking up the %s '%.100s': %s", what, name, cosy_strerror(error));
}

/* Calls with more and more room for the entry's strings. The loop ends by break, or with `error` set. */
#define WITH_ROOM(room, error, call)                                                                                   \
    for (size_t size_ = ENTRY_ROOM; error == ERANGE && size_ <= ENTRY_MOST; size_ *= 2) {                              \
        char *more_ = cosy_heap_resize(room, size_);                                                                   \
        error = more_ ? 0 : ENOMEM;                                                                                    \
        room = more_ ? more_ : room;                                                                                   \
        if (more_)                                                                                                     \
            error = call(room, size_);                                                                                 \
    }

static int find_group(const char *name, gid_t *ret_gid)
{
    unsigned number;
    struct group entry, *found = NULL;
    char *room = NULL;
    int error = ERANGE;
    if (is_number(name, &number)) {
        *ret_gid = number;
        return 0;
    }
#define CALL(memory, size) getgrnam_r(name, &entry, memory, size, &found)
    WITH_ROOM(room, error, CALL)
#undef CALL
    if (found)
        *ret_gid = found->gr_gid;
    cosy_heap_free(room);
    return found ? 0 : unknown("group", name, error);
}

static int find_groups_of(struct cosy_launch *launch, const char *name, gid_t gid)
{
    int count = 32, room;
    do {
        room = count;
        gid_t *groups = cosy_heap_resize(launch->groups, (size_t)room * sizeof *groups);
        if (!groups)
            return -ENOMEM;
        launch->groups = groups;
        if (getgrouplist(name, gid, groups, &count) >= 0)
            break;
        count = count > room ? count : 2 * room;
    } while (room < GROUPS_MOST);
    launch->plan.groups = launch->groups;
    launch->plan.group_count = (size_t)(count < room ? count : room);
    launch->plan.set_groups = true;
    return 0;
}

/* A number alone says nothing of groups: it gets none, rather than the parent's. */
static int find_user(struct cosy_launch *launch, const char *name)
{
    struct cosy_child_plan *plan = &launch->plan;
    unsigned number;
    struct passwd entry, *found = NULL;
    char *room = NULL;
    int error = ERANGE;
    plan->set_uid = true;
    if (is_number(name, &number)) {
        plan->uid = number;
        plan->set_groups = geteuid() == 0;
        return 0;
    }
#define CALL(memory, size) getpwnam_r(name, &entry, memory, size, &found)
    WITH_ROOM(room, error, CALL)
#undef CALL
    int result = found ? 0 : unknown("user", name, error);
    if (found) {
        plan->uid = found->pw_uid;
        plan->gid = found->pw_gid;
        plan->set_gid = true;
        if (!launch->options->groups)
            result = find_groups_of(launch, name, found->pw_gid);
    }
    cosy_heap_free(room);
    return result;
}

static int find_all(struct cosy_launch *launch)
{
    const struct cosy_process_options *options = launch->options;
    struct cosy_child_plan *plan = &launch->plan;
    int result = options->user ? find_user(launch, options->user) : 0;
    if (result == 0 && options->group) {
        plan->set_gid = true;
        result = find_group(options->group, &plan->gid);
    }
    if (result < 0 || !options->groups)
        return result;
    size_t count = 0;
    while (options->groups[count])
        count++;
    launch->groups = cosy_heap_alloc((count + 1) * sizeof *launch->groups);
    if (!launch->groups)
        return -ENOMEM;
    for (size_t i = 0; i < count && result == 0; i++)
        result = find_group(options->groups[i], &launch->groups[i]);
    plan->groups = launch->groups;
    plan->group_count = count;
    plan->set_groups = true;
    return result;
}

static bool is_name(const char *text)
{
    unsigned number;
    return text && !is_number(text, &number);
}

static bool has_names(const struct cosy_process_options *options)
{
    bool names = is_name(options->user) || is_name(options->group);
    for (size_t i = 0; options->groups && options->groups[i]; i++)
        names |= is_name(options->groups[i]);
    return names;
}

/* The name service may ask other machines. */
cosy_async int cosy_launch_find_users(struct cosy_launch *launch)
{
    const struct cosy_process_options *options = launch->options;
    if (!options->user && !options->group && !options->groups)
        return 0;
    if (!has_names(options))
        return find_all(launch);
    return cosy_run_in_executor(cosy_default_executor(COSY_POOL_DNS), find_all, launch);
}
