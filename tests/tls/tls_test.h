/* tls_test.h - what the tests of TLS share: certificates made for the moment, and connections that speak TLS.
 *
 * Keys are Ed25519: made in no time, and their signatures have one size, so that a simulated run depends on its seed
 * alone. OpenSSL knows the real time, whatever clock the loop has, and so do the certificates.
 */
#ifndef COSY_TESTS_TLS_TEST_H
#define COSY_TESTS_TLS_TEST_H

#include "../io/stream_test.h"

#include <cosy/tls.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

/* ---- certificates ---- */

/* They are made before the first test begins, where check's own assertions cannot speak. */
#define must(condition)                                                                                                \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #condition, cosy_error_message(-COSY_ETLS));        \
            ERR_print_errors_fp(stderr);                                                                               \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

/* Somebody: certificate and key, as objects and as PEM. */
struct identity {
    X509 *x509;
    EVP_PKEY *key;
    char *pem, *key_pem;
};

/* How one is to be. Every default is zero. */
struct identity_options {
    const struct identity *issuer; /* NULL: itself */
    const char *name;              /* common name */
    const char *names;             /* subject alternative names, "DNS:a,IP:127.0.0.1"; NULL: none */
    bool authority;
    long begins, ends; /* days from now; both 0: from yesterday on, for a year */
};

HARNESS char *pem_text(BIO *bio)
{
    char *data;
    long size = BIO_get_mem_data(bio, &data);
    char *text = malloc((size_t)size + 1);
    memcpy(text, data, (size_t)size);
    text[size] = 0;
    BIO_free(bio);
    return text;
}

HARNESS void extend(X509 *x509, const struct identity *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer->x509, x509, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    must(extension);
    must(X509_add_ext(x509, extension, -1) == 1);
    X509_EXTENSION_free(extension);
}

HARNESS struct identity make_identity_(const struct identity_options *options)
{
    static long serial = 1000;
    long begins = options->begins || options->ends ? options->begins : -1, ends = options->ends ? options->ends : 365;
    struct identity made = {.x509 = X509_new(), .key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")};
    const struct identity *issuer = options->issuer ? options->issuer : &made;
    X509_set_version(made.x509, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(made.x509), serial++);
    X509_time_adj_ex(X509_getm_notBefore(made.x509), (int)begins, 0, NULL);
    X509_time_adj_ex(X509_getm_notAfter(made.x509), (int)ends, 0, NULL);
    X509_set_pubkey(made.x509, made.key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(made.x509), "CN", MBSTRING_UTF8,
                               (const unsigned char *)options->name, -1, -1, 0);
    X509_set_issuer_name(made.x509, X509_get_subject_name(issuer->x509));
    extend(made.x509, issuer, NID_basic_constraints, options->authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
    extend(made.x509, issuer, NID_subject_key_identifier, "hash");
    if (options->issuer)
        extend(made.x509, issuer, NID_authority_key_identifier, "keyid");
    if (options->names)
        extend(made.x509, issuer, NID_subject_alt_name, options->names);
    must(X509_sign(made.x509, issuer->key, NULL) > 0);
    BIO *bio = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(bio, made.x509);
    made.pem = pem_text(bio);
    bio = BIO_new(BIO_s_mem());
    PEM_write_bio_PrivateKey(bio, made.key, NULL, NULL, 0, NULL, NULL);
    made.key_pem = pem_text(bio);
    return made;
}
#define make_identity(...) make_identity_(&(const struct identity_options){__VA_ARGS__})

HARNESS void free_identity(struct identity *identity)
{
    X509_free(identity->x509);
    EVP_PKEY_free(identity->key);
    free(identity->pem);
    free(identity->key_pem);
}

/* An authority, a server that it vouches for, and contexts for both sides. */
struct world {
    struct identity authority, server;
    cosy_tls_context *for_server, *for_client;
};

HARNESS void make_world(struct world *world)
{
    world->authority = make_identity(.name = "authority", .authority = true);
    world->server = make_identity(.issuer = &world->authority, .name = "server",
                                  .names = "DNS:example.test,DNS:*.wild.test,IP:127.0.0.1,IP:::1");
    must(cosy_tls_context_new(&world->for_server, .certificate_pem = world->server.pem,
                              .key_pem = world->server.key_pem) == 0);
    must(cosy_tls_context_new(&world->for_client, .ca_pem = world->authority.pem) == 0);
}

HARNESS void end_world(struct world *world)
{
    cosy_tls_context_drop(world->for_server);
    cosy_tls_context_drop(world->for_client);
    free_identity(&world->authority);
    free_identity(&world->server);
}

/* ---- both sides at once ---- */

/* Two tasks shake hands; what each came to. */
struct shaking {
    cosy_stream *ends[2]; /* client, server */
    cosy_tls_context *contexts[2];
    const char *hostname;
    int results[2];
    char words[2][400];
};

cosy_async HARNESS int shake_one(struct shaking *shaking, int side)
{
    int result = side == 0
                     ? cosy_start_tls(shaking->ends[0], shaking->contexts[0], .server_hostname = shaking->hostname)
                     : cosy_start_tls(shaking->ends[1], shaking->contexts[1], .server_side = true);
    shaking->results[side] = result;
    snprintf(shaking->words[side], sizeof shaking->words[side], "%s", result < 0 ? cosy_error_message(result) : "");
    return result == -ECANCELED ? result : 0;
}

cosy_async HARNESS int shake(struct shaking *shaking)
{
    return cosy_gather(cosy_call(shake_one, shaking, 0), cosy_call(shake_one, shaking, 1));
}

/* A pair that speaks TLS: ends[0] is the client. */
cosy_async HARNESS void tls_pair(struct world *world, cosy_stream *ends[2])
{
    struct shaking shaking = {.contexts = {world->for_client, world->for_server}, .hostname = "example.test"};
    ck_ok(cosy_stream_pair(shaking.ends));
    ck_ok(shake(&shaking));
    ck_assert_msg(shaking.results[0] == 0 && shaking.results[1] == 0, "%s; %s", shaking.words[0], shaking.words[1]);
    memcpy(ends, shaking.ends, sizeof shaking.ends);
}

cosy_async HARNESS int close_one(cosy_stream *stream, int *ret)
{
    *ret = cosy_stream_close(stream);
    return 0;
}

/* Each waits for the other's goodbye. */
cosy_async HARNESS void close_tls(cosy_stream *ends[2])
{
    int results[2];
    ck_ok(cosy_gather(cosy_call(close_one, ends[0], &results[0]), cosy_call(close_one, ends[1], &results[1])));
    ck_ok(results[0]);
    ck_ok(results[1]);
}

#endif
