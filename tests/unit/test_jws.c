/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens of the RFCs and of another implementation verify; every known way to forge one does not. */
#include "test.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include "lti_json.h"
#include "lti_jws.h"
#include "lti_keys.h"

#define ALL_ALGORITHMS 0xFFFFFFFFu

/* RFC 7515 appendix A.2 and A.3, RFC 8037 appendix A.4. */
#define RFC7515_RSA                                                                                                            \
    "{\"kty\":\"RSA\",\"kid\":\"k\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJ"  \
    "PMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXB" \
    "dQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2" \
    "PAcDTW9gb54h4FRWyuXpoQ\",\"e\":\"AQAB\"}"
#define RFC7515_RS256                                                                                                          \
    "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4h" \
    "iUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKB" \
    "YNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZES" \
    "c6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
#define RFC7515_EC                                                                                                              \
    "{\"kty\":\"EC\",\"kid\":\"k\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\",\"y\":\"x_FEzRu9m36" \
    "HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}"
#define RFC7515_ES256                                                                                                          \
    "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEh" \
    "U3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
#define RFC8037_OKP "{\"kty\":\"OKP\",\"kid\":\"k\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}"
#define RFC8037_INPUT "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
#define RFC8037_SIGNATURE "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"

/* Made by another implementation: {"sub":"42"} under each algorithm. */
#define RSA_JWK                                                                                                           \
    "{\"e\": \"AQAB\", \"kid\": \"other-made\", \"kty\": \"RSA\", \"n\": \"jInnfG5PPW2GkRz2LLp54ozUtrqFa-g0AJIFSnzz7dIsQ" \
    "B3s5pDxOis_Z7jCSfB_tJWepJI-ri88CeHrXbAKyWKVOQJ05zE4KvbEVJ2Botw8GvZvDOdwwB1BBOsf0gvNlmyS6r8FkvN7lI3cR"                \
    "GwFenB7LHI9n7FmCpTqiQ7hMAhzSOxf1-SMZP_AsaUGLdlguNPsSCGU0ixsiRe9GyTejC7-fdIet5Di_JH9VGeQ_pFcyNIRtAdMm"                \
    "4YWPAY7XnQ1nZQ6qQtqj_07pBXOIclRpMdyhNFM4_GnQTbi5RabTXVKJvf2WBeAmwQV5zEoBCLsdlWQ9c_peYkr8cZ60EO-sw\"}"

