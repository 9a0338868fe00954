/* SPDX-License-Identifier: Apache-2.0 */
/* lti_crypto: random bytes, digests, text encodings and sealing; the keys and signatures are in lti_crypto_key.c. */
#include "lti_crypto.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <arpa/inet.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#define SEAL_KEY_SIZE 32
#define SEAL_NONCE_SIZE 12
#define SEAL_TAG_SIZE 16
#define SEAL_HEAD_SIZE (1 + SEAL_NONCE_SIZE)
#define SECRET_MIN 32

_Static_assert(SEAL_HEAD_SIZE + SEAL_TAG_SIZE == LTI_SEAL_OVERHEAD, "the header tells callers how much room a seal needs");

/* Drains OpenSSL's error queue and fails with its first reason, which is the closest to the cause. */
static apr_status_t fail_openssl(lti_err_t *err, const char *what)
{
    const char *reason = ERR_reason_error_string(ERR_peek_error());

    ERR_clear_error();
    return lti_fail(err, LTI_E_INTERNAL, APR_EGENERAL, "%s failed: %s", what, reason == NULL ? "no reason given" : reason);
}

/* --- random ------------------------------------------------------------------------------------------------------- */

apr_status_t lti_crypto_random(unsigned char *out, apr_size_t size, lti_err_t *err)
{
    if (RAND_bytes_ex(NULL, out, size, 0) != 1)
        return fail_openssl(err, "the random generator");
    return APR_SUCCESS;
}

const char *lti_crypto_random_text(apr_size_t bytes, apr_pool_t *p)
{
    unsigned char *raw = apr_palloc(p, bytes + 1);
    const char *text = NULL;

    if (lti_crypto_random(raw, bytes, NULL) == APR_SUCCESS)
        text = lti_base64url_encode(raw, bytes, p);
    OPENSSL_cleanse(raw, bytes);
    return text;
}

/* --- base64url and base32 ------------------------------------------------------------------------------------------ */

char *lti_base64url_encode(const unsigned char *bytes, apr_size_t size, apr_pool_t *p)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    char *text = apr_palloc(p, LTI_BASE64URL_LENGTH(size) + 1), *to = text;
    apr_size_t i;

    for (i = 0; i + 3 <= size; i += 3) {
        uint32_t v = (uint32_t)bytes[i] << 16 | (uint32_t)bytes[i + 1] << 8 | bytes[i + 2];

        *to++ = alphabet[v >> 18];
        *to++ = alphabet[v >> 12 & 63];
        *to++ = alphabet[v >> 6 & 63];
        *to++ = alphabet[v & 63];
    }
    if (i < size) {
        uint32_t v = (uint32_t)bytes[i] << 16 | (i + 1 < size ? (uint32_t)bytes[i + 1] << 8 : 0);

        *to++ = alphabet[v >> 18];
        *to++ = alphabet[v >> 12 & 63];
        if (i + 1 < size)
            *to++ = alphabet[v >> 6 & 63];
    }
    *to = '\0';
    return text;
}

/*
 * Decoding stands on the path of every request (the session cookie), so each of the four places of a group has its own table
 * with the value shifted to where it belongs, the three bytes uppermost, and a flag that says "in the alphabet". The flags of a
 * group make FLAGS; whatever is missing there is seen once, at the end.
 */
/* NOLINTNEXTLINE(bugprone-macro-parentheses): an initialiser cannot stand in parentheses */
#define AT(c, v, shift, flag) [c] = (uint32_t)(v) << (shift) | (flag)
#define AT4(c, v, s, f) AT((c), (v), s, f), AT((c) + 1, (v) + 1, s, f), AT((c) + 2, (v) + 2, s, f), AT((c) + 3, (v) + 3, s, f)
#define AT24(c, v, s, f)                                                                                          \
    AT4((c), (v), s, f), AT4((c) + 4, (v) + 4, s, f), AT4((c) + 8, (v) + 8, s, f), AT4((c) + 12, (v) + 12, s, f), \
        AT4((c) + 16, (v) + 16, s, f), AT4((c) + 20, (v) + 20, s, f)
