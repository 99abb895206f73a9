/* setup.c - from options to OpenSSL's context: certificates, trust, rules. */
#include "tls.h"

#if COSY_HAVE_OPENSSL
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>
#include <unistd.h>

#include "../base/heap.h"

/* Python's: forward secrecy, AEAD or SHA-2, 112 bits. */
#define CIPHERS "@SECLEVEL=2:ECDH+AESGCM:ECDH+CHACHA20:ECDH+AES:DHE+AES:!aNULL:!eNULL:!aDSS:!SHA1:!AESCCM"

/* ---- where PEM comes from ---- */

struct source {
    const char *what, *where; /* for messages */
    BIO *bio;
};

static int open_source(struct source *source, const char *what, const char *file, const char *pem)
{
    *source = (struct source){.what = what, .where = file ? file : "given as text"};
    source->bio = file ? BIO_new_file(file, "r") : BIO_new_mem_buf(pem, -1);
    return source->bio ? 0 : cosy_tls_complain(what, source->where);
}

static int complain(const struct source *source)
{
    return cosy_tls_complain(source->what, source->where);
}

/* Without one, OpenSSL would ask at the terminal. */
static int give_password(char *buffer, int size, int writing, void *arg)
{
    const struct cosy_tls_options *options = arg;
    (void)writing;
    if (options->get_password)
        return options->get_password(buffer, (size_t)size, options->arg);
    size_t length = options->password ? strlen(options->password) : 0;
    if (!options->password || length > (size_t)size)
        return -1;
    memcpy(buffer, options->password, length);
    return (int)length;
}

/* The end of a row of certificates is an error of OpenSSL's that is none. */
static bool is_at_end(void)
{
    unsigned long error = ERR_peek_last_error();
    bool at_end = ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
    if (at_end)
        ERR_clear_error();
    return at_end;
}

/* ---- who we are ---- */

static bool use_chain(SSL_CTX *ctx, BIO *bio, struct cosy_tls_options *options)
{
    X509 *certificate = PEM_read_bio_X509_AUX(bio, NULL, give_password, options);
    bool good = certificate && SSL_CTX_use_certificate(ctx, certificate);
    X509_free(certificate);
    while (good && (certificate = PEM_read_bio_X509(bio, NULL, give_password, options)))
        if (!SSL_CTX_add0_chain_cert(ctx, certificate)) {
            X509_free(certificate);
            return false;
        }
    return good && is_at_end();
}

static bool use_key(SSL_CTX *ctx, BIO *bio, struct cosy_tls_options *options)
{
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, give_password, options);
    bool good = key && SSL_CTX_use_PrivateKey(ctx, key) && SSL_CTX_check_private_key(ctx);
    EVP_PKEY_free(key);
    return good;
}

static int load_part(SSL_CTX *ctx, struct cosy_tls_options *options, bool key)
{
    struct source source;
    const char *own_file = options->key_file, *own_pem = options->key_pem;
    bool own = key && (own_file || own_pem);
    int error = open_source(&source, key ? "key" : "certificate", own ? own_file : options->certificate_file,
                            own ? own_pem : options->certificate_pem);
    if (error)
        return error;
    if (!(key ? use_key : use_chain)(ctx, source.bio, options))
        error = complain(&source);
    BIO_free(source.bio);
    return error;
}

static int load_identity(struct cosy_tls_setup *setup, struct cosy_tls_options *options)
{
    if (!options->certificate_file && !options->certificate_pem) {
        bool has_key = options->key_file || options->key_pem;
        return has_key ? cosy_fail(EINVAL, "TLS: a key without a certificate") : 0;
    }
    int error = load_part(setup->ctx, options, false);
    setup->has_certificate = true;
    return error ? error : load_part(setup->ctx, options, true);
}

/* ---- whom to trust ---- */

/* A server also names them to its clients. */
static int trust(struct cosy_tls_setup *setup, const char *file, const char *pem)
{
    struct source source;
    int error = open_source(&source, "authorities", file, pem), count = 0;
    if (error)
        return error;
    for (X509 *certificate; !error && (certificate = PEM_read_bio_X509(source.bio, NULL, NULL, NULL)); count++) {
        if (!X509_STORE_add_cert(SSL_CTX_get_cert_store(setup->ctx), certificate) ||
            !SSL_CTX_add_client_CA(setup->ctx, certificate))
            error = complain(&source);
        X509_free(certificate);
    }
    if (!error && (count == 0 || !is_at_end()))
        error = complain(&source);
    BIO_free(source.bio);
    setup->own_trust = true;
    return error;
}