static const struct {
    lti_alg_t alg;
    const char *jwk, *token;
} foreign[] = {
    {LTI_ALG_RS256, RSA_JWK,
     "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiIsImtpZCI6Im90aGVyLW1hZGUifQ.eyJzdWIiOiI0MiJ9.OmET_IRCkAe5k0hu5Lce890QXhekBcRry"
     "2Aya2iwE4e-TlU300u_c1ITUsHEagwjQINF63qnJhXdUBeO4-GbsqEMtnLUQcELXTcMxD4xTzuz3TQhH7uriEYaUy_uOk_oYGyeJCiOIbbuhzPMlq"
     "dW4fWstxKPJ01-rpL9cQKQ9i2OIHclBUsrT947ovZA_OmfOWN2jkwJ8Kr4TcxzKwTRFrT__envaU1HTLNkFywNwvLA--OVOFYCJqyar6UNpSa3SOg"
     "uNLFL5qP8TW6Rwt30GR5m_CJkfDqTAAFrhVirZXRFad9Q-EluEqUjtyarFXmnOdMl5a27js1y_WD5HcppaA"},
    {LTI_ALG_RS384, RSA_JWK,
     "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzM4NCIsImtpZCI6Im90aGVyLW1hZGUifQ.eyJzdWIiOiI0MiJ9.AaKfoNZNsG3hvOwp4glNGPAbteXILgv93"
     "mr1WX61L0-tneiUD8NvA_TfEBHPtMGvo3SuvlMM4VCenNH1r32yzW8OAXH5IW7oxaY3Ikb-SkdLB1zSFXJ4tbh1yvwUeFgUsc9Fmj6X1PkXpr2SDP"
     "FB6okEfcejPKDqzEQoQ_H-c7HrXDSmOqmK9FwOI7BfecyfHIetyn-5zuFGYMciR-g8QP6oQFA0PQIZJK6HnM4flmb8Qk_Y7ckKGGch20Q_a4xKUlR"
     "ryIcD8T59SBpGC317Z6emhB4-HxxACNbEwusAdayuGwY5owB2P_RyZ-IJ3ryP1YvNok5aDG4uc07rR2Emsw"},
    {LTI_ALG_RS512, RSA_JWK,
     "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzUxMiIsImtpZCI6Im90aGVyLW1hZGUifQ.eyJzdWIiOiI0MiJ9.fwDhq8JJdpnHJXR0FeP0pqYg-nYFS8t4Q"
     "aC-HTT2ZDingtzFDTcH7v04HHx7rq3hGylVuv7Hm4GboP8mgIFZk7XIX5iU-TERU2o1jSaMPoike7CJluQEfCC6Ulp_KX_bLji7cd19iG9dWuTe81"
     "FkoH_W72THMtvwb-pNfAu7rixq2dBCyxiTuFc1031mdNUhm7R7YUqm3Y3ZQPbpcI_FC6ilL4XQHcaSBKX4ldu__eLD9EdvHi4JhbgwNFfbPXM3EwH"
     "xtJ2kuzKprohQEKMetaiovUXLNZ-bC8du9MIb6E98rfOVj5j-zaiGW04NJEQ_LBCVEuIcr3CA5ytsI1QIfw"},
    {LTI_ALG_PS256, RSA_JWK,
     "eyJ0eXAiOiJKV1QiLCJhbGciOiJQUzI1NiIsImtpZCI6Im90aGVyLW1hZGUifQ.eyJzdWIiOiI0MiJ9.Ao5h1kSrC2IPozdY-mMTvzSDTQi3jR4O_"
     "Nk1e9yS3jm3sa_vdfmWoeerlQaydJRI3zq9tOtXiUO5Hmf6LUbWQE-_XbBsivbEt8U_0mAA-7kNcRIWuBd8WCOVBTk0Tl4lQWzGn3IU4a-eHxs1qc"
     "ma1P8S-twnmAtbchvWoh3jy2YejTf6y0qVBJecB-8hycFZLGTi9XGXiVMztYKChRxhb3rUBpkOXOxc8_A03IUxxT-yrAb0se66vhLq9PKlJ5Y9nYm"
     "3LquUdTYgIy3OTamJkjrqP5YIuPUkHaFL7UaZUa7ewJswvhlp5Znlw1sOBBCtxfYkUmIw6q0IE0ninBhV5g"},
    {LTI_ALG_PS384, RSA_JWK,
     "eyJ0eXAiOiJKV1QiLCJhbGciOiJQUzM4NCIsImtpZCI6Im90aGVyLW1hZGUifQ.eyJzdWIiOiI0MiJ9.AT8SufMSZxNFZ7sg5Cpf21Ps2371k1vzd"
     "n6H9bm-jMHVl0tfGxaOsUAXwL2AyeoPb9E9kHTe-czLuJtgS2bQu3KyyIsqWDyWp0P-zpQXxn8wx4nd3QY0IkfucrvqxiwnkUIcX3STFB7K70z0YA"
     "9gj_B2GtrPe4IsySQ8_hiEahnhgD2ayiRoEwxyGz37JDLD8C0Cg7UluGIKOHCY5WfBhdsF1cGDVkUMXHC5ffweMS6vWh4Ef1ueDHAyTp-Y7oekoqf"
     "imcEHH8q44tl63cDDG2wlbBGSjsihOFlZOv1XfwCUfQKhk9h5eT1LbBifDeKWP0pNqVIH8xLoG6O_FrewdA"},
    {LTI_ALG_PS512, RSA_JWK,
     "eyJ0eXAiOiJKV1QiLCJhbGciOiJQUzUxMiIsImtpZCI6Im90aGVyLW1hZGUifQ.eyJzdWIiOiI0MiJ9.UaQWxXDosVd_D_mlkxwUkSGlhhR4wy0BF"
     "5B5G-DTICWJgaI8vulqEDlW6h-kkS1C44FoUT1ExCMMJIGxL4AaIZ0g4YXX1WHeOB0bKMRp5V6zGH6gDkpErPPl5LsnrMpyl2Oo-JWlRpyi23qSDf"
     "9uJEGKRboLIZgLcjNyshWW3IDYj4N8mIAPf3_qj2c2v5CZVXPpaUQzTO7f0fmTp6LUhwlJko1zj4X23y9bax-FiAKC_-9iWM_ZH5e9wPuYvnt6Fv8"
     "X2a18lmrTbDJVyMd8j9HQ1NuGmewu-VT5HJD1quuTZXsHcQRwSgzJYBdiVBFzslUwSvwdnibics44dZAFQg"},
    {LTI_ALG_ES256,
     "{\"crv\": \"P-256\", \"kid\": \"other-made\", \"kty\": \"EC\", \"x\": \"teGoqSF-IJKDRaWyTKPvJh9ZXIa2V2iJvp52OBLu9Mk\", "
     "\"y\": \"x-0x"
     "8OeM0AaITAuHyfcRP3nuc28HNb-Uf0WjwWeh-e0\"}",
     "eyJ0eXAiOiJKV1QiLCJhbGciOiJFUzI1NiIsImtpZCI6Im90aGVyLW1hZGUifQ.eyJzdWIiOiI0MiJ9.PWvU1AzZT2VbyH-Un9aP0YZ4AY3IryGVO"
     "vVi5hBws8gVOA6qGta47RCVoaIcZyJy-4vS6ixItJ6ACsCLe21Q7g"},
    {LTI_ALG_ES384,
     "{\"crv\": \"P-384\", \"kid\": \"other-made\", \"kty\": \"EC\", \"x\": "
     "\"9N4bng6dJt2GAIiAQRoh6Pb6PQQj4FL1QtjbUNWbA94cYMPT0mxAJTN9"
     "uGebjegl\", \"y\": \"oAcR0TRlphkVbjmawuqsBx_8NizeIXWH1ZkpCxoqXtFlTl1u0_l5MQGlAhSq508d\"}",
     "eyJ0eXAiOiJKV1QiLCJhbGciOiJFUzM4NCIsImtpZCI6Im90aGVyLW1hZGUifQ.eyJzdWIiOiI0MiJ9.IKR-vXCMU12AUHwDFYaiLK5D9FRgNvk2k"
     "-2aaWvwXY5MlnodZAFC-S9qs_0fLLqxTQ8McwIXGSY8dPfNqCiUIy3SNZSOkiVjgiqYTu6gamPmM5-sShEF_UzRVNtt67we"},
    {LTI_ALG_ES512,
     "{\"crv\": \"P-521\", \"kid\": \"other-made\", \"kty\": \"EC\", \"x\": "
     "\"AZWIZvLUPceV9C97gIK7T6C-9BGwUcw0uEDsuqoLXkXbuTJynJ4Hy7kG"
     "mWOcj-YSkDJqCjjwE4PrGr_fI_AzSiV3\", \"y\": \"AXjAjA4cwnHYSrrkL1jWQsS7SP_mh8R7ghDy_rwa3nAZqMKYXwgMJnrW1lvF23ylQutJizv2"
     "FLO-4g-nyWccgY45\"}",
     "eyJ0eXAiOiJKV1QiLCJhbGciOiJFUzUxMiIsImtpZCI6Im90aGVyLW1hZGUifQ.eyJzdWIiOiI0MiJ9.AfwQeqkKMneMRLp7AahjDbpHfI4S3Zs01"
     "VI00aixVel4uyaMmw8XTVOCKTGa-1oS6Pd_Wyq35SRU81AuiPIPwCULARkUOHVvOV3tiSZdjBTSbb1Y1FLAWujdnhgHcJJJJ0kX-YjSTOXI5BC2YM"
     "EELW7g4HP37l1T0Va8C86Cj5aDWhKn"},
    {LTI_ALG_EDDSA,
     "{\"crv\": \"Ed25519\", \"kid\": \"other-made\", \"kty\": \"OKP\", \"x\": \"g-xbu-ofKmcaxUw2jtcn5sC0fJsdvbuAnNKU8ppBm9M\"}",
     "eyJ0eXAiOiJKV1QiLCJhbGciOiJFZERTQSIsImtpZCI6Im90aGVyLW1hZGUifQ.eyJzdWIiOiI0MiJ9.PU5L_ebSDvhJyTootV1xJeGGkT7_KxrTp"
     "kJ29QFv5JScHswP2IwoicYvUIl2W_6QkZdhNtmfEcrVBfm6uXoiCw"},
};

