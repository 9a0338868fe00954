/* SPDX-License-Identifier: Apache-2.0 */
/* The refresh engine: turns, the due list, leases, outcomes of runs, housekeeping. */
#include "lti_refresh.h"

#include <string.h>
#include <apr_strings.h>
#include "lti_refresh_facts.h"
#include "lti_refresh_configured.h"
#include "lti_refresh_history.h"
#include "lti_refresh_lease.h"
#include "lti_refresh_named.h"
#include "lti_refresh_pace.h"
#include "lti_refresh_publish.h"
#include "lti_refresh_run.h"
#include "lti_refresh_stale.h"
#include "lti_refresh_when.h"

#define SERVICE_URL_MAX 2048 /* SPEC N-01 */

#define LEASE_TIME (2 * MINUTE)
#define LEASE_RENEWAL (30 * SECOND)
#define LEASE_RENEWAL_RETRY (5 * SECOND)
#define HOUSEKEEPING (10 * MINUTE)
#define STAGED_FOR HOUR /* longer than any run lives */
#define STORE_PATIENCE (5 * SECOND)
#define STORE_TRIES 3
#define OUTCOME_TRIES 3
#define DUE_PAGE 50
#define PUT_OFF_MAX 200 /* courses in one look */

struct lti_refresh_t {
    lti_refresh_options_t options;
    apr_pool_t *pool;
    apr_pool_t *scratch; /* cleared after each look and each outcome */
    lti_publisher_t *publisher;
    lti_tokens_t *tokens;
    lti_pace_t *pace;
    lti_facts_t *facts;
    apr_hash_t *group_pauses; /* see lti_run_t */
    lti_run_t *runs;
    lti_owed_t *owed;

    apr_time_t look_at;
    apr_time_t purge_at;
    lti_staleness_t staleness;
    int more_due; /* the last look found more courses than there was room for */
    int schema_ready;

    apr_time_t store_failing_since; /* 0: it works */
    int store_failures;
    int store_worked;   /* at least once */
    int store_reported; /* LTI_EVENT_STORE_DOWN was said */
};

/* --- events ------------------------------------------------------------------------------------------------------------- */

static void tell(const lti_refresh_t *engine, const lti_event_t *event)
{
    engine->options.on_event(engine->options.baton, event);
}

static void tell_machine(const lti_refresh_t *engine, lti_event_kind_t kind, const lti_err_t *err)
{
    lti_event_t event = {.kind = kind, .err = err};

    tell(engine, &event);
}

static void count_run(const lti_refresh_t *engine, const lti_run_t *run, lti_code_t code)
{
    lti_meter_run(engine->options.meter, run->platform != NULL ? run->platform->index : -1, code);
    lti_meter_time(engine->options.meter, LTI_METER_RUN_TIME, engine->options.now() - run->started_at);
}

static void tell_run(const lti_refresh_t *engine, const lti_run_t *run, lti_event_kind_t kind, const lti_applied_t *applied,
                     const lti_err_t *err, apr_time_t due_at)
{
    lti_event_t event = {
        .kind = kind,
        .course = run->course,
        .applied = applied,
        .err = err,
        .remarks = applied != NULL ? lti_run_remarks(run, engine->scratch) : NULL,
        .pages = run->pages,
        .members = run->summary.named,
        .missing = run->summary.missing,
        .duration = engine->options.now() - run->started_at,
        .due_at = due_at,
    };

    count_run(engine, run, kind == LTI_EVENT_RUN_DONE ? LTI_OK : err->code);
    tell(engine, &event);
}

/* --- the store ---------------------------------------------------------------------------------------------------------- */

static lti_db_t *borrow(const lti_refresh_t *engine, lti_err_t *err)
{
    lti_db_t *db = engine->options.store.acquire(engine->options.store.baton, err);

    if (db != NULL)
        lti_db_hurry(db, engine->options.stopping, engine->options.baton);
    else if (err->code == LTI_OK)
        lti_fail(err, LTI_E_STORE, APR_EAGAIN, "there is no database connection yet");
    return db;
}

