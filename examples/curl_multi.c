/* curl_multi.c - libcurl's transfers as async calls: its multi interface on cosy's loop. Needs libcurl.
 *
 *     curl_multi URL...        gets them all at once; without arguments, five pages of a server of its own
 *
 * libcurl says which sockets it wants to be told of and when its timer is due (CURLMOPT_SOCKETFUNCTION,
 * CURLMOPT_TIMERFUNCTION); cosy tells it. A task that waits for a transfer can be cancelled, given a limit in time,
 * gathered, as with any other wait.
 */
#include <cosy.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- libcurl on a loop ---- */

struct web {
    CURLM *multi;
    cosy_loop *loop;
    cosy_handle timer;
};

/* A transfer that a task waits for. */
struct transfer {
    cosy_awaitable awaitable; /* first: the hooks get its address */
    struct web *web;
    CURL *easy;
    cosy_waker waker;
};

static void tell_those_that_are_done(struct web *web)
{
    int left;
    for (CURLMsg *message; (message = curl_multi_info_read(web->multi, &left));) {
        struct transfer *transfer;
        CURLcode code = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&transfer);
        curl_multi_remove_handle(web->multi, transfer->easy);
        cosy_wake(transfer->waker, code == CURLE_OK ? 0 : -EIO);
    }
}

/* A socket of libcurl's is ready. Its callbacks may close the socket meanwhile, and free this. */
struct watch {
    struct web *web;
    int fd;
};

static void act(struct web *web, curl_socket_t fd, int what)
{
    int running;
    curl_multi_socket_action(web->multi, fd, what, &running);
    tell_those_that_are_done(web);
}

static void on_readable(void *arg)
{
    struct watch *watch = arg;
    act(watch->web, watch->fd, CURL_CSELECT_IN);
}
static void on_writable(void *arg)
{
    struct watch *watch = arg;
    act(watch->web, watch->fd, CURL_CSELECT_OUT);
}
static void on_timer(void *arg)
{
    act(arg, CURL_SOCKET_TIMEOUT, 0);
}

static int want_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
    struct web *web = arg;
    struct watch *watch = known;
    (void)easy;
    if (what == CURL_POLL_REMOVE || !(what & CURL_POLL_IN))
        cosy_remove_reader(web->loop, fd);
    if (what == CURL_POLL_REMOVE || !(what & CURL_POLL_OUT))
        cosy_remove_writer(web->loop, fd);
    if (what == CURL_POLL_REMOVE) {
        free(watch);
        return 0;
    }
    if (!watch) {
        watch = malloc(sizeof *watch);
        *watch = (struct watch){web, fd};
        curl_multi_assign(web->multi, fd, watch);
    }
    int result = 0;
    if (what & CURL_POLL_IN)
        result = cosy_add_reader(web->loop, fd, on_readable, watch);
    if (what & CURL_POLL_OUT && result == 0)
        result = cosy_add_writer(web->loop, fd, on_writable, watch);
    return result < 0 ? -1 : 0;
}

static int want_timer(CURLM *multi, long ms, void *arg)
{
    struct web *web = arg;
    (void)multi;
    cosy_handle_cancel(&web->timer);
    return ms < 0 ? 0 : cosy_handle_start_later(web->loop, &web->timer, COSY_MS(ms)) < 0 ? -1 : 0;
}

static void web_open(struct web *web)
{
    web->loop = cosy_running_loop();
    web->multi = curl_multi_init();
    cosy_handle_init(&web->timer, on_timer, web);
    curl_multi_setopt(web->multi, CURLMOPT_SOCKETFUNCTION, want_socket);
    curl_multi_setopt(web->multi, CURLMOPT_SOCKETDATA, web);
    curl_multi_setopt(web->multi, CURLMOPT_TIMERFUNCTION, want_timer);
    curl_multi_setopt(web->multi, CURLMOPT_TIMERDATA, web);
}

static void web_close(struct web *web)
{
    curl_multi_cleanup(web->multi);
    cosy_handle_cancel(&web->timer);
}

/* ---- a transfer as an awaitable ---- */

static int start(cosy_awaitable *self, cosy_waker waker)
{
    struct transfer *transfer = (struct transfer *)self;
    transfer->waker = waker;
    curl_easy_setopt(transfer->easy, CURLOPT_PRIVATE, transfer);
    return curl_multi_add_handle(transfer->web->multi, transfer->easy) == CURLM_OK ? 1 : -EINVAL;
}

static bool cancel(cosy_awaitable *self)
{
    struct transfer *transfer = (struct transfer *)self;
    curl_multi_remove_handle(transfer->web->multi, transfer->easy);
    return false; /* cosy wakes the task */
}