static const lti_key_t *key_of(const char *jwk, apr_pool_t *p)
{
    const char *set = apr_pstrcat(p, "{\"keys\":[", jwk, "]}", NULL);
    apr_array_header_t *keys = NULL;
    lti_err_t err;

    assert_ok(lti_keyset_parse(&keys, NULL, set, strlen(set), p, &err), err);
    assert_int_equal(keys->nelts, 1);
    return APR_ARRAY_IDX(keys, 0, lti_key_t *);
}

static apr_status_t parse_and_verify(const char *token, const lti_key_t *key, unsigned allowed, apr_pool_t *p, lti_err_t *err)
{
    lti_jws_t *jws;
    apr_status_t rv = lti_jws_parse(&jws, token, strlen(token), p, err);

    return rv != APR_SUCCESS ? rv : lti_jws_verify(jws, key, allowed, err);
}

/* The tool's own kinds of key, made once: RSA takes a moment. */
static const lti_key_t *rsa_key, *ec_key;
static apr_pool_t *key_pool;

static int make_keys(void **state)
{
    char *pem;
    lti_key_t *key;
    EVP_PKEY *pkey;

    (void)state;
    apr_initialize();
    if (apr_pool_create(&key_pool, NULL) != APR_SUCCESS || lti_key_generate_pem(&pem, key_pool, NULL) != APR_SUCCESS ||
        lti_key_from_pem(&key, pem, strlen(pem), key_pool, NULL) != APR_SUCCESS)
        return -1;
    rsa_key = key;
    pkey = EVP_EC_gen("P-256");
    key = apr_pcalloc(key_pool, sizeof(*key));
    *key = (lti_key_t){.pkey = pkey, .kid = "ec", .is_private = 1};
    ec_key = key;
    return pkey == NULL ? -1 : 0;
}

