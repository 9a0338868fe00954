/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program ltijws: says whether signatures are right, by the very code that judges launches, so that it can be held against public test vectors and against
 * a token that a platform was refused for.
 *
 *   ltijws                reads lines {"jwk": {...} or {"keys": [...]}, "jws": "..."}, prints true or false for each
 *   ltijws JWK JWS        the same for one key (or set) and one token: exit status 0 or 1
 *
 * The key set is parsed as a platform's is, the token is taken apart as a launch's is. Two things are wider than at a launch: the payload may be any bytes, and
 * a single key needs no kid. Every algorithm that the key can be used with is allowed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <apr_general.h>
#include <apr_pools.h>
#include <jansson.h>
#include "lti_json.h"
#include "lti_jws.h"
#include "lti_keys.h"

#define LINE_MAX_BYTES (LTI_JWS_MAX + LTI_KEYSET_MAX + 1024)
#define ALL_ALGORITHMS 0xFFFFFFFFu
#define NAMELESS "-" /* for a single key without a kid, which lti_keyset_parse() would pass over */

/* Any member will do as a set of keys; a single key becomes a set of one. `*single`: which kid the token names matters only if the key has one. */
static json_t *make_set(int *single, json_t *jwk, apr_pool_t *p)
{
    json_t *keys = json_object_get(jwk, "keys"), *set, *key;

    *single = keys == NULL || (json_is_array(keys) && json_array_size(keys) == 1);
    if (!*single)
        return jwk;
    key = json_copy(keys == NULL ? jwk : json_array_get(keys, 0));
    if (json_is_object(key) && json_object_get(key, "kid") == NULL)
        json_object_set_new(key, "kid", json_string(NAMELESS));
    set = lti_json_own(json_object(), p);
    keys = json_array();
    json_array_append_new(keys, key);
    json_object_set_new(set, "keys", keys);
    return set;
}

/* SPEC J-05, J-06: the key that the token names; no trial of all. */
static const lti_key_t *find_key(const apr_array_header_t *keys, int single, const char *kid)
{
    int i;

    if (single && keys->nelts == 1) {
        const lti_key_t *only = APR_ARRAY_IDX(keys, 0, lti_key_t *);

        return kid == NULL || strcmp(only->kid, NAMELESS) == 0 || strcmp(only->kid, kid) == 0 ? only : NULL;
    }
    for (i = 0; kid != NULL && i < keys->nelts; i++) {
        const lti_key_t *key = APR_ARRAY_IDX(keys, i, lti_key_t *);

        if (strcmp(key->kid, kid) == 0)
            return key;
    }
    return NULL;
}

static int is_right(json_t *jwk, const char *token, apr_pool_t *p)
{
    apr_array_header_t *keys;
    const lti_key_t *key;
    lti_jws_t *jws;
    const char *text;
    int single;

    if (!json_is_object(jwk) || token == NULL)
        return 0;
    text = lti_json_text(make_set(&single, jwk, p), p);
    if (text == NULL || lti_keyset_parse(&keys, NULL, text, strlen(text), p, NULL) != APR_SUCCESS ||
        lti_jws_parse_envelope(&jws, token, strlen(token), p, NULL) != APR_SUCCESS)
        return 0;
    key = find_key(keys, single, jws->kid);
    return key != NULL && lti_jws_verify(jws, key, ALL_ALGORITHMS, NULL) == APR_SUCCESS;
}

static int judge_line(const char *line, size_t size, apr_pool_t *p)
{
    json_t *object;

    if (lti_json_object(&object, line, size, LTI_E_TOKEN_MALFORMED, p, NULL) != APR_SUCCESS)
        return 0;
    return is_right(json_object_get(object, "jwk"), lti_json_string(object, "jws"), p);
}

static int judge_arguments(const char *jwk, const char *jws, apr_pool_t *p)
{
    json_t *key;

    return lti_json_object(&key, jwk, strlen(jwk), LTI_E_KEYSET_INVALID, p, NULL) == APR_SUCCESS && is_right(key, jws, p);
}

/* The next line into `line`; its size, -1 at the end, LINE_MAX_BYTES + 1 for one that is longer than any right one can be. */
static long read_line(char *line, FILE *in)
{
    long size = 0;
    int c = getc(in);

    if (c == EOF)
        return -1;
    for (; c != EOF && c != '\n'; c = getc(in)) {
        if (size < LINE_MAX_BYTES)
            line[size] = (char)c;
        if (size <= LINE_MAX_BYTES)
            size++;
    }
    return size;
}

static int judge_lines(FILE *in, FILE *out, apr_pool_t *pool)
{
    char *line = malloc(LINE_MAX_BYTES);
    apr_pool_t *p;
    long size;

    if (line == NULL || apr_pool_create(&p, pool) != APR_SUCCESS) {
        free(line);
        return 2;
    }
    while ((size = read_line(line, in)) >= 0) {
        int right = size <= LINE_MAX_BYTES && judge_line(line, (size_t)size, p);

        if (fputs(right ? "true\n" : "false\n", out) < 0 || fflush(out) != 0)
            break;
        apr_pool_clear(p);
    }
    free(line);
    return ferror(in) || ferror(out) ? 2 : 0;
}

int main(int argc, char **argv)
{
    apr_pool_t *pool;
    int status;

    if (argc != 1 && argc != 3) {
        fprintf(stderr,
                "usage: ltijws             lines of {\"jwk\": {...}, \"jws\": \"...\"} from standard input; prints true or false for each\n"
                "       ltijws JWK JWS     exit status 0 if the signature is right, else 1\n");
        return 2;
    }
    if (apr_initialize() != APR_SUCCESS || apr_pool_create(&pool, NULL) != APR_SUCCESS)
        return 2;
    status = argc == 1 ? judge_lines(stdin, stdout, pool) : !judge_arguments(argv[1], argv[2], pool);
    apr_pool_destroy(pool);
    apr_terminate();
    return status;
}