static int trust_folder(struct cosy_tls_setup *setup, const char *folder)
{
    if (access(folder, R_OK | X_OK) < 0) /* OpenSSL would look for it later, and say nothing */
        return cosy_fail(errno, "TLS: authorities in %.200s: %s", folder, cosy_strerror(errno));
    setup->own_trust = true;
    return SSL_CTX_load_verify_dir(setup->ctx, folder) ? 0 : cosy_tls_complain("authorities in", folder);
}

static int distrust(struct cosy_tls_setup *setup, const char *file, const char *pem)
{
    struct source source;
    X509_STORE *store = SSL_CTX_get_cert_store(setup->ctx);
    int error = open_source(&source, "revocations", file, pem), count = 0;
    if (error)
        return error;
    for (X509_CRL *list; !error && (list = PEM_read_bio_X509_CRL(source.bio, NULL, NULL, NULL)); count++) {
        if (!X509_STORE_add_crl(store, list))
            error = complain(&source);
        X509_CRL_free(list);
    }
    if (!error && (count == 0 || !is_at_end() || !X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK)))
        error = complain(&source);
    BIO_free(source.bio);
    return error;
}

static int load_trust(struct cosy_tls_setup *setup, const struct cosy_tls_options *options)
{
    int error = options->ca_file ? trust(setup, options->ca_file, NULL) : 0;
    if (!error && options->ca_pem)
        error = trust(setup, NULL, options->ca_pem);
    if (!error && options->ca_dir)
        error = trust_folder(setup, options->ca_dir);
    if (!error && options->crl_file)
        error = distrust(setup, options->crl_file, NULL);
    return !error && options->crl_pem ? distrust(setup, NULL, options->crl_pem) : error;
}

/* Reading all the world's authorities takes a moment, and few servers need them. */
int cosy_tls_setup_trust(struct cosy_tls_setup *setup)
{
    int result = 0;
    pthread_mutex_lock(&setup->lock);
    if (!setup->own_trust && !setup->trusts_system) {
        result = SSL_CTX_set_default_verify_paths(setup->ctx) ? 0 : -ENOMEM;
        setup->trusts_system = result == 0;
    }
    pthread_mutex_unlock(&setup->lock);
    ERR_clear_error();
    return result;
}

/* ---- rules ---- */

/* "h2,http/1.1" as on the wire: each with its length before it. */
static int set_alpn(struct cosy_tls_setup *setup, const char *list)
{
    size_t size = list ? strlen(list) + 1 : 0;
    if (size == 0 || size == 1)
        return 0;
    setup->alpn = cosy_heap_alloc(size);
    if (!setup->alpn)
        return -ENOMEM;
    setup->alpn_size = (unsigned)size;
    unsigned char *place = setup->alpn;
    for (const char *at = list;; at++) {
        size_t length = strcspn(at, ",");
        if (length == 0 || length > 255)
            return cosy_fail(EINVAL, "TLS: the protocols '%.200s' have one of %zu bytes", list, length);
        *place++ = (unsigned char)length;
        memcpy(place, at, length);
        place += length;
        at += length;
        if (!*at)
            break;
    }
    return SSL_CTX_set_alpn_protos(setup->ctx, setup->alpn, setup->alpn_size) == 0 ? 0 : -ENOMEM;
}

static int set_rules(struct cosy_tls_setup *setup, const struct cosy_tls_options *options)
{
    SSL_CTX *ctx = setup->ctx;
    int minimum = options->minimum_version ? (int)options->minimum_version : TLS1_2_VERSION;
    if ((options->maximum_version && (int)options->maximum_version < minimum) ||
        !SSL_CTX_set_min_proto_version(ctx, minimum) ||
        !SSL_CTX_set_max_proto_version(ctx, (int)options->maximum_version))
        return cosy_fail(EINVAL, "TLS: versions from %#x to %#x", (unsigned)minimum,
                         (unsigned)options->maximum_version);
    if (!SSL_CTX_set_cipher_list(ctx, options->ciphers ? options->ciphers : CIPHERS))
        return cosy_tls_complain("ciphers", options->ciphers ? options->ciphers : CIPHERS);
    if (options->ciphersuites && !SSL_CTX_set_ciphersuites(ctx, options->ciphersuites))
        return cosy_tls_complain("ciphersuites", options->ciphersuites);
    SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    if (options->suppress_ragged_eofs)
        SSL_CTX_set_options(ctx, SSL_OP_IGNORE_UNEXPECTED_EOF);
    if (options->no_tickets) {
        SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
        SSL_CTX_set_num_tickets(ctx, 0);
    }
    SSL_CTX_set_mode(ctx,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ctx), X509_V_FLAG_PARTIAL_CHAIN);
    return set_alpn(setup, options->alpn);
}

/* ---- what OpenSSL asks ---- */

static struct cosy_tls *layer_of(const SSL *ssl)
{
    return SSL_get_app_data(ssl);
}

