/* walk.c - everything that a loop holds for the program, one after the other. */
#include <cosy/embed.h>

#include "borrow.h"
#include "request.h"

struct walk {
    void (*visit)(const struct cosy_loop_item *item, void *arg);
    void *arg;
};

static void show(const struct walk *walk, enum cosy_loop_item_kind kind, int fd)
{
    walk->visit(&(const struct cosy_loop_item){.kind = kind, .fd = fd}, walk->arg);
}

static void walk_borrows(const struct cosy_loop *loop, const struct walk *walk)
{
    for (const struct cosy_link *link = NULL; (link = cosy_fd_table_next(&loop->borrows, link));) {
        const struct cosy_borrow *borrow = container_of(link, struct cosy_borrow, link);
        for (int side = COSY_PORT_READ; side <= COSY_PORT_WRITE; side++) {
            const struct cosy_link *line = &borrow->line[side];
            for (const struct cosy_link *at = line->next; at != line; at = at->next)
                if (container_of(at, struct cosy_borrow_waiter, link)->ready != cosy_op_told)
                    show(walk, COSY_ITEM_WAIT, borrow->fd);
        }
    }
}

static void walk_ports(const struct cosy_loop *loop, const struct walk *walk)
{
    for (const struct cosy_link *link = NULL; (link = cosy_fd_table_next(&loop->ports, link));)
        show(walk, COSY_ITEM_STREAM, container_of(link, struct cosy_port, of_loop)->fd);
}

void cosy_loop_walk(cosy_loop *loop, void (*visit)(const struct cosy_loop_item *item, void *arg), void *arg)
{
    if (!loop || loop->closed)
        return;
    const struct walk walk = {visit, arg};
    cosy_watchers_walk(loop, visit, arg);
    cosy_ops_walk(loop, visit, arg);
    walk_borrows(loop, &walk);
    walk_ports(loop, &walk);
}
