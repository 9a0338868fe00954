/* SPDX-License-Identifier: Apache-2.0 */
/* Key sets: what is usable of them, and that all threads of all processes share one fetch, one set and no half of one. */
#include "test.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <openssl/evp.h>
#include "lti_json.h"
#include "lti_keys.h"

#define X1 "uZZ8cLZfOVxUT6rOeBVqCdgkq1V6Xg6dYzPm6yrjlkU"
#define Y1 "zfXvPw5E44IlihjpMjewva_XlRxGKI95eRm7-66gWLo"
#define X2 "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
#define Y2 "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
#define EC_MEMBERS(x, y) "\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" x "\",\"y\":\"" y "\""
#define EC1 EC_MEMBERS(X1, Y1)
#define EC2 EC_MEMBERS(X2, Y2)
#define ED "\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\""
#define RSA_N                                                                                                                  \
    "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_" \
    "YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uD" \
    "Zlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"
#define RSA "\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"" RSA_N "\""
#define RSA_PADDED "\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"" RSA_N "==\""
#define WEAK "\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"AQAB\""
#define OFF_CURVE EC_MEMBERS(X1, Y2)

#define SET(keys) "{\"keys\":[" keys "]}"
#define KEY(kid, members) "{\"kid\":\"" kid "\"," members "}"

#define NOW apr_time_from_sec(1800000000)
#define SECONDS(n) apr_time_from_sec(n)

/* --- key sets ------------------------------------------------------------------------------------------------------------ */

static void usable_keys_are_kept_and_others_dropped(void **state)
{
    static const struct {
        const char *set, *kids; /* the kids that remain, each followed by a blank */
        int dropped;
    } cases[] = {
        {SET(KEY("a", EC1)), "a ", 0},
        {SET(KEY("a", RSA) "," KEY("b", EC1) "," KEY("c", ED)), "a b c ", 0},
        {SET(KEY("a", RSA_PADDED)), "a ", 0}, /* SPEC J-14 */
        /* SPEC Y-02: a key without kid */
        {SET("{" EC2 "}," KEY("a", EC1)), "a ", 1},
        {SET("{\"kid\":5," EC2 "}," KEY("a", EC1)), "a ", 1},
        {SET(KEY("", EC2) "," KEY("a", EC1)), "a ", 1},
        /* SPEC J-07: what the key is for */
        {SET(KEY("a", EC1 ",\"use\":\"sig\"") "," KEY("b", EC2 ",\"use\":\"enc\"")), "a ", 1},
        {SET(KEY("a", EC1 ",\"key_ops\":[\"verify\"]") "," KEY("b", EC2 ",\"key_ops\":[\"encrypt\"]")), "a ", 1},
        {SET(KEY("a", EC1 ",\"key_ops\":[\"sign\",\"verify\"]") "," KEY("b", EC2 ",\"key_ops\":\"verify\"")), "a ", 1},
        {SET(KEY("a", EC1 ",\"alg\":\"ES256\"") "," KEY("b", EC2 ",\"alg\":\"ES384\"")), "a ", 1},
        {SET(KEY("a", RSA ",\"alg\":\"PS512\"") "," KEY("b", RSA ",\"alg\":\"RSA-OAEP\"")), "a ", 1},
        {SET(KEY("a", RSA ",\"alg\":\"RS256\"") "," KEY("b", RSA ",\"alg\":\"HS256\"")), "a ", 1},
        {SET(KEY("a", EC1) "," KEY("b", EC2 ",\"alg\":5")), "a ", 1},
        /* SPEC J-08 */
        {SET(KEY("a", EC1) "," KEY("b", WEAK)), "a ", 1},
        {SET(KEY("a", EC1) "," KEY("b", OFF_CURVE)), "a ", 1},
        /* SPEC J-14: missing or damaged members */
        {SET(KEY("a", EC1) "," KEY("b", "\"kty\":\"RSA\",\"e\":\"AQAB\"")), "a ", 1},
        {SET(KEY("a", EC1) "," KEY("b", "\"kty\":\"RSA\",\"n\":\"" RSA_N "\"")), "a ", 1},
        {SET(KEY("a", EC1) "," KEY("b", "\"kty\":\"RSA\",\"n\":\"!\",\"e\":\"AQAB\"")), "a ", 1},
        {SET(KEY("a", EC1) "," KEY("b", "\"kty\":\"RSA\",\"n\":\"===\",\"e\":\"AQAB\"")), "a ", 1},
        {SET(KEY("a", EC1) "," KEY("b", "\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X2 "\"")), "a ", 1},
        {SET(KEY("a", EC1) "," KEY("b", "\"kty\":\"EC\",\"x\":\"" X2 "\",\"y\":\"" Y2 "\"")), "a ", 1},
        {SET(KEY("a", EC1) "," KEY("b", "\"kty\":\"OKP\",\"crv\":\"Ed448\",\"x\":\"AAAA\"")), "a ", 1},
        {SET(KEY("a", EC1) "," KEY("b", "\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AAAA\"")), "a ", 1},
        {SET(KEY("a", EC1) "," KEY("b", "\"kty\":\"XYZ\"") ",5,null,[]"), "a ", 4},
        /* SPEC Y-09: a private key that is published, a symmetric one */
        {SET(KEY("a", EC1) "," KEY("b", EC2 ",\"d\":\"AAAA\"")), "a ", 1},
        {SET(KEY("a", EC1) "," KEY("b", RSA ",\"p\":\"AAAA\"")), "a ", 1},
        {SET(KEY("a", EC1) "," KEY("b", "\"kty\":\"oct\",\"k\":\"AAAA\"")), "a ", 1},
        /* SPEC Y-03: one kid for two keys names neither */
        {SET(KEY("a", EC1) "," KEY("b", EC1) "," KEY("b", EC2)), "a ", 2},
        {SET(KEY("b", EC1) "," KEY("b", RSA) "," KEY("b", EC1) "," KEY("a", EC1)), "a ", 3},
        {SET(KEY("a", EC1) "," KEY("a", EC1)), "a ", 1},
        {SET(KEY("a", EC1) "," KEY("a", EC2 ",\"use\":\"enc\"")), "a ", 1},
    };
    size_t i;
    int k;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        apr_array_header_t *keys = NULL;
        const char *kids = "";
        int dropped = -1;
        lti_err_t err;

        assert_ok(lti_keyset_parse(&keys, &dropped, cases[i].set, strlen(cases[i].set), *state, &err), err);
        for (k = 0; k < keys->nelts; k++)
            kids = apr_pstrcat(*state, kids, APR_ARRAY_IDX(keys, k, lti_key_t *)->kid, " ", NULL);
        if (strcmp(kids, cases[i].kids) != 0 || dropped != cases[i].dropped)
            fail_msg("case %d: kept %s, dropped %d", (int)i, kids, dropped);
    }
}

