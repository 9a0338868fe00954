/* SPDX-License-Identifier: Apache-2.0 */
/* Who may: deployments that an administrator decides about, sessions that were ended, the nodes and their keys, launches of LTI 1.1. */
#include "lti_db.h"
#include "lti_db_statement.h"

#include <apr_strings.h>
#include <string.h>
#include "lti_json.h"

#define MINUTE apr_time_from_sec(60)
#define HOUR apr_time_from_sec(3600)
#define DAY apr_time_from_sec(24 * 3600)

#define SEEN_STEP MINUTE /* seen_at is not written more often */
#define WAITING_FOR (30 * DAY)
#define NODE_FOR (7 * DAY)
#define NODES_MAX 500 /* containers may leave a row each time they start */
#define OLD_LAUNCH_FOR (90 * DAY)
#define OLD_LAUNCH_YIELDS HOUR /* not seen for so long, it makes room for another */

/* --- the number ------------------------------------------------------------------------------------------------------ */

apr_status_t lti_db_admission_number(apr_int64_t *number, lti_db_t *db, apr_pool_t *ptemp, lti_err_t *err)
{
    lti_numbers_t numbers = {0};
    apr_status_t rv = lti_db_numbers(&numbers, db, ptemp, err);

    if (rv == APR_SUCCESS)
        *number = numbers.admission;
    return rv;
}

/* The last statement of a transaction: whoever sees the number sees what it counts. */
static apr_status_t count_admission(lti_db_t *db, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char sql[] = "UPDATE lti_schema SET value = value + 1 WHERE name = 'admission'";

    return lti_db_run(NULL, db, sql, LTI_DB_NO_ARGS, ptemp, err);
}

/* Was it so long ago that it is worth writing again? A clock that was set back must not stop the writing. */
static int is_long_ago(apr_time_t seen_at, apr_time_t now)
{
    return now - seen_at >= SEEN_STEP || seen_at - now >= SEEN_STEP;
}

/* --- deployments ----------------------------------------------------------------------------------------------------- */

/** What stands of a deployment. */
typedef struct standing_t {
    int found;
    lti_deployment_status_t status;
    apr_time_t ended_at, seen_at;
} standing_t;

static apr_status_t read_standing(standing_t *standing, lti_db_t *db, const char *platform, const char *deployment_id,
                                  apr_pool_t *ptemp, lti_err_t *err)
{
    static const char sql[] = "SELECT status, ended_at, seen_at FROM lti_deployment WHERE platform = %s AND deployment_id = %s";
    lti_db_rows_t rows;
    apr_status_t rv = lti_db_select_one(&rows, db, sql, LTI_DB_ARGS(platform, deployment_id), ptemp, err);

    *standing = (standing_t){.status = LTI_DEPLOYMENT_UNSEEN};
    if (rv != APR_SUCCESS)
        return rv == APR_NOTFOUND ? APR_SUCCESS : rv;
    *standing = (standing_t){.found = 1,
                             .status = (lti_deployment_status_t)lti_db_number(&rows, 0),
                             .ended_at = lti_db_number(&rows, 1),
                             .seen_at = lti_db_number(&rows, 2)};
    return APR_SUCCESS;
}

typedef struct sighting_t {
    const char *platform, *deployment_id, *context_title;
    apr_time_t now;
} sighting_t;

static apr_status_t remember_waiting(lti_db_t *db, void *baton, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char insert[] = "INSERT INTO lti_deployment (platform, deployment_id, status, ended_at, first_seen_at, seen_at, "
                                 "context_title) VALUES (%s, %s, 0, 0, %lld, %lld, %s) "
                                 "{upsert platform, deployment_id} seen_at = {new seen_at}";
    const sighting_t *seen = baton;
    const char *title = seen->context_title != NULL ? lti_db_cut(seen->context_title, LTI_DB_TITLE_MAX, ptemp) : NULL;
    apr_status_t rv =
        lti_db_run(NULL, db, insert, LTI_DB_ARGS(seen->platform, seen->deployment_id, &seen->now, &seen->now, title), ptemp, err);

    return rv == APR_SUCCESS ? count_admission(db, ptemp, err) : rv;
}