static void give_back(const lti_refresh_t *engine, lti_db_t *db)
{
    lti_db_hurry(db, NULL, NULL);
    engine->options.store.release(engine->options.store.baton, db);
}

/* One failure is a hiccup; at the start the pool of connections takes its time. What only an administrator can mend is said at
 * once. */
static void store_failed(lti_refresh_t *engine, const lti_err_t *err, apr_time_t now)
{
    int patient;

    if (engine->store_failing_since == 0)
        engine->store_failing_since = now;
    engine->store_failures++;
    if (engine->store_worked)
        patient = engine->store_failures < STORE_TRIES;
    else
        patient = now - engine->store_failing_since < STORE_PATIENCE;
    if (engine->store_reported || (patient && lti_err_info(err->code)->kind != LTI_ERR_CONFIG))
        return;
    engine->store_reported = 1;
    tell_machine(engine, LTI_EVENT_STORE_DOWN, err);
}

static void store_works(lti_refresh_t *engine)
{
    engine->store_worked = 1;
    engine->store_failing_since = 0;
    engine->store_failures = 0;
    if (engine->store_reported) {
        engine->store_reported = 0;
        tell_machine(engine, LTI_EVENT_STORE_UP, NULL);
    }
}

/* --- runs --------------------------------------------------------------------------------------------------------------- */

static int count_runs(const lti_refresh_t *engine)
{
    const lti_run_t *run;
    int count = 0;

    for (run = engine->runs; run != NULL; run = run->next)
        count++;
    return count;
}

static int is_running(const lti_refresh_t *engine, const char *course_key)
{
    const lti_run_t *run;

    for (run = engine->runs; run != NULL; run = run->next) {
        if (strcmp(run->course->key, course_key) == 0)
            return 1;
    }
    return 0;
}

/* What was decided about the deployment of a course: by the configuration, else by an administrator (LTIDeployment). */
static apr_status_t read_decision(lti_deployment_status_t *decision, const lti_run_t *run, lti_db_t *db, apr_pool_t *ptemp,
                                  lti_err_t *err)
{
    const char *deployment_id = run->course->deployment_id;
    apr_time_t ended_at;

    *decision = LTI_DEPLOYMENT_ACCEPTED;
    if (run->platform == NULL || lti_platform_accepts(run->platform, deployment_id))
        return APR_SUCCESS;
    *decision = LTI_DEPLOYMENT_UNSEEN;
    if (run->platform->deployments != LTI_DEPLOYMENT_ASK)
        return APR_SUCCESS;
    return lti_db_admission_read(decision, &ended_at, db, run->platform->name, deployment_id, NULL, NULL, ptemp, err);
}

/* What can be said against a run before anything is sent. */
static apr_status_t check_course(const lti_run_t *run, lti_deployment_status_t decision, lti_err_t *err)
{
    const lti_course_t *course = run->course;

    if (run->platform == NULL)
        return lti_fail(err, LTI_E_CONFIG, APR_NOTFOUND, "course %s belongs to platform %s, which is not configured any more",
                        course->key, course->platform);
    if (decision != LTI_DEPLOYMENT_ACCEPTED)
        return lti_fail(err, decision == LTI_DEPLOYMENT_WITHDRAWN ? LTI_E_DEPLOYMENT_WITHDRAWN : LTI_E_DEPLOYMENT_UNKNOWN,
                        APR_EACCES, "course %s is of deployment %.150s, which may not launch", course->key, course->deployment_id);
    if (course->nrps_url == NULL)
        return lti_fail(err, LTI_E_SERVICE_NONE, APR_NOTFOUND, "no launch of this course offered a roster service");
    return lti_http_check_url(course->nrps_url, SERVICE_URL_MAX, LTI_E_SERVICE_URL, err);
}