static int drop_keys(void **state)
{
    (void)state;
    EVP_PKEY_free(ec_key->pkey);
    apr_pool_destroy(key_pool);
    return 0;
}

static const char *encoded(const char *text, apr_pool_t *p)
{
    return lti_base64url_encode((const unsigned char *)text, strlen(text), p);
}

/* A token with this very header and payload, signed rightly. */
static const char *token_of(const char *header, const char *payload, const lti_key_t *key, lti_alg_t alg, apr_pool_t *p)
{
    const char *input = apr_pstrcat(p, encoded(header, p), ".", encoded(payload, p), NULL);
    lti_bytes_t signature;
    lti_err_t err;

    assert_ok(lti_key_sign(&signature, key, alg, (lti_bytes_t){input, strlen(input)}, p, &err), err);
    return apr_pstrcat(p, input, ".", lti_base64url_encode(signature.data, signature.size, p), NULL);
}

/* --- what is right ------------------------------------------------------------------------------------------------------ */

static void tokens_of_the_rfcs_verify(void **state)
{
    lti_err_t err;
    lti_jws_t *jws;
    lti_bytes_t signature;
    unsigned char raw[64];

    assert_ok(parse_and_verify(RFC7515_RS256, key_of(RFC7515_RSA, *state), LTI_ALG_DEFAULT, *state, &err), err);
    assert_ok(parse_and_verify(RFC7515_ES256, key_of(RFC7515_EC, *state), LTI_ALG_DEFAULT, *state, &err), err);
    assert_ok(lti_jws_parse(&jws, RFC7515_ES256, strlen(RFC7515_ES256), *state, &err), err);
    assert_int_equal(jws->alg, LTI_ALG_ES256);
    assert_null(jws->kid);
    assert_string_equal(lti_json_string(jws->claims, "iss"), "joe");
    assert_int_equal(json_integer_value(json_object_get(jws->claims, "exp")), 1300819380);

    /* Its payload is no JSON, so only the signature is tried. */
    signature.data = raw;
    assert_int_equal(lti_base64url_decode(raw, &signature.size, RFC8037_SIGNATURE, strlen(RFC8037_SIGNATURE)), APR_SUCCESS);
    assert_ok(lti_key_verify(key_of(RFC8037_OKP, *state), LTI_ALG_EDDSA, (lti_bytes_t){RFC8037_INPUT, strlen(RFC8037_INPUT)},
                             signature, &err),
              err);
}

