/* cosy/tls.h - TLS: streams that nobody else can read or change, to peers that prove who they are.
 *
 *     cosy_scoped(cosy_stream) stream = NULL;
 *     cosy_try(cosy_open_connection("example.com", 443, &stream, .tls = cosy_tls_default()));  await asyncio.open_connection(host, 443, ssl=True)
 *
 *     cosy_scoped(cosy_tls_context) tls = NULL;
 *     cosy_try(cosy_tls_context_new(&tls, .certificate_file = "chain.pem", .key_file = "key.pem"));
 *     cosy_try(cosy_start_server(&server, handle, arg, NULL, 443, .tls = tls));  await asyncio.start_server(..., ssl=context)
 *
 *     cosy_try(cosy_start_tls(stream, tls, .server_side = true));             await loop.start_tls(...), after STARTTLS
 *
 * A STREAM stays what it was, at the same address: whatever takes a stream takes one that speaks TLS. What the kernel
 * does to plain bytes (sendfile, splice) is done by copying then, and the descriptor cannot be detached. The peer's
 * address, socket options and marks are as before.
 *
 * VERIFICATION is on by default. A client checks the server's certificate against the system's authorities, or those
 * that are given, and that it names the host: by its subject alternative names, as browsers do; the common name does
 * not count. TLS 1.2 and 1.3 are spoken. There is no renegotiation and no compression.
 *
 * THE END. cosy_stream_close says goodbye (close_notify) and waits for the peer's, for at most shutdown_timeout: so no
 * byte is lost to a reset. cosy_write_eof says goodbye and goes on reading (asyncio cannot): with TLS 1.3 the peer may
 * go on sending; one of TLS 1.2 should answer by its own goodbye. An end of the input without the peer's goodbye is
 * -COSY_ETRUNCATED, since anybody on the way can cut a connection; .suppress_ragged_eofs takes it for the end.
 *
 * ERRORS keep OpenSSL's words: "TLS handshake with example.test:443: certificate verify failed: self-signed
 * certificate".
 *
 * OpenSSL 3 does the cryptography, on the loop's own stack, so that a task needs no bigger one than without. In a
 * library that was configured without it, each call gives -ENOTSUP. Semantics:
 * https://docs.python.org/3/library/ssl.html, https://docs.python.org/3/library/asyncio-eventloop.html, RFC 8446, RFC
 * 5246, RFC 9525.
 */
#ifndef COSY_TLS_H
#define COSY_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "colour.h"
#include "stream.h"
#include "time.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- contexts ---- */

/* Certificates, trust and rules, for any number of connections, clients' and servers'. Counted references; any thread
 * may use it, also several at a time. */
typedef struct cosy_tls_context cosy_tls_context;

/* Versions of the protocol, by their numbers on the wire. Those before 1.2 are refused by OpenSSL unless .ciphers
 * lowers the security level ("DEFAULT@SECLEVEL=0"). */
enum cosy_tls_version { COSY_TLS_1_0 = 0x0301, COSY_TLS_1_1 = 0x0302, COSY_TLS_1_2 = 0x0303, COSY_TLS_1_3 = 0x0304 };

/* Whether a server asks its clients for certificates. */
enum cosy_tls_clients { COSY_TLS_ANONYMOUS, COSY_TLS_OPTIONAL, COSY_TLS_REQUIRED };

/* What a context is to be. Every default is zero. Texts are copied. */
struct cosy_tls_options {
    size_t struct_size; /* filled in by the macros */

    /* Whom to trust (load_verify_locations). Any of these takes the place of the system's authorities. */
    const char *ca_file;  /* PEM, any number of certificates */
    const char *ca_dir;   /* as c_rehash(1) makes it */
    const char *ca_pem;   /* the same as ca_file, as text */
    const char *crl_file; /* PEM, the authorities' lists of certificates that they have revoked (VERIFY_CRL_CHECK_LEAF):
                           * what is on one is refused, and so is what an authority without one has signed */
    const char *crl_pem;  /* the same as text */
    bool no_verify;       /* clients: take any certificate (CERT_NONE). Then anybody on the way can read all */
    bool no_check_hostname; /* clients: take a trusted certificate with another name */
    enum cosy_tls_clients client_certificates; /* servers: what a certificate is checked against are the authorities
                                                * above */