/* The lease is ours: reads the course as it is from now on. APR_NOTFOUND: it is gone. */
static apr_status_t prepare_run(lti_refresh_t *engine, lti_run_t *run, lti_db_t *db, const char *key, apr_time_t now,
                                lti_err_t *err)
{
    lti_deployment_status_t decision;
    lti_err_t why = {0};
    lti_course_t *course;
    apr_status_t rv = lti_db_course_read(&course, db, key, run->pool, err);

    if (rv != APR_SUCCESS)
        return rv;
    run->course = course;
    run->platform = lti_platform_by_name(engine->options.platforms, course->platform);
    rv = read_decision(&decision, run, db, engine->scratch, err);
    if (rv != APR_SUCCESS)
        return rv;
    run->started_at = now;
    run->lease_until = now + LEASE_TIME;
    run->renew_at = now + LEASE_RENEWAL;
    if (check_course(run, decision, &why) != APR_SUCCESS) {
        lti_run_break(run, &why);
        return APR_SUCCESS;
    }
    return lti_run_load(run, db, engine->scratch, err);
}

static apr_status_t start_run(lti_refresh_t *engine, lti_db_t *db, const lti_db_due_t *due, apr_time_t now, lti_err_t *err)
{
    const char *key = due->course_key;
    lti_run_t *run, **last = &engine->runs;
    apr_status_t rv = lti_db_lease_take(db, key, engine->options.node, now, now + LEASE_TIME, engine->scratch, err);

    if (rv != APR_SUCCESS)
        return APR_STATUS_IS_EBUSY(rv) ? APR_SUCCESS : rv;
    rv = lti_run_create(&run, &engine->options, engine->tokens, &engine->runs, engine->pool, err);
    if (rv == APR_SUCCESS) {
        run->group_pauses = engine->group_pauses;
        run->pace = engine->pace;
        run->facts = engine->facts;
        run->requested = due->requested;
        rv = prepare_run(engine, run, db, key, now, err);
        if (rv != APR_SUCCESS)
            lti_run_destroy(run);
    }
    if (rv != APR_SUCCESS) {
        lti_owed_add(engine->owed, key, now);
        return rv == APR_NOTFOUND ? APR_SUCCESS : rv;
    }
    /* Behind the others: where requests are rationed, the oldest run comes first, and comes to its end. */
    while (*last != NULL)
        last = &(*last)->next;
    *last = run;
    lti_pace_begin(engine->pace, run->course->platform);
    return APR_SUCCESS;
}

/* Its platform asks for patience. */
static apr_status_t put_off(lti_refresh_t *engine, lti_db_t *db, const lti_db_due_t *due, const lti_pause_t *pause, apr_time_t now,
                            lti_err_t *err)
{
    return lti_db_course_put_off(db, due->course_key, lti_err_info(LTI_E_RATE_LIMITED)->name, pause->error_text,
                                 lti_pace_resumption(pause, now), now, engine->scratch, err);
}

/* A platform whose courses need not be looked at any more. Where the list is full they are, and are passed over. */
static void skip_platform(apr_array_header_t *skip, const char *platform)
{
    int i;

    for (i = 0; i < skip->nelts; i++) {
        if (strcmp(APR_ARRAY_IDX(skip, i, const char *), platform) == 0)
            return;
    }
    if (skip->nelts < LTI_DB_SKIP_MAX)
        APR_ARRAY_PUSH(skip, const char *) = platform;
}

/* Courses of one page of the due list; those whose platform has all its places stay due. */
static apr_status_t start_page(lti_refresh_t *engine, lti_db_t *db, const apr_array_header_t *due, apr_array_header_t *skip, int *moved,
                               apr_time_t now, lti_err_t *err)
{
    const lti_refresh_options_t *options = &engine->options;
    apr_status_t rv = APR_SUCCESS;
    int i;

    for (i = 0; rv == APR_SUCCESS && i < due->nelts && !options->stopping(options->baton); i++) {
        const lti_db_due_t *course = &APR_ARRAY_IDX(due, i, lti_db_due_t);
        lti_pause_t pause;

        if (is_running(engine, course->course_key))
            continue;
        if (!course->requested && lti_pace_is_paused(&pause, engine->pace, course->platform, now)) {
            if (++*moved <= PUT_OFF_MAX)
                rv = put_off(engine, db, course, &pause, now, err);
            else
                skip_platform(skip, course->platform);
        } else if (lti_pace_has_place(engine->pace, course->platform)) {
            rv = start_run(engine, db, course, now, err);
        } else {
            engine->more_due = 1;
            if (lti_pace_is_full(engine->pace))
                return APR_SUCCESS;
            skip_platform(skip, course->platform);
        }
    }
    return rv;
}