static void keys_that_are_not_used_are_told_with_the_reason(void **state)
{
    static const struct {
        const char *set, *told; /* NULL: nothing */
    } cases[] = {
        {SET(KEY("a", EC1) "," KEY("b", RSA)), NULL},
        {SET(KEY("a", EC1) "," KEY("b", EC2 ",\"use\":\"enc\"")), NULL}, /* J-07: for something else */
        {SET(KEY("a", EC1) "," KEY("b", EC2 ",\"key_ops\":[\"encrypt\"]")), NULL},
        {SET(KEY("a", EC1) "," KEY("b", RSA ",\"alg\":\"RSA-OAEP\"")), NULL},
        {SET(KEY("a", EC1) "," KEY("b", EC2 ",\"alg\":\"ES384\"")), "key \"b\": its alg is none of its type (SPEC J-07)"},
        {SET(KEY("a", EC1) "," KEY("weak", WEAK)), "key \"weak\": an RSA modulus below 2048 bits"}, /* J-08 */
        {SET(KEY("a", EC1) "," KEY("b", "\"kty\":\"RSA\",\"e\":\"AQ\",\"n\":\"" RSA_N "\"")), "exponent that is even or 1"},
        {SET(KEY("a", EC1) "," KEY("b", OFF_CURVE)), "not on its curve"},
        {SET(KEY("a", EC1) "," KEY("b", "\"kty\":\"RSA\",\"e\":\"AQAB\"")), "a member is missing"}, /* J-14 */
        {SET(KEY("a", EC1) ",{" EC2 "}"), "key \"\": it has no name, kid"},                         /* Y-02 */
        {SET(KEY("a", EC1) "," KEY("b", EC1) "," KEY("b", EC2)), "key \"b\": two different keys have this name (SPEC Y-03)"},
        {SET(KEY("a", EC1) "," KEY("a", EC1)), NULL},
        {SET(KEY("a", EC1) "," KEY("b", EC2 ",\"d\":\"AAAA\"")), "published with its secret half"}, /* Y-09 */
        {SET(KEY("a", EC1) "," KEY("b", "\"kty\":\"oct\",\"k\":\"AAAA\"")), "symmetric"},
        {SET(KEY("a", WEAK) "," KEY("b", OFF_CURVE)), "below 2048 bits; key \"b\": "},
        {"<html>", NULL}, /* no set: lti_keyset_parse() says why */
    };
    const char *many = "{\"keys\":[";
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *told = lti_keyset_faults(cases[i].set, strlen(cases[i].set), *state);

        if ((told == NULL) != (cases[i].told == NULL) || (told != NULL && strstr(told, cases[i].told) == NULL))
            fail_msg("case %d: %s", (int)i, told != NULL ? told : "nothing");
    }
    for (i = 0; i < LTI_KEYSET_KEYS; i++)
        many = apr_psprintf(*state, "%s%s{\"kid\":\"k%d\"," WEAK "}", many, i == 0 ? "" : ",", (int)i);
    many = apr_pstrcat(*state, many, "]}", NULL);
    assert_true(strlen(lti_keyset_faults(many, strlen(many), *state)) < 2100);
}

static void the_algorithm_of_a_jwk_binds_its_key(void **state)
{
    const char *set = SET(KEY("a", RSA ",\"alg\":\"RS384\"") "," KEY("b", RSA));
    apr_array_header_t *keys = NULL;
    lti_err_t err;

    assert_ok(lti_keyset_parse(&keys, NULL, set, strlen(set), *state, &err), err);
    assert_int_equal(APR_ARRAY_IDX(keys, 0, lti_key_t *)->only, LTI_ALG_RS384);
    assert_int_equal(APR_ARRAY_IDX(keys, 1, lti_key_t *)->only, LTI_ALG_UNKNOWN);
    assert_int_equal(APR_ARRAY_IDX(keys, 0, lti_key_t *)->is_private, 0);
}

static void sets_that_are_none_are_refused(void **state)
{
    static const char *const cases[] = {
        "",
        "<html>not found</html>",
        "[]",
        "{}",
        "{\"keys\":{}}",
        "{\"keys\":null}",
        SET(""),
        SET(KEY("a", WEAK)),
        SET(KEY("a", EC1) "," KEY("a", EC2)),
        SET(KEY("a", EC1)) "x",
        "{\"keys\":[],\"keys\":[" KEY("a", EC1) "]}",
    };
    apr_array_header_t *keys = NULL;
    lti_err_t err;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_code(lti_keyset_parse(&keys, NULL, cases[i], strlen(cases[i]), *state, &err), err, LTI_E_KEYSET_INVALID);
    assert_null(keys);
}

/* `count` keys under different names. */
static const char *set_of(int count, apr_pool_t *p)
{
    const char *text = "{\"keys\":[";
    int i;

    for (i = 0; i < count; i++)
        text = apr_psprintf(p, "%s%s{\"kid\":\"k%d\"," EC1 "}", text, i == 0 ? "" : ",", i);
    return apr_pstrcat(p, text, "]}", NULL);
}

static void sets_have_limits(void **state)
{
    /* SPEC Y-04 */
    apr_array_header_t *keys = NULL;
    const char *set = set_of(LTI_KEYSET_KEYS, *state);
    char *padded;
    lti_err_t err;

    assert_ok(lti_keyset_parse(&keys, NULL, set, strlen(set), *state, &err), err);
    assert_int_equal(keys->nelts, LTI_KEYSET_KEYS);
    set = set_of(LTI_KEYSET_KEYS + 1, *state);
    assert_code(lti_keyset_parse(&keys, NULL, set, strlen(set), *state, &err), err, LTI_E_KEYSET_INVALID);

    set = SET(KEY("a", EC1));
    padded = apr_palloc(*state, LTI_KEYSET_MAX + 1);
    memset(padded, ' ', LTI_KEYSET_MAX + 1);
    memcpy(padded, set, strlen(set));
    assert_ok(lti_keyset_parse(&keys, NULL, padded, LTI_KEYSET_MAX, *state, &err), err);
    assert_code(lti_keyset_parse(&keys, NULL, padded, LTI_KEYSET_MAX + 1, *state, &err), err, LTI_E_KEYSET_INVALID);
}

/* --- the cache in one process -------------------------------------------------------------------------------------------- */

static lti_keycache_t *cache_in(void *block, int platforms, apr_pool_t *p)
{
    lti_keycache_t *cache = NULL;
    lti_err_t err;

    assert_ok(lti_keycache_create(&cache, block, lti_keycache_size(platforms), platforms, p, &err), err);
    assert_ok(lti_keycache_child_init(cache, p, &err), err);
    return cache;
}

static lti_keycache_t *cache_of(int platforms, apr_pool_t *p)
{
    return cache_in(apr_palloc(p, lti_keycache_size(platforms)), platforms, p);
}

static apr_status_t store(lti_keycache_t *cache, int index, const char *set, long max_age, apr_time_t now, lti_err_t *err)
{
    return lti_keycache_store(cache, index, set, strlen(set), max_age, now, err);
}