#define ALPHABET(s, f)                                                                                                         \
    {                                                                                                                          \
        AT24('A', 0, s, f), AT('Y', 24, s, f), AT('Z', 25, s, f), AT24('a', 26, s, f), AT('y', 50, s, f), AT('z', 51, s, f),   \
            AT4('0', 52, s, f), AT4('4', 56, s, f), AT('8', 60, s, f), AT('9', 61, s, f), AT('-', 62, s, f), AT('_', 63, s, f) \
    }
#define FLAGS 0x0Fu

static const uint32_t place0[256] = ALPHABET(26, 0x01u);
static const uint32_t place1[256] = ALPHABET(20, 0x02u);
static const uint32_t place2[256] = ALPHABET(14, 0x04u);
static const uint32_t place3[256] = ALPHABET(8, 0x08u);

static inline uint32_t decode_group(const unsigned char *from)
{
    return place0[from[0]] | place1[from[1]] | place2[from[2]] | place3[from[3]];
}

/* The last two or three characters; 0 if they are outside the alphabet or leave bits that belong to no byte. */
static int decode_tail(unsigned char *out, const unsigned char *from, apr_size_t count)
{
    uint32_t v;

    if (count == 0)
        return 1;
    if (count == 1)
        return 0;
    v = place0[from[0]] | place1[from[1]] | (count == 3 ? place2[from[2]] : 0x04u) | 0x08u;
    if ((v & FLAGS) != FLAGS || (v & (count == 3 ? 0xFF00u : 0xFFFF00u)) != 0)
        return 0;
    out[0] = (unsigned char)(v >> 24);
    if (count == 3)
        out[1] = (unsigned char)(v >> 16);
    return 1;
}

apr_status_t lti_base64url_decode(unsigned char *out, apr_size_t *size, const char *text, apr_size_t length)
{
    const unsigned char *from = (const unsigned char *)text;
    unsigned char *to = out;
    uint32_t all = FLAGS;
    apr_size_t groups = length / 4, rest = length % 4;

    /* Two groups at a time, one store each; a store's fourth byte is where the next group begins, so the last go by themselves. */
    for (; groups > 2; groups -= 2, from += 8, to += 6) {
        uint32_t first = decode_group(from), second = decode_group(from + 4);

        all &= first & second;
        first = htonl(first);
        second = htonl(second);
        memcpy(to, &first, sizeof(first));
        memcpy(to + 3, &second, sizeof(second));
    }
    for (; groups > 0; groups--, from += 4, to += 3) {
        uint32_t v = decode_group(from);

        all &= v;
        to[0] = (unsigned char)(v >> 24);
        to[1] = (unsigned char)(v >> 16);
        to[2] = (unsigned char)(v >> 8);
    }
    if ((all & FLAGS) != FLAGS || !decode_tail(to, from, rest)) {
        *size = 0;
        return APR_EINVAL;
    }
    *size = (apr_size_t)(to - out) + rest * 3 / 4;
    return APR_SUCCESS;
}

void lti_base32_encode(char *out, const unsigned char *bytes, apr_size_t size)
{
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
    uint32_t window = 0;
    unsigned bits = 0;
    apr_size_t i;

    for (i = 0; i < size; i++) {
        window = window << 8 | bytes[i];
        for (bits += 8; bits >= 5; bits -= 5)
            *out++ = alphabet[window >> (bits - 5) & 31];
    }
    if (bits > 0)
        *out++ = alphabet[window << (5 - bits) & 31];
    *out = '\0';
}

int lti_crypto_equal(const void *a, const void *b, apr_size_t size)
{
    return CRYPTO_memcmp(a, b, size) == 0;
}

/* --- digests -------------------------------------------------------------------------------------------------------- */

static void length_bytes(unsigned char out[8], apr_size_t size)
{
    uint64_t rest = size;
    int i;

    for (i = 7; i >= 0; i--, rest >>= 8)
        out[i] = (unsigned char)rest;
}