static apr_status_t start_due(lti_refresh_t *engine, lti_db_t *db, apr_time_t now, lti_err_t *err)
{
    const lti_refresh_options_t *options = &engine->options;
    apr_array_header_t *due, *skip = apr_array_make(engine->scratch, LTI_DB_SKIP_MAX, sizeof(const char *));
    const lti_db_due_t *after = NULL;
    apr_status_t rv;
    int moved = 0;

    if (!options->enabled)
        return APR_SUCCESS;
    rv = lti_pauses_exchange(engine->pace, db, options, now, engine->scratch, err);
    if (rv != APR_SUCCESS || lti_pace_is_full(engine->pace))
        return rv;
    engine->more_due = 0;
    do {
        rv = lti_db_due_each(&due, db, now, after, skip, DUE_PAGE, engine->scratch, err);
        if (rv == APR_SUCCESS)
            rv = start_page(engine, db, due, skip, &moved, now, err);
        after = due->nelts > 0 ? &APR_ARRAY_IDX(due, due->nelts - 1, lti_db_due_t) : NULL;
    } while (rv == APR_SUCCESS && due->nelts == DUE_PAGE && !lti_pace_is_full(engine->pace) && !options->stopping(options->baton));
    if (rv == APR_SUCCESS && due->nelts == DUE_PAGE)
        engine->more_due = 1;
    return rv;
}

static void remove_run(lti_refresh_t *engine, lti_run_t *run)
{
    lti_run_t **link = &engine->runs;

    while (*link != run)
        link = &(*link)->next;
    *link = run->next;
    lti_pace_end(engine->pace, run->course->platform);
    lti_run_destroy(run);
    /* Somebody waits for the place that is free now. */
    if (engine->more_due)
        engine->look_at = 0;
}

/* The lease is another's, or ran out while the database was silent: whatever this run knows is not to be written any more. Why it
 * failed before that is the better reason. */
static void give_up(lti_refresh_t *engine, lti_run_t *run, const lti_err_t *why)
{
    const lti_err_t *reason = run->state == LTI_RUN_BROKEN ? &run->err : why;
    lti_err_t ignored = {0};
    lti_db_t *db = run->told_at != 0 || run->leased != NULL ? borrow(engine, &ignored) : NULL;

    /* Nobody shall wait for its end, or for the token that it was to ask for. */
    if (db != NULL) {
        lti_run_token_release(run, db, engine->scratch);
        if (run->told_at != 0)
            lti_history_end(run, db, NULL, reason, engine->options.now(), engine->scratch);
        give_back(engine, db);
    }
    tell_run(engine, run, LTI_EVENT_RUN_FAILED, NULL, reason, run->lease_until);
    remove_run(engine, run);
}

/* 0 if the run had to be given up. */
static int keep_lease(lti_refresh_t *engine, lti_run_t *run, apr_time_t now)
{
    lti_err_t why = {0};
    apr_status_t rv = APR_EAGAIN;
    lti_db_t *db;

    if (now < run->renew_at)
        return 1;
    db = borrow(engine, &why);
    if (db != NULL) {
        rv = lti_db_lease_renew(db, run->course->key, engine->options.node, now + LEASE_TIME, engine->scratch, &why);
        give_back(engine, db);
    }
    if (rv == APR_SUCCESS) {
        run->lease_until = now + LEASE_TIME;
        run->renew_at = now + LEASE_RENEWAL;
        return 1;
    }
    run->renew_at = now + LEASE_RENEWAL_RETRY;
    if (why.code != LTI_E_LEASE_LOST && now < run->lease_until)
        return 1;
    give_up(engine, run, &why);
    return 0;
}

