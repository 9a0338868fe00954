/* SPDX-License-Identifier: Apache-2.0 */
/* One run of the refresh engine: token, pages, second walk, staging. */
#include "lti_refresh_run.h"

#include <stdlib.h>
#include <string.h>
#include <apr_strings.h>
#include "lti_crypto.h"

#define URL_DIGEST 16
#define ASK_AGAIN_MAX apr_time_from_sec(70) /* the lowest rate is one a minute */
#define STAGE_ROWS 500
#define BATCH_BYTES (1024 * 1024)
/* What a second walk changes is kept back until that walk is complete; more than this, and it has to be staged before. */
#define BACKLOG_ROWS 10000
#define BACKLOG_BYTES (8 * 1024 * 1024)

/* --- life -------------------------------------------------------------------------------------------------------------- */

static void detach(lti_run_t *run)
{
    if (run->flight != NULL) {
        run->flight->run = NULL;
        run->flight = NULL;
    }
    run->token_coming = 0;
}

static apr_status_t detach_cleanup(void *data)
{
    detach(data);
    return APR_SUCCESS;
}

static void empty_batch(lti_run_t *run)
{
    apr_pool_clear(run->batch_pool);
    run->batch = apr_array_make(run->batch_pool, 64, sizeof(lti_member_t *));
    run->batch_index = apr_hash_make(run->batch_pool);
    run->batch_bytes = 0;
}

apr_status_t lti_run_create(lti_run_t **run, const lti_refresh_options_t *options, lti_tokens_t *tokens, lti_run_t *const *all,
                            apr_pool_t *parent, lti_err_t *err)
{
    apr_allocator_t *allocator;
    apr_pool_t *pool;
    lti_run_t *made;

    if (apr_allocator_create(&allocator) != APR_SUCCESS)
        return lti_fail(err, LTI_E_INTERNAL, APR_ENOMEM, "no memory for a run");
    if (apr_pool_create_ex(&pool, parent, NULL, allocator) != APR_SUCCESS) {
        apr_allocator_destroy(allocator);
        return lti_fail(err, LTI_E_INTERNAL, APR_ENOMEM, "no memory for a run");
    }
    apr_allocator_owner_set(allocator, pool);
    apr_pool_tag(pool, "lti_run");
    made = apr_pcalloc(pool, sizeof(*made));
    made->pool = pool;
    made->options = options;
    made->tokens = tokens;
    made->scope = LTI_SCOPE_NRPS;
    made->all = all;
    apr_pool_create(&made->walk_pool, pool);
    apr_pool_create(&made->page_pool, pool);
    apr_pool_create(&made->batch_pool, pool);
    apr_pool_cleanup_register(pool, made, detach_cleanup, apr_pool_cleanup_null);
    made->id = lti_crypto_random_text(12, pool);
    if (made->id == NULL) {
        apr_pool_destroy(pool);
        return lti_fail(err, LTI_E_INTERNAL, APR_EGENERAL, "no randomness for the name of a run");
    }
    empty_batch(made);
    *run = made;
    return APR_SUCCESS;
}

void lti_run_destroy(lti_run_t *run)
{
    apr_pool_destroy(run->pool);
}

void lti_run_break(lti_run_t *run, const lti_err_t *why)
{
    detach(run);
    if (run->walk == 2 && !run->spoilt && lti_err_info(why->code)->kind != LTI_ERR_STORE) {
        run->second_failed = 1;
        run->second_err = *why;
        empty_batch(run);
        run->state = LTI_RUN_COMPLETE;
        return;
    }
    run->err = *why;
    run->state = LTI_RUN_BROKEN;
}

/* --- walks and pages ---------------------------------------------------------------------------------------------------- */

/* 1 if this walk was at `url` before; remembers it if not. A digest stands for the URL: 10,000 long ones are not kept. */
static int was_here(lti_run_t *run, const char *url)
{
    unsigned char digest[LTI_SHA256_SIZE];
    unsigned char *kept;

    if (lti_sha256(digest, url, strlen(url)) != APR_SUCCESS)
        return 1;
    if (apr_hash_get(run->seen, digest, URL_DIGEST) != NULL)
        return 1;
    kept = apr_pmemdup(run->walk_pool, digest, URL_DIGEST);
    apr_hash_set(run->seen, kept, URL_DIGEST, kept);
    return 0;
}

