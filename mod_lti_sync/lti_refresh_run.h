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
#include "lti_pace.h"
#include "lti_refresh.h"
#include "lti_token.h"

#define LTI_RUN_TIME_MAX apr_time_from_sec(600) /* SPEC N-15 */

typedef enum lti_run_state_t { LTI_RUN_ASKING, LTI_RUN_TRANSFER, LTI_RUN_LANDED, LTI_RUN_COMPLETE, LTI_RUN_BROKEN } lti_run_state_t;

/** What a transport's callbacks hold on to. It belongs to no pool: a transfer may outlive its run, whichever of engine and
 * transport goes first. */
typedef struct lti_flight_t {
    struct lti_run_t *run; /* NULL once the run does not care any more */
} lti_flight_t;

/** lti_refresh_facts.h */
typedef struct lti_facts_t lti_facts_t;

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
    apr_time_t told_at; /* how far it is (lti_refresh_history.c); 0: not yet */

    lti_run_state_t state;
    lti_err_t err; /* BROKEN: why */
    apr_interval_time_t retry_after;
    lti_flight_t *flight;
    int token_coming; /* the flight is a token request */
    int token_fresh;  /* the last answer was a token */
    lti_pace_t *pace;     /* the engine's; NULL: no limits */
    int requested;        /* by "update now": does not wait for the platform's patience (SPEC N-48) */
    lti_facts_t *facts; /* the engine's; NULL: nobody wants to know */
    apr_time_t sent_at;   /* the request that is under way */
    apr_time_t ask_at;    /* ASKING: not before */
    const char *leased;   /* the key of the token that this run alone asks for, of all nodes; NULL: of none */
    const char *refused;  /* the key of a token that the platform refused, and how the database has it; NULL: none */
    const char *refused_sealed;
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

    const char *start_url;        /* of each walk: the service's, or that of the list of what changed */
    int partial;                  /* only what changed is asked for */
    lti_differences_t differences; /* as they are stored */
    const char *next_differences; /* where this run was told to ask next */

    /* What is odd about the walk, and is no fault. */
    int walk_members;          /* handed over, those named twice each time */
    int walk_dropped;          /* had no usable id */
    int walk_odd;              /* had a status that nobody knows */
    const char *other_context; /* the roster's context, where it is not that of the launches; in walk_pool */

    /* Names of sections and groups (lti_refresh_groups.c). */
    const char *scope;         /* of the token that is needed now */
    const char *rlid;          /* the roster is asked for with it; NULL: without */
    lti_nrps_names_t names;    /* what the parser is to look for */
    const char *stored_groups; /* the map as the database has it */
    json_t *new_groups;        /* the one that is coming */
    int group_pages;
    const char *groups_fault; /* why names may be missing; NULL: nothing is wrong */
    apr_hash_t *group_pauses; /* the engine's: platform and deployment -> apr_time_t, until when its groups are not asked for */

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

/* --- for the parts of a run ------------------------------------------------------------------------------------------- */

/** The page at `url` is the next to be asked for; what belonged to the one before is gone. */
void lti_run_turn_to_page(lti_run_t *run, const char *url);

/** Hands a transfer to the transport. */
apr_status_t lti_run_submit(lti_run_t *run, lti_http_request_t *request, lti_http_body_fn *on_body, lti_http_done_fn *on_done,
                            apr_time_t now, lti_err_t *err);

/** Gathers a body of at most `max` bytes in `answer`. */
apr_status_t lti_run_take_answer(void *baton, const char *data, apr_size_t size, apr_size_t max, lti_err_t *err);

/** The transfer has ended: whose was it? NULL: nobody's any more. */
lti_run_t *lti_run_land(void *baton);

/** lti_refresh_token.c: 0 if another node asks for the token that this run needs: to be asked again later. Else there may be one now, or this run asks for it. */
int lti_run_token_find(lti_run_t *run, apr_time_t now);
/** Tells the others the token that this run was given. */
void lti_run_token_share(lti_run_t *run);
/** The platform refuses the token that is kept for `scope`. */
void lti_run_token_forget(lti_run_t *run, const char *scope);
/** The run is over and asked for a token in vain: others may. */
void lti_run_token_release(lti_run_t *run, lti_db_t *db, apr_pool_t *ptemp);
/** 1 if another run of this process is about to have the token that this one needs. */
int lti_run_token_is_coming(const lti_run_t *run);

/** lti_refresh_pace.c: 1 if a request may be sent now. Else the run is put off, or asks again at run->ask_at. */
int lti_run_may_ask(lti_run_t *run, apr_time_t now);
/** What an answer, or none, to a question for `what` says about the platform as a whole. `why` is what was made of it, LTI_OK if it was good. */
void lti_run_note_answer(lti_run_t *run, lti_meter_fetch_t what, const lti_http_response_t *response, const lti_err_t *why);

/** Before the walks: what is stored of names, and what to look for. `err` may be NULL: nothing here is a failure of the run. */
void lti_run_groups_load(lti_run_t *run, lti_db_t *db, apr_pool_t *ptemp, lti_err_t *err);

/** Turns the run to the groups service, if there is one to be asked. */
void lti_run_groups_begin(lti_run_t *run);

/** 1 while the names of groups are fetched. */
int lti_run_groups_going_on(const lti_run_t *run);

/** Asks for the page of groups at run->url. */
apr_status_t lti_run_groups_ask(lti_run_t *run, const char *token, apr_time_t now, lti_err_t *err);

/** They do not come: on to the roster. */
void lti_run_groups_fail(lti_run_t *run, const lti_err_t *why);

/** 1 if the first page failed because of the rlid: the roster is to be asked for without (SPEC N-52). */
int lti_run_rlid_refused(lti_run_t *run, const lti_err_t *why);

/** lti_refresh_differences.c: decides whether this run asks only for what changed. */
apr_status_t lti_run_differences_load(lti_run_t *run, lti_db_t *db, lti_err_t *err);
/** 1 if the platform does not know the list of what changed any more: the run goes on with the whole list. */
int lti_run_differences_refused(lti_run_t *run, const lti_err_t *why);
/** Is a page of it to be believed? LTI_E_ROSTER_CHANGES. */
apr_status_t lti_run_differences_judge(const lti_run_t *run, lti_err_t *err);
/** Remembers where a page says that the next list is. */
void lti_run_differences_note(lti_run_t *run, const lti_http_response_t *response);
/** What is stored with the run; after lti_run_verdict(). */
void lti_run_differences_keep(lti_apply_t *apply, const lti_run_t *run);

/** COMPLETE: what is odd about the list and was taken all the same (SPEC N-17, N-31, N-32, N-34, N-35), NULL if nothing is. */
const char *lti_run_remarks(const lti_run_t *run, apr_pool_t *p);

/** The run ends for this reason: BROKEN, or COMPLETE without removals if only the second walk fails (Invariant 2). */
void lti_run_break(lti_run_t *run, const lti_err_t *why);

/**
 * COMPLETE: what to apply. Fills `missing`, `state`, `held_digest`, `held_missing` and `staged`. `note` stays LTI_OK if all of it
 * is applied; LTI_E_ROSTER_HELD or LTI_E_ROSTER_EMPTY if removals are held, else why the second walk failed.
 */
void lti_run_verdict(lti_apply_t *apply, lti_err_t *note, const lti_run_t *run, apr_pool_t *p);

#endif