static apr_status_t write_success(lti_refresh_t *engine, lti_run_t *run, lti_db_t *db, apr_time_t now, lti_err_t *err)
{
    const lti_refresh_options_t *options = &engine->options;
    lti_apply_t apply = {
        .run_id = run->id,
        .course_key = run->course->key,
        .owner = options->node,
        .version = run->course->version,
        .requested_at = run->requested_at,
        .now = now,
        .due_at = lti_run_next_due(run, now),
        .stale_at = lti_run_stale_from(run, now),
    };
    lti_applied_t applied = {0};
    lti_err_t note = {0}, why = {0};
    lti_event_kind_t kind = LTI_EVENT_RUN_DONE;
    apr_status_t rv;

    lti_run_verdict(&apply, &note, run, engine->scratch);
    lti_run_differences_keep(&apply, run);
    if (apply.state == LTI_ROSTER_HELD) {
        apply.error_name = lti_err_info(note.code)->name;
        apply.error_text = note.text;
    }
    rv = lti_db_apply(&applied, db, &apply, engine->scratch, err);
    if (rv != APR_SUCCESS)
        return rv;
    /* Should this fail, the next look does it again and says so. */
    if (lti_publisher_catch_up(engine->publisher, db, engine->scratch, &why) != APR_SUCCESS)
        engine->look_at = 0;
    lti_facts_judge_roster(run, db, &applied, engine->scratch);
    lti_history_end(run, db, &applied, apply.state == LTI_ROSTER_HELD ? &note : NULL, now, engine->scratch);
    if (note.code == LTI_E_ROSTER_HELD || note.code == LTI_E_ROSTER_EMPTY)
        kind = LTI_EVENT_RUN_HELD;
    tell_run(engine, run, kind, &applied, note.code != LTI_OK ? &note : NULL, apply.due_at);
    return APR_SUCCESS;
}

/* The platform asked for patience while the run went on: nobody's failure. */
static apr_status_t write_put_off(lti_refresh_t *engine, lti_run_t *run, lti_db_t *db, apr_time_t now, lti_err_t *err)
{
    lti_pause_t pause = {.until = now};
    apr_status_t rv;

    (void)lti_pace_is_paused(&pause, engine->pace, run->course->platform, now);
    rv = lti_db_run_put_off(db, run->course->key, run->id, engine->options.node, lti_err_info(run->err.code)->name, run->err.text,
                            lti_pace_resumption(&pause, now), engine->scratch, err);
    if (rv != APR_SUCCESS)
        return rv;
    lti_history_end(run, db, NULL, &run->err, now, engine->scratch);
    count_run(engine, run, run->err.code);
    return APR_SUCCESS;
}

static apr_status_t write_failure(lti_refresh_t *engine, lti_run_t *run, lti_db_t *db, apr_time_t now, lti_err_t *err)
{
    const lti_course_t *course = run->course;
    const char *name = lti_err_info(run->err.code)->name;
    apr_time_t due_at = lti_run_next_try(run, now);
    lti_err_t why = {0};
    apr_status_t rv =
        lti_db_run_failed(db, course->key, run->id, engine->options.node, name, run->err.text, due_at, now, engine->scratch, err);

    if (rv != APR_SUCCESS)
        return rv;
    if (lti_publisher_catch_up(engine->publisher, db, engine->scratch, &why) != APR_SUCCESS)
        engine->look_at = 0;
    lti_history_end(run, db, NULL, &run->err, now, engine->scratch);
    /* A platform that was taken out of the configuration is said once, not each day. */
    if (run->err.code != LTI_E_CONFIG || course->error_name == NULL || strcmp(course->error_name, name) != 0)
        tell_run(engine, run, LTI_EVENT_RUN_FAILED, NULL, &run->err, due_at);
    return APR_SUCCESS;
}

