/* sessions.c - what clients keep of their connections, so that the next one to the same peer is quicker. */
#include "tls.h"

#if COSY_HAVE_OPENSSL
#include <string.h>

#include "../base/heap.h"

static void drop(struct cosy_tls_session *session)
{
    SSL_SESSION_free(session->session);
    cosy_heap_free(session->peer);
}

/* The caller holds the lock. */
static void take_out(struct cosy_tls_setup *setup, size_t index)
{
    setup->session_count--;
    memmove(&setup->sessions[index], &setup->sessions[index + 1],
            (setup->session_count - index) * sizeof *setup->sessions);
}

/* A ticket of TLS 1.3 is used once, so that nobody can tell by it who comes again; an earlier session is the same each
 * time. */
SSL_SESSION *cosy_tls_session_take(struct cosy_tls_setup *setup, const char *peer)
{
    SSL_SESSION *found = NULL;
    pthread_mutex_lock(&setup->lock);
    for (size_t i = 0; i < setup->session_count && !found; i++) {
        struct cosy_tls_session *session = &setup->sessions[i];
        if (strcmp(session->peer, peer) != 0)
            continue;
        found = session->session;
        if (SSL_SESSION_get_protocol_version(found) >= TLS1_3_VERSION || !SSL_SESSION_is_resumable(found)) {
            cosy_heap_free(session->peer);
            take_out(setup, i);
        } else
            SSL_SESSION_up_ref(found);
    }
    pthread_mutex_unlock(&setup->lock);
    return found;
}

/* Of each peer one that can be used again, or two tickets: as many as a server gives at once. */
static void make_room(struct cosy_tls_setup *setup, const char *peer, bool once)
{
    size_t of_peer = 0, oldest = setup->session_count - 1;
    for (size_t i = 0; i < setup->session_count; i++)
        if (strcmp(setup->sessions[i].peer, peer) == 0) {
            of_peer++;
            oldest = i;
        }
    if (of_peer >= (once ? 2 : 1) || setup->session_count == COSY_TLS_SESSIONS) {
        drop(&setup->sessions[oldest]);
        take_out(setup, oldest);
    }
}

int cosy_tls_session_new(SSL *ssl, SSL_SESSION *session)
{
    struct cosy_tls *tls = SSL_get_app_data(ssl);
    struct cosy_tls_setup *setup = tls->setup;
    if (SSL_is_server(ssl) || !setup->tickets)
        return 0;
    char *peer = cosy_heap_strdup(tls->peer);
    if (!peer)
        return 0;
    pthread_mutex_lock(&setup->lock);
    make_room(setup, peer, SSL_SESSION_get_protocol_version(session) >= TLS1_3_VERSION);
    memmove(&setup->sessions[1], &setup->sessions[0], setup->session_count * sizeof *setup->sessions);
    setup->sessions[0] = (struct cosy_tls_session){.peer = peer, .session = session};
    setup->session_count++;
    pthread_mutex_unlock(&setup->lock);
    return 1;
}

void cosy_tls_sessions_clear(struct cosy_tls_setup *setup)
{
    while (setup->session_count > 0)
        drop(&setup->sessions[--setup->session_count]);
}
#endif