apr_status_t lti_sha256_pieces(unsigned char out[LTI_SHA256_SIZE], const lti_bytes_t *pieces, int count)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    unsigned char length[8];
    int i, ok;

    ok = ctx != NULL && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1;
    for (i = 0; ok && i < count; i++) {
        length_bytes(length, pieces[i].size);
        ok = EVP_DigestUpdate(ctx, length, sizeof(length)) == 1 && EVP_DigestUpdate(ctx, pieces[i].data, pieces[i].size) == 1;
    }
    ok = ok && EVP_DigestFinal_ex(ctx, out, NULL) == 1;
    EVP_MD_CTX_free(ctx);
    return ok ? APR_SUCCESS : fail_openssl(NULL, "SHA-256");
}

apr_status_t lti_sha256(unsigned char out[LTI_SHA256_SIZE], const void *data, apr_size_t size)
{
    if (EVP_Digest(data, size, out, NULL, EVP_sha256(), NULL) != 1)
        return fail_openssl(NULL, "SHA-256");
    return APR_SUCCESS;
}

apr_status_t lti_hmac_sha256(unsigned char out[LTI_SHA256_SIZE], lti_bytes_t key, lti_bytes_t data)
{
    size_t made = 0;

    if (!EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, key.data, key.size, data.data, data.size, out, LTI_SHA256_SIZE, &made) ||
        made != LTI_SHA256_SIZE)
        return fail_openssl(NULL, "HMAC");
    return APR_SUCCESS;
}

/* --- sealing -------------------------------------------------------------------------------------------------------- */

#define IDLE_CONTEXTS 8

/*
 * What one secret becomes. Making a cipher context and expanding the key costs several times the decryption of a cookie, so
 * contexts that already hold the key rest in `idle` between two calls. A thread takes one by exchanging the pointer with NULL; a
 * child that was forked while a thread of the parent held one just misses it.
 */
typedef struct seal_key_t {
    unsigned char key[SEAL_KEY_SIZE];
    unsigned char mac_key[LTI_SHA256_SIZE];
    unsigned char id; /* leads each seal; says which keys are worth a try, and may be the same for several */
    _Atomic(EVP_CIPHER_CTX *) idle[IDLE_CONTEXTS];
} seal_key_t;

struct lti_sealer_t {
    EVP_CIPHER *cipher;
    EVP_MAC *mac;
    EVP_MAC_CTX *mac_ready; /* with the first key; never used itself, only copied */
    int count;
    seal_key_t *keys;
};

static apr_status_t free_sealer(void *data)
{
    lti_sealer_t *sealer = data;
    int i, j;

    for (i = 0; i < sealer->count; i++) {
        for (j = 0; j < IDLE_CONTEXTS; j++)
            EVP_CIPHER_CTX_free(atomic_load(&sealer->keys[i].idle[j]));
        OPENSSL_cleanse(sealer->keys[i].key, SEAL_KEY_SIZE);
        OPENSSL_cleanse(sealer->keys[i].mac_key, LTI_SHA256_SIZE);
    }
    EVP_CIPHER_free(sealer->cipher);
    EVP_MAC_CTX_free(sealer->mac_ready);
    EVP_MAC_free(sealer->mac);
    return APR_SUCCESS;
}

/* One expansion of HKDF-SHA256 per secret and purpose, cut into the two keys and the id. */
static int derive(seal_key_t *key, EVP_KDF *kdf, const char *purpose, lti_bytes_t secret)
{
    char info[96];
    int length = snprintf(info, sizeof(info), "mod_lti_sync seal 1 %s", purpose);
    unsigned char made[SEAL_KEY_SIZE + LTI_SHA256_SIZE + 1];
    EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)(uintptr_t) "SHA256", 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)secret.data, secret.size),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, (size_t)length),
        OSSL_PARAM_construct_end(),
    };
    int ok = length < (int)sizeof(info) && ctx != NULL && EVP_KDF_derive(ctx, made, sizeof(made), params) == 1;

    EVP_KDF_CTX_free(ctx);
    if (ok) {
        memcpy(key->key, made, SEAL_KEY_SIZE);
        memcpy(key->mac_key, made + SEAL_KEY_SIZE, LTI_SHA256_SIZE);
        key->id = made[SEAL_KEY_SIZE + LTI_SHA256_SIZE];
    }
    OPENSSL_cleanse(made, sizeof(made));
    return ok;
}