/* The page at `url` is the next to be asked for; what belonged to the one before is gone. */
void lti_run_turn_to_page(lti_run_t *run, const char *url)
{
    apr_pool_t *fresh;

    apr_pool_create(&fresh, run->pool);
    run->url = apr_pstrdup(fresh, url);
    apr_pool_destroy(run->page_pool);
    run->page_pool = fresh;
    run->next_url = NULL;
    run->parser = NULL;
    run->answer = NULL;
    run->state = LTI_RUN_ASKING;
}

static void begin_walk(lti_run_t *run)
{
    run->walk++;
    run->walk_pages = 0;
    run->walk_members = run->walk_dropped = run->walk_odd = 0;
    run->other_context = NULL;
    apr_pool_clear(run->walk_pool);
    run->seen = apr_hash_make(run->walk_pool);
    lti_diff_begin_walk(run->diff);
    was_here(run, run->start_url);
    lti_run_turn_to_page(run, run->start_url);
}

static apr_status_t note_known(void *baton, const char *user_id, const unsigned char digest[LTI_DIGEST_SIZE],
                               lti_member_status_t status)
{
    lti_diff_known(baton, user_id, digest, status);
    return APR_SUCCESS;
}

apr_status_t lti_run_load(lti_run_t *run, lti_db_t *db, apr_pool_t *ptemp, lti_err_t *err)
{
    apr_status_t rv;

    run->diff = lti_diff_create(run->pool);
    rv = lti_db_digests_each(db, run->course->key, note_known, run->diff, ptemp, err);
    if (rv == APR_SUCCESS)
        rv = lti_db_hold_read(&run->hold, db, run->course->key, ptemp, err);
    if (rv == APR_SUCCESS)
        rv = lti_run_differences_load(run, db, err);
    if (rv != APR_SUCCESS)
        return rv;
    lti_run_groups_load(run, db, ptemp, NULL);
    begin_walk(run);
    lti_run_groups_begin(run);
    return rv;
}

/* --- staging ------------------------------------------------------------------------------------------------------------ */

static apr_status_t stage_slices(lti_run_t *run, lti_db_t *db, lti_err_t *err)
{
    int done;

    for (done = 0; done < run->batch->nelts; done += STAGE_ROWS) {
        apr_array_header_t slice = *run->batch;
        apr_pool_t *ptemp;
        apr_status_t rv;

        slice.elts = run->batch->elts + (apr_size_t)done * (apr_size_t)run->batch->elt_size;
        slice.nelts = slice.nalloc = run->batch->nelts - done < STAGE_ROWS ? run->batch->nelts - done : STAGE_ROWS;
        apr_pool_create(&ptemp, run->batch_pool);
        rv = lti_db_stage(db, run->id, run->course->key, &slice, ptemp, err);
        apr_pool_destroy(ptemp);
        if (rv != APR_SUCCESS)
            return rv;
    }
    return APR_SUCCESS;
}

static apr_status_t flush(lti_run_t *run, lti_err_t *err)
{
    const lti_store_t *store = &run->options->store;
    lti_err_t why = {0};
    apr_status_t rv;
    lti_db_t *db;

    if (run->batch->nelts == 0)
        return APR_SUCCESS;
    db = store->acquire(store->baton, &why);
    if (db == NULL)
        return lti_fail(err, why.code != LTI_OK ? why.code : LTI_E_STORE, why.status != APR_SUCCESS ? why.status : APR_EAGAIN,
                        "no connection to stage members with: %s", why.code != LTI_OK ? why.text : "not yet");
    if (run->walk == 2)
        run->spoilt = 1;
    lti_db_hurry(db, run->options->stopping, run->options->baton);
    rv = stage_slices(run, db, err);
    lti_db_hurry(db, NULL, NULL);
    store->release(store->baton, db);
    empty_batch(run);
    return rv;
}

