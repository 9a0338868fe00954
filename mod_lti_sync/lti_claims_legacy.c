/* SPDX-License-Identifier: Apache-2.0 */
/* The migration claim: names that person, course and link had under LTI 1.1, signed with the secret of that time (SPEC section 2.5). */
#include "lti_claims_part.h"

#include <string.h>
#include <apr_base64.h>
#include <apr_strings.h>
#include "lti_crypto.h"
#include "lti_json.h"

#define SIGNATURE_LENGTH 44 /* base64 of a SHA-256 */

/* That of the inner scope, which stands last, if a key has several. */
static const char *secret_of(const apr_array_header_t *secrets, const char *consumer_key)
{
    for (int i = secrets->nelts - 1; i >= 0; i--) {
        const lti_legacy_secret_t *secret = APR_ARRAY_IDX(secrets, i, const lti_legacy_secret_t *);
        if (strcmp(secret->consumer_key, consumer_key) == 0)
            return secret->secret;
    }
    return NULL;
}

/* SPEC H-01: what the platform has signed. */
static const char *signed_text(const lti_reading_t *reading, const char *consumer_key)
{
    const lti_launch_t *launch = reading->launch;

    return apr_psprintf(reading->p, "%s&%s&%s&%s&%" APR_INT64_T_FMT "&%s", consumer_key, launch->deployment_id, launch->issuer,
                        launch->client_id, (apr_int64_t)apr_time_sec(launch->token_expires_at), reading->expect->nonce);
}

/* NULL if the signature is good, else what is wrong. */
static const char *check_signature(const lti_reading_t *reading, const char *consumer_key, const char *signature)
{
    const char *secret = secret_of(reading->expect->legacy_secrets, consumer_key), *text;
    unsigned char mac[LTI_SHA256_SIZE];
    char wanted[SIGNATURE_LENGTH + 1];

    if (secret == NULL)
        return "no LTILegacySecret has its oauth_consumer_key";
    text = signed_text(reading, consumer_key);
    if (lti_hmac_sha256(mac, (lti_bytes_t){secret, strlen(secret)}, (lti_bytes_t){text, strlen(text)}) != APR_SUCCESS)
        return "the signature cannot be computed";
    apr_base64_encode_binary(wanted, mac, LTI_SHA256_SIZE);
    if (strlen(signature) != SIGNATURE_LENGTH || !lti_crypto_equal(signature, wanted, SIGNATURE_LENGTH))
        return "oauth_consumer_key_sign is wrong: does LTILegacySecret have the secret that the platform has?";
    return NULL;
}

void lti_claims_legacy(const lti_reading_t *reading)
{
    const json_t *claim = lti_claim_member(reading->claims, LTI_CLAIM("lti1p1"));
    lti_launch_t *launch = reading->launch;
    const char *consumer_key, *signature;

    if (claim == NULL || reading->expect->legacy_secrets == NULL)
        return;
    consumer_key = lti_claim_identity(reading, claim, "oauth_consumer_key");
    signature = lti_json_string(claim, "oauth_consumer_key_sign");
    if (consumer_key == NULL || signature == NULL)
        launch->legacy_fault = "oauth_consumer_key or oauth_consumer_key_sign is missing";
    else
        launch->legacy_fault = check_signature(reading, consumer_key, signature);
    if (launch->legacy_fault != NULL)
        return;
    launch->legacy_consumer_key = consumer_key;
    /* An anonymous launch must not become somebody by the side door (SPEC C-12). */
    if (launch->user_id != NULL)
        launch->legacy_user_id = lti_claim_identity(reading, claim, "user_id");
    launch->legacy_context_id = lti_claim_identity(reading, claim, "context_id");
    launch->legacy_resource_link_id = lti_claim_identity(reading, claim, "resource_link_id");
}