/* Writes the outcome of a run that is over. A database that is away or busy gets time until the lease ends. */
static void finish(lti_refresh_t *engine, lti_run_t *run, apr_time_t now)
{
    lti_err_t why = {0};
    apr_status_t rv = APR_EAGAIN;
    lti_db_t *db;

    if (now < run->retry_at && run->retry_at - now <= SECOND)
        return;
    db = borrow(engine, &why);
    if (db != NULL) {
        lti_run_token_release(run, db, engine->scratch);
        if (run->state == LTI_RUN_COMPLETE)
            rv = write_success(engine, run, db, now, &why);
        else if (run->err.code == LTI_E_RATE_LIMITED)
            rv = write_put_off(engine, run, db, now, &why);
        else
            rv = write_failure(engine, run, db, now, &why);
        give_back(engine, db);
        apr_pool_clear(engine->scratch);
        if (why.code != LTI_E_STORE_BUSY)
            run->tries++;
    }
    if (rv == APR_SUCCESS) {
        remove_run(engine, run);
    } else if (why.code == LTI_E_LEASE_LOST || now >= run->lease_until || now - run->started_at >= 2 * LTI_RUN_TIME_MAX) {
        give_up(engine, run, &why);
    } else if (run->tries < OUTCOME_TRIES) {
        run->retry_at = now + SECOND;
    } else if (run->state == LTI_RUN_COMPLETE) {
        run->err = why;
        run->state = LTI_RUN_BROKEN;
        run->tries = 0;
        run->retry_at = now + SECOND;
    } else {
        give_up(engine, run, &why);
    }
}

/* Whoever asked for a run that takes long sees it move. */
static void tell_progress(lti_refresh_t *engine, lti_run_t *run, apr_time_t now)
{
    lti_err_t why = {0};
    lti_db_t *db;

    if (!lti_history_is_due(run, now))
        return;
    run->told_at = now;
    db = borrow(engine, &why);
    if (db == NULL)
        return;
    lti_history_progress(run, db, now, engine->scratch);
    give_back(engine, db);
}

static void advance_runs(lti_refresh_t *engine)
{
    lti_run_t *run, *next;

    for (run = engine->runs; run != NULL; run = next) {
        apr_time_t now = engine->options.now();

        next = run->next;
        if (!keep_lease(engine, run, now))
            continue;
        lti_run_advance(run, now);
        if (run->state == LTI_RUN_COMPLETE || run->state == LTI_RUN_BROKEN)
            finish(engine, run, now);
        else
            tell_progress(engine, run, now);
    }
}

/* --- turns -------------------------------------------------------------------------------------------------------------- */

static apr_status_t housekeeping(lti_refresh_t *engine, lti_db_t *db, apr_time_t now, lti_err_t *err)
{
    apr_interval_time_t longest = engine->options.interval > WEEK ? engine->options.interval : WEEK;
    apr_status_t rv;

    if (now < engine->purge_at && engine->purge_at - now <= HOUSEKEEPING)
        return APR_SUCCESS;
    engine->purge_at = now + HOUSEKEEPING;
    rv = lti_db_recall(db, now, now + longest + longest / 5, engine->scratch, err);
    if (rv != APR_SUCCESS)
        return rv;
    return lti_db_purge(db, now, now - STAGED_FOR, now - engine->options.retain, engine->scratch, err);
}

static apr_status_t look_with(lti_refresh_t *engine, lti_db_t *db, apr_time_t now, lti_err_t *err)
{
    apr_status_t rv;

    if (!engine->schema_ready) {
        rv = lti_schema_ensure(db, engine->scratch, err);
        if (rv != APR_SUCCESS)
            return rv;
        rv = lti_named_write(&engine->options, db, now, engine->scratch, err);
        if (rv == APR_SUCCESS)
            rv = lti_configured_write(&engine->options, db, now, engine->scratch, err);
        if (rv != APR_SUCCESS)
            return rv;
        engine->schema_ready = 1;
    }
    rv = lti_publisher_catch_up(engine->publisher, db, engine->scratch, err);
    if (rv == APR_SUCCESS)
        rv = lti_owed_settle(engine->owed, db, engine->options.node, now, engine->scratch, err);
    if (rv == APR_SUCCESS)
        rv = lti_facts_write(engine->facts, db, now, engine->scratch, err);
    if (rv == APR_SUCCESS && lti_publisher_is_settled(engine->publisher))
        rv = start_due(engine, db, now, err);
    if (rv == APR_SUCCESS)
        rv = housekeeping(engine, db, now, err);
    if (rv == APR_SUCCESS)
        rv = lti_stale_look(&engine->staleness, &engine->options, db, now, engine->scratch, err);
    return rv;
}

