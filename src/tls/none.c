/* none.c - what the calls give in a library that was configured without OpenSSL. */
#include "tls.h"

#if !COSY_HAVE_OPENSSL

struct cosy_tls_context {
    struct cosy_upgrade upgrade; /* must be first */
};

static int refuse(void)
{
    return cosy_fail(ENOTSUP, "TLS: this library was built without OpenSSL");
}

static int start(struct cosy_upgrade *upgrade, cosy_stream *stream, const struct cosy_upgrade_terms *terms)
{
    (void)upgrade;
    (void)stream;
    (void)terms;
    return refuse();
}

static int check(struct cosy_upgrade *upgrade, const struct cosy_upgrade_terms *terms)
{
    (void)upgrade;
    (void)terms;
    return refuse();
}

static void keep(struct cosy_upgrade *upgrade)
{
    (void)upgrade;
}

static const struct cosy_upgrade_kind refusal = {.start = start, .check = check, .hold = keep, .let_go = keep};
static struct cosy_tls_context nobody = {.upgrade.kind = &refusal};

cosy_tls_context *cosy_tls_default(void)
{
    return &nobody;
}

int cosy_tls_context_new_(cosy_tls_context **ret_context, const struct cosy_tls_options *options)
{
    (void)options;
    if (ret_context)
        *ret_context = NULL;
    return refuse();
}

cosy_tls_context *cosy_tls_context_ref(cosy_tls_context *context)
{
    return context;
}

void cosy_tls_context_drop(cosy_tls_context *context)
{
    (void)context;
}

int cosy_tls_context_reload(cosy_tls_context *context)
{
    (void)context;
    return refuse();
}

int cosy_tls_context_replace_(cosy_tls_context *context, const struct cosy_tls_options *options)
{
    (void)context;
    (void)options;
    return refuse();
}

int cosy_start_tls_(cosy_stream *stream, cosy_tls_context *context, const struct cosy_start_tls_options *options)
{
    (void)stream;
    (void)context;
    (void)options;
    return refuse();
}

int cosy_tls_get_info(const cosy_stream *stream, struct cosy_tls_info *ret_info)
{
    (void)stream;
    if (ret_info)
        *ret_info = (struct cosy_tls_info){0};
    return refuse();
}

int cosy_tls_peer_certificate(const cosy_stream *stream, cosy_tls_certificate **ret_certificate)
{
    (void)stream;
    if (ret_certificate)
        *ret_certificate = NULL;
    return refuse();
}

void cosy_tls_certificate_free(cosy_tls_certificate *certificate)
{
    (void)certificate;
}
#endif