/* New here: it waits from now on, if there is room. Counted outside of the transaction, so that launches that find no room lock nothing; several at once may
 * exceed the number by as many. */
static apr_status_t first_seen(standing_t *standing, lti_db_t *db, sighting_t *sighting, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char count[] = "SELECT COUNT(*) FROM lti_deployment WHERE status = 0";
    lti_db_rows_t rows;
    apr_status_t rv = lti_db_select_one(&rows, db, count, LTI_DB_NO_ARGS, ptemp, err);

    if (rv != APR_SUCCESS || lti_db_number(&rows, 0) >= LTI_DB_WAITING_MAX)
        return rv;
    rv = lti_db_transaction(db, remember_waiting, sighting, ptemp, err);
    /* Read again: meanwhile an administrator may have decided about this very one. */
    return rv == APR_SUCCESS ? read_standing(standing, db, sighting->platform, sighting->deployment_id, ptemp, err) : rv;
}

apr_status_t lti_db_deployment_seen(lti_deployment_status_t *status, lti_db_t *db, const char *platform, const char *deployment_id,
                                    const char *context_title, apr_time_t now, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char touch[] = "UPDATE lti_deployment SET seen_at = %lld WHERE platform = %s AND deployment_id = %s";
    sighting_t sighting = {platform, deployment_id, context_title, now};
    standing_t standing;
    apr_status_t rv = read_standing(&standing, db, platform, deployment_id, ptemp, err);

    if (rv == APR_SUCCESS && !standing.found) {
        rv = first_seen(&standing, db, &sighting, ptemp, err);
    } else if (rv == APR_SUCCESS && standing.found && is_long_ago(standing.seen_at, now)) {
        rv = lti_db_run(NULL, db, touch, LTI_DB_ARGS(&now, platform, deployment_id), ptemp, err);
    }
    if (rv == APR_SUCCESS)
        *status = standing.status;
    return rv;
}

typedef struct decision_t {
    const char *platform, *deployment_id;
    lti_deployment_status_t status;
    apr_time_t now;
} decision_t;

static apr_status_t decide(lti_db_t *db, void *baton, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char accept[] = "INSERT INTO lti_deployment (platform, deployment_id, status, ended_at, first_seen_at, seen_at) "
                                 "VALUES (%s, %s, 1, 0, %lld, %lld) {upsert platform, deployment_id} status = {new status}";
    static const char withdraw[] = "INSERT INTO lti_deployment (platform, deployment_id, status, ended_at, first_seen_at, seen_at) "
                                   "VALUES (%s, %s, 2, %lld, %lld, %lld) "
                                   "{upsert platform, deployment_id} status = {new status}, ended_at = {new ended_at}";
    const decision_t *decision = baton;
    const apr_time_t *now = &decision->now;
    standing_t standing;
    apr_status_t rv = read_standing(&standing, db, decision->platform, decision->deployment_id, ptemp, err);

    if (rv == APR_SUCCESS && decision->status == LTI_DEPLOYMENT_ACCEPTED)
        rv = lti_db_run(NULL, db, accept, LTI_DB_ARGS(decision->platform, decision->deployment_id, now, now), ptemp, err);
    else if (rv == APR_SUCCESS)
        rv = lti_db_run(NULL, db, withdraw, LTI_DB_ARGS(decision->platform, decision->deployment_id, now, now, now), ptemp, err);
    return rv == APR_SUCCESS ? count_admission(db, ptemp, err) : rv;
}

apr_status_t lti_db_deployment_decide(lti_db_t *db, const char *platform, const char *deployment_id, lti_deployment_status_t status,
                                      apr_time_t now, apr_pool_t *ptemp, lti_err_t *err)
{
    decision_t decision = {platform, deployment_id, status, now};

    if (status != LTI_DEPLOYMENT_ACCEPTED && status != LTI_DEPLOYMENT_WITHDRAWN)
        return lti_fail(err, LTI_E_INTERNAL, APR_EINVAL, "a deployment is accepted or withdrawn, not %d", (int)status);
    return lti_db_transaction(db, decide, &decision, ptemp, err);
}

