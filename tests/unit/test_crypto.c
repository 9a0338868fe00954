/* SPDX-License-Identifier: Apache-2.0 */
/* Encodings are strict, seals hold against every flipped bit, and each JWS algorithm accepts its own signatures only. */
#include "test.h"

#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <openssl/bn.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include "lti_crypto.h"

#define SECRET_A "0123456789abcdef0123456789abcdef"
#define SECRET_B "another secret of at least 32 bytes"

/* An EC key on P-256 and its thumbprint, made by another implementation. */
#define EC_PEM                                                           \
    "-----BEGIN PRIVATE KEY-----\n"                                      \
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgU6edsJe+XhbAkXZ+\n" \
    "TyZsgcXEKCigdsVxTTul055VXWqhRANCAAS5lnxwtl85XFRPqs54FWoJ2CSrVXpe\n" \
    "Dp1jM+brKuOWRc317z8OROOCJYoY6TI3sL2v15UcRiiPeXkZu/uuoFi6\n"         \
    "-----END PRIVATE KEY-----\n"
#define EC_KID "vsW7DaCoDlTV_CgXXhGTxGBGXyh9a_YWVFU594sr4d0"
#define EC_X "uZZ8cLZfOVxUT6rOeBVqCdgkq1V6Xg6dYzPm6yrjlkU"
#define EC_Y "zfXvPw5E44IlihjpMjewva_XlRxGKI95eRm7-66gWLo"

/* The key of RFC 7638 section 3.1. */
#define RFC7638_N                                                                                                             \
    "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64" \
    "tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91C" \
    "bOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"

static lti_bytes_t bytes_of(const char *text)
{
    return (lti_bytes_t){text, strlen(text)};
}

static int pool_teardown_with_empty_queue(void **state)
{
    unsigned long left = ERR_peek_error();

    apr_pool_destroy(*state);
    if (left != 0)
        print_error("OpenSSL's queue holds %s\n", ERR_reason_error_string(left));
    return left == 0 ? 0 : -1;
}

/* Like POOL_TEST; fails also when something is left in OpenSSL's error queue. */
#define QUEUE_TEST(fn) cmocka_unit_test_setup_teardown(fn, test_pool_setup, pool_teardown_with_empty_queue)

/* --- text and bytes ---------------------------------------------------------------------------------------------------- */

static void base64url_of_known_texts(void **state)
{
    static const struct {
        const char *plain, *text;
    } cases[] = {
        {"", ""},           {"f", "Zg"},          {"fo", "Zm8"},          {"foo", "Zm9v"},
        {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}, {"\xFB\xFF\xBF", "-_-_"},
    };
    unsigned char out[16];
    apr_size_t size;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        apr_size_t length = strlen(cases[i].text);
        char *text = lti_base64url_encode((const unsigned char *)cases[i].plain, strlen(cases[i].plain), *state);

        assert_string_equal(text, cases[i].text);
        assert_int_equal(strlen(text), LTI_BASE64URL_LENGTH(strlen(cases[i].plain)));
        assert_int_equal(lti_base64url_decode(out, &size, cases[i].text, length), APR_SUCCESS);
        assert_int_equal(size, strlen(cases[i].plain));
        assert_memory_equal(out, cases[i].plain, size);
    }
}

static void base64url_comes_back_at_every_length(void **state)
{
    unsigned char plain[100], out[101];
    apr_size_t size, got;

    for (size = 0; size < sizeof(plain); size++) {
        char *text;

        out[size] = 0xA5;

        assert_int_equal(lti_crypto_random(plain, size, NULL), APR_SUCCESS);
        text = lti_base64url_encode(plain, size, *state);
        assert_int_equal(lti_base64url_decode(out, &got, text, strlen(text)), APR_SUCCESS);
        assert_int_equal(got, size);
        assert_memory_equal(out, plain, size);
        assert_int_equal(out[size], 0xA5); /* nothing is written behind the end */
    }
}

static void base64url_takes_nothing_outside_its_alphabet(void **state)
{
    /* SPEC J-01: at every place of a group, every byte that is none of the 64. */
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    unsigned char out[16];
    apr_size_t size, length;
    int byte, place;

    (void)state;
    for (length = 2; length <= 15; length++) {
        if (length % 4 == 1)
            continue;
        for (place = 0; place < (int)length; place++) {
            for (byte = 0; byte < 256; byte++) {
                char text[16] = "AAAAAAAAAAAAAAA";
                int in = byte != 0 && strchr(alphabet, byte) != NULL;
                apr_status_t rv;

                text[place] = (char)byte;
                rv = lti_base64url_decode(out, &size, text, length);
                if (in && (length % 4 == 0 || place + 1 < (int)length))
                    assert_int_equal(rv, APR_SUCCESS);
                else if (!in) {
                    assert_int_equal(rv, APR_EINVAL);
                    assert_int_equal(size, 0);
                }
            }
        }
    }
}

static void base64url_takes_one_form_only(void **state)
{
    static const char *const refused[] = {"A",  "AAAAA", "Zg==",   "Zm8=",    "Zm9v\n", " Zm9v",
                                          "Zh", "Zm9",   "Zm9vYh", "Zm9vYmF", "ZE=="};
    unsigned char out[16];
    apr_size_t size;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        if (lti_base64url_decode(out, &size, refused[i], strlen(refused[i])) != APR_EINVAL)
            fail_msg("taken: %s", refused[i]);
    }
}

static void base32_of_known_texts(void **state)
{
    static const struct {
        const char *plain, *text;
    } cases[] = {{"", ""},
                 {"f", "my"},
                 {"fo", "mzxq"},
                 {"foo", "mzxw6"},
                 {"foob", "mzxw6yq"},
                 {"fooba", "mzxw6ytb"},
                 {"foobar", "mzxw6ytboi"}};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char out[16];

        memset(out, 'x', sizeof(out));
        lti_base32_encode(out, (const unsigned char *)cases[i].plain, strlen(cases[i].plain));
        assert_string_equal(out, cases[i].text);
        assert_int_equal(strlen(out), (strlen(cases[i].plain) * 8 + 4) / 5);
    }
}

static void random_texts_have_their_length_and_differ(void **state)
{
    const char *a = lti_crypto_random_text(16, *state), *b = lti_crypto_random_text(16, *state);

    assert_int_equal(strlen(a), 22);
    assert_string_not_equal(a, b);
}

