/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the two halves of lti_claims share: lti_claims.c judges the claims without which there is no launch, lti_claims_optional.c takes what
 * the platform adds and drops what it cannot use.
 */
#ifndef LTI_CLAIMS_PART_H
#define LTI_CLAIMS_PART_H

#include "lti_claims.h"

#define LTI_CLAIM(name) "https://purl.imsglobal.org/spec/lti/claim/" name
#define LTI_CLAIM_URL_MAX 4096

/** One token being read. */
typedef struct lti_reading_t {
    const json_t *claims;
    const lti_expect_t *expect;
    lti_launch_t *launch; /* being filled */
    apr_pool_t *p;
    lti_err_t *err;
} lti_reading_t;

/** The member, NULL if it is absent or null (SPEC C-16). Borrowed. */
const json_t *lti_claim_member(const json_t *object, const char *name);

/** A text that people read: control characters become blanks; NULL if it is no string, empty or longer than LTI_FIELD_MAX. */
const char *lti_claim_display(const json_t *object, const char *name, apr_pool_t *p);

/** Person, context's texts, link's title, presentation, custom parameters, roster service. Nothing here refuses a launch. */
void lti_claims_optional(const lti_reading_t *reading);

#endif