apr_status_t lti_db_deployments_each(lti_db_t *db, lti_db_deployment_fn *fn, void *baton, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char sql[] = "SELECT platform, deployment_id, status, ended_at, first_seen_at, seen_at, context_title "
                              "FROM lti_deployment ORDER BY platform, deployment_id";
    lti_db_rows_t rows;
    apr_status_t rv = lti_db_select(&rows, db, sql, LTI_DB_NO_ARGS, ptemp, err);

    if (rv != APR_SUCCESS)
        return rv;
    while ((rv = lti_db_next(&rows, err)) == APR_SUCCESS) {
        rv = fn(baton, lti_db_text_copy(&rows, 0, ptemp), lti_db_text_copy(&rows, 1, ptemp),
                (lti_deployment_status_t)lti_db_number(&rows, 2), lti_db_number(&rows, 3), lti_db_number(&rows, 4),
                lti_db_number(&rows, 5), lti_db_text_copy(&rows, 6, ptemp), err);
        if (rv != APR_SUCCESS)
            return rv;
    }
    return rv == APR_EOF ? APR_SUCCESS : rv;
}

/* --- ended sessions -------------------------------------------------------------------------------------------------- */

typedef struct ending_t {
    const char *platform, *user_id, *course_key, *deployment_id;
    apr_time_t now, expires_at;
} ending_t;

static const char *or_empty(const char *text)
{
    return text != NULL ? text : "";
}

static apr_status_t end_sessions(lti_db_t *db, void *baton, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char sql[] = "INSERT INTO lti_revocation (platform, user_id, course_key, deployment_id, ended_at, expires_at) "
                              "VALUES (%s, %s, %s, %s, %lld, %lld) "
                              "{upsert platform, user_id, course_key, deployment_id, ended_at} expires_at = {new expires_at}";
    const ending_t *ending = baton;
    apr_status_t rv = lti_db_run(NULL, db, sql,
                                 LTI_DB_ARGS(ending->platform, or_empty(ending->user_id), or_empty(ending->course_key),
                                             or_empty(ending->deployment_id), &ending->now, &ending->expires_at),
                                 ptemp, err);

    return rv == APR_SUCCESS ? count_admission(db, ptemp, err) : rv;
}

apr_status_t lti_db_sessions_end(lti_db_t *db, const char *platform, const char *user_id, const char *course_key,
                                 const char *deployment_id, apr_time_t now, apr_time_t expires_at, apr_pool_t *ptemp,
                                 lti_err_t *err)
{
    ending_t ending = {platform, user_id, course_key, deployment_id, now, expires_at};
    int user = *or_empty(user_id) != '\0', course = *or_empty(course_key) != '\0', deployment = *or_empty(deployment_id) != '\0';

    /* A form field that was left empty must not end everybody's sessions. */
    if (deployment ? user || course : !user && !course)
        return lti_fail(err, LTI_E_INTERNAL, APR_EINVAL,
                        "sessions are ended of a person, of a person in a course, of a course, or of a deployment");
    return lti_db_transaction(db, end_sessions, &ending, ptemp, err);
}

static const char *text_or_null(const lti_db_rows_t *rows, int column, apr_pool_t *p)
{
    const char *text = lti_db_text_copy(rows, column, p);

    return text != NULL && *text != '\0' ? text : NULL;
}

/* What is older than `border` or as old, widened to platforms. */
static apr_status_t older_ended_each(lti_db_t *db, apr_time_t border, lti_db_ended_fn *fn, void *baton, apr_pool_t *ptemp,
                                     lti_err_t *err)
{
    static const char sql[] = "SELECT platform, MAX(ended_at) FROM lti_revocation WHERE ended_at <= %lld GROUP BY platform";
    lti_db_rows_t rows;
    apr_status_t rv = lti_db_select(&rows, db, sql, LTI_DB_ARGS(&border), ptemp, err);

    while (rv == APR_SUCCESS && (rv = lti_db_next(&rows, err)) == APR_SUCCESS)
        rv = fn(baton, lti_db_text_copy(&rows, 0, ptemp), NULL, NULL, NULL, lti_db_number(&rows, 1), err);
    return rv == APR_EOF ? APR_SUCCESS : rv;
}