static void equal_is_equal(void **state) /* SPEC S-23: by OpenSSL, in a time that does not tell where two texts differ */
{
    (void)state;
    assert_true(lti_crypto_equal("abc", "abc", 3));
    assert_false(lti_crypto_equal("abc", "abd", 3));
    assert_true(lti_crypto_equal("abc", "abd", 2));
    assert_true(lti_crypto_equal("a", "b", 0));
}

/* --- digests ------------------------------------------------------------------------------------------------------------- */

static const char *hex(const unsigned char *bytes, apr_size_t size, apr_pool_t *p)
{
    char *text = apr_palloc(p, 2 * size + 1);
    apr_size_t i;

    for (i = 0; i < size; i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    return text;
}

static void sha256_of_known_texts(void **state)
{
    unsigned char out[LTI_SHA256_SIZE];

    assert_int_equal(lti_sha256(out, "abc", 3), APR_SUCCESS);
    assert_string_equal(hex(out, sizeof(out), *state), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(lti_sha256(out, "", 0), APR_SUCCESS);
    assert_string_equal(hex(out, sizeof(out), *state), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void hmac_of_known_texts(void **state) /* RFC 4231, test cases 1, 2 and 6 */
{
    unsigned char out[LTI_SHA256_SIZE], key[131];

    memset(key, 0x0b, 20);
    assert_int_equal(lti_hmac_sha256(out, (lti_bytes_t){key, 20}, (lti_bytes_t){"Hi There", 8}), APR_SUCCESS);
    assert_string_equal(hex(out, sizeof(out), *state), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    assert_int_equal(lti_hmac_sha256(out, (lti_bytes_t){"Jefe", 4}, (lti_bytes_t){"what do ya want for nothing?", 28}),
                     APR_SUCCESS);
    assert_string_equal(hex(out, sizeof(out), *state), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, sizeof(key));
    assert_int_equal(lti_hmac_sha256(out, (lti_bytes_t){key, sizeof(key)},
                                     (lti_bytes_t){"Test Using Larger Than Block-Size Key - Hash Key First", 54}),
                     APR_SUCCESS);
    assert_string_equal(hex(out, sizeof(out), *state), "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

static void pieces_do_not_run_together(void **state)
{
    lti_bytes_t a_bc[] = {{"a", 1}, {"bc", 2}}, ab_c[] = {{"ab", 2}, {"c", 1}}, more[] = {{"a", 1}, {"bc", 2}, {"", 0}};
    unsigned char one[LTI_SHA256_SIZE], other[LTI_SHA256_SIZE];

    assert_int_equal(lti_sha256_pieces(one, a_bc, 2), APR_SUCCESS);
    assert_string_equal(hex(one, sizeof(one), *state), "3fafa1cf2f19a7c1129beb20cf0983f73a489a221fc0dd2f16d1be292d089205");
    assert_int_equal(lti_sha256_pieces(other, ab_c, 2), APR_SUCCESS);
    assert_memory_not_equal(one, other, sizeof(one));
    assert_int_equal(lti_sha256_pieces(other, more, 3), APR_SUCCESS);
    assert_memory_not_equal(one, other, sizeof(one));
}

/* --- sealing ------------------------------------------------------------------------------------------------------------- */

static lti_sealer_t *sealer_of(const char *purpose, const char *first, const char *second, apr_pool_t *p)
{
    lti_bytes_t secrets[2] = {bytes_of(first), second == NULL ? (lti_bytes_t){NULL, 0} : bytes_of(second)};
    lti_sealer_t *sealer = NULL;
    lti_err_t err;

    assert_ok(lti_sealer_create(&sealer, purpose, secrets, second == NULL ? 1 : 2, p, &err), err);
    return sealer;
}

static void seals_open_at_every_length(void **state)
{
    lti_sealer_t *sealer = sealer_of("session", SECRET_A, NULL, *state);
    unsigned char plain[200], sealed[200 + LTI_SEAL_OVERHEAD], out[200];
    apr_size_t size, sealed_size, got;
    lti_err_t err;

    for (size = 0; size < sizeof(plain); size++) {
        lti_bytes_t aad = {"name=", size % 6};

        assert_int_equal(lti_crypto_random(plain, size, NULL), APR_SUCCESS);
        assert_ok(lti_seal(sealed, &sealed_size, sealer, aad, (lti_bytes_t){plain, size}, &err), err);
        assert_int_equal(sealed_size, size + LTI_SEAL_OVERHEAD);
        assert_int_equal(lti_unseal(out, &got, sealer, aad, (lti_bytes_t){sealed, sealed_size}), APR_SUCCESS);
        assert_int_equal(got, size);
        assert_memory_equal(out, plain, size);
    }
}

static void every_flipped_bit_breaks_the_seal(void **state)
{
    lti_sealer_t *sealer = sealer_of("session", SECRET_A, NULL, *state);
    static const unsigned char nothing[10];
    unsigned char sealed[10 + LTI_SEAL_OVERHEAD], out[10];
    apr_size_t size, got, bit;
    lti_err_t err;

    assert_ok(lti_seal(sealed, &size, sealer, bytes_of("a"), bytes_of("0123456789"), &err), err);
    for (bit = 0; bit < 8 * size; bit++) {
        sealed[bit / 8] ^= (unsigned char)(1 << bit % 8);
        memset(out, 0, sizeof(out));
        assert_int_equal(lti_unseal(out, &got, sealer, bytes_of("a"), (lti_bytes_t){sealed, size}), APR_EINVAL);
        assert_int_equal(got, 0);
        assert_memory_equal(out, nothing, sizeof(out)); /* nothing unproven is handed out */
        sealed[bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
    assert_int_equal(lti_unseal(out, &got, sealer, bytes_of("a"), (lti_bytes_t){sealed, size}), APR_SUCCESS);
    while (size-- > 0)
        assert_int_equal(lti_unseal(out, &got, sealer, bytes_of("a"), (lti_bytes_t){sealed, size}), APR_EINVAL);
}

static void a_seal_is_bound_to_its_purpose_and_data(void **state)
{
    lti_sealer_t *session = sealer_of("session", SECRET_A, NULL, *state), *other = sealer_of("state", SECRET_A, NULL, *state);
    unsigned char sealed[5 + LTI_SEAL_OVERHEAD], out[5];
    apr_size_t size, got;
    lti_err_t err;
    int i;

    /* The id may agree by chance: then the key decides. */
    for (i = 0; i < 3; i++) {
        assert_ok(lti_seal(sealed, &size, session, bytes_of("lti_a"), bytes_of("hello"), &err), err);
        assert_int_equal(lti_unseal(out, &got, session, bytes_of("lti_b"), (lti_bytes_t){sealed, size}), APR_EINVAL);
        assert_int_equal(lti_unseal(out, &got, session, bytes_of(""), (lti_bytes_t){sealed, size}), APR_EINVAL);
        assert_int_equal(lti_unseal(out, &got, other, bytes_of("lti_a"), (lti_bytes_t){sealed, size}), APR_EINVAL);
        assert_int_equal(lti_unseal(out, &got, session, bytes_of("lti_a"), (lti_bytes_t){sealed, size}), APR_SUCCESS);
    }
}

static void the_same_text_is_never_sealed_alike(void **state)
{
    lti_sealer_t *sealer = sealer_of("session", SECRET_A, NULL, *state);
    unsigned char a[5 + LTI_SEAL_OVERHEAD], b[5 + LTI_SEAL_OVERHEAD];
    apr_size_t size;
    lti_err_t err;

    assert_ok(lti_seal(a, &size, sealer, bytes_of(""), bytes_of("hello"), &err), err);
    assert_ok(lti_seal(b, &size, sealer, bytes_of(""), bytes_of("hello"), &err), err);
    assert_memory_not_equal(a + 13, b + 13, 5);
}

static void old_secrets_open_and_the_first_seals(void **state)
{
    lti_sealer_t *before = sealer_of("session", SECRET_A, NULL, *state), *after = sealer_of("session", SECRET_B, SECRET_A, *state);
    unsigned char sealed[5 + LTI_SEAL_OVERHEAD], out[5];
    apr_size_t size, got;
    lti_err_t err;

    assert_ok(lti_seal(sealed, &size, before, bytes_of(""), bytes_of("hello"), &err), err);
    assert_int_equal(lti_unseal(out, &got, after, bytes_of(""), (lti_bytes_t){sealed, size}), APR_SUCCESS);
    assert_memory_equal(out, "hello", 5);
    assert_ok(lti_seal(sealed, &size, after, bytes_of(""), bytes_of("hello"), &err), err);
    assert_int_equal(lti_unseal(out, &got, after, bytes_of(""), (lti_bytes_t){sealed, size}), APR_SUCCESS);
    assert_int_equal(lti_unseal(out, &got, before, bytes_of(""), (lti_bytes_t){sealed, size}), APR_EINVAL);
}

static void secrets_with_the_same_id_are_all_tried(void **state)
{
    lti_sealer_t *wanted = sealer_of("session", SECRET_A, NULL, *state), *both;
    unsigned char sealed[5 + LTI_SEAL_OVERHEAD], other[5 + LTI_SEAL_OVERHEAD], out[5];
    apr_size_t size, got;
    lti_err_t err;
    int i;

    assert_ok(lti_seal(sealed, &size, wanted, bytes_of(""), bytes_of("hello"), &err), err);
    for (i = 0; i < 100000; i++) {
        const char *secret = apr_psprintf(*state, "secret number %06d, thirty-two bytes", i);
        apr_pool_t *pool;

        assert_int_equal(apr_pool_create(&pool, *state), APR_SUCCESS);
        assert_ok(lti_seal(other, &size, sealer_of("session", secret, NULL, pool), bytes_of(""), bytes_of("world"), &err), err);
        apr_pool_destroy(pool);
        if (other[0] != sealed[0])
            continue;
        both = sealer_of("session", secret, SECRET_A, *state);
        assert_int_equal(lti_unseal(out, &got, both, bytes_of(""), (lti_bytes_t){sealed, size}), APR_SUCCESS);
        assert_memory_equal(out, "hello", 5);
        assert_int_equal(lti_unseal(out, &got, both, bytes_of(""), (lti_bytes_t){other, size}), APR_SUCCESS);
        assert_memory_equal(out, "world", 5);
        return;
    }
    fail_msg("no two secrets share an id");
}

/* Made by another implementation (HKDF and AES-256-GCM of pyca/cryptography): cookies outlive a release. */
static const unsigned char foreign_seal[] = {0x90, 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a,
                                             0x0b, 0xd5, 0x64, 0xa6, 0x70, 0x15, 0x94, 0x94, 0xfe, 0x53, 0x4f, 0xd4,
                                             0x13, 0x84, 0xd4, 0x3f, 0xea, 0xd9, 0x26, 0xaa, 0x34, 0xd4};

static void the_form_of_a_seal_does_not_change(void **state)
{
    lti_sealer_t *sealer = sealer_of("session", SECRET_A, NULL, *state);
    unsigned char out[5];
    apr_size_t got;

    assert_int_equal(lti_unseal(out, &got, sealer, bytes_of("cookie"), (lti_bytes_t){foreign_seal, sizeof(foreign_seal)}),
                     APR_SUCCESS);
    assert_int_equal(got, 5);
    assert_memory_equal(out, "hello", 5);
}

static void short_or_no_secrets_are_refused(void **state)
{
    lti_bytes_t secrets[] = {bytes_of(SECRET_A), {SECRET_A, 31}};
    lti_sealer_t *sealer;
    lti_err_t err;

    assert_code(lti_sealer_create(&sealer, "session", secrets, 2, *state, &err), err, LTI_E_CONFIG);
    assert_non_null(strstr(err.text, "secret 2"));
    assert_code(lti_sealer_create(&sealer, "session", secrets, 0, *state, &err), err, LTI_E_CONFIG);
}

static void what_is_too_long_to_seal_is_an_internal_error(void **state)
{
    lti_sealer_t *sealer = sealer_of("session", SECRET_A, NULL, *state);
    unsigned char out[1];
    apr_size_t size;
    lti_err_t err;

    assert_code(lti_seal(out, &size, sealer, bytes_of(""), (lti_bytes_t){out, (apr_size_t)INT_MAX}, &err), err, LTI_E_INTERNAL);
    assert_int_equal(lti_unseal(out, &size, sealer, bytes_of(""), (lti_bytes_t){out, (apr_size_t)INT_MAX + 1}), APR_EINVAL);
}

static void *seal_and_open(void *data)
{
    const lti_sealer_t *sealer = data;
    unsigned char plain[64], sealed[64 + LTI_SEAL_OVERHEAD], out[64];
    apr_size_t size, got;
    uintptr_t wrong = 0;
    int i;

    for (i = 0; i < 2000; i++) {
        memset(plain, i & 255, sizeof(plain));
        if (lti_seal(sealed, &size, sealer, bytes_of("x"), (lti_bytes_t){plain, sizeof(plain)}, NULL) != APR_SUCCESS ||
            lti_unseal(out, &got, sealer, bytes_of("x"), (lti_bytes_t){sealed, size}) != APR_SUCCESS ||
            memcmp(out, plain, sizeof(plain)) != 0)
            wrong++;
        sealed[20] ^= 1;
        if (lti_unseal(out, &got, sealer, bytes_of("x"), (lti_bytes_t){sealed, size}) != APR_EINVAL)
            wrong++;
    }
    return (void *)wrong;
}

static void count_wrong_in_threads(lti_sealer_t *sealer, uintptr_t *wrong)
{
    pthread_t threads[12];
    size_t i;

    *wrong = 0;
    for (i = 0; i < sizeof(threads) / sizeof(threads[0]); i++) {
        if (pthread_create(&threads[i], NULL, seal_and_open, sealer) != 0)
            abort();
    }
    for (i = 0; i < sizeof(threads) / sizeof(threads[0]); i++) {
        void *result;

        pthread_join(threads[i], &result);
        *wrong += (uintptr_t)result;
    }
}

static void a_sealer_serves_many_threads_and_forked_children(void **state)
{
    lti_sealer_t *sealer = sealer_of("session", SECRET_A, NULL, *state);
    uintptr_t wrong;
    pid_t child;
    int status;

    count_wrong_in_threads(sealer, &wrong);
    assert_int_equal(wrong, 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        count_wrong_in_threads(sealer, &wrong);
        _exit(wrong == 0 ? 0 : 1);
    }
    count_wrong_in_threads(sealer, &wrong);
    assert_int_equal(wrong, 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void macs_depend_on_secret_purpose_and_pieces(void **state)
{
    lti_bytes_t a_bc[] = {{"a", 1}, {"bc", 2}}, ab_c[] = {{"ab", 2}, {"c", 1}};
    unsigned char one[LTI_SHA256_SIZE], other[LTI_SHA256_SIZE];

    assert_int_equal(lti_sealer_mac(one, sealer_of("session", SECRET_A, SECRET_B, *state), a_bc, 2), APR_SUCCESS);
    assert_string_equal(hex(one, sizeof(one), *state), "e633fe68a2ca48a320df96fdd5dfc894da220ac194d6ca14a2ee118fd6c35ff7");
    assert_int_equal(lti_sealer_mac(other, sealer_of("session", SECRET_A, NULL, *state), ab_c, 2), APR_SUCCESS);
    assert_memory_not_equal(one, other, sizeof(one));
    assert_int_equal(lti_sealer_mac(other, sealer_of("state", SECRET_A, NULL, *state), a_bc, 2), APR_SUCCESS);
    assert_memory_not_equal(one, other, sizeof(one));
    assert_int_equal(lti_sealer_mac(other, sealer_of("session", SECRET_B, SECRET_A, *state), a_bc, 2), APR_SUCCESS);
    assert_memory_not_equal(one, other, sizeof(one));
}

/* --- keys ---------------------------------------------------------------------------------------------------------------- */

static const lti_alg_t all_algorithms[] = {LTI_ALG_RS256, LTI_ALG_RS384, LTI_ALG_RS512, LTI_ALG_PS256, LTI_ALG_PS384,
                                           LTI_ALG_PS512, LTI_ALG_ES256, LTI_ALG_ES384, LTI_ALG_ES512, LTI_ALG_EDDSA};
#define ALGORITHMS (sizeof(all_algorithms) / sizeof(all_algorithms[0]))

static apr_status_t free_pkey(void *pkey)
{
    EVP_PKEY_free(pkey);
    return APR_SUCCESS;
}

/* LTI_TEST_SHORT: set where every instruction takes long (valgrind); then keys are made once, and what is done often is done less often. */
static int is_short(void)
{
    return getenv("LTI_TEST_SHORT") != NULL;
}

static EVP_PKEY *generate(const char *type, const char *curve, size_t bits)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    EVP_PKEY *pkey = NULL;

    assert_int_equal(EVP_PKEY_keygen_init(ctx), 1);
    if (bits != 0)
        assert_true(EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, (int)bits) > 0);
    if (curve != NULL)
        assert_true(EVP_PKEY_CTX_set_group_name(ctx, curve) > 0);
    assert_int_equal(EVP_PKEY_generate(ctx, &pkey), 1);
    EVP_PKEY_CTX_free(ctx);
    return pkey;
}

/* Two RSA keys of 2048 bits in turns: a key and a stranger's. */
static EVP_PKEY *known_rsa(void)
{
    static EVP_PKEY *known[2];
    static unsigned turn;
    unsigned now = turn++ % 2;

    if (known[now] == NULL)
        known[now] = generate("RSA", NULL, 2048);
    EVP_PKEY_up_ref(known[now]);
    return known[now];
}

/* A private key of OpenSSL's type and curve (or bits), whether the room would make one or not. */
static lti_key_t *private_key(const char *type, const char *curve, size_t bits, apr_pool_t *p)
{
    lti_key_t *key = apr_pcalloc(p, sizeof(*key));

    key->pkey = is_short() && bits == 2048 && strcmp(type, "RSA") == 0 ? known_rsa() : generate(type, curve, bits);
    apr_pool_cleanup_register(p, key->pkey, free_pkey, apr_pool_cleanup_null);
    key->kid = "test";
    key->is_private = 1;
    ERR_clear_error();
    return key;
}

static lti_key_t *key_for(lti_alg_t alg, apr_pool_t *p)
{
    switch (alg) {
    case LTI_ALG_ES256:
        return private_key("EC", "P-256", 0, p);
    case LTI_ALG_ES384:
        return private_key("EC", "P-384", 0, p);
    case LTI_ALG_ES512:
        return private_key("EC", "P-521", 0, p);
    case LTI_ALG_EDDSA:
        return private_key("ED25519", NULL, 0, p);
    default:
        return private_key("RSA", NULL, 2048, p);
    }
}

static void algorithm_names_come_back_and_others_do_not_exist(void **state)
{
    /* SPEC J-04 */
    static const char *const unknown[] = {"none", "None",  "NONE",   "HS256", "HS384",  "HS512",
                                          "RS1",  "rs256", "ES256K", "",      "RS256 ", "unknown"};
    size_t i;

    (void)state;
    for (i = 0; i < ALGORITHMS; i++)
        assert_int_equal(lti_alg_by_name(lti_alg_name(all_algorithms[i])), all_algorithms[i]);
    for (i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
        assert_int_equal(lti_alg_by_name(unknown[i]), LTI_ALG_UNKNOWN);
    assert_int_equal(lti_alg_by_name(NULL), LTI_ALG_UNKNOWN);
    assert_string_equal(lti_alg_name(LTI_ALG_UNKNOWN), "unknown");
    assert_string_equal(lti_alg_name((lti_alg_t)99), "unknown");
}

static void each_algorithm_signs_and_verifies_and_nothing_else(void **state)
{
    lti_bytes_t input = {"header.payload", 14}, other = {"header.payloae", 14};
    size_t i, j;

    for (i = 0; i < ALGORITHMS; i++) {
        lti_alg_t alg = all_algorithms[i];
        lti_key_t *key = key_for(alg, *state), *stranger = key_for(alg, *state);
        lti_bytes_t signature;
        unsigned char *bytes;
        lti_err_t err;

        assert_ok(lti_key_sign(&signature, key, alg, input, *state, &err), err);
        assert_ok(lti_key_verify(key, alg, input, signature, &err), err);
        assert_code(lti_key_verify(key, alg, other, signature, &err), err, LTI_E_SIGNATURE);
        assert_code(lti_key_verify(stranger, alg, input, signature, &err), err, LTI_E_SIGNATURE);
        for (j = 0; j < ALGORITHMS; j++) {
            if (j == i)
                continue;
            if (lti_key_fits(key, all_algorithms[j]))
                assert_code(lti_key_verify(key, all_algorithms[j], input, signature, &err), err, LTI_E_SIGNATURE);
            else
                assert_code(lti_key_verify(key, all_algorithms[j], input, signature, &err), err, LTI_E_KEY_UNUSABLE);
        }
        bytes = apr_pcalloc(*state, signature.size + 1);
        memcpy(bytes, signature.data, signature.size);
        for (j = 0; j < signature.size; j += is_short() ? 61 : 7) {
            bytes[j] ^= 0x10;
            assert_code(lti_key_verify(key, alg, input, (lti_bytes_t){bytes, signature.size}, &err), err, LTI_E_SIGNATURE);
            bytes[j] ^= 0x10;
        }
        /* SPEC J-13: exactly as long as it has to be. */
        assert_code(lti_key_verify(key, alg, input, (lti_bytes_t){bytes, signature.size - 1}, &err), err, LTI_E_SIGNATURE);
        assert_code(lti_key_verify(key, alg, input, (lti_bytes_t){bytes, signature.size + 1}, &err), err, LTI_E_SIGNATURE);
        assert_code(lti_key_verify(key, alg, input, (lti_bytes_t){bytes, 0}, &err), err, LTI_E_SIGNATURE);
    }
}

static void elliptic_signatures_are_two_halves_of_fixed_size(void **state)
{
    static const struct {
        lti_alg_t alg;
        apr_size_t size;
    } cases[] = {{LTI_ALG_ES256, 64}, {LTI_ALG_ES384, 96}, {LTI_ALG_ES512, 132}};
    lti_bytes_t input = {"x", 1}, signature;
    lti_err_t err;
    size_t i, tries;

    for (i = 0; i < 3; i++) {
        lti_key_t *key = key_for(cases[i].alg, *state);
        unsigned char der[200], zeros[132] = {0};
        size_t length = sizeof(der);
        EVP_MD_CTX *ctx = EVP_MD_CTX_new();

        /* Often enough that halves with leading zeros are among them. */
        for (tries = 0; tries < (is_short() ? 20 : 600); tries++) {
            assert_ok(lti_key_sign(&signature, key, cases[i].alg, input, *state, &err), err);
            assert_int_equal(signature.size, cases[i].size);
            if (tries % 20 == 0 || *(const unsigned char *)signature.data == 0)
                assert_ok(lti_key_verify(key, cases[i].alg, input, signature, &err), err);
        }
        /* SPEC J-13: DER is refused, and so are the zeros that some verifiers once took for a proof. */
        assert_int_equal(EVP_DigestSignInit_ex(ctx, NULL,
                                               i == 0   ? "SHA256"
                                               : i == 1 ? "SHA384"
                                                        : "SHA512",
                                               NULL, NULL, key->pkey, NULL),
                         1);
        assert_int_equal(EVP_DigestSign(ctx, der, &length, input.data, input.size), 1);
        EVP_MD_CTX_free(ctx);
        assert_code(lti_key_verify(key, cases[i].alg, input, (lti_bytes_t){der, length}, &err), err, LTI_E_SIGNATURE);
        assert_code(lti_key_verify(key, cases[i].alg, input, (lti_bytes_t){zeros, cases[i].size}, &err), err, LTI_E_SIGNATURE);
    }
}

static void keys_fit_what_their_type_size_and_jwk_say(void **state)
{
    /* SPEC J-07, J-08 */
    static const struct {
        const char *type, *curve;
        size_t bits;
        unsigned fits;
    } cases[] = {
        {"RSA", NULL, 2048,
         LTI_ALG_BIT(LTI_ALG_RS256) | LTI_ALG_BIT(LTI_ALG_RS384) | LTI_ALG_BIT(LTI_ALG_RS512) | LTI_ALG_BIT(LTI_ALG_PS256) |
             LTI_ALG_BIT(LTI_ALG_PS384) | LTI_ALG_BIT(LTI_ALG_PS512)},
        {"RSA", NULL, 1024, 0},
        {"RSA-PSS", NULL, 2048, 0},
        {"EC", "P-256", 0, LTI_ALG_BIT(LTI_ALG_ES256)},
        {"EC", "P-384", 0, LTI_ALG_BIT(LTI_ALG_ES384)},
        {"EC", "P-521", 0, LTI_ALG_BIT(LTI_ALG_ES512)},
        {"EC", "secp256k1", 0, 0},
        {"ED25519", NULL, 0, LTI_ALG_BIT(LTI_ALG_EDDSA)},
        {"ED448", NULL, 0, 0},
        {"X25519", NULL, 0, 0},
    };
    size_t i, a;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        lti_key_t *key = private_key(cases[i].type, cases[i].curve, cases[i].bits, *state);

        for (a = 0; a < ALGORITHMS; a++) {
            lti_alg_t alg = all_algorithms[a];
            int fits = (cases[i].fits & LTI_ALG_BIT(alg)) != 0;

            assert_int_equal(lti_key_fits(key, alg), fits);
            key->only = alg;
            assert_int_equal(lti_key_fits(key, alg), fits);
            key->only = alg == LTI_ALG_RS256 ? LTI_ALG_RS384 : LTI_ALG_RS256;
            assert_int_equal(lti_key_fits(key, alg), 0);
            key->only = LTI_ALG_UNKNOWN;
        }
        assert_int_equal(lti_key_fits(key, LTI_ALG_UNKNOWN), 0);
    }
}

static void public_keys_do_not_sign(void **state)
{
    lti_key_t *key = key_for(LTI_ALG_ES256, *state);
    lti_bytes_t signature;
    lti_err_t err;

    key->is_private = 0;
    assert_code(lti_key_sign(&signature, key, LTI_ALG_ES256, bytes_of("x"), *state, &err), err, LTI_E_KEY_UNUSABLE);
    key->is_private = 1;
    assert_code(lti_key_sign(&signature, key, LTI_ALG_RS256, bytes_of("x"), *state, &err), err, LTI_E_KEY_UNUSABLE);
}

static void a_key_that_only_claims_to_be_private_cannot_sign(void **state)
{
    unsigned char n[256];
    lti_bytes_t signature;
    lti_key_t *key;
    lti_err_t err;

    memset(n, 0xC5, sizeof(n));
    assert_ok(lti_key_from_rsa(&key, (lti_bytes_t){n, sizeof(n)}, (lti_bytes_t){"\x01\x00\x01", 3}, "k", *state, &err), err);
    key->is_private = 1;
    assert_code(lti_key_sign(&signature, key, LTI_ALG_RS256, bytes_of("x"), *state, &err), err, LTI_E_INTERNAL);
}

static void rsa_keys_obey_their_limits(void **state)
{
    /* SPEC J-08; a modulus of `size` bytes whose first is `first` and last `last`, after `zeros` zero bytes. */
    static const struct {
        apr_size_t zeros, size;
        unsigned char first, last;
        const char *e;
        apr_size_t e_size;
        int good;
    } cases[] = {
        {0, 256, 0x80, 1, "\x01\x00\x01", 3, 1},
        {1, 256, 0x80, 1, "\x00\x01\x00\x01", 4, 1},
        {0, 256, 0x80, 1, "\x03", 1, 1},
        {0, 1024, 0xFF, 1, "\x01\x00\x01", 3, 1},
        {0, 256, 0x80, 1, "\x80\x00\x00\x00\x00\x00\x00\x01", 8, 1},
        {0, 256, 0x7F, 1, "\x01\x00\x01", 3, 0},   /* 2047 bits */
        {0, 128, 0x80, 1, "\x01\x00\x01", 3, 0},   /* 1024 */
        {128, 128, 0x80, 1, "\x01\x00\x01", 3, 0}, /* 1024 in 256 bytes */
        {0, 1025, 0x01, 1, "\x01\x00\x01", 3, 0},  /* 8193 */
        {0, 4000, 0x01, 1, "\x01\x00\x01", 3, 0},
        {0, 256, 0x80, 2, "\x01\x00\x01", 3, 0}, /* even modulus */
        {0, 256, 0x80, 1, "\x01", 1, 0},
        {0, 256, 0x80, 1, "\x00", 1, 0},
        {0, 256, 0x80, 1, "\x02", 1, 0},
        {0, 256, 0x80, 1, "\x01\x00\x00", 3, 0},
        {0, 256, 0x80, 1, "\x01\x00\x00\x00\x00\x00\x00\x00\x01", 9, 0}, /* 65 bits */
        {0, 256, 0x80, 1, "", 0, 0},
        {0, 0, 0, 0, "\x01\x00\x01", 3, 0},
    };
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        apr_size_t size = cases[i].zeros + cases[i].size;
        unsigned char *n = apr_pcalloc(*state, size + 1);
        lti_key_t *key = NULL;
        lti_err_t err;
        apr_status_t rv;

        if (cases[i].size > 0) {
            memset(n + cases[i].zeros, 0xA7, cases[i].size);
            n[cases[i].zeros] = cases[i].first;
            n[size - 1] = cases[i].last;
        }
        rv = lti_key_from_rsa(&key, (lti_bytes_t){n, size}, (lti_bytes_t){cases[i].e, cases[i].e_size}, "k", *state, &err);
        if ((rv == APR_SUCCESS) != cases[i].good)
            fail_msg("case %d: %d", (int)i, rv);
        if (cases[i].good) {
            assert_string_equal(key->kid, "k");
            assert_int_equal(key->is_private, 0);
            assert_int_equal(key->only, LTI_ALG_UNKNOWN);
        } else
            assert_code(rv, err, LTI_E_KEY_UNUSABLE);
    }
}

static lti_bytes_t decoded(const char *text, apr_pool_t *p)
{
    unsigned char *out = apr_palloc(p, strlen(text) + 1);
    lti_bytes_t bytes = {out, 0};

    assert_int_equal(lti_base64url_decode(out, &bytes.size, text, strlen(text)), APR_SUCCESS);
    return bytes;
}

static void keys_of_the_weak_generator_are_refused(void **state)
{
    /* CVE-2017-15361: both factors are powers of 65537 modulo the product of the primes up to 701. One bit away it is an ordinary number. */
    static const char weak[] = "hXWS5OtwtoUZqdbBTYMbWWIddN390s-wN9jhyiU0SdRz-cADODXNItZscTIQc3_-pdnoWU4-TPCY2uR1FvGkareWR8e8y5WwwJwQjwoKunq0Ie"
                               "xpGcz4BsL9HaQtogqpMzLjvLlq6Dy3_YXdKXQ2Vdid44F9qmOUDPRSI-OX8o2VoRjK5k6DKSA7S3zA3nfdxFTA1iBnRAyo_6huEN8cOt38MgvM"
                               "dCSTIZdNjY3dZLeBB_sd_XM7c3hD3xZUcu8ag2isLxMbF82FmEsuBDtXmyH1wSUNJQ_8hqyvi6nJAgpuv6A8Rnr-K_UWq0CeSugA30kkPHIT71"
                               "wxPkR9zlMULw";
    lti_bytes_t n = decoded(weak, *state), e = decoded("AQAB", *state);
    lti_key_t *key = NULL;
    lti_err_t err;

    assert_int_equal(n.size, 256);
    assert_code(lti_key_from_rsa(&key, n, e, "k", *state, &err), err, LTI_E_KEY_UNUSABLE);
    assert_non_null(strstr(err.text, "CVE-2017-15361"));
    ((unsigned char *)(uintptr_t)n.data)[100] ^= 1;
    assert_ok(lti_key_from_rsa(&key, n, e, "k", *state, &err), err);
}

static void points_off_the_curve_are_refused(void **state)
{
    /* SPEC J-08 */
    static const unsigned char zeros[66];
    lti_bytes_t x = decoded(EC_X, *state), y = decoded(EC_Y, *state), moved = decoded(EC_Y, *state);
    lti_key_t *key = NULL;
    lti_err_t err;

    ((unsigned char *)(uintptr_t)moved.data)[31] ^= 1;
    assert_ok(lti_key_from_ec(&key, "P-256", x, y, "k", *state, &err), err);
    assert_string_equal(key->kid, "k");
    assert_code(lti_key_from_ec(&key, "P-256", x, moved, "k", *state, &err), err, LTI_E_KEY_UNUSABLE);
    assert_code(lti_key_from_ec(&key, "P-256", y, x, "k", *state, &err), err, LTI_E_KEY_UNUSABLE);
    assert_code(lti_key_from_ec(&key, "P-256", (lti_bytes_t){zeros, 32}, (lti_bytes_t){zeros, 32}, "k", *state, &err), err,
                LTI_E_KEY_UNUSABLE);
    assert_code(lti_key_from_ec(&key, "P-256", (lti_bytes_t){x.data, 31}, y, "k", *state, &err), err, LTI_E_KEY_UNUSABLE);
    assert_code(lti_key_from_ec(&key, "P-384", x, y, "k", *state, &err), err, LTI_E_KEY_UNUSABLE);
    assert_code(lti_key_from_ec(&key, "secp256k1", x, y, "k", *state, &err), err, LTI_E_KEY_UNUSABLE);
    assert_code(lti_key_from_ec(&key, NULL, x, y, "k", *state, &err), err, LTI_E_KEY_UNUSABLE);
}

static void ed25519_keys_have_32_bytes(void **state)
{
    static const unsigned char bytes[33] = {1};
    lti_key_t *key = NULL;
    lti_err_t err;

    assert_ok(lti_key_from_ed25519(&key, (lti_bytes_t){bytes, 32}, "k", *state, &err), err);
    assert_true(lti_key_fits(key, LTI_ALG_EDDSA));
    assert_code(lti_key_from_ed25519(&key, (lti_bytes_t){bytes, 31}, "k", *state, &err), err, LTI_E_KEY_UNUSABLE);
    assert_code(lti_key_from_ed25519(&key, (lti_bytes_t){bytes, 33}, "k", *state, &err), err, LTI_E_KEY_UNUSABLE);
}

static void public_members_come_back_in_full_length(void **state)
{
    lti_key_public_t members;
    lti_key_t *key;
    lti_err_t err;

    assert_ok(lti_key_from_rsa(&key, decoded(RFC7638_N, *state), decoded("AQAB", *state), "k", *state, &err), err);
    assert_ok(lti_key_public(&members, key, *state, &err), err);
    assert_string_equal(members.kty, "RSA");
    assert_null(members.crv);
    assert_string_equal(members.a, RFC7638_N);
    assert_string_equal(members.b, "AQAB");

    assert_ok(lti_key_from_pem(&key, EC_PEM, strlen(EC_PEM), *state, &err), err);
    assert_ok(lti_key_public(&members, key, *state, &err), err);
    assert_string_equal(members.kty, "EC");
    assert_string_equal(members.crv, "P-256");
    assert_string_equal(members.a, EC_X);
    assert_string_equal(members.b, EC_Y);

    key = key_for(LTI_ALG_EDDSA, *state);
    assert_code(lti_key_public(&members, key, *state, &err), err, LTI_E_KEY_UNUSABLE);
}

static void pem_keys_are_named_by_their_thumbprint(void **state)
{
    /* SPEC Y-21, RFC 7638 */
    lti_key_t *key;
    lti_err_t err;

    assert_ok(lti_key_from_pem(&key, EC_PEM, strlen(EC_PEM), *state, &err), err);
    assert_string_equal(key->kid, EC_KID);
    assert_true(key->is_private);
    assert_true(lti_key_fits(key, LTI_ALG_ES256));
}

static void a_made_key_is_rsa_2048_in_pkcs8(void **state)
{
    char *pem = NULL, *again = NULL;
    lti_key_t *key, *other;
    lti_key_public_t members;
    unsigned char digest[LTI_SHA256_SIZE];
    const char *text;
    lti_err_t err;

    assert_ok(lti_key_generate_pem(&pem, *state, &err), err);
    assert_ptr_equal(strstr(pem, "-----BEGIN PRIVATE KEY-----\n"), pem);
    assert_ok(lti_key_from_pem(&key, pem, strlen(pem), *state, &err), err);
    assert_int_equal(EVP_PKEY_get_bits(key->pkey), 2048);
    assert_ok(lti_key_generate_pem(&again, *state, &err), err);
    assert_ok(lti_key_from_pem(&other, again, strlen(again), *state, &err), err);
    assert_string_not_equal(key->kid, other->kid);

    assert_ok(lti_key_public(&members, key, *state, &err), err);
    text = apr_psprintf(*state, "{\"e\":\"%s\",\"kty\":\"RSA\",\"n\":\"%s\"}", members.b, members.a);
    assert_int_equal(lti_sha256(digest, text, strlen(text)), APR_SUCCESS);
    assert_string_equal(key->kid, lti_base64url_encode(digest, sizeof(digest), *state));
}

static const char *pem_of(const lti_key_t *key, const char *pass, int only_public, apr_pool_t *p)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text;
    long size;

    if (only_public)
        assert_int_equal(PEM_write_bio_PUBKEY(bio, key->pkey), 1);
    else
        assert_int_equal(PEM_write_bio_PKCS8PrivateKey(bio, key->pkey, pass == NULL ? NULL : EVP_aes_128_cbc(), pass,
                                                       pass == NULL ? 0 : (int)strlen(pass), NULL, NULL),
                         1);
    size = BIO_get_mem_data(bio, &text);
    text = apr_pstrmemdup(p, text, (apr_size_t)size);
    BIO_free(bio);
    return text;
}

static void pem_texts_that_cannot_sign_launches_are_refused(void **state)
{
    lti_key_t *rsa = key_for(LTI_ALG_RS256, *state), *key = NULL;
    const char *cases[] = {
        "",
        "no key at all",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        pem_of(private_key("RSA", NULL, 1024, *state), NULL, 0, *state),
        pem_of(private_key("EC", "P-384", 0, *state), NULL, 0, *state),
        pem_of(private_key("ED25519", NULL, 0, *state), NULL, 0, *state),
        pem_of(private_key("RSA-PSS", NULL, 2048, *state), NULL, 0, *state),
        pem_of(rsa, "secret", 0, *state),
        pem_of(rsa, NULL, 1, *state),
    };
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        lti_err_t err;
        apr_status_t rv = lti_key_from_pem(&key, cases[i], strlen(cases[i]), *state, &err);

        if (rv == APR_SUCCESS)
            fail_msg("case %d was taken", (int)i);
        assert_code(rv, err, LTI_E_CONFIG);
        assert_null(strstr(err.text, "PRIVATE"));
    }
    assert_null(key);
}

static void halves_that_do_not_belong_together_are_refused(void **state)
{
    lti_key_t *one = key_for(LTI_ALG_ES256, *state), *two = key_for(LTI_ALG_ES256, *state), *key;
    BIGNUM *secret = NULL;
    unsigned char point[65], scalar[32];
    size_t length;
    /* RFC 5915: version, private key, curve, public key */
    unsigned char der[121] = {0x30, 0x77, 0x02, 0x01, 0x01, 0x04, 0x20};
    static const unsigned char middle[] = {0xA0, 0x0A, 0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D,
                                           0x03, 0x01, 0x07, 0xA1, 0x44, 0x03, 0x42, 0x00};
    char text[300] = "-----BEGIN EC PRIVATE KEY-----\n";
    unsigned char base64[200];
    int lines = 0;
    lti_err_t err;
    EVP_ENCODE_CTX *encode = EVP_ENCODE_CTX_new();
    int last = 0;

    assert_int_equal(EVP_PKEY_get_bn_param(one->pkey, "priv", &secret), 1);
    assert_int_equal(BN_bn2binpad(secret, scalar, 32), 32);
    BN_free(secret);
    assert_int_equal(EVP_PKEY_get_octet_string_param(two->pkey, "encoded-pub-key", point, sizeof(point), &length), 1);
    memcpy(der + 7, scalar, 32);
    memcpy(der + 39, middle, sizeof(middle));
    memcpy(der + 39 + sizeof(middle), point, 65);
    EVP_EncodeInit(encode);
    EVP_EncodeUpdate(encode, base64, &lines, der, sizeof(der));
    EVP_EncodeFinal(encode, base64 + lines, &last);
    EVP_ENCODE_CTX_free(encode);
    base64[lines + last] = '\0';
    strcat(text, (char *)base64);
    strcat(text, "-----END EC PRIVATE KEY-----\n");

    assert_code(lti_key_from_pem(&key, text, strlen(text), *state, &err), err, LTI_E_CONFIG);
    assert_non_null(strstr(err.text, "belong together"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        QUEUE_TEST(base64url_of_known_texts),
        QUEUE_TEST(base64url_comes_back_at_every_length),
        QUEUE_TEST(base64url_takes_nothing_outside_its_alphabet),
        QUEUE_TEST(base64url_takes_one_form_only),
        QUEUE_TEST(base32_of_known_texts),
        QUEUE_TEST(random_texts_have_their_length_and_differ),
        QUEUE_TEST(equal_is_equal),
        QUEUE_TEST(sha256_of_known_texts),
        QUEUE_TEST(hmac_of_known_texts),
        QUEUE_TEST(pieces_do_not_run_together),
        QUEUE_TEST(seals_open_at_every_length),
        QUEUE_TEST(every_flipped_bit_breaks_the_seal),
        QUEUE_TEST(a_seal_is_bound_to_its_purpose_and_data),
        QUEUE_TEST(the_same_text_is_never_sealed_alike),
        QUEUE_TEST(old_secrets_open_and_the_first_seals),
        QUEUE_TEST(secrets_with_the_same_id_are_all_tried),
        QUEUE_TEST(the_form_of_a_seal_does_not_change),
        QUEUE_TEST(short_or_no_secrets_are_refused),
        QUEUE_TEST(what_is_too_long_to_seal_is_an_internal_error),
        QUEUE_TEST(a_sealer_serves_many_threads_and_forked_children),
        QUEUE_TEST(macs_depend_on_secret_purpose_and_pieces),
        QUEUE_TEST(algorithm_names_come_back_and_others_do_not_exist),
        QUEUE_TEST(each_algorithm_signs_and_verifies_and_nothing_else),
        QUEUE_TEST(elliptic_signatures_are_two_halves_of_fixed_size),
        QUEUE_TEST(keys_fit_what_their_type_size_and_jwk_say),
        QUEUE_TEST(public_keys_do_not_sign),
        QUEUE_TEST(a_key_that_only_claims_to_be_private_cannot_sign),
        QUEUE_TEST(rsa_keys_obey_their_limits),
        QUEUE_TEST(keys_of_the_weak_generator_are_refused),
        QUEUE_TEST(points_off_the_curve_are_refused),
        QUEUE_TEST(ed25519_keys_have_32_bytes),
        QUEUE_TEST(public_members_come_back_in_full_length),
        QUEUE_TEST(pem_keys_are_named_by_their_thumbprint),
        QUEUE_TEST(a_made_key_is_rsa_2048_in_pkcs8),
        QUEUE_TEST(pem_texts_that_cannot_sign_launches_are_refused),
        QUEUE_TEST(halves_that_do_not_belong_together_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