static const char *keep(lti_run_t *run, const char *text)
{
    apr_size_t length;

    if (text == NULL)
        return NULL;
    length = strlen(text);
    run->batch_bytes += length + 1;
    return apr_pstrmemdup(run->batch_pool, text, length);
}

static apr_status_t stage_member(lti_run_t *run, const lti_member_t *member, lti_err_t *err)
{
    lti_member_t *row = apr_hash_get(run->batch_index, member->user_id, APR_HASH_KEY_STRING);

    if (row == NULL) {
        row = apr_palloc(run->batch_pool, sizeof(*row));
        APR_ARRAY_PUSH(run->batch, lti_member_t *) = row;
    }
    *row = *member;
    row->user_id = keep(run, member->user_id);
    row->name = keep(run, member->name);
    row->given_name = keep(run, member->given_name);
    row->family_name = keep(run, member->family_name);
    row->email = keep(run, member->email);
    row->sourcedid = keep(run, member->sourcedid);
    row->roles = keep(run, member->roles);
    row->sections = keep(run, member->sections);
    row->groups = keep(run, member->groups);
    run->batch_bytes += sizeof(*row);
    apr_hash_set(run->batch_index, row->user_id, APR_HASH_KEY_STRING, row);
    if (run->batch->nelts < (run->walk == 1 ? STAGE_ROWS : BACKLOG_ROWS) &&
        run->batch_bytes < (run->walk == 1 ? BATCH_BYTES : BACKLOG_BYTES))
        return APR_SUCCESS;
    return flush(run, err);
}

static apr_status_t take_member(void *baton, const lti_member_t *member, lti_err_t *err)
{
    lti_run_t *run = baton;

    if (member->status == LTI_MEMBER_LEFT) {
        lti_diff_deleted(run->diff, member->user_id);
        return APR_SUCCESS;
    }
    switch (lti_diff_member(run->diff, member)) {
    case LTI_DIFF_SAME:
        return APR_SUCCESS;
    case LTI_DIFF_STAGE:
    case LTI_DIFF_RESTAGE:
        return stage_member(run, member, err);
    case LTI_DIFF_FULL:
        break;
    }
    return lti_fail(err, LTI_E_ROSTER_LIMIT, APR_ENOSPC, "more than %d members", LTI_MEMBERS_MAX);
}

/* --- transfers ---------------------------------------------------------------------------------------------------------- */

static apr_status_t take_bytes(void *baton, const char *data, apr_size_t size, lti_err_t *err)
{
    lti_run_t *run = ((lti_flight_t *)baton)->run;

    if (run == NULL)
        return lti_fail(err, LTI_E_HTTP_ABORTED, APR_ECONNABORTED, "the run is over");
    return lti_nrps_page_feed(run->parser, data, size, err);
}

apr_status_t lti_run_take_answer(void *baton, const char *data, apr_size_t size, apr_size_t max, lti_err_t *err)
{
    lti_run_t *run = ((lti_flight_t *)baton)->run;

    if (run == NULL)
        return lti_fail(err, LTI_E_HTTP_ABORTED, APR_ECONNABORTED, "the run is over");
    if (size > max - run->answer_size)
        return lti_fail(err, max == LTI_TOKEN_ANSWER_MAX ? LTI_E_TOKEN_ANSWER : LTI_E_ROSTER_LIMIT, APR_ENOSPC,
                        "more than %" APR_SIZE_T_FMT " bytes", max);
    if (run->answer_size + size > run->answer_room) {
        char *larger;

        run->answer_room = 2 * run->answer_size + size + 4096;
        larger = apr_palloc(run->page_pool, run->answer_room + 1);
        if (run->answer_size > 0)
            memcpy(larger, run->answer, run->answer_size);
        run->answer = larger;
    }
    memcpy(run->answer + run->answer_size, data, size);
    run->answer_size += size;
    run->answer[run->answer_size] = '\0';
    return APR_SUCCESS;
}