static void tokens_of_another_implementation_verify(void **state)
{
    size_t i;

    for (i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
        const lti_key_t *key = key_of(foreign[i].jwk, *state);
        lti_jws_t *jws;
        lti_err_t err;

        assert_ok(lti_jws_parse(&jws, foreign[i].token, strlen(foreign[i].token), *state, &err), err);
        assert_int_equal(jws->alg, foreign[i].alg);
        assert_string_equal(jws->kid, "other-made");
        assert_string_equal(lti_json_string(jws->claims, "sub"), "42");
        assert_ok(lti_jws_verify(jws, key, LTI_ALG_BIT(foreign[i].alg), &err), err);
        /* SPEC J-03: right, and yet not allowed here. */
        assert_code(lti_jws_verify(jws, key, ALL_ALGORITHMS & ~LTI_ALG_BIT(foreign[i].alg), &err), err, LTI_E_ALGORITHM);
    }
    assert_int_equal(i, 10);
}

static void what_the_tool_signs_verifies(void **state)
{
    const lti_key_t *keys[] = {rsa_key, ec_key};
    json_t *claims = lti_json_own(json_pack("{sssi}", "iss", "me", "exp", 5), *state);
    size_t i;

    for (i = 0; i < 2; i++) {
        const char *token = NULL;
        lti_jws_t *jws;
        lti_err_t err;

        assert_ok(lti_jws_sign(&token, claims, keys[i], *state, &err), err);
        assert_ok(lti_jws_parse(&jws, token, strlen(token), *state, &err), err);
        assert_string_equal(
            lti_json_text(jws->header, *state),
            apr_psprintf(*state, "{\"typ\":\"JWT\",\"alg\":\"%s\",\"kid\":\"%s\"}", i == 0 ? "RS256" : "ES256", keys[i]->kid));
        assert_string_equal(lti_json_text(jws->claims, *state), "{\"iss\":\"me\",\"exp\":5}");
        assert_ok(lti_jws_verify(jws, keys[i], LTI_ALG_DEFAULT, &err), err);
    }
}

static void signing_needs_claims_and_a_private_key(void **state)
{
    json_t *claims = lti_json_own(json_pack("{ss}", "iss", "me"), *state);
    lti_key_t half = *rsa_key;
    const char *token = NULL;
    lti_err_t err;

    half.is_private = 0;
    assert_code(lti_jws_sign(&token, claims, &half, *state, &err), err, LTI_E_KEY_UNUSABLE);
    assert_code(lti_jws_sign(&token, NULL, rsa_key, *state, &err), err, LTI_E_INTERNAL);
    assert_null(token);
}

static void headers_that_are_in_order_are_taken(void **state)
{
    /* SPEC J-12; x5t and unknown members are ignored (J-09) */
    static const char *const headers[] = {
        "{\"alg\":\"ES256\"}",
        "{\"alg\":\"ES256\",\"typ\":\"JWT\",\"kid\":\"a\"}",
        "{\"alg\":\"ES256\",\"typ\":\"jwt\"}",
        "{\"alg\":\"ES256\",\"typ\":\"application/jwt\"}",
        "{\"alg\":\"ES256\",\"typ\":\"Application/JWT\"}",
        "{\"alg\":\"ES256\",\"x5t\":\"abc\",\"cty\":\"x\",\"other\":{\"a\":[1]}}",
    };
    size_t i;

    for (i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        lti_err_t err;

        assert_ok(
            parse_and_verify(token_of(headers[i], "{}", ec_key, LTI_ALG_ES256, *state), ec_key, LTI_ALG_DEFAULT, *state, &err),
            err);
    }
}

