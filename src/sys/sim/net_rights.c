/* net_rights.c - descriptors under way in messages (SCM_RIGHTS). Virtual ones are references of files, real ones
 * duplicates. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "../syscalls.h"
#include "socket.h"

enum { MOST = 253 }; /* SCM_MAX_FD */

static bool is_rights(const struct cmsghdr *control)
{
    return control->cmsg_level == SOL_SOCKET && control->cmsg_type == SCM_RIGHTS;
}

static size_t count_in(const struct cmsghdr *control)
{
    return (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);
}

static int take_one(struct sim_network *network, int fd, struct sim_right *right)
{
    *right = (struct sim_right){.real = -1};
    if (sim_is_virtual(fd)) {
        right->file = cosy_sim_file(network, fd);
        if (!right->file)
            return -EBADF;
        right->file->references++;
        return 0;
    }
    right->real = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    return right->real < 0 ? -errno : 0;
}

static int take_all(struct sim_network *network, struct cmsghdr *control, struct sim_rights *rights)
{
    for (size_t i = 0, count = count_in(control); i < count; i++) {
        int fd;
        memcpy(&fd, CMSG_DATA(control) + i * sizeof fd, sizeof fd);
        int error = take_one(network, fd, &rights->list[rights->count]);
        if (error)
            return error;
        rights->count++;
    }
    return 0;
}

static int check(const struct msghdr *message, size_t *ret_count)
{
    struct msghdr *all = (struct msghdr *)(uintptr_t)message;
    *ret_count = 0;
    if (!message->msg_control)
        return 0;
    const char *end = (const char *)message->msg_control + message->msg_controllen;
    for (struct cmsghdr *control = CMSG_FIRSTHDR(all); control; control = CMSG_NXTHDR(all, control)) {
        if (control->cmsg_len < CMSG_LEN(0) || control->cmsg_len > (size_t)(end - (char *)control))
            return -EINVAL;
        if (is_rights(control))
            *ret_count += count_in(control);
    }
    return *ret_count > MOST ? -EINVAL : 0;
}

int cosy_sim_rights_take(struct sim_network *network, const struct msghdr *message, struct sim_rights **ret_rights)
{
    size_t count;
    int error = check(message, &count);
    *ret_rights = NULL;
    if (error || count == 0)
        return error;
    struct sim_rights *rights = cosy_heap_zalloc(sizeof *rights + count * sizeof rights->list[0]);
    if (!rights)
        return -ENOBUFS;
    struct msghdr *all = (struct msghdr *)(uintptr_t)message;
    for (struct cmsghdr *control = CMSG_FIRSTHDR(all); control && !error; control = CMSG_NXTHDR(all, control))
        if (is_rights(control))
            error = take_all(network, control, rights);
    if (error) {
        cosy_sim_rights_free(network, rights);
        return error;
    }
    *ret_rights = rights;
    return 0;
}

void cosy_sim_rights_free(struct sim_network *network, struct sim_rights *rights)
{
    for (int i = 0; i < rights->count; i++)
        if (rights->list[i].file)
            cosy_sim_file_release(network, rights->list[i].file);
        else if (rights->list[i].real >= 0)
            close(rights->list[i].real);
    cosy_heap_free(rights);
}

/* Its number in this process; a real one is given away unless the message keeps it. */
static int install(struct sim_network *network, struct sim_right *right, bool keep)
{
    if (right->file)
        return cosy_sim_install(network, right->file);
    int fd = keep ? fcntl(right->real, F_DUPFD_CLOEXEC, 0) : right->real;
    if (fd >= 0 && !keep)
        right->real = -1;
    return fd < 0 ? -errno : fd;
}

void cosy_sim_rights_give(struct sim_network *network, struct sim_rights *rights, struct msghdr *message, bool keep)
{
    size_t space = message->msg_control ? message->msg_controllen : 0;
    size_t most = space < CMSG_LEN(sizeof(int)) ? 0 : (space - CMSG_LEN(0)) / sizeof(int);
    int given = 0;
    for (; given < rights->count && (size_t)given < most; given++) {
        int fd = install(network, &rights->list[given], keep);
        if (fd < 0)
            break;
        memcpy((char *)message->msg_control + CMSG_LEN(0) + (size_t)given * sizeof fd, &fd, sizeof fd);
    }
    if (given < rights->count)
        message->msg_flags |= MSG_CTRUNC;
    if (given == 0)
        return;
    struct cmsghdr head = {
        .cmsg_len = CMSG_LEN((size_t)given * sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(message->msg_control, &head, sizeof head);
    size_t used = CMSG_SPACE((size_t)given * sizeof(int));
    message->msg_controllen = used < space ? used : space;
    message->msg_control = NULL; /* full */
}