apr_status_t lti_db_ended_each(lti_db_t *db, lti_db_ended_fn *fn, void *baton, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char sql[] = "SELECT platform, user_id, course_key, deployment_id, ended_at FROM lti_revocation "
                              "ORDER BY ended_at DESC LIMIT %lld";
    apr_int64_t limit = LTI_DB_ENDED_MAX + 1;
    apr_time_t ended_at = 0;
    lti_db_rows_t rows;
    int count = 0;
    apr_status_t rv = lti_db_select(&rows, db, sql, LTI_DB_ARGS(&limit), ptemp, err);

    while (rv == APR_SUCCESS && (rv = lti_db_next(&rows, err)) == APR_SUCCESS) {
        ended_at = lti_db_number(&rows, 4);
        if (count++ < LTI_DB_ENDED_MAX)
            rv = fn(baton, lti_db_text_copy(&rows, 0, ptemp), text_or_null(&rows, 1, ptemp), text_or_null(&rows, 2, ptemp),
                    text_or_null(&rows, 3, ptemp), ended_at, err);
    }
    if (rv != APR_EOF)
        return rv;
    return count > LTI_DB_ENDED_MAX ? older_ended_each(db, ended_at, fn, baton, ptemp, err) : APR_SUCCESS;
}

/* A row that names one of the three names the session's, byte by byte. */
static int names(const lti_db_rows_t *rows, int column, const char *text)
{
    const char *named = or_empty(lti_db_text(rows, column));

    return *named == '\0' || (text != NULL && strcmp(named, text) == 0);
}

static apr_status_t read_ended(apr_time_t *ended_at, lti_db_t *db, const char *platform, const char *deployment_id,
                               const char *course_key, const char *user_id, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char sql[] = "SELECT user_id, course_key, deployment_id, ended_at FROM lti_revocation WHERE platform = %s "
                              "AND user_id IN ('', %s) AND course_key IN ('', %s) AND deployment_id IN ('', %s)";
    lti_db_rows_t rows;
    apr_status_t rv = lti_db_select(
        &rows, db, sql, LTI_DB_ARGS(platform, or_empty(user_id), or_empty(course_key), or_empty(deployment_id)), ptemp, err);

    while (rv == APR_SUCCESS && (rv = lti_db_next(&rows, err)) == APR_SUCCESS) {
        if (names(&rows, 0, user_id) && names(&rows, 1, course_key) && names(&rows, 2, deployment_id) &&
            lti_db_number(&rows, 3) > *ended_at)
            *ended_at = lti_db_number(&rows, 3);
    }
    return rv == APR_EOF ? APR_SUCCESS : rv;
}

apr_status_t lti_db_admission_read(lti_deployment_status_t *status, apr_time_t *ended_at, lti_db_t *db, const char *platform,
                                   const char *deployment_id, const char *course_key, const char *user_id, apr_pool_t *ptemp,
                                   lti_err_t *err)
{
    standing_t standing = {.status = LTI_DEPLOYMENT_UNSEEN};
    apr_status_t rv = APR_SUCCESS;

    if (deployment_id != NULL)
        rv = read_standing(&standing, db, platform, deployment_id, ptemp, err);
    if (rv == APR_SUCCESS)
        rv = read_ended(&standing.ended_at, db, platform, deployment_id, course_key, user_id, ptemp, err);
    if (rv != APR_SUCCESS)
        return rv;
    *status = standing.status;
    *ended_at = standing.ended_at;
    return APR_SUCCESS;
}

/* --- nodes ----------------------------------------------------------------------------------------------------------- */

typedef struct node_row_t {
    const char *node, *jwks, *fingerprint;
    apr_time_t now;
} node_row_t;

static apr_status_t write_node(lti_db_t *db, void *baton, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char sql[] = "INSERT INTO lti_node (node, jwks, fingerprint, seen_at) VALUES (%s, %s, %s, %lld) {upsert node} "
                              "jwks = {new jwks}, fingerprint = {new fingerprint}, seen_at = {new seen_at}";
    const node_row_t *row = baton;
    apr_status_t rv = lti_db_run(NULL, db, sql, LTI_DB_ARGS(row->node, row->jwks, row->fingerprint, &row->now), ptemp, err);

    return rv == APR_SUCCESS ? count_admission(db, ptemp, err) : rv;
}

