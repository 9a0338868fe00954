/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of lti_claims share: lti_claims.c judges the claims without which there is no launch, lti_claims_message.c what the kinds of messages
 * need, lti_claims_optional.c takes what the platform adds and drops what it cannot use, lti_claims_legacy.c the names of LTI 1.1.
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

/** What messages call the member `name` of `object`, the token or one of its claims: "exp", "context.id". */
const char *lti_claim_label(const lti_reading_t *reading, const json_t *object, const char *name);

/** Says in the launch's remarks that something was left out or mended; never a value that could be personal. */
void lti_claim_remark(const lti_reading_t *reading, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Members that must be there: LTI_E_CLAIM_MISSING, LTI_E_CLAIM_INVALID. `object` is the token or one of its claims. */
apr_status_t lti_claim_fail_missing(const lti_reading_t *reading, const json_t *object, const char *name);
apr_status_t lti_claim_fail_invalid(const lti_reading_t *reading, const json_t *object, const char *name, const char *fault);
apr_status_t lti_claim_require_string(const char **text, const lti_reading_t *reading, const json_t *object, const char *name);
/** An id: 1 to 255 printable ASCII characters (SPEC C-11, K-03, K-09, K-13). Copied. */
apr_status_t lti_claim_require_id(const char **id, const lti_reading_t *reading, const json_t *object, const char *name);
/** A member of the token. */
apr_status_t lti_claim_require_object(const json_t **object, const lti_reading_t *reading, const char *name);

/** What a deep linking request needs, and what the application is told of it (SPEC M-04). */
apr_status_t lti_claims_deep_linking(const lti_reading_t *reading);

/** What a submission review needs (SPEC M-07). */
apr_status_t lti_claims_submission_review(const lti_reading_t *reading);

/** The names of LTI 1.1 if their signature is good (SPEC H-01 to H-03). Refuses no launch. */
void lti_claims_legacy(const lti_reading_t *reading);

/** A text that names somebody to other systems: mended it would name somebody else, so it is taken as it is or not at all. */
const char *lti_claim_identity(const lti_reading_t *reading, const json_t *object, const char *name);

/** A text that people read: control characters become blanks; NULL if it is no string, empty or longer than LTI_FIELD_MAX. */
const char *lti_claim_display(const lti_reading_t *reading, const json_t *object, const char *name);

/** Person, context's texts, link's title, presentation, custom parameters, roster service. Nothing here refuses a launch. */
void lti_claims_optional(const lti_reading_t *reading);

#endif