    /* Who we are (load_cert_chain): servers need it. */
    const char *certificate_file; /* PEM: ours first, then those between it and the authority */
    const char *key_file;         /* PEM; NULL: it is in certificate_file */
    const char *certificate_pem;  /* the same as text */
    const char *key_pem;
    const char *password;         /* of the key; NULL: it has none, or: */
    /* Writes the password, at most `size` bytes, and returns its length; negative: there is none. May not suspend. */
    int (*get_password)(char *buffer, size_t size, void *arg);
    /* Servers with several names (sni_callback): the context for the name that the client has asked for, NULL: it named
     * none. The context is borrowed; NULL: this one. Called in the loop's thread, on its stack; may not suspend. */
    struct cosy_tls_context *(*choose)(const char *server_name, void *arg);
    /* Gets each secret, as a line in NSS's format, for tools that look into the traffic. Called as choose. */
    void (*keylog)(const char *line, void *arg);
    void *arg; /* of these three; borrowed, as long as the context lives */

    /* How to speak. */
    enum cosy_tls_version minimum_version, maximum_version; /* 0: 1.2, and the newest */
    const char *ciphers;      /* of TLS 1.2 and before, in OpenSSL's notation: ciphers(1); NULL: those with forward
                               * secrecy and AEAD or SHA-2 */
    const char *ciphersuites; /* of TLS 1.3; NULL: OpenSSL's */
    const char *alpn;         /* protocols inside, the best first: "h2,http/1.1"; a server takes its first that the
                               * client has too, and none when there is none */
    bool no_tickets;          /* servers: sessions cannot be resumed; clients: do not try to */
    bool suppress_ragged_eofs; /* an end without the peer's goodbye is an end */
    bool ktls;                /* let the kernel encrypt, where it offers that and the stream is a TCP socket's;
                               * otherwise as without */
};

/*     int cosy_tls_context_new(cosy_tls_context **ret_context, .option = value...);
 *
 * ssl.create_default_context. Reads the files, which may take a moment; never suspends. *ret_context is the caller's,
 * NULL when it failed. 0; -ENOENT, -EACCES ... with the file in the message; -COSY_ETLS: what is in it makes no sense,
 * or the key is not the certificate's, with OpenSSL's words; -EINVAL; -ENOMEM; -ENOTSUP. Any thread. */
#define cosy_tls_context_new(ret_context, ...) cosy_tls_context_new_((ret_context), COSY_TLS_OPTIONS_(__VA_ARGS__))
#define COSY_TLS_OPTIONS_(...)                                                                                         \
    (&(const struct cosy_tls_options){.struct_size = sizeof(struct cosy_tls_options), __VA_ARGS__})
int cosy_tls_context_new_(cosy_tls_context **ret_context, const struct cosy_tls_options *options);

/* The context of clients that need nothing special: the system's authorities, everything verified. The process's own,
 * made when it is first used; never NULL, so that `.tls = cosy_tls_default()` can never mean "without TLS". Dropping it
 * does nothing. Any thread. */
cosy_tls_context *cosy_tls_default(void);

/* One more reference, and one less; NULL is fine. Connections and servers have their own. Any thread. */
cosy_tls_context *cosy_tls_context_ref(cosy_tls_context *context);
void cosy_tls_context_drop(cosy_tls_context *context);
static inline void cosy_tls_context_dropp_(cosy_tls_context **context) { cosy_tls_context_drop(*context); }
#define COSY_DROPP_cosy_tls_context_ cosy_tls_context_dropp_ /* cosy_scoped(cosy_tls_context) */

/* Reads its files anew, for connections from now on: those that stand go on as they are, and clients can resume
 * sessions from before. When it fails, with errors as cosy_tls_context_new, nothing has changed. -ENOTSUP for
 * cosy_tls_default. Any thread; never suspends. */
int cosy_tls_context_reload(cosy_tls_context *context);

/*     int cosy_tls_context_replace(cosy_tls_context *context, .option = value...);
 *
 * The same with other options, all of them. */
#define cosy_tls_context_replace(context, ...) cosy_tls_context_replace_((context), COSY_TLS_OPTIONS_(__VA_ARGS__))
int cosy_tls_context_replace_(cosy_tls_context *context, const struct cosy_tls_options *options);

/* ---- streams ---- */

