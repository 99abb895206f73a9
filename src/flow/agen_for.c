/* agen_for.c - async for: the source is opened, asked, and closed on every way out. */
#include <cosy/log.h>

#include "agen.h"

bool cosy_for_open_(struct cosy_for_ *loop, struct cosy_source_ source, size_t size)
{
    cosy_aiter *iter = source.iter;
    *loop->err_ = 0;
    loop->source_ = source;
    if (!source.gen && !iter)
        *loop->err_ = cosy_creation_error();
    else if (iter && iter->item_size && iter->item_size != size)
        *loop->err_ = cosy_fail(EINVAL, "COSY_FOR takes items of %zu bytes, but its source gives %zu", size, iter->item_size);
    loop->stage_ = source.gen || iter ? 1 : 2;
    if (*loop->err_ < 0)
        cosy_for_close_(loop);
    return *loop->err_ == 0;
}

bool cosy_for_stop_(struct cosy_for_ *loop, int result)
{
    if (result > 0)
        result = cosy_fail(EINVAL, "the next() of a source returned %d: neither 0 nor an error", result);
    if (result != -COSY_ESTOPITER)
        *loop->err_ = result;
    return false;
}

static int close_source(struct cosy_for_ *loop)
{
    struct cosy_source_ source = loop->source_;
    if (loop->stage_ != 1)
        return 0;
    loop->stage_ = 2;
    if (source.gen)
        return cosy_aclose(source.gen);
    return source.iter->close ? source.iter->close(source.iter) : 0;
}

static void give_up(struct cosy_for_ *loop)
{
    struct cosy_agen *gen = loop->source_.gen;
    if (gen && gen->owned)
        cosy_agen_drop(gen);
}

/* The body's error stays, but a cancel must not be lost. */
void cosy_for_close_(struct cosy_for_ *loop)
{
    bool open = loop->stage_ == 1;
    int result = close_source(loop);
    if (result < 0 && (*loop->err_ >= 0 || result == -ECANCELED))
        *loop->err_ = result;
    if (open)
        give_up(loop);
}

/* By return or goto: what the function returns is settled, so there is no one to return the close's error to. */
void cosy_for_leave_(struct cosy_for_ *loop)
{
    if (loop->stage_ != 1)
        return;
    int result = close_source(loop);
    if (loop->source_.gen)
        cosy_agen_tell_end(loop->source_.gen, result);
    else if (result == -ECANCELED)
        cosy_task_keep_cancel(cosy_task_here());
    else if (result < 0)
        cosy_log(COSY_LOG_ERROR, "cosy: closing the source of a COSY_FOR came to %s: %s", cosy_errname(result),
                 cosy_error_message(result));
    give_up(loop);
}
