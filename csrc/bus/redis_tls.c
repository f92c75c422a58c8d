/* SPDX-License-Identifier: MIT */
/* TLS by OpenSSL. hiredis verifies that a certificate is one of a trusted
 * authority, but not whose; so the session is prepared here. */
#include "bus/redis_tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>

static fq_status
fail(fq_error *error, const char *what, const char *file)
{
    char reason[128];
    ERR_error_string_n(ERR_peek_last_error(), reason, sizeof(reason));
    ERR_clear_error();
    return fq_error_set(error, FQ_ERR_SYSTEM, FQ_ERROR_NO_POS, "%s \"%s\": %s",
                        what, file, reason);
}

fq_status
fq_redis_tls_new(const fq_redis_settings *settings, SSL_CTX **ptls,
                 fq_error *error)
{
    *ptls = NULL;
    SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
    if (tls == NULL)
        return FQ_ERR_NOMEM;
    fq_status status = FQ_OK;
    SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION);
    SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
    if (settings->ca_file == NULL)
        SSL_CTX_set_default_verify_paths(tls);
    else if (SSL_CTX_load_verify_locations(tls, settings->ca_file, NULL) != 1)
        status = fail(error, "cannot use the CA file", settings->ca_file);
    if (status == FQ_OK && settings->cert_file != NULL
        && SSL_CTX_use_certificate_chain_file(tls, settings->cert_file) != 1)
        status = fail(error, "cannot use the certificate",
                      settings->cert_file);
    if (status == FQ_OK && settings->key_file != NULL
        && SSL_CTX_use_PrivateKey_file(tls, settings->key_file,
                                       SSL_FILETYPE_PEM)
               != 1)
        status = fail(error, "cannot use the key", settings->key_file);
    if (status != FQ_OK) {
        SSL_CTX_free(tls);
        return status;
    }
    *ptls = tls;
    return FQ_OK;
}

void
fq_redis_tls_free(SSL_CTX *tls)
{
    SSL_CTX_free(tls);
}

static bool
is_address(const char *name)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, name, bytes) == 1
           || inet_pton(AF_INET6, name, bytes) == 1;
}

SSL *
fq_redis_tls_begin(SSL_CTX *tls, const fq_redis_settings *settings)
{
    const char *name = settings->server_name != NULL ? settings->server_name
                                                     : settings->host;
    SSL *ssl = SSL_new(tls);
    if (ssl == NULL)
        return NULL;
    bool is_set;
    if (is_address(name)) {
        is_set = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
    } else {
        SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        is_set = SSL_set1_host(ssl, name) == 1
                 && SSL_set_tlsext_host_name(ssl, name) == 1;
    }
    if (is_set)
        return ssl;
    SSL_free(ssl);
    return NULL;
}

void
fq_redis_tls_explain(const SSL *ssl, fq_error *error)
{
    long result = SSL_get_verify_result(ssl);
    ERR_clear_error();
    if (result != X509_V_OK)
        (void)fq_error_set(error, FQ_ERR_SYSTEM, FQ_ERROR_NO_POS,
                           "the server's certificate is not accepted: %s",
                           X509_verify_cert_error_string(result));
}