static apr_status_t take_token(void *baton, const char *data, apr_size_t size, lti_err_t *err)
{
    return lti_run_take_answer(baton, data, size, LTI_TOKEN_ANSWER_MAX, err);
}

/* The transfer has ended: whose was it? */
lti_run_t *lti_run_land(void *baton)
{
    lti_flight_t *flight = baton;
    lti_run_t *run = flight->run;

    free(flight);
    if (run != NULL) {
        run->flight = NULL;
        run->token_coming = 0;
    }
    return run;
}

/* A transport that failed said why; one that did not is still a failure. */
static apr_status_t copy_reason(lti_err_t *why, apr_status_t rv, const lti_err_t *err)
{
    if (err != NULL && err->code != LTI_OK)
        *why = *err;
    else
        lti_fail(why, LTI_E_HTTP_ABORTED, rv, "the transfer ended without an answer");
    return rv;
}

static void token_done(void *baton, apr_status_t rv, const lti_http_response_t *response, const char *excerpt, const lti_err_t *err)
{
    lti_run_t *run = lti_run_land(baton);
    lti_err_t why = {0};

    if (run == NULL)
        return;
    if (rv != APR_SUCCESS) {
        copy_reason(&why, rv, err);
    } else {
        const char *body = response->status == 200 ? (run->answer != NULL ? run->answer : "") : (excerpt != NULL ? excerpt : "");

        rv = lti_tokens_put(run->tokens, run->platform, run->course->deployment_id, run->scope, response, body,
                            response->status == 200 ? run->answer_size : strlen(body), run->options->now(), &why);
    }
    lti_run_note_answer(run, LTI_METER_TOKEN, response, &why);
    if (rv != APR_SUCCESS && lti_run_groups_going_on(run)) {
        lti_run_groups_fail(run, &why);
        return;
    }
    if (rv != APR_SUCCESS) {
        run->retry_after = response != NULL ? response->retry_after : 0;
        lti_run_break(run, &why);
        return;
    }
    run->token_fresh = 1;
    run->state = LTI_RUN_ASKING;
}

static apr_status_t judge_page(lti_run_t *run, apr_status_t rv, const lti_http_response_t *response, const char *excerpt,
                               const lti_err_t *err, lti_err_t *why)
{
    lti_nrps_summary_t summary;
    apr_status_t judged;

    /* First: a login page that the parser stumbled over is a wrong type rather than damaged JSON. */
    if (response != NULL && response->status != 0) {
        judged = lti_nrps_check_answer(response, excerpt, why);
        if (judged != APR_SUCCESS)
            return judged;
    }
    if (rv != APR_SUCCESS)
        return copy_reason(why, rv, err);
    judged = lti_nrps_page_end(run->parser, &summary, why);
    if (judged != APR_SUCCESS)
        return judged;
    run->walk_members += summary.members;
    run->walk_dropped += summary.dropped;
    run->walk_odd += summary.odd;
    if (summary.context_id != NULL && strcmp(summary.context_id, run->course->context_id) != 0)
        run->other_context = apr_pstrdup(run->walk_pool, summary.context_id);
    judged = lti_run_differences_judge(run, why);
    if (judged != APR_SUCCESS)
        return judged;
    lti_run_differences_note(run, response);
    return lti_nrps_next(&run->next_url, response, run->url, run->course->nrps_url, run->page_pool, why);
}

/* Once in a run an answer of 401 or 403 may mean that the token has died early (SPEC T-08). If another run has fetched a newer
 * one, that is not thrown away. */
static void drop_token(lti_run_t *run)
{
    const char *deployment = run->course->deployment_id;
    const char *present = lti_tokens_get(run->tokens, run->platform, deployment, LTI_SCOPE_NRPS, run->options->now());

    if (present != NULL && strcmp(present, run->token) == 0)
        lti_run_token_forget(run, LTI_SCOPE_NRPS);
}

