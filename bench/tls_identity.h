/* tls_identity.h - the certificate of the TLS rows, the same kind for everybody: P-256, signed by itself, for
 * localhost. */
#pragma once

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "bench.h"

struct bench_identity {
    char certificate[2048], key[1024]; /* PEM */
};

static inline void bench_keep_text(BIO *bio, char *text, size_t room)
{
    char *data;
    long size = BIO_get_mem_data(bio, &data);
    if (size < 0 || (size_t)size >= room)
        exit(1);
    memcpy(text, data, (size_t)size);
    text[size] = 0;
    BIO_free(bio);
}

static inline void bench_make_identity(struct bench_identity *made)
{
    EVP_PKEY *key = bench_need(EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256"));
    X509 *x509 = bench_need(X509_new());
    X509_set_version(x509, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
    X509_gmtime_adj(X509_getm_notBefore(x509), -60);
    X509_gmtime_adj(X509_getm_notAfter(x509), 86400);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "CN", MBSTRING_UTF8, (const unsigned char *)"bench", -1, -1,
                               0);
    X509_set_issuer_name(x509, X509_get_subject_name(x509));
    X509_set_pubkey(x509, key);
    X509_EXTENSION *names = bench_need(X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:localhost"));
    X509_add_ext(x509, names, -1);
    X509_EXTENSION_free(names);
    X509_sign(x509, key, EVP_sha256());
    BIO *bio = bench_need(BIO_new(BIO_s_mem()));
    PEM_write_bio_X509(bio, x509);
    bench_keep_text(bio, made->certificate, sizeof made->certificate);
    bio = bench_need(BIO_new(BIO_s_mem()));
    PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
    bench_keep_text(bio, made->key, sizeof made->key);
    X509_free(x509);
    EVP_PKEY_free(key);
}

/* The rows: so many pairs at a time, and messages of this size. */
enum { BENCH_TLS_PAIRS = 50, BENCH_TLS_MESSAGE = 1024 };
