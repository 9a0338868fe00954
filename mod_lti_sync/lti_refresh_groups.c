/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A run before its first roster page: the names of the course's groups, where the platform offers the service. They come first because members are taken one by one as they
 * arrive, and need the names then. Whatever goes wrong here costs at most names (those of before serve on), and the roster goes on.
 */
#include "lti_refresh_run.h"

#include <string.h>
#include <apr_strings.h>
#include "lti_groups.h"
#include "lti_json.h"

#define GROUPS_URL_MAX 2048
#define PHASE_MAX apr_time_from_sec(60)       /* a slow service must not take the roster's time */
#define REFUSED_PAUSE apr_time_from_sec(3600) /* who was refused is not asked again for so long (SPEC 5.4) */

static const char *pause_key(const lti_run_t *run, apr_pool_t *p)
{
    return apr_pstrcat(p, run->platform->name, "\n", run->course->deployment_id, NULL);
}

static int is_paused(const lti_run_t *run, apr_time_t now)
{
    const apr_time_t *until =
        run->group_pauses != NULL ? apr_hash_get(run->group_pauses, pause_key(run, run->pool), APR_HASH_KEY_STRING) : NULL;

    return until != NULL && now < *until;
}

static void begin_pause(lti_run_t *run, apr_time_t now)
{
    apr_pool_t *p;
    apr_time_t *until;

    if (run->group_pauses == NULL)
        return;
    p = apr_hash_pool_get(run->group_pauses);
    until = apr_hash_get(run->group_pauses, pause_key(run, run->pool), APR_HASH_KEY_STRING);
    if (until == NULL) {
        until = apr_palloc(p, sizeof(*until));
        apr_hash_set(run->group_pauses, pause_key(run, p), APR_HASH_KEY_STRING, until);
    }
    *until = now + REFUSED_PAUSE;
}

/* On to the roster. */
static void end_phase(lti_run_t *run)
{
    run->scope = LTI_SCOPE_NRPS;
    run->token_fresh = 0;
    lti_run_turn_to_page(run, run->start_url);
}

void lti_run_groups_load(lti_run_t *run, lti_db_t *db, apr_pool_t *ptemp, lti_err_t *err)
{
    const char *stored = NULL;

    run->scope = LTI_SCOPE_NRPS;
    run->names = (lti_nrps_names_t){.section_claim = run->platform->section_claim, .group_claim = run->platform->group_claim};
    if (run->platform->roster_names != LTI_NAMES_RLID)
        run->names.section_claim = run->names.group_claim = NULL;
    else
        run->rlid = run->course->context_id;
    if (run->course->groups_url == NULL)
        return;
    if (lti_db_groups_read(&stored, db, run->course->key, run->pool, err) == APR_SUCCESS)
        run->stored_groups = stored;
    run->names.groups = lti_groups_map(stored, run->pool);
    (void)ptemp;
}

void lti_run_groups_begin(lti_run_t *run)
{
    lti_err_t why = {0};

    if (run->course->groups_url == NULL || is_paused(run, run->started_at))
        return;
    if (lti_http_check_url(run->course->groups_url, GROUPS_URL_MAX, LTI_E_SERVICE_URL, &why) != APR_SUCCESS) {
        lti_run_groups_fail(run, &why);
        return;
    }
    run->scope = LTI_SCOPE_GROUPS;
    run->new_groups = lti_json_own(json_object(), run->pool);
    lti_run_turn_to_page(run, run->course->groups_url);
}

int lti_run_groups_going_on(const lti_run_t *run)
{
    return strcmp(run->scope, LTI_SCOPE_GROUPS) == 0;
}

/* In the database too, and at once: a run remembers one refused token, and that of the roster may be the next. */
static void forget_token(lti_run_t *run)
{
    const lti_store_t *store = &run->options->store;
    lti_db_t *db;

    lti_run_token_forget(run, LTI_SCOPE_GROUPS);
    if (run->refused == NULL)
        return;
    db = store->acquire(store->baton, NULL);
    if (db != NULL) {
        (void)lti_db_token_forget(db, run->refused, run->refused_sealed, run->page_pool, NULL); /* else it ends by time */
        store->release(store->baton, db);
    }
    run->refused = NULL;
}

