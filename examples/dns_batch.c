/* dns_batch.c - addresses of many names: so many look-ups at once, the answers in the order of the names.
 *
 *     dns_batch [-4 | -6] [-n AT_ONCE] NAME...       IPv4 or IPv6 only; eight at once
 *     dns_batch -n 50 - < names.txt                  a name in each line; # begins a comment
 *     COSY_RESOLVER=ares dns_batch -n 50 - < ...     by c-ares, without threads
 *     dns_batch                                      a few that every machine knows
 *
 * An answer is a line: the name and its addresses. What has none is told on standard error, and makes the exit status 1. A cache
 * is switched on: a name that comes again is not looked up again.
 */
#include <cosy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct name {
    cosy_task *task; /* looks it up */
    cosy_address_list *addresses;
    char text[];
};

typedef COSY_QUEUE(struct name *) name_queue;

/* One task reads names and starts their look-ups, another shows the answers, the oldest first. */
struct batch {
    int family;
    cosy_semaphore slots; /* of look-ups */
    name_queue names;     /* begun and not shown: as many as there are slots */
    bool failed;
};

/* ---- one name ---- */

cosy_async static int look_up(struct batch *batch, struct name *name)
{
    int err = 0;
    COSY_LOCKED (err, &batch->slots) { /* async with slots: */
        cosy_check(err, cosy_getaddrinfo(name->text, NULL, &name->addresses, .family = batch->family, .type = SOCK_STREAM));
    }
    return err;
}

static struct name *name_new(struct batch *batch, const char *text, size_t length)
{
    struct name *name = calloc(1, sizeof *name + length + 1);
    if (name) {
        memcpy(name->text, text, length);
        name->task = cosy_create_task(look_up, batch, name);
    }
    return name;
}

/* Its task goes first: it writes into it. */
cosy_async static void name_drop(struct name *name)
{
    cosy_task_cancel(name->task);
    (void)cosy_await(name->task);
    cosy_task_drop(name->task);
    cosy_address_list_free(name->addresses);
    free(name);
}

static void show(const struct name *name)
{
    char text[COSY_ADDRESS_TEXT];
    printf("%s", name->text);
    for (size_t i = 0; i < name->addresses->count; i++)
        printf(" %s", cosy_address_host(&name->addresses->items[i].address, text));
    printf("\n");
}

/* ---- all of them ---- */

cosy_async static int add(struct batch *batch, const char *text, size_t length)
{
    struct name *name = name_new(batch, text, length);
    int result = name ? cosy_queue_put(&batch->names, name) : -ENOMEM;
    if (name && result < 0)
        name_drop(name);
    return result;
}

cosy_async static int add_lines(struct batch *batch)
{
    cosy_scoped(cosy_stream) input = NULL;
    int64_t length;
    cosy_try(cosy_stdin(&input));
    COSY_LINES (input, line, length) {
        const char *text = line + strspn(line, " \t\r\n");
        size_t size = strcspn(text, " \t\r\n#");
        if (size > 0)
            cosy_try(add(batch, text, size));
    }
    return (int)length;
}

cosy_async static int add_all(struct batch *batch, char **names)
{
    for (; *names; names++)
        cosy_try(strcmp(*names, "-") == 0 ? add_lines(batch) : add(batch, *names, strlen(*names)));
    cosy_queue_shutdown(&batch->names, false);
    return 0;
}

cosy_async static int show_all(struct batch *batch)
{
    struct name *name;
    int result;
    while ((result = cosy_queue_get(&batch->names, &name)) == 0) {
        result = cosy_await(name->task);
        if (result == 0)
            show(name);
        else if (result != -ECANCELED)
            fprintf(stderr, "%s\n", cosy_error_message(result));
        batch->failed |= result < 0;
        name_drop(name);
        if (result == -ECANCELED)
            break;
    }
    return result == -COSY_EQUEUESHUTDOWN ? 0 : result;
}

cosy_async static int run(struct batch *batch, char **names)
{
    cosy_scoped(cosy_task_group) group = cosy_task_group_open(); /* async with asyncio.TaskGroup() as group: */
    cosy_task_group_spawn(group, add_all, batch, names);
    cosy_task_group_spawn(group, show_all, batch);
    return cosy_task_group_wait(group);
}

cosy_async static int amain(int family, unsigned at_once, char **names)
{
    struct batch batch = {.family = family, .slots = COSY_SEMAPHORE(at_once)};
    struct name *name;
    cosy_try(cosy_set_dns_cache());
    cosy_queue_init(&batch.names, .maxsize = at_once);
    int result = run(&batch, names);
    while (cosy_queue_get_nowait(&batch.names, &name) == 0) /* after an error or Ctrl-C */
        name_drop(name);
    cosy_queue_destroy(&batch.names);
    return result < 0 ? result : batch.failed;
}

static int usage(void)
{
    fprintf(stderr, "usage: dns_batch [-4 | -6] [-n AT_ONCE] [NAME | -]...\n");
    return 2;
}

int main(int argc, char **argv)
{
    static char *known[] = {"localhost", "127.0.0.1", "192.0.2.7", "localhost", "0.0.0.0", NULL};
    int family = AF_UNSPEC, option;
    long at_once = 8;
    char *end = "";
    while ((option = getopt(argc, argv, "+46n:")) != -1)
        if (option == 'n')
            at_once = strtol(optarg, &end, 10);
        else if (option == '4' || option == '6')
            family = option == '4' ? AF_INET : AF_INET6;
        else
            return usage();
    if (*end || at_once < 1 || at_once > 10000)
        return usage();
    setvbuf(stdout, NULL, _IOLBF, 0); /* answers and errors in their order, also when both go to one file */
    return optind < argc ? cosy_main(amain, family, (unsigned)at_once, argv + optind)
                         : cosy_main(amain, AF_INET, (unsigned)at_once, known);
}

/* Output:
 * localhost 127.0.0.1
 * 127.0.0.1 127.0.0.1
 * 192.0.2.7 192.0.2.7
 * localhost 127.0.0.1
 * 0.0.0.0 0.0.0.0
 */