/* Finding the digest by its name costs more than a short MAC: done once. */
static int begin_mac(lti_sealer_t *sealer)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)(uintptr_t) "SHA256", 0),
        OSSL_PARAM_construct_end(),
    };

    sealer->mac_ready = EVP_MAC_CTX_new(sealer->mac);
    return sealer->mac_ready != NULL && EVP_MAC_init(sealer->mac_ready, sealer->keys[0].mac_key, LTI_SHA256_SIZE, params) == 1;
}

apr_status_t lti_sealer_create(lti_sealer_t **sealer, const char *purpose, const lti_bytes_t *secrets, int count, apr_pool_t *p,
                               lti_err_t *err)
{
    lti_sealer_t *made;
    EVP_KDF *kdf;
    int i, ok;

    if (count < 1)
        return lti_fail(err, LTI_E_CONFIG, APR_EINVAL, "there is no secret to seal with");
    for (i = 0; i < count; i++) {
        if (secrets[i].size < SECRET_MIN)
            return lti_fail(err, LTI_E_CONFIG, APR_EINVAL, "secret %d has %" APR_SIZE_T_FMT " bytes, %d are the least", i + 1,
                            secrets[i].size, SECRET_MIN);
    }

    made = apr_pcalloc(p, sizeof(*made));
    made->keys = apr_pcalloc(p, (apr_size_t)count * sizeof(*made->keys));
    made->count = count;
    apr_pool_cleanup_register(p, made, free_sealer, apr_pool_cleanup_null);
    made->cipher = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    made->mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    ok = made->cipher != NULL && made->mac != NULL && kdf != NULL;
    for (i = 0; ok && i < count; i++)
        ok = derive(&made->keys[i], kdf, purpose, secrets[i]);
    EVP_KDF_free(kdf);
    ok = ok && begin_mac(made);
    if (!ok) {
        apr_pool_cleanup_run(p, made, free_sealer);
        return fail_openssl(err, "making the keys of a sealer");
    }
    *sealer = made;
    return APR_SUCCESS;
}

/* A context that holds the key: an idle one or a new one; NULL if there is no memory. */
static EVP_CIPHER_CTX *take_context(const lti_sealer_t *sealer, seal_key_t *key)
{
    EVP_CIPHER_CTX *ctx;
    int i;

    for (i = 0; i < IDLE_CONTEXTS; i++) {
        if (atomic_load_explicit(&key->idle[i], memory_order_relaxed) == NULL)
            continue;
        ctx = atomic_exchange_explicit(&key->idle[i], NULL, memory_order_acq_rel);
        if (ctx != NULL)
            return ctx;
    }
    ctx = EVP_CIPHER_CTX_new();
    if (ctx != NULL && EVP_CipherInit_ex(ctx, sealer->cipher, NULL, key->key, NULL, 0) != 1) {
        EVP_CIPHER_CTX_free(ctx);
        ctx = NULL;
    }
    return ctx;
}

static void return_context(seal_key_t *key, EVP_CIPHER_CTX *ctx)
{
    int i;

    for (i = 0; i < IDLE_CONTEXTS; i++) {
        EVP_CIPHER_CTX *none = NULL;

        if (atomic_load_explicit(&key->idle[i], memory_order_relaxed) == NULL &&
            atomic_compare_exchange_strong_explicit(&key->idle[i], &none, ctx, memory_order_acq_rel, memory_order_relaxed))
            return;
    }
    EVP_CIPHER_CTX_free(ctx);
}

/* Starts a message: nonce, direction and associated data; then the text itself. */
static int cipher_text(EVP_CIPHER_CTX *ctx, int sealing, const unsigned char *nonce, lti_bytes_t aad, lti_bytes_t in,
                       unsigned char *out)
{
    int done = 0;

    return EVP_CipherInit_ex(ctx, NULL, NULL, NULL, nonce, sealing) == 1 &&
           (aad.size == 0 || EVP_CipherUpdate(ctx, NULL, &done, aad.data, (int)aad.size) == 1) &&
           (in.size == 0 || EVP_CipherUpdate(ctx, out, &done, in.data, (int)in.size) == 1);
}

