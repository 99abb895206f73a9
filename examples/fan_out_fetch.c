/* fan_out_fetch.c - many pages at once by HTTP/1.0: so many connections at a time, a limit in time for each page.
 *
 *     fan_out_fetch http://example.com/ http://127.0.0.1:8000/README.md ...
 *
 * One page that fails or is late does not disturb the others. Without arguments it fetches from a small server of its
 * own.
 */
#include <cosy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { AT_A_TIME = 4 };

struct page {
    const char *url;
    int status;    /* 200, 404 ... */
    int64_t bytes; /* of its body */
    int error;
    char message[160];
};

struct url {
    char host[128];
    unsigned port;
    const char *path;
};

static cosy_semaphore connections = COSY_SEMAPHORE(AT_A_TIME);

static int parse_url(const char *text, struct url *out)
{
    int used = 0;
    *out = (struct url){.port = 80};
    if (sscanf(text, "http://%127[^/:]%n", out->host, &used) != 1)
        return cosy_fail(EINVAL, "%s is no http:// address", text);
    if (text[used] == ':')
        out->port = (unsigned)strtoul(text + used + 1, NULL, 10);
    const char *path = strchr(text + used, '/');
    out->path = path ? path : "/";
    return 0;
}

cosy_async static int get(const char *text, struct page *out)
{
    struct url url;
    char *line;
    cosy_scoped(cosy_stream) stream = NULL;
    cosy_try(parse_url(text, &url));
    cosy_try(cosy_open_connection(url.host, url.port, &stream)); /* await asyncio.open_connection(host, port) */
    cosy_try(cosy_printf(stream, "GET %s HTTP/1.0\r\nHost: %s\r\n\r\n", url.path, url.host));

    if (cosy_try(cosy_readline(stream, &line)) == 0 || sscanf(line, "HTTP/%*s %d", &out->status) != 1)
        return cosy_fail(EPROTO, "%s: this is no answer of HTTP", text);
    while (cosy_try(cosy_readline(stream, &line)) > 0 && strcmp(line, "\r\n") != 0)
        ; /* headers */

    int64_t length;
    COSY_CHUNKS (stream, chunk, length) /* async for chunk in reader */
        out->bytes += length;
    return (int)length;
}

cosy_async static int fetch(struct page *page, cosy_ns limit)
{
    int err = 0;
    COSY_LOCKED (err, &connections) { /* async with connections: */
        page->error = cosy_wait_for(cosy_call(get, page->url, page), limit);
        snprintf(page->message, sizeof page->message, "%s", cosy_error_message(page->error));
    }
    return err;
}

cosy_async static int fetch_all(struct page *pages, int count)
{
    cosy_scoped(cosy_task_group) group = cosy_task_group_open(); /* async with asyncio.TaskGroup() as group: */
    for (int i = 0; i < count; i++)
        cosy_task_group_create_task(group, fetch, &pages[i], COSY_MS(500));
    return cosy_task_group_wait(group);
}

/* ---- a server to fetch from ---- */

cosy_async static int answer(cosy_stream *stream, const char *body)
{
    char *line, path[64] = "";
    while (cosy_try(cosy_readline(stream, &line)) > 0 && strcmp(line, "\r\n") != 0)
        sscanf(line, "GET %63s", path);
    if (strcmp(path, "/slow") == 0)
        cosy_try(cosy_sleep(COSY_S(60)));
    int found = strcmp(path, "/gone") != 0;
    return cosy_printf(stream, "HTTP/1.0 %s\r\n\r\n%s", found ? "200 OK" : "404 Not Found", found ? body : "");
}

cosy_async static int fetch_from_myself(void)
{
    static const char *const paths[] = {"/a", "/gone", "/b", "/slow", "/c", "/d"};
    enum { COUNT = sizeof paths / sizeof *paths };
    struct page pages[COUNT] = {0};
    char urls[COUNT][64];
    cosy_scoped(cosy_server) server = NULL;
    cosy_try(cosy_start_server(&server, answer, "Hello from cosy.\n", "127.0.0.1", 0));
    for (int i = 0; i < COUNT; i++) {
        snprintf(urls[i], sizeof urls[i], "http://127.0.0.1:%u%s", cosy_server_port(server), paths[i]);
        pages[i].url = urls[i];
    }
    cosy_try(fetch_all(pages, COUNT));
    for (int i = 0; i < COUNT; i++)
        printf("%-6s %d, %d bytes%s\n", paths[i], pages[i].status, (int)pages[i].bytes,
               pages[i].error == -ETIMEDOUT ? ": too late" : "");
    return 0;
}

cosy_async static int amain(int count, char **urls)
{
    int failed = 0;
    if (count == 0)
        return fetch_from_myself();
    struct page *pages = calloc((size_t)count, sizeof *pages);
    for (int i = 0; i < count; i++)
        pages[i].url = urls[i];
    int result = fetch_all(pages, count);
    for (int i = 0; i < count; i++) {
        failed |= pages[i].error < 0;
        if (pages[i].error < 0)
            printf("%s: %s\n", pages[i].url, *pages[i].message ? pages[i].message : cosy_strerror(pages[i].error));
        else
            printf("%s: %d, %lld bytes\n", pages[i].url, pages[i].status, (long long)pages[i].bytes);
    }
    free(pages);
    return result < 0 ? result : failed;
}

int main(int argc, char **argv)
{
    return cosy_main(amain, argc - 1, argv + 1);
}

/* Output:
 * /a     200, 17 bytes
 * /gone  404, 0 bytes
 * /b     200, 17 bytes
 * /slow  0, 0 bytes: too late
 * /c     200, 17 bytes
 * /d     200, 17 bytes
 */
