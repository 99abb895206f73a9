#include <cosy/err.h>
#include <cosy/version.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base.h"

static const struct {
    int code;
    const char *name, *text;
} own[] = {
#define ROW(name, number, title, text) {number, #name, text},
    COSY_ERRORS(ROW)
#undef ROW
};

static unsigned magnitude(int code) { return code < 0 ? 0u - (unsigned)code : (unsigned)code; }

const char *cosy_strerror(int code)
{
    unsigned wanted = magnitude(code);
    for (size_t i = 0; i < COUNT_OF(own); i++)
        if ((unsigned)own[i].code == wanted)
            return own[i].text;
    const char *text = wanted <= 4095 ? strerrordesc_np((int)wanted) : NULL;
    return text ? text : "unknown error";
}

const char *cosy_errname(int code)
{
    unsigned wanted = magnitude(code);
    for (size_t i = 0; i < COUNT_OF(own); i++)
        if ((unsigned)own[i].code == wanted)
            return own[i].name;
    const char *name = wanted <= 4095 ? strerrorname_np((int)wanted) : NULL;
    return name ? name : "E?";
}

_Noreturn void cosy_assert_failed(const char *condition, const char *file, int line, const char *func)
{
    fprintf(stderr, "cosy: internal error: '%s' does not hold at %s:%d (%s)\n", condition, file, line, func);
    abort();
}

const char *cosy_version(void) { return COSY_VERSION; }
