/* info.c - what was agreed upon, and who the peer is. */
#include "tls.h"

#if COSY_HAVE_OPENSSL
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "../base/heap.h"

int cosy_tls_get_info(const cosy_stream *stream, struct cosy_tls_info *ret_info)
{
    struct cosy_tls *tls = cosy_tls_of(stream);
    if (!stream || !ret_info)
        return -EINVAL;
    *ret_info = (struct cosy_tls_info){0};
    if (!tls || !tls->alpn) /* no handshake was done */
        return cosy_fail(ENOTSUP, "the stream does not speak TLS");
    const SSL *ssl = tls->ssl;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name), *cipher = SSL_get_cipher_name(ssl);
    bool seen = SSL_get0_peer_certificate(ssl) != NULL;
    *ret_info = (struct cosy_tls_info){
        .version = (enum cosy_tls_version)SSL_version(ssl),
        .version_name = SSL_get_version(ssl),
        .cipher = cipher ? cipher : "",
        .bits = SSL_get_cipher_bits(ssl, NULL),
        .alpn = tls->alpn,
        .server_name = name ? name : "",
        .session_reused = SSL_session_reused(ssl),
        .verified = seen && SSL_get_verify_mode(ssl) != SSL_VERIFY_NONE && SSL_get_verify_result(ssl) == X509_V_OK,
        .ktls_send = tls->ktls && BIO_get_ktls_send(tls->ktls),
        .ktls_receive = tls->ktls && BIO_get_ktls_recv(tls->ktls),
    };
    return 0;
}

/* ---- certificates ---- */

/* What was written to a BIO, as a text of the library's heap; NULL: no memory. Ends the BIO. */
static char *text_of(BIO *bio)
{
    char *data, *text = NULL;
    long size = bio ? BIO_get_mem_data(bio, &data) : -1;
    if (size >= 0 && (text = cosy_heap_alloc((size_t)size + 1))) {
        memcpy(text, data, (size_t)size);
        text[size] = 0;
    }
    BIO_free(bio);
    return text;
}

static char *text_of_name(const X509_NAME *name)
{
    BIO *bio = BIO_new(BIO_s_mem());
    if (bio)
        X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB);
    return text_of(bio);
}

static char *text_of_serial(const X509 *x509)
{
    BIO *bio = BIO_new(BIO_s_mem());
    if (bio)
        i2a_ASN1_INTEGER(bio, X509_get0_serialNumber(x509));
    return text_of(bio);
}

static char *text_of_certificate(X509 *x509)
{
    BIO *bio = BIO_new(BIO_s_mem());
    if (bio)
        PEM_write_bio_X509(bio, x509);
    return text_of(bio);
}

static int64_t seconds_of(const ASN1_TIME *when)
{
    struct tm parts;
    return ASN1_TIME_to_tm(when, &parts) ? timegm(&parts) : 0;
}

/* "DNS:example.com"; what is of another kind is not named: *ret stays NULL. 0, -ENOMEM. */
static int text_of_alternative(const GENERAL_NAME *name, char **ret)
{
    char address[INET6_ADDRSTRLEN];
    int type;
    const ASN1_STRING *value = GENERAL_NAME_get0_value(name, &type);
    const char *kind = type == GEN_DNS     ? "DNS"
                       : type == GEN_EMAIL ? "email"
                       : type == GEN_URI   ? "URI"
                       : type == GEN_IPADD ? "IP"
                                           : NULL;
    if (!kind)
        return 0;
    const char *text = (const char *)ASN1_STRING_get0_data(value);
    int size = ASN1_STRING_length(value);
    if (type == GEN_IPADD) {
        if ((size != 4 && size != 16) || !inet_ntop(size == 4 ? AF_INET : AF_INET6, text, address, sizeof address))
            return 0;
        text = address;
        size = (int)strlen(address);
    }
    BIO *bio = BIO_new(BIO_s_mem());
    if (bio)
        BIO_printf(bio, "%s:%.*s", kind, size, text);
    *ret = text_of(bio);
    return *ret ? 0 : -ENOMEM;
}

static int add_names(cosy_tls_certificate *certificate, X509 *x509)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(x509, NID_subject_alt_name, NULL, NULL);
    int count = names ? sk_GENERAL_NAME_num(names) : 0, error = 0;
    certificate->names = cosy_heap_zalloc(((size_t)count + 1) * sizeof(char *));
    for (int i = 0; i < count && certificate->names && !error; i++) {
        error = text_of_alternative(sk_GENERAL_NAME_value(names, i), &certificate->names[certificate->name_count]);
        certificate->name_count += certificate->names[certificate->name_count] != NULL;
    }
    GENERAL_NAMES_free(names);
    return certificate->names ? error : -ENOMEM;
}

static int add_der(cosy_tls_certificate *certificate, X509 *x509)
{
    int size = i2d_X509(x509, NULL);
    unsigned char *place = size > 0 ? cosy_heap_alloc((size_t)size) : NULL;
    certificate->der = place;
    if (!place || i2d_X509(x509, &place) != size)
        return -ENOMEM;
    certificate->der_size = (size_t)size;
    return EVP_Digest(certificate->der, certificate->der_size, certificate->sha256, NULL, EVP_sha256(), NULL) ? 0
                                                                                                              : -ENOMEM;
}

static int fill(cosy_tls_certificate *certificate, X509 *x509)
{
    certificate->subject = text_of_name(X509_get_subject_name(x509));
    certificate->issuer = text_of_name(X509_get_issuer_name(x509));
    certificate->serial = text_of_serial(x509);
    certificate->pem = text_of_certificate(x509);
    certificate->not_before = seconds_of(X509_get0_notBefore(x509));
    certificate->not_after = seconds_of(X509_get0_notAfter(x509));
    if (!certificate->subject || !certificate->issuer || !certificate->serial || !certificate->pem)
        return -ENOMEM;
    int error = add_names(certificate, x509);
    return error ? error : add_der(certificate, x509);
}

struct reading {
    cosy_tls_certificate *certificate;
    X509 *x509;
    int result;
};

static void read_certificate(void *arg)
{
    struct reading *reading = arg;
    reading->result = fill(reading->certificate, reading->x509);
    ERR_clear_error();
}

int cosy_tls_peer_certificate(const cosy_stream *stream, cosy_tls_certificate **ret_certificate)
{
    struct cosy_tls *tls = cosy_tls_of(stream);
    if (!stream || !ret_certificate)
        return -EINVAL;
    *ret_certificate = NULL;
    if (!tls)
        return cosy_fail(ENOTSUP, "the stream does not speak TLS");
    struct reading reading = {.x509 = SSL_get0_peer_certificate(tls->ssl)};
    if (!reading.x509)
        return 0;
    reading.certificate = cosy_heap_zalloc(sizeof *reading.certificate);
    if (!reading.certificate)
        return -ENOMEM;
    cosy_on_big_stack(read_certificate, &reading);
    if (reading.result < 0)
        cosy_tls_certificate_free(reading.certificate);
    else
        *ret_certificate = reading.certificate;
    return reading.result;
}

void cosy_tls_certificate_free(cosy_tls_certificate *certificate)
{
    if (!certificate)
        return;
    for (size_t i = 0; i < certificate->name_count; i++)
        cosy_heap_free(certificate->names[i]);
    cosy_heap_free(certificate->names);
    cosy_heap_free(certificate->subject);
    cosy_heap_free(certificate->issuer);
    cosy_heap_free(certificate->serial);
    cosy_heap_free(certificate->pem);
    cosy_heap_free(certificate->der);
    cosy_heap_free(certificate);
}
#endif