static void fetch(lti_keycache_t *cache, int index, const char *set, long max_age, apr_time_t now)
{
    lti_err_t err;

    assert_int_equal(lti_keycache_claim(cache, index, now), 1);
    assert_ok(store(cache, index, set, max_age, now, &err), err);
}

static int has(lti_keycache_t *cache, int index, const char *kid, apr_time_t now, apr_pool_t *p)
{
    const lti_key_t *key;

    return lti_keycache_find(&key, NULL, cache, index, kid, now, p, NULL) == APR_SUCCESS && strcmp(key->kid, kid) == 0;
}

static void a_set_is_found_where_it_was_stored(void **state)
{
    lti_keycache_t *cache = cache_of(2, *state);
    const lti_key_t *key = NULL;
    lti_err_t err;
    apr_status_t rv;
    int stale = 5;

    rv = lti_keycache_find(&key, &stale, cache, 1, "a", NOW, *state, &err);
    assert_int_equal(rv, APR_NOTFOUND);
    assert_code(rv, err, LTI_E_KEYSET_UNAVAILABLE);
    assert_int_equal(stale, 0);

    fetch(cache, 1, SET(KEY("a", RSA ",\"alg\":\"RS256\"") "," KEY("b", EC2)), 0, NOW);
    assert_ok(lti_keycache_find(&key, &stale, cache, 1, "a", NOW, *state, &err), err);
    assert_string_equal(key->kid, "a");
    assert_int_equal(key->only, LTI_ALG_RS256);
    assert_true(EVP_PKEY_is_a(key->pkey, "RSA"));
    assert_int_equal(stale, 0);
    assert_true(has(cache, 1, "b", NOW, *state));

    rv = lti_keycache_find(&key, &stale, cache, 1, "c", NOW, *state, &err);
    assert_int_equal(rv, APR_NOTFOUND);
    assert_code(rv, err, LTI_E_KEY_UNKNOWN);
    assert_null(key);
    assert_false(has(cache, 0, "a", NOW, *state));
}

static void lent_keys_outlive_their_set(void **state)
{
    lti_keycache_t *cache = cache_of(1, *state);
    const lti_key_t *key;
    lti_key_public_t members;
    apr_pool_t *request;
    lti_err_t err;

    assert_int_equal(apr_pool_create(&request, *state), APR_SUCCESS);
    fetch(cache, 0, SET(KEY("a", EC1)), 0, NOW);
    assert_ok(lti_keycache_find(&key, NULL, cache, 0, "a", NOW, request, &err), err);
    fetch(cache, 0, SET(KEY("b", EC2)), 0, NOW + SECONDS(60));
    /* SPEC Y-07: a key that is gone from the new set is not used any more. */
    assert_false(has(cache, 0, "a", NOW + SECONDS(60), *state));
    assert_true(has(cache, 0, "b", NOW + SECONDS(60), *state));
    assert_ok(lti_key_public(&members, key, request, &err), err);
    assert_string_equal(members.a, X1);
    assert_string_equal(key->kid, "a");
    apr_pool_destroy(request);
}

static void sets_age_within_limits(void **state)
{
    /* SPEC Y-05: 5 minutes to 24 hours, an hour if nothing was said; S-11: another day while the platform is down. */
    static const struct {
        long max_age, fresh;
    } cases[] = {{0, 3600},    {-5, 3600},     {1, 300},       {299, 300},         {300, 300},
                 {7200, 7200}, {86400, 86400}, {86401, 86400}, {2147483647, 86400}};
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        lti_keycache_t *cache = cache_of(1, *state);
        apr_time_t end = NOW + SECONDS(cases[i].fresh);
        const lti_key_t *key;
        int stale = -1;
        lti_err_t err;
        apr_status_t rv;

        fetch(cache, 0, SET(KEY("a", EC1)), cases[i].max_age, NOW);
        assert_ok(lti_keycache_find(&key, &stale, cache, 0, "a", end - 1, *state, &err), err);
        assert_int_equal(stale, 0);
        assert_ok(lti_keycache_find(&key, &stale, cache, 0, "a", end, *state, &err), err);
        assert_int_equal(stale, 1);
        assert_ok(lti_keycache_find(&key, &stale, cache, 0, "a", end + SECONDS(86400) - 1, *state, &err), err);
        assert_int_equal(stale, 1);
        rv = lti_keycache_find(&key, &stale, cache, 0, "a", end + SECONDS(86400), *state, &err);
        assert_int_equal(rv, APR_NOTFOUND);
        assert_code(rv, err, LTI_E_KEYSET_UNAVAILABLE);
        assert_int_equal(lti_keycache_claim(cache, 0, end + SECONDS(86400)), 1);
    }
}

static void the_age_of_a_set_is_known(void **state) /* SPEC Y-08 */
{
    lti_keycache_t *cache = cache_of(2, *state);

    assert_int_equal(lti_keycache_is_older(cache, 0, SECONDS(300), NOW), 0);
    fetch(cache, 0, SET(KEY("a", EC1)), 0, NOW);
    assert_int_equal(lti_keycache_is_older(cache, 0, SECONDS(300), NOW + SECONDS(300)), 0);
    assert_int_equal(lti_keycache_is_older(cache, 0, SECONDS(300), NOW + SECONDS(300) + 1), 1);
    assert_int_equal(lti_keycache_is_older(cache, 0, SECONDS(300), NOW - SECONDS(1000)), 0);
    assert_int_equal(lti_keycache_is_older(cache, 1, SECONDS(300), NOW + SECONDS(900)), 0);
    assert_int_equal(lti_keycache_is_older(cache, 2, SECONDS(300), NOW + SECONDS(900)), 0);
    assert_int_equal(lti_keycache_is_older(cache, -1, SECONDS(300), NOW + SECONDS(900)), 0);
}

static void a_clock_set_back_makes_a_set_stale_not_eternal(void **state)
{
    lti_keycache_t *cache = cache_of(1, *state);
    const lti_key_t *key;
    int stale = 0;
    lti_err_t err;

    fetch(cache, 0, SET(KEY("a", EC1)), 0, NOW + SECONDS(10 * 86400));
    assert_ok(lti_keycache_find(&key, &stale, cache, 0, "a", NOW, *state, &err), err);
    assert_int_equal(stale, 1);
    assert_int_equal(lti_keycache_claim(cache, 0, NOW), 1);
}

static void a_bad_set_does_not_replace_a_good_one(void **state)
{
    /* SPEC S-11 */
    static const char *const bad[] = {"", "<html>", "{\"keys\":[]}", SET(KEY("a", WEAK)), SET(KEY("a", EC1) "," KEY("a", EC2))};
    lti_keycache_t *cache = cache_of(1, *state);
    apr_time_t now = NOW;
    lti_err_t err;
    size_t i;

    fetch(cache, 0, SET(KEY("a", EC1)), 0, now);
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        now += SECONDS(60);
        assert_int_equal(lti_keycache_claim(cache, 0, now), 1);
        assert_code(store(cache, 0, bad[i], 0, now, &err), err, LTI_E_KEYSET_INVALID);
        assert_int_equal(lti_keycache_fetching(cache, 0, now), 0);
        assert_true(has(cache, 0, "a", now, *state));
    }
}