/* What the database says each second: changes of any node, courses that are due. */
static void look(lti_refresh_t *engine, apr_time_t now)
{
    lti_err_t err = {0};
    apr_status_t rv;
    lti_db_t *db;

    engine->look_at = now + SECOND;
    db = borrow(engine, &err);
    if (db == NULL) {
        store_failed(engine, &err, now);
        return;
    }
    rv = look_with(engine, db, now, &err);
    give_back(engine, db);
    apr_pool_clear(engine->scratch);
    if (rv == APR_SUCCESS) {
        store_works(engine);
        return;
    }
    /* Perhaps it is the tables that are gone, since somebody restored the database from nothing. */
    engine->schema_ready = 0;
    store_failed(engine, &err, now);
}

apr_status_t lti_refresh_create(lti_refresh_t **engine, const lti_refresh_options_t *options, apr_pool_t *p, lti_err_t *err)
{
    lti_refresh_t *made;
    apr_pool_t *pool;
    apr_status_t rv;

    if (apr_pool_create(&pool, p) != APR_SUCCESS)
        return lti_fail(err, LTI_E_INTERNAL, APR_ENOMEM, "no memory for the refresh engine");
    apr_pool_tag(pool, "lti_refresh");
    made = apr_pcalloc(pool, sizeof(*made));
    made->pool = pool;
    made->options = *options;
    apr_pool_create(&made->scratch, pool);
    made->tokens = lti_tokens_create(pool);
    made->group_pauses = apr_hash_make(pool);
    made->owed = lti_owed_create(pool);
    made->facts = lti_facts_create(pool);
    made->pace = lti_pace_create(options->concurrency, options->platforms->nelts > 1, pool);
    rv = lti_publisher_create(&made->publisher, &made->options, pool, err);
    if (rv != APR_SUCCESS) {
        apr_pool_destroy(pool);
        return rv;
    }
    *engine = made;
    return APR_SUCCESS;
}

/* A run that may send in a moment is not kept waiting for the network. */
static apr_interval_time_t until_next_request(const lti_refresh_t *engine, apr_interval_time_t wait)
{
    apr_time_t now = engine->options.now();
    const lti_run_t *run;

    for (run = engine->runs; run != NULL; run = run->next) {
        if (run->state == LTI_RUN_ASKING && run->ask_at > now && run->ask_at - now < wait)
            wait = run->ask_at - now;
    }
    return wait;
}

int lti_refresh_turn(lti_refresh_t *engine, apr_interval_time_t wait)
{
    const lti_refresh_options_t *options = &engine->options;
    apr_time_t now = options->now();
    int kicked;

    if (options->stopping(options->baton))
        return count_runs(engine);
    kicked = options->kicked(options->baton);
    /* A clock that was set back must not stop the looking. */
    if (kicked || now >= engine->look_at || engine->look_at - now > SECOND)
        look(engine, now);
    advance_runs(engine);
    options->transport.poll(options->transport.baton, until_next_request(engine, wait));
    if (!options->stopping(options->baton))
        advance_runs(engine);
    return count_runs(engine);
}

void lti_refresh_stop(lti_refresh_t *engine)
{
    lti_err_t err = {0};
    lti_db_t *db = engine->runs != NULL ? borrow(engine, &err) : NULL;

    while (engine->runs != NULL) {
        lti_run_t *run = engine->runs;

        if (db != NULL)
            lti_run_token_release(run, db, engine->scratch);
        /* Should it fail, the lease ends by time; whoever stops does not ask a database again that does not answer. */
        if (db != NULL &&
            lti_db_lease_release(db, run->course->key, run->id, engine->options.node, engine->scratch, &err) != APR_SUCCESS) {
            give_back(engine, db);
            db = NULL;
        }
        engine->runs = run->next;
        lti_run_destroy(run);
    }
    if (db != NULL)
        give_back(engine, db);
}

int lti_refresh_is_loaded(const lti_refresh_t *engine)
{
    return lti_publisher_is_loaded(engine->publisher);
}