static void the_kid_may_have_255_bytes(void **state)
{
    /* SPEC J-05 */
    char kid[258] = "";
    lti_jws_t *jws;
    lti_err_t err;
    const char *token;

    memset(kid, 'k', 255);
    token = token_of(apr_psprintf(*state, "{\"alg\":\"ES256\",\"kid\":\"%s\"}", kid), "{}", ec_key, LTI_ALG_ES256, *state);
    assert_ok(lti_jws_parse(&jws, token, strlen(token), *state, &err), err);
    assert_string_equal(jws->kid, kid);
    kid[255] = 'k';
    token = token_of(apr_psprintf(*state, "{\"alg\":\"ES256\",\"kid\":\"%s\"}", kid), "{}", ec_key, LTI_ALG_ES256, *state);
    assert_code(lti_jws_parse(&jws, token, strlen(token), *state, &err), err, LTI_E_TOKEN_MALFORMED);
}

/* --- what is forged ------------------------------------------------------------------------------------------------------ */

static void unsigned_and_symmetric_algorithms_are_refused(void **state)
{
    /* SPEC J-03, J-04 */
    static const char *const names[] = {"none", "None", "NONE", "nOnE",   "HS256",  "HS384", "HS512", "ES256K",
                                        "RS1",  "dir",  "",     "RSA1_5", "A128KW", "rs256", "es256", "EdDSA2"};
    size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *header = apr_psprintf(*state, "{\"alg\":\"%s\"}", names[i]);
        lti_err_t err;

        assert_code(parse_and_verify(token_of(header, "{}", ec_key, LTI_ALG_ES256, *state), ec_key, ALL_ALGORITHMS, *state, &err),
                    err, LTI_E_ALGORITHM);
    }
}

static void a_public_key_is_no_hmac_secret(void **state)
{
    /* SPEC S-08: HS256 under the bytes of the published modulus. */
    const char *input = apr_pstrcat(*state, encoded("{\"alg\":\"HS256\",\"kid\":\"k\"}", *state), ".", encoded("{}", *state), NULL);
    unsigned char mac[32];
    unsigned size = 0;
    const char *token;
    lti_err_t err;

    assert_non_null(
        HMAC(EVP_sha256(), RFC7515_RSA, (int)strlen(RFC7515_RSA), (const unsigned char *)input, strlen(input), mac, &size));
    token = apr_pstrcat(*state, input, ".", lti_base64url_encode(mac, size, *state), NULL);
    assert_code(parse_and_verify(token, key_of(RFC7515_RSA, *state), ALL_ALGORITHMS, *state, &err), err, LTI_E_ALGORITHM);
}

static void an_algorithm_of_another_key_type_is_refused(void **state)
{
    /* SPEC J-07 */
    const char *token = token_of("{\"alg\":\"ES256\"}", "{}", ec_key, LTI_ALG_ES256, *state);
    lti_err_t err;

    assert_code(parse_and_verify(token, rsa_key, ALL_ALGORITHMS, *state, &err), err, LTI_E_KEY_UNUSABLE);
}

static void a_key_for_one_algorithm_serves_no_other(void **state)
{
    /* SPEC J-07: the JWK's alg */
    const char *token = token_of("{\"alg\":\"RS384\"}", "{}", rsa_key, LTI_ALG_RS384, *state);
    lti_key_t key = *rsa_key;
    lti_err_t err;

    assert_ok(parse_and_verify(token, &key, ALL_ALGORITHMS, *state, &err), err);
    key.only = LTI_ALG_RS256;
    assert_code(parse_and_verify(token, &key, ALL_ALGORITHMS, *state, &err), err, LTI_E_KEY_UNUSABLE);
}

static void keys_inside_the_token_make_it_refused(void **state)
{
    /* SPEC J-09, J-10, J-11: signed rightly, but the header wants something. */
    static const char *const members[] = {
        "\"jwk\":{\"kty\":\"EC\"}",
        "\"jwk\":null",
        "\"jku\":\"https://evil.example/keys\"",
        "\"x5u\":\"https://evil.example/cert\"",
        "\"x5c\":[\"AAAA\"]",
        "\"crit\":[\"exp\"]",
        "\"crit\":[]",
        "\"b64\":false",
        "\"b64\":true",
    };
    size_t i;

    for (i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        const char *header = apr_psprintf(*state, "{\"alg\":\"ES256\",%s}", members[i]);
        lti_err_t err;

        assert_code(parse_and_verify(token_of(header, "{}", ec_key, LTI_ALG_ES256, *state), ec_key, LTI_ALG_DEFAULT, *state, &err),
                    err, LTI_E_TOKEN_MALFORMED);
    }
}