static void a_set_that_does_not_fit_is_refused_whole(void **state)
{
    /* Within 256 KiB as it comes, but 64 keys of 8192 bits need more than an entry has. */
    lti_keycache_t *cache = cache_of(1, *state);
    unsigned char n[1024];
    const char *text = "{\"keys\":[";
    lti_err_t err;
    int i;

    memset(n, 0xA7, sizeof(n));
    for (i = 0; i < LTI_KEYSET_KEYS; i++)
        text = apr_psprintf(*state, "%s%s{\"kid\":\"k%d\",\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"%s\"}", text, i == 0 ? "" : ",", i,
                            lti_base64url_encode(n, sizeof(n), *state));
    text = apr_pstrcat(*state, text, "]}", NULL);
    assert_true(strlen(text) <= LTI_KEYSET_MAX);
    assert_int_equal(lti_keycache_claim(cache, 0, NOW), 1);
    assert_code(store(cache, 0, text, 0, NOW, &err), err, LTI_E_KEYSET_INVALID);
    assert_false(has(cache, 0, "k0", NOW, *state));
}

static void only_usable_public_members_reach_shared_memory(void **state)
{
    apr_size_t size = lti_keycache_size(1), at;
    char *block = apr_palloc(*state, size);
    lti_keycache_t *cache = cache_in(block, 1, *state);
    int found = 0;

    fetch(cache, 0, SET(KEY("a", EC1 ",\"x5c\":[\"CERTIFICATE\"],\"note\":\"REMARK\"") "," KEY("b", EC2 ",\"d\":\"PRIVATE\"")), 0,
          NOW);
    for (at = 0; at + 16 < size; at++) {
        assert_int_not_equal(memcmp(block + at, "CERTIFICATE", 11), 0);
        assert_int_not_equal(memcmp(block + at, "REMARK", 6), 0);
        assert_int_not_equal(memcmp(block + at, "PRIVATE", 7), 0);
        found += memcmp(block + at, "\"kid\":\"a\"", 9) == 0;
    }
    assert_int_equal(found, 1);
}

static void one_fetch_a_minute_once_a_set_is_known(void **state)
{
    /* SPEC Y-06 */
    lti_keycache_t *cache = cache_of(2, *state);

    fetch(cache, 0, SET(KEY("a", EC1)), 0, NOW - SECONDS(3600));
    assert_int_equal(lti_keycache_fetching(cache, 0, NOW), 0);
    assert_int_equal(lti_keycache_claim(cache, 0, NOW), 1);
    assert_int_equal(lti_keycache_fetching(cache, 0, NOW), 1);
    assert_int_equal(lti_keycache_claim(cache, 0, NOW), 0);
    assert_int_equal(lti_keycache_fetching(cache, 1, NOW), 0);
    assert_int_equal(lti_keycache_claim(cache, 1, NOW), 1); /* another platform is another matter */
    lti_keycache_release(cache, 0, NOW);
    assert_int_equal(lti_keycache_fetching(cache, 0, NOW), 0);
    assert_int_equal(lti_keycache_claim(cache, 0, NOW + 1), 0);
    assert_int_equal(lti_keycache_claim(cache, 0, NOW - SECONDS(5)), 0); /* a request that looked at the clock earlier */
    assert_int_equal(lti_keycache_claim(cache, 0, NOW + SECONDS(60) - 1), 0);
    assert_int_equal(lti_keycache_claim(cache, 0, NOW + SECONDS(60)), 1);
}

static void the_first_set_is_asked_for_again_after_five_seconds(void **state)
{
    lti_keycache_t *cache = cache_of(1, *state);

    assert_int_equal(lti_keycache_claim(cache, 0, NOW), 1);
    lti_keycache_release(cache, 0, NOW);
    assert_int_equal(lti_keycache_claim(cache, 0, NOW + SECONDS(5) - 1), 0);
    assert_int_equal(lti_keycache_claim(cache, 0, NOW + SECONDS(5)), 1);
}

static void a_claim_that_was_never_ended_ends_by_time(void **state)
{
    lti_keycache_t *cache = cache_of(1, *state);

    assert_int_equal(lti_keycache_claim(cache, 0, NOW), 1);
    assert_int_equal(lti_keycache_fetching(cache, 0, NOW + SECONDS(15) - 1000), 1);
    assert_int_equal(lti_keycache_fetching(cache, 0, NOW + SECONDS(15)), 0);
    assert_int_equal(lti_keycache_claim(cache, 0, NOW + SECONDS(60)), 1);
}

static void a_clock_set_back_does_not_block_fetches(void **state)
{
    lti_keycache_t *cache = cache_of(1, *state);

    assert_int_equal(lti_keycache_claim(cache, 0, NOW + SECONDS(86400)), 1);
    assert_int_equal(lti_keycache_fetching(cache, 0, NOW), 0);
    assert_int_equal(lti_keycache_claim(cache, 0, NOW), 1);
}

static void without_a_claim_nothing_is_stored(void **state)
{
    lti_keycache_t *cache = cache_of(1, *state);
    lti_err_t err;
    apr_status_t rv = store(cache, 0, SET(KEY("a", EC1)), 0, NOW, &err);

    assert_int_equal(rv, APR_EBUSY);
    assert_code(rv, err, LTI_E_KEYSET_UNAVAILABLE);
    assert_false(has(cache, 0, "a", NOW, *state));
    lti_keycache_release(cache, 0, NOW);
    assert_int_equal(lti_keycache_claim(cache, 0, NOW), 1);
}

static void *claim_in_thread(void *data)
{
    return (void *)(intptr_t)lti_keycache_claim(data, 0, NOW + SECONDS(60));
}

static void who_lost_the_claim_does_not_end_anothers(void **state)
{
    /* A second thread claims after the first one's time; the first comes back late. */
    lti_keycache_t *cache = cache_of(1, *state);
    pthread_t thread;
    void *claimed;
    lti_err_t err;
    apr_status_t rv;

    assert_int_equal(lti_keycache_claim(cache, 0, NOW), 1);
    assert_int_equal(pthread_create(&thread, NULL, claim_in_thread, cache), 0);
    pthread_join(thread, &claimed);
    assert_int_equal((intptr_t)claimed, 1);
    rv = store(cache, 0, SET(KEY("late", EC1)), 0, NOW + SECONDS(61), &err);
    assert_int_equal(rv, APR_EBUSY);
    assert_code(rv, err, LTI_E_KEYSET_UNAVAILABLE);
    lti_keycache_release(cache, 0, NOW + SECONDS(61));
    assert_int_equal(lti_keycache_fetching(cache, 0, NOW + SECONDS(61)), 1);
    assert_false(has(cache, 0, "late", NOW + SECONDS(61), *state));
}

