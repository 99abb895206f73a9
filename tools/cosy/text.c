/* text.c - strings, argument lists and messages of the `cosy` command. */
#include "tool.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A command that cannot get a few hundred bytes cannot compile anything either: it ends. */
static void *must(void *memory)
{
    if (memory)
        return memory;
    fputs("cosy: out of memory\n", stderr);
    exit(TOOL_USAGE);
}

int tool_fail(const char *command, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, command ? "cosy %s: " : "cosy: ", command);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return TOOL_USAGE;
}

static char *format_text_v(const char *format, va_list args)
{
    char *text = NULL;
    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    return must(text);
}

char *format_text(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = format_text_v(format, args);
    va_end(args);
    return text;
}

static void list_take(struct list *list, char *text)
{
    if (list->count + 2 > list->room) {
        list->room = list->room ? 2 * list->room : 32;
        list->items = must(realloc(list->items, list->room * sizeof(*list->items)));
    }
    list->items[list->count++] = text;
    list->items[list->count] = NULL;
}

void list_add(struct list *list, const char *text)
{
    list_take(list, must(strdup(text)));
}

void list_addf(struct list *list, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    list_take(list, format_text_v(format, args));
    va_end(args);
}

void list_add_words(struct list *list, const char *words)
{
    for (;;) {
        words += strspn(words, " \t");
        size_t length = strcspn(words, " \t");
        if (length == 0)
            return;
        list_take(list, must(strndup(words, length)));
        words += length;
    }
}

void list_free(struct list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct list){0};
}
