/* stream_interrupt.c - a language model's answer, piece by piece, until the user has read enough.
 *
 * The upstream generator holds a connection. Breaking out of the loop closes the generators on the way, innermost first, and waits until
 * the connection is closed: nothing leaks, and nobody has to remember it.
 */
#include <cosy.h>
#include <stdbool.h>
#include <stdio.h>

/* ---- the model's server, as its client sees it ---- */

struct connection {
    const char *host;
};

cosy_async static int connection_enter(struct connection *c)
{
    cosy_try(cosy_sleep(COSY_MS(5)));
    printf("[connected to %s]\n", c->host);
    return 0;
}

cosy_async static int connection_exit(struct connection *c, int result)
{
    cosy_try(cosy_sleep(COSY_MS(5)));
    printf("[%s: connection closed%s]\n", c->host, result == -COSY_EGENEXIT ? " early" : "");
    return false;
}

cosy_async static int llm_stream(cosy_emitter(const char *) *out, const char *prompt)
{
    static const char *const answer[] = {"Coroutines ", "are ", "functions ", "that ", "can ", "wait."};
    int err = 0;
    struct connection connection = {"llm.example"};
    COSY_WITH (err, connection, &connection) {
        printf("[asked: %s]\n", prompt);
        for (size_t i = 0; i < sizeof answer / sizeof *answer && err == 0; i++) {
            err = cosy_sleep(COSY_MS(5)); /* the model thinks */
            if (err == 0)
                err = cosy_emit(out, answer[i]);
        }
    }
    return err;
}

/* ---- the program ---- */

static int chunks_seen;

static bool user_interrupted(void) { return chunks_seen >= 3; }

cosy_async static int stream_llm_response(cosy_emitter(const char *) *out, const char *prompt)
{
    int err = 0;
    COSY_FOR (const char *, chunk, err, cosy_agen(llm_stream, prompt)) { /* async for chunk in llm_client.stream(prompt): */
        cosy_check(err, cosy_emit(out, chunk));                         /*     yield chunk */
        if (user_interrupted())
            break;
    }
    return err;
}

cosy_async static int amain(void)
{
    int err = 0;
    COSY_FOR (const char *, chunk, err, cosy_agen(stream_llm_response, "What is a coroutine?")) {
        printf("%d: %s\n", ++chunks_seen, chunk);
        fflush(stdout);
    }
    puts("[done]");
    return err;
}

int main(void) { return cosy_main(amain); }

/* Output:
 * [connected to llm.example]
 * [asked: What is a coroutine?]
 * 1: Coroutines
 * 2: are
 * 3: functions
 * [llm.example: connection closed early]
 * [done]
 */
