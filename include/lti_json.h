/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lti_json: jansson with limits. Everything that comes from outside is parsed here: bounded size, bounded depth, no
 * duplicate member, no trailing bytes, no NUL in strings, valid UTF-8 (SPEC J-02, S-14).
 *
 * Any thread, any process. A parsed value belongs to the pool that was given and is released with it.
 */
#ifndef LTI_JSON_H
#define LTI_JSON_H

#include <apr_pools.h>
#include <apr_time.h>
#include <jansson.h>
#include "lti_err.h"

#define LTI_JSON_DEPTH 16 /* SPEC J-02, N-30 */

/**
 * Parses one JSON object. `*json` is released when `p` is. On failure: `code` (chosen by the caller, since the same fault
 * is another matter in a token than in a roster) with the place and reason.
 */
apr_status_t lti_json_object(json_t **json, const char *text, apr_size_t size, lti_code_t code, apr_pool_t *p,
                             lti_err_t *err);

/** Hands `json` to `p`: json_decref when the pool goes. Returns it. */
json_t *lti_json_own(json_t *json, apr_pool_t *p);

/** The member if it is a string, else NULL (null and absent are the same thing: SPEC C-16). Borrowed. */
const char *lti_json_string(const json_t *object, const char *member);

/** Compact text of `json` in `p`; keys in insertion order. */
char *lti_json_text(const json_t *json, apr_pool_t *p);

/** 1 if `text` is valid UTF-8 without control characters (C0, DEL, C1): what may stand in a header or log line. */
int lti_json_is_clean(const char *text);

/** A member like 2026-01-31T08:00:00Z; null where `time` is 0 or less. */
void lti_json_set_time(json_t *object, const char *member, apr_time_t time);

#endif