static void headers_and_payloads_out_of_form_are_refused(void **state)
{
    /* SPEC J-02, J-05, J-12: signed rightly, so only the form can be the reason. */
    static const struct {
        const char *header, *payload;
    } cases[] = {
        {"[]", "{}"},
        {"\"ES256\"", "{}"},
        {"{}", "{}"},
        {"{\"alg\":256}", "{}"},
        {"{\"alg\":null}", "{}"},
        {"{\"alg\":[\"ES256\"]}", "{}"},
        {"{\"alg\":\"ES256\",\"alg\":\"ES256\"}", "{}"},
        {"{\"alg\":\"ES256\"}x", "{}"},
        {"{\"alg\":\"ES256\",\"kid\":5}", "{}"},
        {"{\"alg\":\"ES256\",\"kid\":null}", "{}"},
        {"{\"alg\":\"ES256\",\"kid\":\"\"}", "{}"},
        {"{\"alg\":\"ES256\",\"kid\":\"a\\u0000b\"}", "{}"},
        {"{\"alg\":\"ES256\",\"typ\":\"JOSE\"}", "{}"},
        {"{\"alg\":\"ES256\",\"typ\":\"at+jwt\"}", "{}"},
        {"{\"alg\":\"ES256\",\"typ\":\"\"}", "{}"},
        {"{\"alg\":\"ES256\",\"typ\":\"text/jwt\"}", "{}"},
        {"{\"alg\":\"ES256\",\"typ\":1}", "{}"},
        {"{\"alg\":\"ES256\"}", "[]"},
        {"{\"alg\":\"ES256\"}", "\"text\""},
        {"{\"alg\":\"ES256\"}", "{} "
                                "{}"},
        {"{\"alg\":\"ES256\"}", "{\"sub\":\"1\",\"sub\":\"2\"}"},
        {"{\"alg\":\"ES256\"}", "{\"sub\":\"\xFF\"}"},
        {"{\"alg\":\"ES256\"}", "[[[[[[[[[[[[[[[[[[[["},
        {"{\"alg\":\"ES256\"}", "{\"a\":[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]}"},
    };
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *token = token_of(cases[i].header, cases[i].payload, ec_key, LTI_ALG_ES256, *state);
        lti_err_t err;
        apr_status_t rv = parse_and_verify(token, ec_key, LTI_ALG_DEFAULT, *state, &err);

        if (rv == APR_SUCCESS)
            fail_msg("taken: %s . %s", cases[i].header, cases[i].payload);
        assert_code(rv, err, LTI_E_TOKEN_MALFORMED);
    }
}

static void other_shapes_than_three_parts_are_refused(void **state)
{
    /* SPEC J-01; H and P are good parts. */
    static const char *const shapes[] = {
        "",       ".",       "..",      "...",       "H",        "H.P",    "H.P.",      "H..S",         ".P.S",
        "H.P.S.", ".H.P.S",  "H.P.S.S", "H.P.S.S.S", "H=.P.S",   "H.P=.S", "H.P.S=",    " H.P.S",       "H.P.S ",
        "H .P.S", "H.P.S\n", "H.P.S+",  "H.P.S/",    "H.P.AA\n", "H.P.AB", "H.P.AAAAA", "H.P.\xC3\xA9",
    };
    const char *good = token_of("{\"alg\":\"ES256\"}", "{}", ec_key, LTI_ALG_ES256, *state);
    const char *dot = strchr(good, '.'), *second = strchr(dot + 1, '.');
    const char *header = apr_pstrmemdup(*state, good, (apr_size_t)(dot - good));
    const char *payload = apr_pstrmemdup(*state, dot + 1, (apr_size_t)(second - dot - 1));
    size_t i;

    for (i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        const char *s, *token = "";
        lti_jws_t *jws;
        lti_err_t err;

        for (s = shapes[i]; *s != '\0'; s++) {
            char one[2] = {*s, '\0'};

            token = apr_pstrcat(*state, token, *s == 'H' ? header : *s == 'P' ? payload : *s == 'S' ? second + 1 : one, NULL);
        }
        if (lti_jws_parse(&jws, token, strlen(token), *state, &err) == APR_SUCCESS)
            fail_msg("taken: %s", shapes[i]);
        assert_int_equal(err.code, LTI_E_TOKEN_MALFORMED);
    }
    {
        lti_jws_t *jws;
        lti_err_t err;
        const char *five = apr_pstrcat(*state, good, ".a.b", NULL);

        assert_code(lti_jws_parse(&jws, five, strlen(five), *state, &err), err, LTI_E_TOKEN_MALFORMED);
        assert_non_null(strstr(err.text, "JWE"));
        assert_code(lti_jws_parse(&jws, "a.b\0.c", 6, *state, &err), err, LTI_E_TOKEN_MALFORMED);
    }
}

