/* words.c - why TLS failed, in OpenSSL's words. */
#include "tls.h"

#if COSY_HAVE_OPENSSL
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>

#include "../base/heap.h"

enum { REASON_MOST = 400 };

int cosy_tls_fail_with(struct cosy_tls *tls, int error, const char *reason)
{
    cosy_heap_free(tls->reason);
    tls->reason = reason ? cosy_heap_strdup(reason) : NULL; /* without memory the code must do */
    return tls->failed = error;
}

/* OpenSSL's first error: what followed from it says less. */
static const char *reason_of(unsigned long error)
{
    const char *reason =
        ERR_SYSTEM_ERROR(error) ? cosy_strerror(ERR_GET_REASON(error)) : ERR_reason_error_string(error);
    return reason ? reason : "an error without a name";
}

static bool is_ours(unsigned long error, int reason)
{
    return ERR_GET_LIB(error) == ERR_LIB_SSL && ERR_GET_REASON(error) == reason;
}

/* Nothing that was TLS has come yet. */
static bool is_beginning(const SSL *ssl)
{
    OSSL_HANDSHAKE_STATE state = SSL_get_state(ssl);
    return state == TLS_ST_BEFORE || state == TLS_ST_CW_CLNT_HELLO || state == TLS_ST_CR_SRVR_HELLO ||
           state == TLS_ST_SR_CLNT_HELLO || state == TLS_ST_OK;
}

static bool is_plain_text(const struct cosy_tls *tls, unsigned long error)
{
    return is_ours(error, SSL_R_HTTP_REQUEST) || is_ours(error, SSL_R_HTTPS_PROXY_REQUEST) ||
           (!SSL_is_init_finished(tls->ssl) &&
            (is_ours(error, SSL_R_WRONG_VERSION_NUMBER) || is_ours(error, SSL_R_PACKET_LENGTH_TOO_LONG) ||
             is_ours(error, SSL_R_RECORD_LENGTH_MISMATCH) || is_ours(error, SSL_R_UNSUPPORTED_PROTOCOL)));
}

static int untrusted(struct cosy_tls *tls)
{
    char text[REASON_MOST];
    long why = SSL_get_verify_result(tls->ssl);
    X509_VERIFY_PARAM *parameters = SSL_get0_param(tls->ssl);
    const char *wanted = X509_VERIFY_PARAM_get0_host(parameters, 0);
    char *address = why == X509_V_ERR_IP_ADDRESS_MISMATCH ? X509_VERIFY_PARAM_get1_ip_asc(parameters) : NULL;
    int length = snprintf(text, sizeof text, "certificate verify failed: %s", X509_verify_cert_error_string(why));
    if (why == X509_V_ERR_HOSTNAME_MISMATCH || why == X509_V_ERR_IP_ADDRESS_MISMATCH)
        snprintf(text + length, sizeof text - (size_t)length, ": it is not valid for '%.200s'",
                 address  ? address
                 : wanted ? wanted
                          : "");
    OPENSSL_free(address);
    return cosy_tls_fail_with(tls, -COSY_ECERTIFICATE, text);
}

static cosy_cold int failed_by_peer_or_us(struct cosy_tls *tls, unsigned long error)
{
    char text[REASON_MOST];
    if (is_ours(error, SSL_R_CERTIFICATE_VERIFY_FAILED))
        return untrusted(tls);
    if (is_ours(error, SSL_R_UNEXPECTED_EOF_WHILE_READING))
        return cosy_tls_fail_with(tls, -COSY_ETRUNCATED, NULL);
    if (ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE)
        return cosy_tls_fail_with(tls, -ENOMEM, NULL);
    bool plain = is_plain_text(tls, error) && is_beginning(tls->ssl);
    snprintf(text, sizeof text, "%s%s", reason_of(error), plain ? " (the peer does not speak TLS)" : "");
    return cosy_tls_fail_with(tls, -COSY_ETLS, text);
}

/* The kernel will not tell those who wait in the other direction. */
static void wake_others(cosy_stream *stream)
{
    if (stream->port.fd < 0)
        return;
    cosy_port_nudge(&stream->port, COSY_PORT_READ);
    cosy_port_nudge(&stream->port, COSY_PORT_WRITE);
}

int cosy_tls_failed(struct cosy_tls *tls)
{
    unsigned long error = ERR_peek_error();
    if (tls->wire_error)
        cosy_tls_fail_with(tls, tls->wire_error, NULL);
    else if (error)
        failed_by_peer_or_us(tls, error);
    else if (tls->below_ended)
        cosy_tls_fail_with(tls, -COSY_ETRUNCATED, NULL);
    else
        cosy_tls_fail_with(tls, -COSY_ETLS, NULL);
    ERR_clear_error();
    wake_others(tls->stream);
    return tls->failed;
}

int cosy_tls_complain(const char *what, const char *where)
{
    unsigned long error = ERR_peek_error();
    int code = ERR_SYSTEM_ERROR(error)                         ? ERR_GET_REASON(error)
               : ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE ? ENOMEM
                                                               : COSY_ETLS;
    const char *reason = error ? reason_of(error) : "an error without a name";
    int result = cosy_fail(code, "TLS: %s%s%.200s: %s", what, *where ? " " : "", where, reason);
    ERR_clear_error();
    return result;
}
#endif