static void page_done(void *baton, apr_status_t rv, const lti_http_response_t *response, const char *excerpt, const lti_err_t *err)
{
    lti_run_t *run = lti_run_land(baton);
    lti_err_t why = {0};

    if (run == NULL)
        return;
    rv = judge_page(run, rv, response, excerpt, err, &why);
    lti_run_note_answer(run, LTI_METER_PAGE, response, &why);
    if (rv == APR_SUCCESS) {
        run->state = LTI_RUN_LANDED;
        return;
    }
    if (lti_run_rlid_refused(run, &why)) {
        lti_run_turn_to_page(run, run->start_url);
        return;
    }
    if (lti_run_differences_refused(run, &why)) {
        run->walk = 0;
        begin_walk(run);
        return;
    }
    if (why.code == LTI_E_ROSTER_FORBIDDEN) {
        drop_token(run);
        if (!run->renewed) {
            run->renewed = 1;
            lti_run_turn_to_page(run, run->url);
            return;
        }
    }
    run->retry_after = response != NULL ? response->retry_after : 0;
    lti_run_break(run, &why);
}

apr_status_t lti_run_submit(lti_run_t *run, lti_http_request_t *request, lti_http_body_fn *on_body, lti_http_done_fn *on_done,
                            apr_time_t now, lti_err_t *err)
{
    const lti_transport_t *transport = &run->options->transport;
    apr_time_t left = apr_time_sec(run->started_at + LTI_RUN_TIME_MAX - now) + 1;
    lti_flight_t *flight = malloc(sizeof(*flight));
    apr_status_t rv;

    if (flight == NULL)
        return lti_fail(err, LTI_E_INTERNAL, APR_ENOMEM, "no memory for a transfer");
    flight->run = run;
    if (request->total_seconds <= 0 || request->total_seconds > left)
        request->total_seconds = (int)left;
    rv = transport->submit(transport->baton, request, on_body, on_done, flight, err);
    if (rv != APR_SUCCESS) {
        free(flight);
        return rv;
    }
    run->flight = flight;
    run->sent_at = now;
    run->state = LTI_RUN_TRANSFER;
    return APR_SUCCESS;
}

static apr_status_t ask_token(lti_run_t *run, apr_time_t now, lti_err_t *err)
{
    const lti_toolkeys_t *toolkeys = run->options->toolkeys;
    lti_http_request_t request = {0};
    apr_status_t rv;

    if (run->token_fresh)
        return lti_fail(err, LTI_E_TOKEN_ANSWER, APR_EGENERAL, "the access token is not good for even a minute");
    if (toolkeys == NULL || toolkeys->keys->nelts == 0)
        return lti_fail(err, LTI_E_CONFIG, APR_EGENERAL, "the tool has no key to sign with");
    rv = lti_token_request(&request, run->platform, run->course->deployment_id, run->scope,
                           APR_ARRAY_IDX(toolkeys->keys, 0, const lti_key_t *), now, run->page_pool, err);
    if (rv != APR_SUCCESS)
        return rv;
    if (run->options->stall >= apr_time_from_sec(1) && run->options->stall < apr_time_from_sec(request.stall_seconds))
        request.stall_seconds = (int)apr_time_sec(run->options->stall);
    run->answer = NULL;
    run->answer_size = run->answer_room = 0;
    rv = lti_run_submit(run, &request, take_token, token_done, now, err);
    run->token_coming = rv == APR_SUCCESS;
    return rv;
}

static apr_status_t ask_page(lti_run_t *run, const char *token, apr_time_t now, lti_err_t *err)
{
    const lti_refresh_options_t *options = run->options;
    lti_http_request_t request = {0};
    const char *url = run->url;

    run->token_fresh = 0;
    run->token = apr_pstrdup(run->page_pool, token);
    run->parser = lti_nrps_page_create(options->role_options, take_member, run, run->page_pool);
    if (run->platform->escaped_names)
        lti_nrps_page_unescape(run->parser);
    lti_nrps_page_names(run->parser, &run->names);
    if (run->partial)
        lti_nrps_page_changes(run->parser);
    else if (run->walk_pages == 0)
        url = lti_nrps_first_url(url, run->rlid, run->course->groups_url != NULL, run->page_pool);
    lti_nrps_request(&request, run->platform, url, run->token, run->walk_pages == 0 && !run->partial, run->page_pool);
    if (run->walk_pages == 0 && strcmp(request.url, run->url) != 0)
        was_here(run, request.url);
    request.total_seconds = 0; /* as long as the run may take */
    if (options->stall >= apr_time_from_sec(1))
        request.stall_seconds = (int)apr_time_sec(options->stall);
    request.any_address = options->admits_private(options->baton, run->platform, run->course->nrps_url);
    if (run->requested_at == 0)
        run->requested_at = options->now();
    return lti_run_submit(run, &request, take_bytes, page_done, now, err);
}