static void a_cache_needs_its_block_and_its_child(void **state)
{
    char *block = apr_palloc(*state, lti_keycache_size(2) + 8);
    lti_keycache_t *cache = NULL;
    const lti_key_t *key;
    lti_err_t err;

    assert_int_equal(lti_keycache_size(3), 4 * 64 * 1024);
    assert_code(lti_keycache_create(&cache, block, lti_keycache_size(2) - 1, 2, *state, &err), err, LTI_E_INTERNAL);
    assert_code(lti_keycache_create(&cache, block + 4, lti_keycache_size(2), 2, *state, &err), err, LTI_E_INTERNAL);
    assert_ok(lti_keycache_create(&cache, block, lti_keycache_size(2), 2, *state, &err), err);
    assert_code(lti_keycache_find(&key, NULL, cache, 0, "a", NOW, *state, &err), err, LTI_E_INTERNAL);
    assert_code(store(cache, 0, SET(KEY("a", EC1)), 0, NOW, &err), err, LTI_E_INTERNAL);
    assert_int_equal(lti_keycache_claim(cache, 0, NOW), 0);
    lti_keycache_release(cache, 0, NOW);
    assert_ok(lti_keycache_child_init(cache, *state, &err), err);
    assert_code(lti_keycache_find(&key, NULL, cache, 2, "a", NOW, *state, &err), err, LTI_E_INTERNAL);
    assert_code(lti_keycache_find(&key, NULL, cache, -1, "a", NOW, *state, &err), err, LTI_E_INTERNAL);
    assert_int_equal(lti_keycache_claim(cache, 2, NOW), 0);
    assert_int_equal(lti_keycache_fetching(cache, 2, NOW), 0);
    assert_int_equal(lti_keycache_claim(cache, 1, NOW), 1);
}

static void a_child_pool_takes_the_parsed_keys_with_it(void **state)
{
    lti_keycache_t *cache;
    char *block = apr_palloc(*state, lti_keycache_size(1));
    apr_pool_t *child;
    lti_err_t err;
    int round;

    assert_ok(lti_keycache_create(&cache, block, lti_keycache_size(1), 1, *state, &err), err);
    for (round = 0; round < 2; round++) {
        assert_int_equal(apr_pool_create(&child, *state), APR_SUCCESS);
        assert_ok(lti_keycache_child_init(cache, child, &err), err);
        if (round == 0)
            fetch(cache, 0, SET(KEY("a", EC1)), 0, NOW);
        assert_true(has(cache, 0, "a", NOW, *state));
        apr_pool_destroy(child);
        assert_false(has(cache, 0, "a", NOW, *state));
    }
}

/* --- many threads, many processes ---------------------------------------------------------------------------------------- */

typedef struct shared_t {
    _Atomic int ready, go, claims, wrong, stop;
} shared_t;

/* Shared memory as httpd makes it, with a little room in front for the test itself. */
static char *map_block(shared_t **shared, int platforms)
{
    char *block = mmap(NULL, 4096 + lti_keycache_size(platforms), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (block == MAP_FAILED)
        abort();
    *shared = (shared_t *)(void *)block;
    return block + 4096;
}

static void unmap_block(shared_t *shared, int platforms)
{
    munmap(shared, 4096 + lti_keycache_size(platforms));
}

typedef struct worker_t {
    lti_keycache_t *cache;
    shared_t *shared;
} worker_t;

#define THREADS 6
#define CHILDREN 3

static void *claim_when_told(void *data)
{
    worker_t *worker = data;

    atomic_fetch_add(&worker->shared->ready, 1);
    while (!atomic_load(&worker->shared->go))
        sched_yield();
    if (lti_keycache_claim(worker->cache, 0, NOW))
        atomic_fetch_add(&worker->shared->claims, 1);
    return NULL;
}

/* Runs `body` in THREADS threads of this process, which has a pool and a mutex of its own. */
static void run_threads(lti_keycache_t *cache, shared_t *shared, void *(*body)(void *))
{
    worker_t worker = {cache, shared};
    pthread_t threads[THREADS];
    apr_pool_t *pchild;
    int i;

    if (apr_pool_create(&pchild, NULL) != APR_SUCCESS || lti_keycache_child_init(cache, pchild, NULL) != APR_SUCCESS)
        abort();
    for (i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], NULL, body, &worker) != 0)
            abort();
    }
    for (i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    apr_pool_destroy(pchild);
}

static void fork_all(pid_t *children, lti_keycache_t *cache, shared_t *shared, void *(*body)(void *))
{
    int i;

    for (i = 0; i < CHILDREN; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0) {
            run_threads(cache, shared, body);
            _exit(0);
        }
    }
}

