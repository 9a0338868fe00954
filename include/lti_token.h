/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lti_token: access tokens by client credentials with a signed assertion (SPEC 5.3, 5.4; RFC 7523). This room makes the request and reads
 * the answer; the transfer itself belongs to the refresh engine. Tokens are kept per registration, deployment and scope until a minute before they
 * expire, by the one process that asks for rosters.
 *
 * Watch thread only.
 */
#ifndef LTI_TOKEN_H
#define LTI_TOKEN_H

#include <apr_pools.h>
#include <apr_time.h>
#include "lti_crypto.h"
#include "lti_err.h"
#include "lti_http.h"
#include "lti_platform.h"

#define LTI_SCOPE_NRPS "https://purl.imsglobal.org/spec/lti-nrps/scope/contextmembership.readonly"
#define LTI_TOKEN_ANSWER_MAX (64 * 1024)

typedef struct lti_tokens_t lti_tokens_t;

lti_tokens_t *lti_tokens_create(apr_pool_t *p);

/** A token that is good for another minute (one that was given for less than two minutes: for half its life; for none: for the moment it was
 * asked for), or NULL. Holds until the next call of this room. */
const char *lti_tokens_get(const lti_tokens_t *tokens, const lti_platform_t *platform, const char *deployment_id, const char *scope,
                           apr_time_t now);

/** Bytes of the name under which all nodes know a token, with its NUL. */
#define LTI_TOKEN_KEY_SIZE 65

/** That name: of what the token belongs to, in hexadecimal digits (SPEC T-06). */
apr_status_t lti_tokens_key(char key[LTI_TOKEN_KEY_SIZE], const lti_platform_t *platform, const char *deployment_id, const char *scope);

/** Takes a token that another node was given; as lti_tokens_get() says, good until `until`. `sealed` is how the database has it. */
apr_status_t lti_tokens_adopt(lti_tokens_t *tokens, const lti_platform_t *platform, const char *deployment_id, const char *scope,
                              const char *token, apr_time_t until, const char *sealed, lti_err_t *err);

/** Until when the token that is kept may be used, 0 if there is none; and how the database has it, NULL if it does not. `sealed` may be NULL. */
apr_time_t lti_tokens_until(const char **sealed, const lti_tokens_t *tokens, const lti_platform_t *platform, const char *deployment_id,
                            const char *scope);

/** The scopes that the platform said it grants with the token that is kept, NULL if it did not say or another node was given it. */
const char *lti_tokens_granted(const lti_tokens_t *tokens, const lti_platform_t *platform, const char *deployment_id, const char *scope);

/** The platform said 401 to it: forget it (SPEC T-08). */
void lti_tokens_forget(lti_tokens_t *tokens, const lti_platform_t *platform, const char *deployment_id, const char *scope);

/** The request for a token: POST with assertion signed by `key`. */
apr_status_t lti_token_request(lti_http_request_t *request, const lti_platform_t *platform, const char *deployment_id,
                               const char *scope, const lti_key_t *key, apr_time_t now, apr_pool_t *p, lti_err_t *err);

/** Reads the answer (any status; `body` is the excerpt where status is not 200) and keeps the token. LTI_E_TOKEN_REFUSED, LTI_E_SCOPE_REFUSED,
 * LTI_E_TOKEN_ANSWER; err->detail is the HTTP status. */
apr_status_t lti_tokens_put(lti_tokens_t *tokens, const lti_platform_t *platform, const char *deployment_id, const char *scope,
                            const lti_http_response_t *response, const char *body, apr_size_t size, apr_time_t now, lti_err_t *err);

#endif