static void ask(lti_run_t *run, apr_time_t now)
{
    const char *token = lti_tokens_get(run->tokens, run->platform, run->course->deployment_id, run->scope, now);
    lti_err_t why = {0};
    apr_status_t rv;

    if (token == NULL) {
        if (lti_run_token_is_coming(run) || !lti_run_token_find(run, now))
            return;
    } else if (run->leased != NULL) {
        lti_run_token_share(run);
    }
    if (!lti_run_may_ask(run, now))
        return;
    token = lti_tokens_get(run->tokens, run->platform, run->course->deployment_id, run->scope, now);
    if (token != NULL && lti_run_groups_going_on(run))
        rv = lti_run_groups_ask(run, token, now, &why);
    else if (token != NULL)
        rv = ask_page(run, token, now, &why);
    else
        rv = ask_token(run, now, &why);
    if (rv != APR_SUCCESS && lti_run_groups_going_on(run))
        lti_run_groups_fail(run, &why);
    else if (rv != APR_SUCCESS)
        lti_run_break(run, &why);
}

/* --- steps -------------------------------------------------------------------------------------------------------------- */

/* The last page of a walk was read. */
static apr_status_t end_walk(lti_run_t *run, lti_err_t *err)
{
    apr_status_t rv = flush(run, err);

    if (rv != APR_SUCCESS)
        return rv;
    lti_diff_summarize(&run->summary, run->diff);
    if (run->walk == 1 && run->walk_pages > 1 && run->summary.missing > 0 && !run->partial)
        begin_walk(run);
    else
        run->state = LTI_RUN_COMPLETE;
    return APR_SUCCESS;
}

static apr_status_t page_read(lti_run_t *run, lti_err_t *err)
{
    apr_status_t rv;

    run->pages++;
    run->walk_pages++;
    if (run->next_url == NULL)
        return end_walk(run, err);
    rv = run->walk == 1 ? flush(run, err) : APR_SUCCESS;
    if (rv != APR_SUCCESS)
        return rv;
    if (run->walk_pages >= LTI_NRPS_PAGES_MAX)
        return lti_fail(err, LTI_E_ROSTER_LIMIT, APR_ENOSPC, "more than %d pages", LTI_NRPS_PAGES_MAX);
    if (was_here(run, run->next_url))
        return lti_fail(err, LTI_E_ROSTER_LOOP, APR_EGENERAL, "page %d leads back to %s", run->walk_pages, run->next_url);
    lti_run_turn_to_page(run, run->next_url);
    return APR_SUCCESS;
}

void lti_run_advance(lti_run_t *run, apr_time_t now)
{
    lti_err_t why = {0};

    if (now < run->started_at) /* the clock was set back */
        run->started_at = now;
    if (run->state == LTI_RUN_COMPLETE || run->state == LTI_RUN_BROKEN)
        return;
    if (now - run->started_at >= LTI_RUN_TIME_MAX) {
        lti_fail(&why, LTI_E_ROSTER_LIMIT, APR_TIMEUP, "the run took more than %d seconds", (int)apr_time_sec(LTI_RUN_TIME_MAX));
        lti_run_break(run, &why);
        return;
    }
    if (run->state == LTI_RUN_LANDED && page_read(run, &why) != APR_SUCCESS)
        lti_run_break(run, &why);
    /* A clock that was set back does not stop it. */
    if (run->state == LTI_RUN_ASKING && (now >= run->ask_at || run->ask_at - now > ASK_AGAIN_MAX))
        ask(run, now);
}