static void a_second_spelling_of_the_same_bytes_is_refused(void **state)
{
    /* SPEC J-01: the last character of a 64-byte signature has two free bits, which must be zero. */
    char *token = apr_pstrdup(*state, token_of("{\"alg\":\"ES256\"}", "{}", ec_key, LTI_ALG_ES256, *state));
    char *last = token + strlen(token) - 1;
    lti_jws_t *jws;
    lti_err_t err;

    assert_non_null(strchr("AQgw", *last));
    (*last)++;
    assert_code(lti_jws_parse(&jws, token, strlen(token), *state, &err), err, LTI_E_TOKEN_MALFORMED);
}

static void every_changed_character_is_noticed(void **state)
{
    char *token =
        apr_pstrdup(*state, token_of("{\"alg\":\"ES256\",\"typ\":\"JWT\"}", "{\"sub\":\"7\"}", ec_key, LTI_ALG_ES256, *state));
    size_t i, length = strlen(token);
    int signatures = 0;

    for (i = 0; i < length; i++) {
        char was = token[i];
        lti_err_t err;

        token[i] = was == 'A' ? 'B' : 'A';
        if (parse_and_verify(token, ec_key, ALL_ALGORITHMS, *state, &err) == APR_SUCCESS)
            fail_msg("character %d", (int)i);
        signatures += err.code == LTI_E_SIGNATURE;
        token[i] = was;
    }
    assert_true(signatures > 80);
}

static void a_token_too_long_is_not_even_read(void **state)
{
    char *token = apr_palloc(*state, LTI_JWS_MAX + 2);
    lti_jws_t *jws;
    lti_err_t err;

    memset(token, 'A', LTI_JWS_MAX + 1);
    assert_code(lti_jws_parse(&jws, token, LTI_JWS_MAX + 1, *state, &err), err, LTI_E_TOKEN_MALFORMED);
    assert_non_null(strstr(err.text, "the most"));
}

static void parsing_failures_need_no_record(void **state)
{
    lti_jws_t *jws;

    assert_int_not_equal(lti_jws_parse(&jws, "e30.e30.AA", 10, *state, NULL), APR_SUCCESS);
    assert_int_not_equal(lti_jws_parse(&jws, "W10.e30.AA", 10, *state, NULL), APR_SUCCESS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(tokens_of_the_rfcs_verify),
        POOL_TEST(tokens_of_another_implementation_verify),
        POOL_TEST(what_the_tool_signs_verifies),
        POOL_TEST(signing_needs_claims_and_a_private_key),
        POOL_TEST(headers_that_are_in_order_are_taken),
        POOL_TEST(the_kid_may_have_255_bytes),
        POOL_TEST(unsigned_and_symmetric_algorithms_are_refused),
        POOL_TEST(a_public_key_is_no_hmac_secret),
        POOL_TEST(an_algorithm_of_another_key_type_is_refused),
        POOL_TEST(a_key_for_one_algorithm_serves_no_other),
        POOL_TEST(keys_inside_the_token_make_it_refused),
        POOL_TEST(headers_and_payloads_out_of_form_are_refused),
        POOL_TEST(other_shapes_than_three_parts_are_refused),
        POOL_TEST(a_second_spelling_of_the_same_bytes_is_refused),
        POOL_TEST(every_changed_character_is_noticed),
        POOL_TEST(a_token_too_long_is_not_even_read),
        POOL_TEST(parsing_failures_need_no_record),
    };

    return cmocka_run_group_tests(tests, make_keys, drop_keys);
}