/* The name that the client asks for decides who we are; the rest stays ours. */
static int choose(SSL *ssl, int *alert, void *arg)
{
    struct cosy_tls *tls = layer_of(ssl);
    struct cosy_tls_setup *setup = tls->setup;
    int error;
    (void)arg;
    if (!setup->choose)
        return SSL_TLSEXT_ERR_OK;
    struct cosy_tls_context *context = setup->choose(SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name), setup->arg);
    if (!context || tls->chosen)
        return SSL_TLSEXT_ERR_OK;
    tls->chosen = cosy_tls_setup_of(context, &error);
    if (tls->chosen && tls->chosen->has_certificate && SSL_set_SSL_CTX(ssl, tls->chosen->ctx))
        return SSL_TLSEXT_ERR_OK;
    *alert = SSL_AD_INTERNAL_ERROR;
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* The best that both have, by our order. Nothing in common is no failure, as in Python. */
static int select_protocol(SSL *ssl, const unsigned char **ret, unsigned char *ret_size, const unsigned char *theirs,
                           unsigned size, void *arg)
{
    struct cosy_tls *tls = layer_of(ssl);
    struct cosy_tls_setup *setup = tls->chosen && tls->chosen->alpn ? tls->chosen : tls->setup;
    unsigned char *found;
    (void)arg;
    if (!setup->alpn ||
        SSL_select_next_proto(&found, ret_size, setup->alpn, setup->alpn_size, theirs, size) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_NOACK;
    *ret = found;
    return SSL_TLSEXT_ERR_OK;
}

static void log_key(const SSL *ssl, const char *line)
{
    struct cosy_tls_setup *setup = layer_of(ssl)->setup;
    setup->keylog(line, setup->arg);
}

static void set_callbacks(struct cosy_tls_setup *setup)
{
    static const unsigned char name[] = "cosy";
    SSL_CTX *ctx = setup->ctx;
    SSL_CTX_set_session_id_context(ctx, name, sizeof name);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_BOTH | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, cosy_tls_session_new);
    SSL_CTX_set_tlsext_servername_callback(ctx, choose);
    SSL_CTX_set_alpn_select_cb(ctx, select_protocol, NULL);
    if (setup->keylog)
        SSL_CTX_set_keylog_callback(ctx, log_key);
}

/* ---- life ---- */

static void copy_options(struct cosy_tls_setup *setup, const struct cosy_tls_options *options)
{
    setup->verify = !options->no_verify;
    setup->check_hostname = !options->no_verify && !options->no_check_hostname;
    setup->tickets = !options->no_tickets;
    setup->ragged = options->suppress_ragged_eofs;
    setup->ktls = options->ktls;
    setup->clients = options->client_certificates;
    setup->choose = options->choose;
    setup->keylog = options->keylog;
    setup->arg = options->arg;
}

static int fill(struct cosy_tls_setup *setup, struct cosy_tls_options *options)
{
    int error = set_rules(setup, options);
    if (!error)
        error = load_trust(setup, options);
    if (!error)
        error = load_identity(setup, options);
    set_callbacks(setup);
    return error;
}

int cosy_tls_setup_new(struct cosy_tls_setup **ret_setup, const struct cosy_tls_options *options)
{
    struct cosy_tls_options copy = *options;
    struct cosy_tls_setup *setup = cosy_heap_zalloc(sizeof *setup);
    if (!setup)
        return -ENOMEM;
    ERR_clear_error();
    pthread_mutex_init(&setup->lock, NULL);
    setup->refs = 1;
    copy_options(setup, options);
    setup->ctx = SSL_CTX_new(TLS_method());
    int error = setup->ctx ? fill(setup, &copy) : -ENOMEM;
    ERR_clear_error();
    if (error)
        cosy_tls_setup_unref(setup);
    else
        *ret_setup = setup;
    return error;
}

void cosy_tls_setup_ref(struct cosy_tls_setup *setup)
{
    atomic_fetch_add(&setup->refs, 1);
}

void cosy_tls_setup_unref(struct cosy_tls_setup *setup)
{
    if (!setup || atomic_fetch_sub(&setup->refs, 1) > 1)
        return;
    cosy_tls_sessions_clear(setup);
    SSL_CTX_free(setup->ctx);
    pthread_mutex_destroy(&setup->lock);
    cosy_heap_free(setup->alpn);
    cosy_heap_free(setup);
}

/* Tickets are sealed with keys of the context's: the new one takes them over. */
void cosy_tls_setup_inherit(struct cosy_tls_setup *to, struct cosy_tls_setup *from)
{
    unsigned char keys[80];
    if (SSL_CTX_get_tlsext_ticket_keys(from->ctx, keys, sizeof keys))
        SSL_CTX_set_tlsext_ticket_keys(to->ctx, keys, sizeof keys);
    OPENSSL_cleanse(keys, sizeof keys);
    ERR_clear_error();
}
#endif
