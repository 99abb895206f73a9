/* context.c - contexts: what they keep of their options, and whose setup is the present one. */
#include "tls.h"

#if COSY_HAVE_OPENSSL
#include <openssl/crypto.h>
#include <string.h>

#include "../base/heap.h"

/* ---- options of one's own ---- */

/* Each text of the options: for copying, and for letting go. */
static const char **text_of(struct cosy_tls_options *options, size_t index)
{
    const char **const texts[] = {
        &options->ca_file,         &options->ca_dir,       &options->ca_pem,  &options->certificate_file,
        &options->certificate_pem, &options->key_file,     &options->key_pem, &options->password,
        &options->ciphers,         &options->ciphersuites, &options->alpn,    &options->crl_file,
        &options->crl_pem};
    return index < COUNT_OF(texts) ? texts[index] : NULL;
}

/* Keys are not left behind in free memory. */
static void free_options(struct cosy_tls_options *options)
{
    for (size_t i = 0; text_of(options, i); i++) {
        char *text = (char *)(uintptr_t)*text_of(options, i);
        if (text)
            OPENSSL_cleanse(text, strlen(text));
        cosy_heap_free(text);
    }
}

static int copy_options(struct cosy_tls_options *to, const struct cosy_tls_options *from)
{
    bool complete = true;
    *to = *from;
    for (size_t i = 0; text_of(to, i); i++)
        if (*text_of(to, i)) {
            *text_of(to, i) = cosy_heap_strdup(*text_of(to, i));
            complete &= *text_of(to, i) != NULL;
        }
    if (!complete)
        free_options(to);
    return complete ? 0 : -ENOMEM;
}

static int check_options(const struct cosy_tls_options *options)
{
    if ((options->certificate_file && options->certificate_pem) || (options->key_file && options->key_pem))
        return cosy_fail(EINVAL, "TLS: a certificate or key both as a file and as text");
    if (options->client_certificates > COSY_TLS_REQUIRED)
        return cosy_fail(EINVAL, "TLS: client_certificates is %d", (int)options->client_certificates);
    return 0;
}

/* ---- life ---- */

static struct cosy_tls_context default_context = {
    .upgrade.kind = &cosy_tls_upgrade, .refs = 1, .is_default = true, .lock = PTHREAD_MUTEX_INITIALIZER};

cosy_tls_context *cosy_tls_default(void)
{
    return &default_context;
}

int cosy_tls_context_new_(cosy_tls_context **ret_context, const struct cosy_tls_options *options)
{
    if (!ret_context)
        return -EINVAL;
    *ret_context = NULL;
    int error = check_options(options);
    struct cosy_tls_context *context = error ? NULL : cosy_heap_zalloc(sizeof *context);
    if (!context)
        return error ? error : -ENOMEM;
    context->upgrade.kind = &cosy_tls_upgrade;
    context->refs = 1;
    pthread_mutex_init(&context->lock, NULL);
    error = cosy_tls_setup_new(&context->setup, options);
    if (!error)
        error = copy_options(&context->options, options);
    if (error) {
        context->options = (struct cosy_tls_options){0};
        cosy_tls_context_drop(context);
    } else
        *ret_context = context;
    return error;
}

cosy_tls_context *cosy_tls_context_ref(cosy_tls_context *context)
{
    if (context && !context->is_default)
        atomic_fetch_add(&context->refs, 1);
    return context;
}

void cosy_tls_context_drop(cosy_tls_context *context)
{
    if (!context || context->is_default || atomic_fetch_sub(&context->refs, 1) > 1)
        return;
    cosy_tls_setup_unref(context->setup);
    free_options(&context->options);
    pthread_mutex_destroy(&context->lock);
    cosy_heap_free(context);
}

struct cosy_tls_setup *cosy_tls_setup_of(struct cosy_tls_context *context, int *ret_error)
{
    *ret_error = 0;
    pthread_mutex_lock(&context->lock);
    if (!context->setup)
        *ret_error = cosy_tls_setup_new(&context->setup, &context->options);
    struct cosy_tls_setup *setup = context->setup;
    if (setup)
        cosy_tls_setup_ref(setup);
    pthread_mutex_unlock(&context->lock);
    return setup;
}

/* ---- another setup ---- */

int cosy_tls_context_replace_(cosy_tls_context *context, const struct cosy_tls_options *options)
{
    struct cosy_tls_options copy;
    struct cosy_tls_setup *setup = NULL;
    int error = !context ? -EINVAL : check_options(options);
    if (!error && context->is_default)
        error = cosy_fail(ENOTSUP, "TLS: the default context is everybody's, and stays as it is");
    if (!error)
        error = copy_options(&copy, options);
    if (error)
        return error;
    error = cosy_tls_setup_new(&setup, options);
    if (error) {
        free_options(&copy);
        return error;
    }
    pthread_mutex_lock(&context->lock);
    struct cosy_tls_setup *old = context->setup;
    struct cosy_tls_options old_options = context->options;
    cosy_tls_setup_inherit(setup, old);
    context->setup = setup;
    context->options = copy;
    pthread_mutex_unlock(&context->lock);
    cosy_tls_setup_unref(old);
    free_options(&old_options);
    return 0;
}

int cosy_tls_context_reload(cosy_tls_context *context)
{
    struct cosy_tls_options options;
    if (!context)
        return -EINVAL;
    pthread_mutex_lock(&context->lock);
    int error = copy_options(&options, &context->options); /* another thread may replace them */
    pthread_mutex_unlock(&context->lock);
    if (error)
        return error;
    error = cosy_tls_context_replace_(context, &options);
    free_options(&options);
    return error;
}
#endif