static void wait_all(const pid_t *children)
{
    int i, status;

    for (i = 0; i < CHILDREN; i++) {
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
}

static void one_thread_of_one_process_fetches(void **state)
{
    int round;

    for (round = 0; round < 20; round++) {
        shared_t *shared;
        char *block = map_block(&shared, 1);
        lti_keycache_t *cache = NULL;
        pid_t children[CHILDREN];
        lti_err_t err;

        assert_ok(lti_keycache_create(&cache, block, lti_keycache_size(1), 1, *state, &err), err);
        fork_all(children, cache, shared, claim_when_told);
        while (atomic_load(&shared->ready) < CHILDREN * THREADS)
            sched_yield();
        atomic_store(&shared->go, 1);
        wait_all(children);
        assert_int_equal(atomic_load(&shared->claims), 1);
        assert_int_equal(lti_keycache_fetching(cache, 0, NOW), 1);
        unmap_block(shared, 1);
    }
}

#define RACES 50000

/*
 * Two processes in step: at each turn the minute is over, so exactly one of them gets the claim. Each starts after another small
 * delay at each turn, so that all orders within a few instructions come about.
 */
static void race(lti_keycache_t *cache, shared_t *shared, int who)
{
    unsigned spins = 0;
    volatile int delay;
    int i;

    for (i = 0; i < RACES; i++) {
        atomic_fetch_add(&shared->ready, 1);
        while (atomic_load(&shared->ready) < 2 * (i + 1)) {
            if (++spins % 1000 == 0)
                sched_yield();
        }
        for (delay = who ? i % 128 : i / 128 % 128; delay > 0; delay = delay - 1)
            ;
        if (lti_keycache_claim(cache, 0, NOW + SECONDS(60) * i))
            atomic_fetch_add(&shared->claims, 1);
    }
}

static void no_race_for_the_claim_has_two_winners(void **state)
{
    shared_t *shared;
    char *block = map_block(&shared, 1);
    lti_keycache_t *cache = NULL;
    pid_t child;
    lti_err_t err;
    int status;

    assert_ok(lti_keycache_create(&cache, block, lti_keycache_size(1), 1, *state, &err), err);
    child = fork();
    assert_true(child >= 0);
    assert_ok(lti_keycache_child_init(cache, *state, &err), err);
    race(cache, shared, child == 0);
    if (child == 0)
        _exit(0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(atomic_load(&shared->claims), RACES);
    unmap_block(shared, 1);
}

/* Each set has two keys; one pair of names belongs to one pair of points, so that a mixture of two sets shows. */
static const char *const two_sets[2] = {SET(KEY("a", EC1) "," KEY("b", EC2)), SET(KEY("b", EC1) "," KEY("a", EC2))};

static void *read_sets(void *data)
{
    worker_t *worker = data;
    apr_pool_t *pool;
    apr_allocator_t *allocator;

    if (apr_allocator_create(&allocator) != APR_SUCCESS || apr_pool_create_ex(&pool, NULL, NULL, allocator) != APR_SUCCESS)
        abort();
    apr_allocator_owner_set(allocator, pool);
    atomic_fetch_add(&worker->shared->ready, 1);
    while (!atomic_load(&worker->shared->stop)) {
        const lti_key_t *key;
        lti_key_public_t members;

        apr_pool_clear(pool);
        if (lti_keycache_find(&key, NULL, worker->cache, 0, "a", NOW, pool, NULL) != APR_SUCCESS ||
            lti_key_public(&members, key, pool, NULL) != APR_SUCCESS || (strcmp(members.a, X1) != 0 && strcmp(members.a, X2) != 0))
            atomic_fetch_add(&worker->shared->wrong, 1);
        else
            atomic_fetch_add(&worker->shared->claims, 1);
    }
    apr_pool_destroy(pool);
    return NULL;
}

static void readers_never_see_half_a_set(void **state)
{
    shared_t *shared;
    char *block = map_block(&shared, 1);
    lti_keycache_t *cache = NULL;
    pid_t children[CHILDREN];
    lti_err_t err;
    int i;

    assert_ok(lti_keycache_create(&cache, block, lti_keycache_size(1), 1, *state, &err), err);
    assert_ok(lti_keycache_child_init(cache, *state, &err), err);
    fetch(cache, 0, two_sets[0], 0, NOW);
    fork_all(children, cache, shared, read_sets);
    while (atomic_load(&shared->ready) < CHILDREN * THREADS)
        sched_yield();
    for (i = 1; i < 100; i++) {
        fetch(cache, 0, two_sets[i & 1], 0, NOW + SECONDS(60) * i);
        sched_yield();
    }
    atomic_store(&shared->stop, 1);
    wait_all(children);
    assert_int_equal(atomic_load(&shared->wrong), 0);
    assert_true(atomic_load(&shared->claims) > 0);
    unmap_block(shared, 1);
}

static void a_killed_claimer_is_no_deadlock(void **state)
{
    shared_t *shared;
    char *block = map_block(&shared, 1);
    lti_keycache_t *cache = NULL;
    pid_t child;
    lti_err_t err;
    int status;

    assert_ok(lti_keycache_create(&cache, block, lti_keycache_size(1), 1, *state, &err), err);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (lti_keycache_child_init(cache, *state, NULL) == APR_SUCCESS && lti_keycache_claim(cache, 0, NOW))
            kill(getpid(), SIGKILL);
        _exit(1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_ok(lti_keycache_child_init(cache, *state, &err), err);
    assert_int_equal(lti_keycache_fetching(cache, 0, NOW + SECONDS(1)), 1);
    assert_int_equal(lti_keycache_claim(cache, 0, NOW + SECONDS(1)), 0);
    assert_int_equal(lti_keycache_fetching(cache, 0, NOW + SECONDS(16)), 0);
    fetch(cache, 0, SET(KEY("a", EC1)), 0, NOW + SECONDS(60));
    assert_true(has(cache, 0, "a", NOW + SECONDS(60), *state));
    unmap_block(shared, 1);
}

static void *store_forever(void *data)
{
    worker_t *worker = data;
    int i;

    for (i = 0;; i++) {
        if (lti_keycache_claim(worker->cache, 0, NOW + SECONDS(60) * i))
            lti_keycache_store(worker->cache, 0, two_sets[i & 1], strlen(two_sets[i & 1]), 0, NOW + SECONDS(60) * i, NULL);
        atomic_store(&worker->shared->ready, 1);
    }
    return NULL;
}

static void a_writer_killed_anywhere_leaves_a_usable_cache(void **state)
{
    int round;

    for (round = 0; round < 40; round++) {
        const struct timespec moment = {0, 200000 + round * 13577};
        shared_t *shared;
        char *block = map_block(&shared, 1);
        lti_keycache_t *cache = NULL;
        apr_time_t later = NOW + SECONDS(86400 * 3650);
        pid_t child;
        lti_err_t err;
        apr_pool_t *pool;
        int status;

        assert_int_equal(apr_pool_create(&pool, *state), APR_SUCCESS);
        assert_ok(lti_keycache_create(&cache, block, lti_keycache_size(1), 1, pool, &err), err);
        child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            worker_t worker = {cache, shared};

            if (lti_keycache_child_init(cache, pool, NULL) == APR_SUCCESS)
                store_forever(&worker);
            _exit(1);
        }
        while (!atomic_load(&shared->ready))
            sched_yield();
        nanosleep(&moment, NULL);
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_ok(lti_keycache_child_init(cache, pool, &err), err);
        fetch(cache, 0, SET(KEY("new", EC1)), 0, later);
        assert_true(has(cache, 0, "new", later, pool));
        apr_pool_destroy(pool);
        unmap_block(shared, 1);
    }
}

static void an_odd_number_left_by_a_killed_writer_is_mended(void **state)
{
    char *block = apr_palloc(*state, lti_keycache_size(1));
    lti_keycache_t *cache = cache_in(block, 1, *state);
    const lti_key_t *key;
    uint64_t sequence;
    int stale = 0;
    lti_err_t err;

    fetch(cache, 0, SET(KEY("a", EC1)), 0, NOW);
    assert_true(has(cache, 0, "a", NOW, *state));
    memcpy(&sequence, block, sizeof(sequence)); /* the entry's first word */
    assert_int_equal(sequence, 2);
    sequence++;
    memcpy(block, &sequence, sizeof(sequence));
    assert_ok(lti_keycache_find(&key, &stale, cache, 0, "a", NOW, *state, &err), err);
    assert_int_equal(stale, 1);
    fetch(cache, 0, SET(KEY("b", EC1)), 0, NOW + SECONDS(60));
    assert_ok(lti_keycache_find(&key, &stale, cache, 0, "b", NOW + SECONDS(60), *state, &err), err);
    assert_int_equal(stale, 0);
}

/*
 * What no timing brings about in a test: a writer that sleeps in the middle of its copy and wakes up after its successor. The
 * words are changed by hand, as it would change them; the sequence number stays even.
 */
static void words_from_a_late_writer_are_not_believed(void **state)
{
    char *block = apr_palloc(*state, lti_keycache_size(1)), *text;
    lti_keycache_t *cache = cache_in(block, 1, *state);
    apr_size_t at;
    apr_pool_t *child;
    lti_err_t err;
    int stale = 0;
    const lti_key_t *key;

    fetch(cache, 0, SET(KEY("a", EC1)), 0, NOW);
    assert_true(has(cache, 0, "a", NOW, *state));
    fetch(cache, 0, SET(KEY("b", EC1)), 0, NOW + SECONDS(60));
    for (at = 0, text = NULL; text == NULL && at < lti_keycache_size(1) - 16; at++) {
        if (memcmp(block + at, "\"kid\":\"b\"", 9) == 0)
            text = block + at;
    }
    assert_non_null(text);
    text[7] = 'c';
    /* This process has an older set, which goes on serving and asks for another fetch. */
    assert_false(has(cache, 0, "c", NOW + SECONDS(60), *state));
    assert_ok(lti_keycache_find(&key, &stale, cache, 0, "a", NOW + SECONDS(60), *state, &err), err);
    assert_int_equal(stale, 1);
    /* A process that has none finds none. */
    assert_int_equal(apr_pool_create(&child, *state), APR_SUCCESS);
    assert_ok(lti_keycache_child_init(cache, child, &err), err);
    apr_pool_destroy(child);
    assert_ok(lti_keycache_child_init(cache, *state, &err), err);
    assert_false(has(cache, 0, "c", NOW + SECONDS(60), *state));
    assert_false(has(cache, 0, "b", NOW + SECONDS(60), *state));
    fetch(cache, 0, SET(KEY("d", EC1)), 0, NOW + SECONDS(120));
    assert_true(has(cache, 0, "d", NOW + SECONDS(120), *state));
}

/* --- the tool's keys ------------------------------------------------------------------------------------------------------ */

#define EC_PEM                                                           \
    "-----BEGIN PRIVATE KEY-----\n"                                      \
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgU6edsJe+XhbAkXZ+\n" \
    "TyZsgcXEKCigdsVxTTul055VXWqhRANCAAS5lnxwtl85XFRPqs54FWoJ2CSrVXpe\n" \
    "Dp1jM+brKuOWRc317z8OROOCJYoY6TI3sL2v15UcRiiPeXkZu/uuoFi6\n"         \
    "-----END PRIVATE KEY-----\n"

static void the_tool_publishes_public_members_only(void **state)
{
    /* SPEC Y-21, and Y-22: all of several keys are published, in their order; the first one signs. */
    static const char *const members[] = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"};
    apr_array_header_t *pems = apr_array_make(*state, 2, sizeof(const char *)), *keys = NULL;
    lti_toolkeys_t *tool = NULL;
    json_t *set, *jwk;
    lti_key_public_t first;
    lti_err_t err;
    char *pem;
    size_t i, m;
    int dropped;

    assert_ok(lti_key_generate_pem(&pem, *state, &err), err);
    APR_ARRAY_PUSH(pems, const char *) = pem;
    APR_ARRAY_PUSH(pems, const char *) = EC_PEM;
    assert_ok(lti_toolkeys_create(&tool, pems, *state, &err), err);
    assert_int_equal(tool->keys->nelts, 2);
    assert_true(APR_ARRAY_IDX(tool->keys, 0, lti_key_t *)->is_private);

    assert_ok(lti_json_object(&set, tool->jwks, strlen(tool->jwks), LTI_E_KEYSET_INVALID, *state, &err), err);
    json_array_foreach(json_object_get(set, "keys"), i, jwk)
    {
        for (m = 0; m < sizeof(members) / sizeof(members[0]); m++)
            assert_null(json_object_get(jwk, members[m]));
        assert_string_equal(lti_json_string(jwk, "use"), "sig");
        assert_string_equal(lti_json_string(jwk, "kid"), APR_ARRAY_IDX(tool->keys, (int)i, lti_key_t *)->kid);
        assert_string_equal(lti_json_string(jwk, "alg"), i == 0 ? "RS256" : "ES256");
        assert_string_equal(lti_json_string(jwk, "kty"), i == 0 ? "RSA" : "EC");
        assert_int_equal(json_object_size(jwk), i == 0 ? 6 : 7);
    }
    assert_int_equal(i, 2);
    assert_ok(lti_key_public(&first, APR_ARRAY_IDX(tool->keys, 0, lti_key_t *), *state, &err), err);
    assert_non_null(strstr(tool->jwks, first.a));
    assert_non_null(strstr(tool->jwks, "\"crv\":\"P-256\",\"x\":\"" X1 "\",\"y\":\"" Y1 "\""));

    /* And a platform can use it. */
    assert_ok(lti_keyset_parse(&keys, &dropped, tool->jwks, strlen(tool->jwks), *state, &err), err);
    assert_int_equal(keys->nelts, 2);
    assert_int_equal(dropped, 0);
}

static void the_tool_needs_good_and_different_keys(void **state)
{
    apr_array_header_t *pems = apr_array_make(*state, 2, sizeof(const char *));
    lti_toolkeys_t *tool = NULL;
    lti_err_t err;

    assert_code(lti_toolkeys_create(&tool, NULL, *state, &err), err, LTI_E_CONFIG);
    assert_code(lti_toolkeys_create(&tool, pems, *state, &err), err, LTI_E_CONFIG);
    APR_ARRAY_PUSH(pems, const char *) = EC_PEM;
    APR_ARRAY_PUSH(pems, const char *) = EC_PEM;
    assert_code(lti_toolkeys_create(&tool, pems, *state, &err), err, LTI_E_CONFIG);
    assert_non_null(strstr(err.text, "key 2 is the same as key 1"));
    APR_ARRAY_IDX(pems, 1, const char *) = "rubbish";
    assert_code(lti_toolkeys_create(&tool, pems, *state, &err), err, LTI_E_CONFIG);
    assert_non_null(strstr(err.text, "key 2"));
    assert_null(tool);
}

/* --- the keys of all nodes ------------------------------------------------------------------------------------------------- */

static lti_toolkeys_t *own_keys(apr_pool_t *p)
{
    apr_array_header_t *pems = apr_array_make(p, 1, sizeof(const char *));
    lti_toolkeys_t *tool = NULL;
    lti_err_t err;

    APR_ARRAY_PUSH(pems, const char *) = EC_PEM;
    assert_ok(lti_toolkeys_create(&tool, pems, p, &err), err);
    return tool;
}

/* The kids of a set, each followed by a blank. */
static const char *kids_of(const char *jwks, apr_pool_t *p)
{
    const char *kids = "";
    json_t *set, *jwk;
    lti_err_t err;
    size_t i;

    assert_ok(lti_json_object(&set, jwks, strlen(jwks), LTI_E_KEYSET_INVALID, p, &err), err);
    json_array_foreach(json_object_get(set, "keys"), i, jwk)
    {
        kids = apr_pstrcat(p, kids, lti_json_string(jwk, "kid"), " ", NULL);
        assert_string_equal(lti_json_string(jwk, "use"), "sig");
    }
    return kids;
}

static void keys_of_other_nodes_are_added_behind_the_own_ones(void **state)
{
    lti_toolkeys_t *own = own_keys(*state);
    const char *kid = APR_ARRAY_IDX(own->keys, 0, lti_key_t *)->kid, *merged;
    apr_array_header_t *others = apr_array_make(*state, 8, sizeof(const char *));

    assert_string_equal(lti_toolkeys_merge(own, others, *state), own->jwks);
    APR_ARRAY_PUSH(others, const char *) = SET(KEY("b", EC2 ",\"alg\":\"ES256\"") "," KEY("r", RSA));
    APR_ARRAY_PUSH(others, const char *) = "rubbish";
    APR_ARRAY_PUSH(others, const char *) = NULL;
    APR_ARRAY_PUSH(others, const char *) = SET();
    APR_ARRAY_PUSH(others, const char *) = own->jwks;
    APR_ARRAY_PUSH(others, const char *) = SET(KEY("b", EC1) "," KEY("p", EC1 ",\"d\":\"AAAA\"") "," KEY("e", ED));
    merged = lti_toolkeys_merge(own, others, *state);
    assert_string_equal(kids_of(merged, *state), apr_pstrcat(*state, kid, " b r e ", NULL));
    /* The first of two keys of one kid stays, and nothing private gets in. */
    assert_non_null(strstr(merged, X2));
    assert_null(strstr(merged, "\"d\""));
}

static void what_all_nodes_publish_has_limits(void **state)
{
    lti_toolkeys_t *own = own_keys(*state);
    const char *kid = APR_ARRAY_IDX(own->keys, 0, lti_key_t *)->kid, *merged, *at;
    char *n = apr_pcalloc(*state, 1367); /* of 8192 bits */
    int large, i, count;

    memset(n, 'x', 1364);
    strcpy(n + 1364, "AQ");
    for (large = 0; large < 2; large++) {
        apr_array_header_t *others = apr_array_make(*state, 100, sizeof(const char *));

        for (i = 0; i < 100; i++)
            APR_ARRAY_PUSH(others, const char *) =
                large ? apr_psprintf(*state, SET("{\"kid\":\"k%d\",\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"%s\"}"), i, n)
                      : apr_psprintf(*state, SET("{\"kid\":\"k%d\"," EC2 "}"), i);
        merged = lti_toolkeys_merge(own, others, *state);
        for (count = 0, at = merged; (at = strstr(at, "\"kid\"")) != NULL; at++)
            count++;
        assert_in_range(strlen(merged), 1000, LTI_TOOLKEYS_MAX);
        assert_memory_equal(kids_of(merged, *state), kid, strlen(kid));
        if (large)
            assert_in_range(count, 40, 45);
        else
            assert_int_equal(count, LTI_KEYSET_KEYS);
    }
}

static void what_was_shared_is_served_by_all(void **state)
{
    char *block = apr_palloc(*state, lti_keycache_size(1)), *large = apr_pcalloc(*state, 70000);
    lti_toolkeys_t *own = own_keys(*state);
    lti_keycache_t *cache = cache_in(block, 1, *state);
    lti_err_t err;

    assert_ptr_equal(lti_toolkeys_union(cache, own, *state), own->jwks);
    fetch(cache, 0, SET(KEY("a", EC1)), 0, NOW);
    assert_ptr_equal(lti_toolkeys_union(cache, own, *state), own->jwks);
    assert_ok(lti_toolkeys_share(cache, SET(KEY("b", EC2)), NOW, &err), err);
    assert_string_equal(lti_toolkeys_union(cache, own, *state), SET(KEY("b", EC2)));
    assert_ok(lti_toolkeys_share(cache, SET(KEY("cc", EC1)), NOW, &err), err);
    assert_string_equal(lti_toolkeys_union(cache, own, *state), SET(KEY("cc", EC1)));
    memset(large, 'x', 69999);
    assert_code(lti_toolkeys_share(cache, large, NOW, &err), err, LTI_E_INTERNAL);
    assert_string_equal(lti_toolkeys_union(cache, own, *state), SET(KEY("cc", EC1)));
    /* It is nobody's platform. */
    assert_true(has(cache, 0, "a", NOW, *state));
    assert_false(has(cache, 0, "cc", NOW, *state));
    assert_int_equal(lti_keycache_claim(cache, 1, NOW), 0);
    /* A writer that died in the midst of it left an odd number: the own keys are served, and the next one mends it. */
    ++*(uint64_t *)(void *)(block + 64 * 1024);
    assert_ptr_equal(lti_toolkeys_union(cache, own, *state), own->jwks);
    assert_ok(lti_toolkeys_share(cache, SET(KEY("d", EC1)), NOW, &err), err);
    assert_string_equal(lti_toolkeys_union(cache, own, *state), SET(KEY("d", EC1)));
    /* As do words of a writer that was stopped for long. */
    block[64 * 1024 + 200] ^= 1;
    assert_string_not_equal(lti_toolkeys_union(cache, own, *state), SET(KEY("b", EC2)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(keys_of_other_nodes_are_added_behind_the_own_ones),
        POOL_TEST(what_all_nodes_publish_has_limits),
        POOL_TEST(what_was_shared_is_served_by_all),
        POOL_TEST(usable_keys_are_kept_and_others_dropped),
        POOL_TEST(keys_that_are_not_used_are_told_with_the_reason),
        POOL_TEST(the_algorithm_of_a_jwk_binds_its_key),
        POOL_TEST(sets_that_are_none_are_refused),
        POOL_TEST(sets_have_limits),
        POOL_TEST(a_set_is_found_where_it_was_stored),
        POOL_TEST(lent_keys_outlive_their_set),
        POOL_TEST(sets_age_within_limits),
        POOL_TEST(the_age_of_a_set_is_known),
        POOL_TEST(a_clock_set_back_makes_a_set_stale_not_eternal),
        POOL_TEST(a_bad_set_does_not_replace_a_good_one),
        POOL_TEST(a_set_that_does_not_fit_is_refused_whole),
        POOL_TEST(only_usable_public_members_reach_shared_memory),
        POOL_TEST(one_fetch_a_minute_once_a_set_is_known),
        POOL_TEST(the_first_set_is_asked_for_again_after_five_seconds),
        POOL_TEST(a_claim_that_was_never_ended_ends_by_time),
        POOL_TEST(a_clock_set_back_does_not_block_fetches),
        POOL_TEST(without_a_claim_nothing_is_stored),
        POOL_TEST(who_lost_the_claim_does_not_end_anothers),
        POOL_TEST(a_cache_needs_its_block_and_its_child),
        POOL_TEST(a_child_pool_takes_the_parsed_keys_with_it),
        POOL_TEST(one_thread_of_one_process_fetches),
        POOL_TEST(no_race_for_the_claim_has_two_winners),
        POOL_TEST(readers_never_see_half_a_set),
        POOL_TEST(a_killed_claimer_is_no_deadlock),
        POOL_TEST(a_writer_killed_anywhere_leaves_a_usable_cache),
        POOL_TEST(an_odd_number_left_by_a_killed_writer_is_mended),
        POOL_TEST(words_from_a_late_writer_are_not_believed),
        POOL_TEST(the_tool_publishes_public_members_only),
        POOL_TEST(the_tool_needs_good_and_different_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