/* How to begin. Every default is zero. */
struct cosy_start_tls_options {
    size_t struct_size;          /* filled in by the macro */
    bool server_side;            /* we are the server */
    const char *server_hostname; /* clients: whom we mean to talk to, a name or a numeric address; wanted unless the
                                  * context has no_check_hostname or no_verify */
    cosy_ns handshake_timeout;   /* 0: 60 s; COSY_NEVER: none (ssl_handshake_timeout) */
    cosy_ns shutdown_timeout;    /* how long closing waits for the peer's goodbye (ssl_shutdown_timeout); 0: 30 s;
                                  * negative: not at all */
};

/*     int cosy_start_tls(cosy_stream *stream, cosy_tls_context *context, .option = value...);
 *
 * From here on the stream speaks TLS, after a handshake that this call makes (loop.start_tls, StreamWriter.start_tls).
 * What was written before is sent plainly, first; what was received and not read yet is the beginning of the handshake,
 * so that nobody can slip plain bytes in. Other tasks' writes wait meanwhile, their reads get -EBUSY. May be done
 * again, for TLS inside TLS. 0. -COSY_ECERTIFICATE: the peer is not who it should be; -COSY_ETLS: it does not speak
 * TLS, or has nothing in common with us, or refuses us; -COSY_ETRUNCATED; -ETIMEDOUT; -ECANCELED; errors of the
 * connection. After those the stream is of no use, and still to be closed; each with the peer's name in the message.
 * -EINVAL: the options cannot be; -EBUSY: another task reads; -ENOTSUP: a pipe or a terminal, or no OpenSSL;
 * -COSY_EOTHERLOOP; -COSY_ENOTASK: nothing has been done to the stream. */
#define cosy_start_tls(stream, context, ...)                                                                           \
    cosy_start_tls_(                                                                                                   \
        (stream), (context),                                                                                           \
        &(const struct cosy_start_tls_options){.struct_size = sizeof(struct cosy_start_tls_options), __VA_ARGS__})
cosy_async int cosy_start_tls_(cosy_stream *stream, cosy_tls_context *context,
                               const struct cosy_start_tls_options *options);

/* What was agreed upon (SSLObject.version, .cipher, .selected_alpn_protocol ...). Texts live as long as the stream. */
struct cosy_tls_info {
    enum cosy_tls_version version;
    const char *version_name; /* "TLSv1.3" */
    const char *cipher;       /* "TLS_AES_256_GCM_SHA384" */
    int bits;                 /* of its key */
    const char *alpn;         /* the protocol inside; "": none was agreed upon */
    const char *server_name;  /* that the client asked for (SNI); "": none */
    bool session_reused;      /* an earlier connection's: nothing was verified anew, and no certificate was sent */
    bool verified;            /* the peer showed a certificate, and it was found good */
    bool ktls_send, ktls_receive; /* the kernel encrypts, decrypts */
};
/* 0; -ENOTSUP: the stream does not speak TLS; -EINVAL. Never suspends. */
int cosy_tls_get_info(const cosy_stream *stream, struct cosy_tls_info *ret_info);

/* A certificate, as plain memory. */
typedef struct cosy_tls_certificate {
    char *subject, *issuer;        /* RFC 2253: "CN=example.com,O=Example" */
    char *serial;                  /* hexadecimal */
    int64_t not_before, not_after; /* seconds since 1970 */
    char **names;                  /* subject alternative names: "DNS:example.com", "IP:192.0.2.1", "email:...",
                                    * "URI:..." */
    size_t name_count;
    unsigned char *der;            /* as it was sent */
    size_t der_size;
    char *pem;
    unsigned char sha256[32];      /* of der: its fingerprint */
} cosy_tls_certificate;
/* The certificate that the peer has shown (getpeercert): *ret_certificate is the caller's, to be freed by
 * cosy_tls_certificate_free; NULL when it has shown none, which is no error. With no_verify it is not known whether it
 * is true. 0, -ENOTSUP: the stream does not speak TLS; -ENOMEM; -EINVAL. Never suspends. */
int cosy_tls_peer_certificate(const cosy_stream *stream, cosy_tls_certificate **ret_certificate);
/* NULL is fine. Any thread. */
void cosy_tls_certificate_free(cosy_tls_certificate *certificate);
static inline void cosy_tls_certificate_freep_(cosy_tls_certificate **certificate)
{
    cosy_tls_certificate_free(*certificate);
}
#define COSY_DROPP_cosy_tls_certificate_ cosy_tls_certificate_freep_ /* cosy_scoped(cosy_tls_certificate) */

#ifdef __cplusplus
}
#endif
#endif
