/* self_signed.h - a certificate for the moment, and its key: for programs that show TLS to themselves. What others are
 * to trust comes from an authority. */
#ifndef SELF_SIGNED_H
#define SELF_SIGNED_H

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct self_signed {
    char *certificate, *key; /* PEM, to be freed */
};

static char *self_signed_text(BIO *bio)
{
    char *data;
    size_t size = (size_t)BIO_get_mem_data(bio, &data);
    char *text = malloc(size + 1);
    if (text) {
        memcpy(text, data, size);
        text[size] = '\0';
    }
    BIO_free(bio);
    return text;
}

static bool self_signed_extend(X509 *x509, int nid, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    bool added = extension && X509_add_ext(x509, extension, -1);
    X509_EXTENSION_free(extension);
    return added;
}

/* For an hour. names: "DNS:localhost,IP:127.0.0.1". False: OpenSSL will not, or there is no memory. */
static bool self_signed_make(struct self_signed *made, const char *names)
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    X509 *x509 = X509_new();
    BIO *certificate = BIO_new(BIO_s_mem()), *private_key = BIO_new(BIO_s_mem());
    bool good = key && x509 && certificate && private_key && X509_set_version(x509, 2) &&
                ASN1_INTEGER_set(X509_get_serialNumber(x509), 1) && X509_gmtime_adj(X509_getm_notBefore(x509), -60) &&
                X509_gmtime_adj(X509_getm_notAfter(x509), 3600) &&
                X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "CN", MBSTRING_UTF8,
                                           (const unsigned char *)"for the moment", -1, -1, 0) &&
                X509_set_issuer_name(x509, X509_get_subject_name(x509)) && X509_set_pubkey(x509, key) &&
                self_signed_extend(x509, NID_basic_constraints, "critical,CA:TRUE") &&
                self_signed_extend(x509, NID_subject_alt_name, names) && X509_sign(x509, key, EVP_sha256()) &&
                PEM_write_bio_X509(certificate, x509) &&
                PEM_write_bio_PrivateKey(private_key, key, NULL, NULL, 0, NULL, NULL);
    made->certificate = self_signed_text(certificate);
    made->key = self_signed_text(private_key);
    X509_free(x509);
    EVP_PKEY_free(key);
    return good && made->certificate && made->key;
}

static void self_signed_free(struct self_signed *made)
{
    free(made->certificate);
    free(made->key);
}

#endif