apr_status_t lti_db_node_write(lti_db_t *db, const char *node, const char *jwks, const char *fingerprint, apr_time_t now,
                               apr_pool_t *ptemp, lti_err_t *err)
{
    static const char read[] = "SELECT jwks, fingerprint, seen_at FROM lti_node WHERE node = %s";
    static const char touch[] = "UPDATE lti_node SET seen_at = %lld WHERE node = %s";
    node_row_t row = {node, jwks, fingerprint, now};
    lti_db_rows_t rows;
    apr_status_t rv = lti_db_select_one(&rows, db, read, LTI_DB_ARGS(node), ptemp, err);

    if (rv == APR_NOTFOUND || (rv == APR_SUCCESS && (strcmp(or_empty(lti_db_text(&rows, 0)), jwks) != 0 ||
                                                     strcmp(or_empty(lti_db_text(&rows, 1)), fingerprint) != 0)))
        return lti_db_transaction(db, write_node, &row, ptemp, err);
    if (rv != APR_SUCCESS || !is_long_ago(lti_db_number(&rows, 2), now))
        return rv;
    return lti_db_run(NULL, db, touch, LTI_DB_ARGS(&now, node), ptemp, err);
}

apr_status_t lti_db_nodes_each(lti_db_t *db, apr_time_t since, lti_db_node_fn *fn, void *baton, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char sql[] =
        "SELECT node, jwks, fingerprint, seen_at FROM lti_node WHERE seen_at >= %lld ORDER BY seen_at DESC LIMIT %lld";
    lti_db_rows_t rows;
    apr_int64_t limit = NODES_MAX;
    apr_status_t rv = lti_db_select(&rows, db, sql, LTI_DB_ARGS(&since, &limit), ptemp, err);

    while (rv == APR_SUCCESS && (rv = lti_db_next(&rows, err)) == APR_SUCCESS)
        rv = fn(baton, lti_db_text_copy(&rows, 0, ptemp), lti_db_text_copy(&rows, 1, ptemp), lti_db_text_copy(&rows, 2, ptemp),
                lti_db_number(&rows, 3), err);
    return rv == APR_EOF ? APR_SUCCESS : rv;
}

/* --- launches of LTI 1.1 ---------------------------------------------------------------------------------------------- */

/* Nothing vouches for such a text: what no column would take is shown as question marks. */
static const char *made_clean(const char *text, apr_size_t max, apr_pool_t *p)
{
    char *clean, *at;

    if (text == NULL)
        return NULL;
    text = lti_db_cut(text, max, p);
    if (lti_json_is_clean(text))
        return text;
    clean = apr_pstrdup(p, text);
    for (at = clean; *at != '\0'; at++) {
        if ((unsigned char)*at < 0x20 || (unsigned char)*at >= 0x7f)
            *at = '?';
    }
    return clean;
}

/** Where a launch of LTI 1.1 goes. */
typedef struct old_room_t {
    int found;
    const char *consumer_key, *instance; /* of the row that makes room; NULL: there was room */
} old_room_t;

/* There is room, or the one that was not seen for longest makes it. Looked for outside of the transaction, so that a flood that finds none locks nothing. */
static apr_status_t find_room(old_room_t *room, lti_db_t *db, apr_time_t now, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char count[] = "SELECT COUNT(*) FROM lti_old_launch";
    static const char oldest[] = "SELECT consumer_key, instance, seen_at FROM lti_old_launch ORDER BY seen_at LIMIT 1";
    lti_db_rows_t rows;
    apr_status_t rv = lti_db_select_one(&rows, db, count, LTI_DB_NO_ARGS, ptemp, err);

    *room = (old_room_t){.found = rv == APR_SUCCESS && lti_db_number(&rows, 0) < LTI_DB_OLD_LAUNCHES_MAX};
    if (rv != APR_SUCCESS || room->found)
        return rv;
    rv = lti_db_select_one(&rows, db, oldest, LTI_DB_NO_ARGS, ptemp, err);
    if (rv != APR_SUCCESS)
        return rv == APR_NOTFOUND ? APR_SUCCESS : rv;
    room->found = now - lti_db_number(&rows, 2) >= OLD_LAUNCH_YIELDS;
    room->consumer_key = lti_db_text_copy(&rows, 0, ptemp);
    room->instance = lti_db_text_copy(&rows, 1, ptemp);
    return APR_SUCCESS;
}