void lti_run_groups_fail(lti_run_t *run, const lti_err_t *why)
{
    if (why->code == LTI_E_SCOPE_REFUSED || why->code == LTI_E_TOKEN_REFUSED || why->code == LTI_E_ROSTER_FORBIDDEN)
        begin_pause(run, run->options->now());
    if (why->code == LTI_E_ROSTER_FORBIDDEN)
        forget_token(run);
    run->groups_fault = apr_psprintf(run->pool, "%s: %s", lti_err_info(why->code)->name, why->text);
    end_phase(run);
}

/* The whole list is there. Written at once: what the roster says by these ids is read next. */
static void take_groups(lti_run_t *run)
{
    const lti_store_t *store = &run->options->store;
    const char *text = lti_json_text(run->new_groups, run->pool);
    lti_db_t *db;

    run->names.groups = run->new_groups;
    if (text != NULL && (run->stored_groups == NULL || strcmp(text, run->stored_groups) != 0)) {
        db = store->acquire(store->baton, NULL);
        if (db != NULL) {
            (void)lti_db_groups_write(db, run->course->key, text, run->page_pool, NULL); /* the next run tries again */
            store->release(store->baton, db);
        }
    }
    end_phase(run);
}

static apr_status_t judge(const char **next, lti_run_t *run, apr_status_t rv, const lti_http_response_t *response,
                          const char *excerpt, const lti_err_t *err, lti_err_t *why)
{
    if (response != NULL && response->status != 0) {
        apr_status_t judged = lti_groups_check_answer(response, excerpt, why);

        if (judged != APR_SUCCESS)
            return judged;
    }
    if (rv != APR_SUCCESS) {
        if (err != NULL && err->code != LTI_OK)
            *why = *err;
        else
            lti_fail(why, LTI_E_HTTP_ABORTED, rv, "the transfer ended without an answer");
        return rv;
    }
    rv = lti_groups_read(run->new_groups, run->answer != NULL ? run->answer : "", run->answer_size, run->page_pool, why);
    if (rv != APR_SUCCESS)
        return rv;
    if (++run->group_pages > LTI_GROUPS_PAGES_MAX)
        return lti_fail(why, LTI_E_ROSTER_LIMIT, APR_ENOSPC, "more than %d pages of groups", LTI_GROUPS_PAGES_MAX);
    if (run->options->now() - run->started_at > PHASE_MAX)
        return lti_fail(why, LTI_E_ROSTER_LIMIT, APR_TIMEUP, "the groups took more than %d seconds", (int)apr_time_sec(PHASE_MAX));
    return lti_nrps_next(next, response, run->url, run->course->groups_url, run->page_pool, why);
}

static void groups_done(void *baton, apr_status_t rv, const lti_http_response_t *response, const char *excerpt,
                        const lti_err_t *err)
{
    lti_run_t *run = lti_run_land(baton);
    const char *next = NULL;
    lti_err_t why = {0};

    if (run == NULL)
        return;
    rv = judge(&next, run, rv, response, excerpt, err, &why);
    lti_run_note_answer(run, LTI_METER_PAGE, response, &why);
    if (rv != APR_SUCCESS)
        lti_run_groups_fail(run, &why);
    else if (next != NULL)
        lti_run_turn_to_page(run, next);
    else
        take_groups(run);
}

static apr_status_t take_bytes(void *baton, const char *data, apr_size_t size, lti_err_t *err)
{
    return lti_run_take_answer(baton, data, size, LTI_GROUPS_PAGE_MAX, err);
}

apr_status_t lti_run_groups_ask(lti_run_t *run, const char *token, apr_time_t now, lti_err_t *err)
{
    lti_http_request_t request = {0};

    run->token_fresh = 0;
    run->answer = NULL;
    run->answer_size = run->answer_room = 0;
    lti_groups_request(&request, run->platform, run->url, token, run->page_pool);
    request.any_address = run->options->admits_private(run->options->baton, run->platform, run->course->groups_url);
    return lti_run_submit(run, &request, take_bytes, groups_done, now, err);
}

int lti_run_rlid_refused(lti_run_t *run, const lti_err_t *why)
{
    if (run->rlid == NULL || run->partial || run->walk > 1 || run->walk_pages > 0 || (why->detail != 400 && why->detail != 404))
        return 0;
    run->rlid = NULL;
    run->groups_fault = apr_psprintf(run->pool, "the platform does not take the course's id as rlid, HTTP %ld", why->detail);
    return 1;
}
