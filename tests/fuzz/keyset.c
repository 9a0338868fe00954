/* SPDX-License-Identifier: Apache-2.0 */
/* A platform's key set (SPEC Y-02 to Y-09, J-07, J-08): which keys are taken, and what goes into shared memory. */
#include "fuzz.h"

#include "lti_jws.h"
#include "lti_keys.h"
#include "lti_keys_set.h"

static void check_key(const lti_key_t *key)
{
    static const unsigned char signature[512];
    lti_alg_t alg;
    int fits = 0;

    FUZZ_MUST(key->pkey != NULL && !key->is_private && key->kid[0] != '\0' && strlen(key->kid) <= LTI_KID_MAX);
    for (alg = LTI_ALG_RS256; alg <= LTI_ALG_EDDSA; alg++) {
        lti_err_t err = {.code = LTI_OK};

        fits += lti_key_fits(key, alg);
        /* Zeros are nobody's signature. */
        FUZZ_MUST(lti_key_verify(key, alg, (lti_bytes_t){"input", 5}, (lti_bytes_t){signature, 64}, &err) != APR_SUCCESS);
        FUZZ_MUST(lti_key_verify(key, alg, (lti_bytes_t){"input", 5}, (lti_bytes_t){signature, 256}, &err) != APR_SUCCESS);
    }
    FUZZ_MUST(fits > 0 && (key->only == LTI_ALG_UNKNOWN || fits == 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    apr_pool_t *p = fuzz_begin();
    apr_array_header_t *keys = NULL, *again = NULL;
    const char *text = NULL;
    int dropped = 0, i;
    lti_err_t err = {.code = LTI_OK};
    apr_status_t rv = lti_keyset_parse(&keys, &dropped, (const char *)data, size, p, &err);

    FUZZ_MUST_TELL(rv, err);
    FUZZ_MUST((lti_keyset_normalise(&text, (const char *)data, size, p, &err) == APR_SUCCESS) == (rv == APR_SUCCESS));
    if (rv == APR_SUCCESS) {
        FUZZ_MUST(keys->nelts > 0 && dropped >= 0 && keys->nelts + dropped <= LTI_KEYSET_KEYS);
        /* What is shared is the same keys, and nothing else. */
        FUZZ_MUST(lti_keyset_parse(&again, &dropped, text, strlen(text), p, &err) == APR_SUCCESS);
        FUZZ_MUST(dropped == 0 && again->nelts == keys->nelts);
        for (i = 0; i < keys->nelts; i++) {
            check_key(APR_ARRAY_IDX(keys, i, lti_key_t *));
            FUZZ_MUST(strcmp(APR_ARRAY_IDX(keys, i, lti_key_t *)->kid, APR_ARRAY_IDX(again, i, lti_key_t *)->kid) == 0);
        }
    }
    fuzz_end(p);
    return 0;
}