cosy_async static int web_perform(struct web *web, CURL *easy)
{
    struct transfer transfer = {{start, cancel, "a transfer of libcurl"}, web, easy, {0}};
    return cosy_await(&transfer.awaitable);
}

/* ---- the program ---- */

static size_t keep(char *data, size_t size, size_t count, void *arg)
{
    return fwrite(data, size, count, arg);
}

/* Gets a page: its status, and its text, to be freed. */
cosy_async static int get(struct web *web, const char *url, char **ret_text)
{
    long status = 0;
    size_t size;
    CURL *easy = curl_easy_init();
    FILE *text = open_memstream(ret_text, &size);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, keep);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, text);
    int result = web_perform(web, easy);
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    fclose(text);
    curl_easy_cleanup(easy);
    return result < 0 ? result : (int)status;
}

enum { MOST = 64 };

cosy_async static int get_all(struct web *web, char **urls, size_t count)
{
    char *texts[MOST] = {NULL};
    cosy_task *tasks[MOST];
    for (size_t i = 0; i < count; i++)
        tasks[i] = cosy_create_task(get, web, urls[i], &texts[i]);
    for (size_t i = 0; i < count; i++) {
        int status = cosy_await(tasks[i]);
        printf("%s: %d, %zu bytes, '%.12s'\n", strrchr(urls[i], '/'), status, strlen(texts[i]), texts[i]);
        free(texts[i]);
        cosy_task_drop(tasks[i]);
    }
    return 0;
}

/* ---- a server, to have something to get ---- */

static int at_once, most_at_once;

cosy_async static int answer(int fd)
{
    char request[2048], name[32] = "", reply[256];
    int size = 0, n;
    while ((n = cosy_sock_recv(fd, request + size, sizeof request - 1 - (size_t)size)) > 0) {
        size += n;
        request[size] = 0;
        if (strstr(request, "\r\n\r\n"))
            break;
    }
    sscanf(request, "GET /%31s", name);
    most_at_once = ++at_once > most_at_once ? at_once : most_at_once;
    int result = cosy_sleep(strcmp(name, "slow") == 0 ? COSY_S(3600) : COSY_MS(50));
    at_once--;
    if (n > 0 && result == 0) {
        int length =
            snprintf(reply, sizeof reply, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nConnection: close\r\n\r\npage %s",
                     strlen(name) + 5, name);
        result = cosy_sock_sendall(fd, reply, (size_t)length, NULL);
    }
    close(fd);
    return result == -ECANCELED ? result : 0;
}

cosy_async static int serve(int listening)
{
    for (;;)
        cosy_try(cosy_spawn(answer, cosy_try(cosy_sock_accept(listening, NULL))));
}

cosy_async static int with_own_server(struct web *web)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    char space[6][64], *urls[6], *text = NULL;
    int listening = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (bind(listening, (struct sockaddr *)&address, size) < 0 || listen(listening, 16) < 0 ||
        getsockname(listening, (struct sockaddr *)&address, &size) < 0)
        return -errno;
    const char *names[] = {"one", "two", "three", "four", "five", "slow"};
    for (int i = 0; i < 6; i++) {
        snprintf(space[i], sizeof space[i], "http://127.0.0.1:%d/%s", ntohs(address.sin_port), names[i]);
        urls[i] = space[i];
    }
    cosy_task *server = cosy_create_task(serve, listening);
    int result = get_all(web, urls, 5);
    printf("at once: %d\n", most_at_once);
    int late = cosy_wait_for(cosy_call(get, web, urls[5], &text), COSY_MS(200));
    printf("/slow: %s\n", cosy_errname(late));
    free(text);
    cosy_task_cancel(server);
    (void)cosy_await(server);
    cosy_task_drop(server);
    close(listening);
    return result;
}

cosy_async static int amain(int argc, char **argv)
{
    struct web web;
    web_open(&web);
    int result = argc > 1 ? get_all(&web, argv + 1, argc - 1 < MOST ? (size_t)argc - 1 : MOST) : with_own_server(&web);
    web_close(&web);
    return result;
}

int main(int argc, char **argv)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
    int result = cosy_run(amain, argc, argv);
    curl_global_cleanup();
    return result < 0;
}

/* Output:
 * /one: 200, 8 bytes, 'page one'
 * /two: 200, 8 bytes, 'page two'
 * /three: 200, 10 bytes, 'page three'
 * /four: 200, 9 bytes, 'page four'
 * /five: 200, 9 bytes, 'page five'
 * at once: 5
 * /slow: ETIMEDOUT
 */
