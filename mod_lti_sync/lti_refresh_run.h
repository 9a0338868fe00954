/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One run of the refresh engine: the transfers of one course's roster as a state machine over the transport, the staging of what
 * they bring, and the verdict on who is missing. Internal to lti_refresh; watch thread only.
 *
 *   ASKING --request sent--> TRANSFER --answer--> LANDED --next link--> ASKING ...
 *                                                    |--last page, somebody is missing from several pages--> second walk: ASKING
 *                                                    `--last page--> COMPLETE        any fault --> BROKEN
 *
 * COMPLETE and BROKEN wait for the engine, which writes the outcome to the database and destroys the run. The transport's
 * callbacks only take bytes and note results; the one thing that they may do with the database is to flush a full batch of
 * members.
 */
#ifndef LTI_REFRESH_RUN_H
#define LTI_REFRESH_RUN_H

#include <apr_hash.h>
#include "lti_nrps.h"
#include "lti_refresh.h"
#include "lti_token.h"

#define LTI_RUN_TIME_MAX apr_time_from_sec(600) /* SPEC N-15 */

typedef enum lti_run_state_t { LTI_RUN_ASKING, LTI_RUN_TRANSFER, LTI_RUN_LANDED, LTI_RUN_COMPLETE, LTI_RUN_BROKEN } lti_run_state_t;

/** What a transport's callbacks hold on to. It belongs to no pool: a transfer may outlive its run, whichever of engine and
 * transport goes first. */
typedef struct lti_flight_t {
    struct lti_run_t *run; /* NULL once the run does not care any more */
} lti_flight_t;

typedef struct lti_run_t {
    struct lti_run_t *next;
    struct lti_run_t *const *all; /* the engine's list: who else is fetching the same token */
    const lti_refresh_options_t *options;
    lti_tokens_t *tokens;
    apr_pool_t *pool; /* with an allocator of its own: its memory goes back to the system with the run */

    const char *id;
    const lti_course_t *course;     /* as it was once the lease was ours */
    const lti_platform_t *platform; /* NULL: not configured any more */
    lti_hold_t hold;
    lti_diff_t *diff;
    apr_time_t started_at;
    apr_time_t requested_at; /* just before the first roster request; 0: none yet */
    apr_time_t lease_until, renew_at;

    lti_run_state_t state;
    lti_err_t err; /* BROKEN: why */
    apr_interval_time_t retry_after;
    lti_flight_t *flight;
    int token_coming; /* the flight is a token request */
    int token_fresh;  /* the last answer was a token */
    int renewed;      /* the one new token after a 401 or 403 was asked for */

    int walk;              /* 1 or 2 */
    apr_pool_t *walk_pool; /* holds `seen` */
    apr_hash_t *seen;      /* digests of this walk's page URLs */
    apr_pool_t *page_pool; /* the page in work: its URL, request, parser, token answer */
    const char *url;       /* of that page */
    const char *token;     /* it was asked with */
    const char *next_url;  /* in page_pool; NULL: the last page */
    lti_nrps_page_t *parser;
    char *answer; /* of the token end point */
    apr_size_t answer_size, answer_room;
    int pages;      /* read in both walks */
    int walk_pages; /* read in this one */

    apr_pool_t *batch_pool;
    apr_array_header_t *batch; /* of lti_member_t *: to be staged */
    apr_hash_t *batch_index;   /* user id to lti_member_t *: no id twice in a statement */
    apr_size_t batch_bytes;
    int spoilt; /* staging holds rows of a second walk: the first one cannot be applied by itself any more */

    lti_diff_summary_t summary; /* after the last complete walk */
    int second_failed;
    lti_err_t second_err;

    int tries;           /* of writing the outcome */
    apr_time_t retry_at; /* not before */
} lti_run_t;

/** A run of `options`' engine, in a pool below `parent`; the engine fills course, platform and times. LTI_E_INTERNAL. */
apr_status_t lti_run_create(lti_run_t **run, const lti_refresh_options_t *options, lti_tokens_t *tokens, lti_run_t *const *all,
                            apr_pool_t *parent, lti_err_t *err);

/** Ends it wherever it is; a transfer that is going on falls to nobody. */
void lti_run_destroy(lti_run_t *run);

/** Reads what is stored of the course, digests and hold, and gets ready to ask. */
apr_status_t lti_run_load(lti_run_t *run, lti_db_t *db, apr_pool_t *ptemp, lti_err_t *err);

/** Moves on what needs no waiting. May borrow a connection to stage members. */
void lti_run_advance(lti_run_t *run, apr_time_t now);

/** The run ends for this reason: BROKEN, or COMPLETE without removals if only the second walk fails (Invariant 2). */
void lti_run_break(lti_run_t *run, const lti_err_t *why);

/**
 * COMPLETE: what to apply. Fills `missing`, `state`, `held_digest`, `held_missing` and `staged`. `note` stays LTI_OK if all of it
 * is applied; LTI_E_ROSTER_HELD or LTI_E_ROSTER_EMPTY if removals are held, else why the second walk failed.
 */
void lti_run_verdict(lti_apply_t *apply, lti_err_t *note, const lti_run_t *run, apr_pool_t *p);

#endif
