/* tls.h - the inside of TLS: what its files share.
 *
 * TLS is a kind of stream (io/stream.h) that is put over another kind in the same stream. OpenSSL's state machine lies
 * between: it takes and gives records through a BIO (wire.c) that calls the kind below, which still knows the
 * descriptor and how to wait at it.
 *
 * Invariants
 *  - stream->carrier is the uppermost layer's `struct cosy_tls`; while the kind below is called, it is that one's own
 * carrier (COSY_TLS_BELOW).
 *  - `failed` is the negative code with which the layer failed for good: OpenSSL is not called any more then, and
 * `reason` has its words, or is NULL.
 *  - OpenSSL always gets rid of its records: what the kind below does not take waits in `unsent`, and `sender` waits
 * until it may be sent. With a record half sent OpenSSL could not answer a peer that changes its keys. `owed` bytes of
 * the stream, the first of what it will offer next, are in that record: they count as sent when it is.
 *  - `send_error` is the error with which the kind below took nothing more; what has come can still be read.
 *  - A setup never changes: connections keep the one they began with, whatever becomes of their context.
 */
#ifndef COSY_TLS_TLS_H
#define COSY_TLS_TLS_H

#include <pthread.h>
#include <stdatomic.h>

#include <cosy/tls.h>

#include "../io/stream.h"

#if COSY_HAVE_OPENSSL
#include <openssl/ssl.h>

enum { COSY_TLS_SESSIONS = 64 }; /* that a client keeps, the oldest make room */

struct cosy_tls_session {
    char *peer;
    SSL_SESSION *session;
};

/* Options that became OpenSSL's. */
struct cosy_tls_setup {
    atomic_uint refs;
    SSL_CTX *ctx;
    unsigned char *alpn; /* as on the wire */
    unsigned alpn_size;
    bool verify, check_hostname, tickets, ragged, ktls, has_certificate;
    bool own_trust; /* authorities were given */
    enum cosy_tls_clients clients;
    struct cosy_tls_context *(*choose)(const char *server_name, void *arg);
    void (*keylog)(const char *line, void *arg);
    void *arg;
    pthread_mutex_t lock; /* of what follows */
    bool trusts_system;   /* the system's authorities were loaded: only when somebody has to be verified */
    struct cosy_tls_session sessions[COSY_TLS_SESSIONS]; /* the latest first */
    size_t session_count;
};

struct cosy_tls_context {
    struct cosy_upgrade upgrade; /* must be first */
    atomic_uint refs;
    bool is_default;
    pthread_mutex_t lock;            /* of what follows */
    struct cosy_tls_setup *setup;    /* NULL: the default one, not used yet */
    struct cosy_tls_options options; /* its texts are the context's own */
};

struct cosy_tls {
    SSL *ssl;
    cosy_stream *stream;
    struct cosy_tls_setup *setup, *chosen; /* chosen: by name, or NULL */
    const struct cosy_stream_kind *below;
    void *below_carrier;
    BIO *ktls;  /* knows how to hand the keys to the kernel; NULL: not wanted */
    char *rest; /* was received before TLS began; NULL: used up */
    size_t rest_at, rest_size;
    char *unsent;
    size_t unsent_size, owed;
    struct cosy_port_waiter sender;
    char *peer; /* for messages, and for finding sessions: "example.com:443" */
    char *alpn;
    char *reason;
    int failed;
    int wire_error; /* of the kind below while receiving, during a call of OpenSSL; 0: none */
    int send_error;
    cosy_ns grace;
    uint8_t read_wants;             /* enum cosy_port_side: what the latest try to read waits for */
    uint8_t record_type;            /* of the next record, when the kernel encrypts; 0: data */
    bool below_ended, said_goodbye; /* said_goodbye: OpenSSL has; it may be unsent */
};

/* Calls the kind below: COSY_TLS_BELOW(tls, tls->below->receive(tls->stream, buffer, size)). */
#define COSY_TLS_BELOW(tls, call)                                                                                      \
    ({                                                                                                                 \
        struct cosy_tls *tls_ = (tls);                                                                                 \
        void *carrier_ = tls_->stream->carrier; /* another layer's, when it is called by a waiter of its own */        \
        tls_->stream->carrier = tls_->below_carrier;                                                                   \
        __auto_type below_result_ = (call);                                                                            \
        tls_->stream->carrier = carrier_;                                                                              \
        below_result_;                                                                                                 \
    })

extern const struct cosy_stream_kind cosy_tls_stream;
static inline struct cosy_tls *cosy_tls_of(const cosy_stream *stream)
{
    return stream && stream->kind == &cosy_tls_stream ? stream->carrier : NULL;
}

/* ---- setup.c ---- */

/* 0, or the error with its words. */
int cosy_tls_setup_new(struct cosy_tls_setup **ret_setup, const struct cosy_tls_options *options);
void cosy_tls_setup_ref(struct cosy_tls_setup *setup);
void cosy_tls_setup_unref(struct cosy_tls_setup *setup);
/* Sees to it that the authorities are there. 0, -ENOMEM. */
int cosy_tls_setup_trust(struct cosy_tls_setup *setup);
/* The context's setup, with a reference; NULL and *ret_error. */
struct cosy_tls_setup *cosy_tls_setup_of(struct cosy_tls_context *context, int *ret_error);
/* Sessions from before `from` was replaced by `to` can be resumed. */
void cosy_tls_setup_inherit(struct cosy_tls_setup *to, struct cosy_tls_setup *from);

/* ---- sessions.c ---- */

/* A client's session with that peer, which is the caller's; NULL: none. */
SSL_SESSION *cosy_tls_session_take(struct cosy_tls_setup *setup, const char *peer);
/* OpenSSL's new_session_cb. */
int cosy_tls_session_new(SSL *ssl, SSL_SESSION *session);
void cosy_tls_sessions_clear(struct cosy_tls_setup *setup);

/* ---- wire.c ---- */

/* A BIO for both directions, on the kind below; NULL: no memory. */
BIO *cosy_tls_wire_new(struct cosy_tls *tls);
/* Sends what is unsent. 0: nothing is left; -EAGAIN: `sender` waits; or send_error. */
int cosy_tls_flush(struct cosy_tls *tls);

/* ---- words.c ---- */

/* The layer has failed: notes why, from OpenSSL's errors or the wire's. Its code. */
int cosy_tls_failed(struct cosy_tls *tls);
/* It has failed with `error`, in those words; NULL: the code's own. */
int cosy_tls_fail_with(struct cosy_tls *tls, int error, const char *reason);
/* cosy_fail with OpenSSL's latest words: "certificate /x/y.pem: no start line". A file that cannot be read has the code
 * of that. */
int cosy_tls_complain(const char *what, const char *where);

/* ---- start.c ---- */

extern const struct cosy_upgrade_kind cosy_tls_upgrade;

/* ---- stream.c ---- */

/* What a call of OpenSSL that did not succeed means: -EAGAIN, and read_wants is what for; 0: the peer has said goodbye;
 * or it has failed. */
int cosy_tls_outcome(struct cosy_tls *tls, int ret);
/* The kind's call. */
int cosy_tls_farewell(cosy_stream *stream, struct cosy_task *me, bool *ret_cancelled);

#endif
#endif