apr_status_t lti_seal(unsigned char *out, apr_size_t *out_size, const lti_sealer_t *sealer, lti_bytes_t aad, lti_bytes_t plain,
                      lti_err_t *err)
{
    seal_key_t *key = &sealer->keys[0];
    EVP_CIPHER_CTX *ctx;
    unsigned char *tag = out + SEAL_HEAD_SIZE + plain.size;
    int ok, done = 0;

    *out_size = 0;
    if (plain.size > INT_MAX - LTI_SEAL_OVERHEAD || aad.size > INT_MAX)
        return lti_fail(err, LTI_E_INTERNAL, APR_EINVAL, "a text of %" APR_SIZE_T_FMT " bytes is too long to seal", plain.size);
    out[0] = key->id;
    if (lti_crypto_random(out + 1, SEAL_NONCE_SIZE, err) != APR_SUCCESS)
        return APR_EGENERAL;
    ctx = take_context(sealer, key);
    ok = ctx != NULL && cipher_text(ctx, 1, out + 1, aad, plain, out + SEAL_HEAD_SIZE) &&
         EVP_CipherFinal_ex(ctx, tag, &done) == 1 && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, SEAL_TAG_SIZE, tag) == 1;
    if (!ok) {
        EVP_CIPHER_CTX_free(ctx);
        return fail_openssl(err, "sealing");
    }
    return_context(key, ctx);
    *out_size = plain.size + LTI_SEAL_OVERHEAD;
    return APR_SUCCESS;
}

static int unseal_with(unsigned char *out, const lti_sealer_t *sealer, seal_key_t *key, lti_bytes_t aad, const unsigned char *nonce,
                       lti_bytes_t text, const unsigned char *tag)
{
    EVP_CIPHER_CTX *ctx = take_context(sealer, key);
    unsigned char rest[SEAL_TAG_SIZE];
    int done = 0;

    if (ctx != NULL && cipher_text(ctx, 0, nonce, aad, text, out) &&
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, SEAL_TAG_SIZE, (void *)(uintptr_t)tag) == 1 &&
        EVP_CipherFinal_ex(ctx, rest, &done) == 1) {
        return_context(key, ctx);
        return 1;
    }
    /* Nobody may see what was not proven, and a context that failed is not used again. */
    OPENSSL_cleanse(out, text.size);
    EVP_CIPHER_CTX_free(ctx);
    ERR_clear_error();
    return 0;
}

apr_status_t lti_unseal(unsigned char *out, apr_size_t *out_size, const lti_sealer_t *sealer, lti_bytes_t aad, lti_bytes_t sealed)
{
    const unsigned char *from = sealed.data;
    lti_bytes_t text;
    int i;

    *out_size = 0;
    if (sealed.size < LTI_SEAL_OVERHEAD || sealed.size > INT_MAX || aad.size > INT_MAX)
        return APR_EINVAL;
    text.data = from + SEAL_HEAD_SIZE;
    text.size = sealed.size - LTI_SEAL_OVERHEAD;
    for (i = 0; i < sealer->count; i++) {
        if (sealer->keys[i].id == from[0] &&
            unseal_with(out, sealer, &sealer->keys[i], aad, from + 1, text, from + SEAL_HEAD_SIZE + text.size)) {
            *out_size = text.size;
            return APR_SUCCESS;
        }
    }
    return APR_EINVAL;
}

apr_status_t lti_sealer_mac(unsigned char out[LTI_SHA256_SIZE], const lti_sealer_t *sealer, const lti_bytes_t *pieces, int count)
{
    EVP_MAC_CTX *ctx = EVP_MAC_CTX_dup(sealer->mac_ready);
    unsigned char length[8];
    size_t made = 0;
    int i, ok;

    ok = ctx != NULL;
    for (i = 0; ok && i < count; i++) {
        length_bytes(length, pieces[i].size);
        ok = EVP_MAC_update(ctx, length, sizeof(length)) == 1 && EVP_MAC_update(ctx, pieces[i].data, pieces[i].size) == 1;
    }
    ok = ok && EVP_MAC_final(ctx, out, &made, LTI_SHA256_SIZE) == 1;
    EVP_MAC_CTX_free(ctx);
    return ok ? APR_SUCCESS : fail_openssl(NULL, "HMAC");
}