typedef struct old_launch_t {
    const char *consumer_key, *instance, *product, *context_title;
    apr_time_t now;
    old_room_t room;
} old_launch_t;

static apr_status_t remember_old_launch(lti_db_t *db, void *baton, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char make_room[] = "DELETE FROM lti_old_launch WHERE consumer_key = %s AND instance = %s";
    static const char insert[] =
        "INSERT INTO lti_old_launch (consumer_key, instance, product, context_title, first_seen_at, seen_at) "
        "VALUES (%s, %s, %s, %s, %lld, %lld) {upsert consumer_key, instance} "
        "product = {new product}, context_title = {new context_title}, seen_at = {new seen_at}";
    const old_launch_t *launch = baton;
    apr_status_t rv = APR_SUCCESS;

    if (launch->room.consumer_key != NULL)
        rv = lti_db_run(NULL, db, make_room, LTI_DB_ARGS(launch->room.consumer_key, launch->room.instance), ptemp, err);
    if (rv != APR_SUCCESS)
        return rv;
    return lti_db_run(
        NULL, db, insert,
        LTI_DB_ARGS(launch->consumer_key, launch->instance, launch->product, launch->context_title, &launch->now, &launch->now),
        ptemp, err);
}

apr_status_t lti_db_old_launch_seen(lti_db_t *db, const char *consumer_key, const char *instance, const char *product,
                                    const char *context_title, apr_time_t now, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char read[] = "SELECT seen_at FROM lti_old_launch WHERE consumer_key = %s AND instance = %s";
    static const char touch[] = "UPDATE lti_old_launch SET product = %s, context_title = %s, seen_at = %lld "
                                "WHERE consumer_key = %s AND instance = %s";
    old_launch_t launch = {.consumer_key = made_clean(or_empty(consumer_key), LTI_ID_MAX, ptemp),
                           .instance = made_clean(or_empty(instance), LTI_ID_MAX, ptemp),
                           .product = made_clean(product, LTI_ID_MAX, ptemp),
                           .context_title = made_clean(context_title, LTI_DB_TITLE_MAX, ptemp),
                           .now = now};
    lti_db_rows_t rows;
    apr_status_t rv = lti_db_select_one(&rows, db, read, LTI_DB_ARGS(launch.consumer_key, launch.instance), ptemp, err);

    if (rv == APR_NOTFOUND) {
        rv = find_room(&launch.room, db, now, ptemp, err);
        return rv == APR_SUCCESS && launch.room.found ? lti_db_transaction(db, remember_old_launch, &launch, ptemp, err) : rv;
    }
    if (rv != APR_SUCCESS || !is_long_ago(lti_db_number(&rows, 0), now))
        return rv;
    return lti_db_run(NULL, db, touch,
                      LTI_DB_ARGS(launch.product, launch.context_title, &now, launch.consumer_key, launch.instance), ptemp, err);
}

/* --- what is past ----------------------------------------------------------------------------------------------------- */

apr_status_t lti_db_purge_admission(lti_db_t *db, apr_time_t now, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char ended[] = "DELETE FROM lti_revocation WHERE expires_at < %lld";
    static const char waiting[] = "DELETE FROM lti_deployment WHERE status = 0 AND seen_at < %lld";
    static const char nodes[] = "DELETE FROM lti_node WHERE seen_at < %lld";
    static const char old[] = "DELETE FROM lti_old_launch WHERE seen_at < %lld";
    apr_time_t waiting_before = now - WAITING_FOR, nodes_before = now - NODE_FOR, old_before = now - OLD_LAUNCH_FOR;
    apr_status_t rv = lti_db_run(NULL, db, ended, LTI_DB_ARGS(&now), ptemp, err);

    if (rv == APR_SUCCESS)
        rv = lti_db_run(NULL, db, waiting, LTI_DB_ARGS(&waiting_before), ptemp, err);
    if (rv == APR_SUCCESS)
        rv = lti_db_run(NULL, db, nodes, LTI_DB_ARGS(&nodes_before), ptemp, err);
    if (rv == APR_SUCCESS)
        rv = lti_db_run(NULL, db, old, LTI_DB_ARGS(&old_before), ptemp, err);
    return rv;
}
