/* SPDX-License-Identifier: Apache-2.0 */
/* What the refresh engine asks and writes around a run: due courses, leases, digests, staged members, failures, and what is
 * thrown away. */
#include "lti_db.h"
#include "lti_db_statement.h"

#include <apr_hash.h>
#include <apr_strings.h>
#include <string.h>
#include "lti_json.h"

#define BULK 50           /* rows of a multi-row INSERT */
#define REMOVE_ABOUT 5000 /* rows that one transaction removes, so that launches need not wait for long */
#define VISITS_KEPT apr_time_from_sec(400 * 86400) /* a course that comes back after a year still knows its people */

/* --- digests as text ----------------------------------------------------------------------------------------- */

void lti_db_digest_text(char text[LTI_DB_DIGEST_TEXT], const unsigned char digest[LTI_DIGEST_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    int i;

    for (i = 0; i < LTI_DIGEST_SIZE; i++) {
        text[2 * i] = digits[digest[i] >> 4];
        text[2 * i + 1] = digits[digest[i] & 15];
    }
    text[2 * LTI_DIGEST_SIZE] = '\0';
}

static int digit_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

apr_status_t lti_db_digest_parse(unsigned char digest[LTI_DIGEST_SIZE], const char *text)
{
    int i;

    memset(digest, 0, LTI_DIGEST_SIZE);
    if (text == NULL || strlen(text) != 2 * LTI_DIGEST_SIZE)
        return APR_EINVAL;
    for (i = 0; i < LTI_DIGEST_SIZE; i++) {
        int high = digit_value(text[2 * i]), low = digit_value(text[2 * i + 1]);

        if (high < 0 || low < 0) {
            memset(digest, 0, LTI_DIGEST_SIZE);
            return APR_EINVAL;
        }
        digest[i] = (unsigned char)(high << 4 | low);
    }
    return APR_SUCCESS;
}

/* --- due courses and leases ---------------------------------------------------------------------------------- */

apr_status_t lti_db_course_used(lti_db_t *db, const char *course_key, apr_time_t used_at, apr_time_t now, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char sql[] = "UPDATE lti_context SET used_at = %lld WHERE course_key = %s AND used_at < %lld";
    apr_time_t before = now - apr_time_from_sec(3600);

    return used_at > before ? APR_SUCCESS : lti_db_run(NULL, db, sql, LTI_DB_ARGS(&now, course_key, &before), ptemp, err);
}

apr_status_t lti_db_course_request(lti_db_t *db, const char *course_key, apr_time_t now, apr_pool_t *ptemp, lti_err_t *err)
{
    /* Unconditional: a run that is going on sees by this time that it was asked for anew (lti_db_due_after). */
    static const char write[] = "UPDATE lti_sync SET due_at = %lld, requested_at = %lld WHERE course_key = %s";
    static const char find[] = "SELECT state FROM lti_sync WHERE course_key = %s";
    lti_db_rows_t rows;
    apr_status_t rv;

    if (!lti_json_is_clean(course_key))
        return APR_NOTFOUND;
    rv = lti_db_select_one(&rows, db, find, LTI_DB_ARGS(course_key), ptemp, err);
    if (rv != APR_SUCCESS || lti_db_number(&rows, 0) == LTI_ROSTER_NONE)
        return rv;
    return lti_db_run(NULL, db, write, LTI_DB_ARGS(&now, &now, course_key), ptemp, err);
}

/* Who holds the lease now: a driver's count of affected rows does not tell on MariaDB. */
static apr_status_t is_owner(int *ours, lti_db_t *db, const char *course_key, const char *owner, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char sql[] = "SELECT lease_owner FROM lti_sync WHERE course_key = %s";
    lti_db_rows_t rows;
    apr_status_t rv = lti_db_select_one(&rows, db, sql, LTI_DB_ARGS(course_key), ptemp, err);
    const char *holder;

    if (rv != APR_SUCCESS)
        return rv;
    holder = lti_db_text(&rows, 0);
    *ours = holder != NULL && strcmp(holder, owner) == 0;
    return APR_SUCCESS;
}

apr_status_t lti_db_lease_take(lti_db_t *db, const char *course_key, const char *owner, apr_time_t now, apr_time_t until,
                               apr_pool_t *ptemp, lti_err_t *err)
{
    static const char sql[] = "UPDATE lti_sync SET lease_owner = %s, lease_since = %lld, lease_until = %lld "
                              "WHERE course_key = %s AND (lease_owner IS NULL OR lease_owner = %s OR lease_until <= %lld)";
    int ours = 0;
    apr_status_t rv = lti_db_run(NULL, db, sql, LTI_DB_ARGS(owner, &now, &until, course_key, owner, &now), ptemp, err);

    if (rv == APR_SUCCESS)
        rv = is_owner(&ours, db, course_key, owner, ptemp, err);
    if (rv != APR_SUCCESS)
        return rv;
    return ours ? APR_SUCCESS : APR_EBUSY;
}

apr_status_t lti_db_lease_renew(lti_db_t *db, const char *course_key, const char *owner, apr_time_t until, apr_pool_t *ptemp,
                                lti_err_t *err)
{
    static const char sql[] = "UPDATE lti_sync SET lease_until = %lld WHERE course_key = %s AND lease_owner = %s";
    int ours = 0;
    apr_status_t rv = lti_db_run(NULL, db, sql, LTI_DB_ARGS(&until, course_key, owner), ptemp, err);

    if (rv == APR_SUCCESS)
        rv = is_owner(&ours, db, course_key, owner, ptemp, err);
    if (rv != APR_SUCCESS && rv != APR_NOTFOUND)
        return rv;
    return ours ? APR_SUCCESS : lti_fail(err, LTI_E_LEASE_LOST, APR_EGENERAL, "the lease of %s is not ours any more", course_key);
}

apr_status_t lti_db_lease_release(lti_db_t *db, const char *course_key, const char *run_id, const char *owner, apr_pool_t *ptemp,
                                  lti_err_t *err)
{
    static const char sql[] = "UPDATE lti_sync SET lease_owner = NULL, lease_until = 0 WHERE course_key = %s AND lease_owner = %s";
    apr_status_t rv = lti_db_run(NULL, db, sql, LTI_DB_ARGS(course_key, owner), ptemp, err);

    return rv == APR_SUCCESS ? lti_db_unstage(db, run_id, ptemp, err) : rv;
}

apr_time_t lti_db_due_after(apr_time_t stored_due_at, apr_time_t lease_since, apr_time_t due_at)
{
    return stored_due_at > lease_since && stored_due_at < due_at ? stored_due_at : due_at;
}

apr_status_t lti_db_hold_read(lti_hold_t *hold, lti_db_t *db, const char *course_key, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char sql[] = "SELECT held_digest, held_since, held_accepted, held_missing FROM lti_sync WHERE course_key = %s";
    lti_db_rows_t rows;
    apr_status_t rv = lti_db_select_one(&rows, db, sql, LTI_DB_ARGS(course_key), ptemp, err);

    if (rv != APR_SUCCESS)
        return rv;
    *hold = (lti_hold_t){
        .since = lti_db_number(&rows, 1), .accepted = lti_db_number(&rows, 2) != 0, .missing = (int)lti_db_number(&rows, 3)};
    hold->held = lti_db_digest_parse(hold->digest, lti_db_text(&rows, 0)) == APR_SUCCESS;
    return APR_SUCCESS;
}

/* --- digests ------------------------------------------------------------------------------------------------- */

/* The next page of digests from behind the user id `after`, which moves on. */
static apr_status_t read_digests(int *count, char after[LTI_DB_AFTER_SIZE], lti_db_t *db, const char *course_key,
                                 lti_db_digest_fn *fn, void *baton, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char sql[] = "SELECT user_id, digest, status FROM lti_member WHERE course_key = %s AND user_id > %s "
                              "ORDER BY user_id LIMIT %lld";
    apr_int64_t limit = LTI_DB_PAGE;
    lti_db_rows_t rows;
    apr_status_t rv = lti_db_select(&rows, db, sql, LTI_DB_ARGS(course_key, apr_pstrdup(ptemp, after), &limit), ptemp, err);

    *count = 0;
    if (rv != APR_SUCCESS)
        return rv;
    while ((rv = lti_db_next(&rows, err)) == APR_SUCCESS) {
        const char *user_id = lti_db_text(&rows, 0);
        unsigned char digest[LTI_DIGEST_SIZE];

        apr_cpystrn(after, user_id, LTI_DB_AFTER_SIZE);
        (*count)++;
        /* What is no digest equals no member's digest: the row is written anew. */
        (void)lti_db_digest_parse(digest, lti_db_text(&rows, 1));
        rv = fn(baton, user_id, digest, (lti_member_status_t)lti_db_number(&rows, 2));
        if (rv != APR_SUCCESS)
            return lti_fail(err, LTI_E_INTERNAL, rv, "the digests of %s were not wanted to the end", course_key);
    }
    return rv == APR_EOF ? APR_SUCCESS : rv;
}

apr_status_t lti_db_digests_each(lti_db_t *db, const char *course_key, lti_db_digest_fn *fn, void *baton, apr_pool_t *ptemp,
                                 lti_err_t *err)
{
    char after[LTI_DB_AFTER_SIZE] = "";
    apr_pool_t *page = NULL;
    int count = 0;
    apr_status_t rv = apr_pool_create(&page, ptemp);

    if (rv != APR_SUCCESS)
        return lti_fail(err, LTI_E_INTERNAL, rv, "no memory for a page");
    do {
        apr_pool_clear(page);
        rv = read_digests(&count, after, db, course_key, fn, baton, page, err);
    } while (rv == APR_SUCCESS && count == LTI_DB_PAGE);
    apr_pool_destroy(page);
    return rv;
}

/* --- staging ------------------------------------------------------------------------------------------------- */

#define STAGE_COLUMNS 14
#define STAGE_HEAD                                                                                                           \
    "INSERT INTO lti_staging (run_id, user_id, course_key, name, given_name, family_name, email, sourcedid, roles, status, " \
    "digest, section_names, group_names, begun_at) VALUES "
#define STAGE_ROW "(%s, %s, %s, %s, %s, %s, %s, %s, %s, %lld, %s, %s, %s, %lld)"
#define STAGE_TAIL                                                                                                        \
    " {upsert run_id, user_id} name = {new name}, given_name = {new given_name}, family_name = {new family_name}, "       \
    "email = {new email}, sourcedid = {new sourcedid}, roles = {new roles}, status = {new status}, digest = {new digest}, " \
    "section_names = {new section_names}, group_names = {new group_names}"

/** A batch to stage. */
typedef struct batch_t {
    const char *run_id;
    const char *course_key;
    const lti_member_t **members; /* each user id once */
    int count;
} batch_t;

/** The values of a row that are no texts of the member. */
typedef struct stage_values_t {
    apr_int64_t status;
    char digest[LTI_DB_DIGEST_TEXT];
} stage_values_t;

static void fill_row(const void **row, stage_values_t *values, const batch_t *batch, const lti_member_t *member,
                     const apr_int64_t *begun_at)
{
    unsigned char digest[LTI_DIGEST_SIZE];

    lti_member_digest(digest, member);
    lti_db_digest_text(values->digest, digest);
    values->status = member->status;
    row[0] = batch->run_id;
    row[1] = member->user_id;
    row[2] = batch->course_key;
    row[3] = member->name;
    row[4] = member->given_name;
    row[5] = member->family_name;
    row[6] = member->email;
    row[7] = member->sourcedid;
    row[8] = member->roles;
    row[9] = &values->status;
    row[10] = values->digest;
    row[11] = member->sections;
    row[12] = member->groups;
    row[13] = begun_at;
}

static apr_status_t stage_batch(lti_db_t *db, void *baton, apr_pool_t *ptemp, lti_err_t *err)
{
    /* The lease tells in the engine's own clock when the run began; the purge counts by it. */
    static const char begun[] = "SELECT lease_since FROM lti_sync WHERE course_key = %s";
    static const char many[] = STAGE_HEAD "{50*" STAGE_ROW "}" STAGE_TAIL;
    static const char one[] = STAGE_HEAD STAGE_ROW STAGE_TAIL;
    batch_t *batch = baton;
    const void *row[BULK * STAGE_COLUMNS];
    stage_values_t values[BULK];
    apr_int64_t begun_at = 0;
    lti_db_rows_t rows;
    int done, i, size;
    apr_pool_t *scratch = NULL;
    apr_status_t rv = lti_db_select_one(&rows, db, begun, LTI_DB_ARGS(batch->course_key), ptemp, err);

    if (rv == APR_SUCCESS)
        begun_at = lti_db_number(&rows, 0);
    else if (rv != APR_NOTFOUND)
        return rv;
    rv = apr_pool_create(&scratch, ptemp);
    for (done = 0; rv == APR_SUCCESS && done < batch->count; done += size) {
        size = batch->count - done >= BULK ? BULK : 1;
        for (i = 0; i < size; i++)
            fill_row(row + i * STAGE_COLUMNS, &values[i], batch, batch->members[done + i], &begun_at);
        apr_pool_clear(scratch);
        rv = lti_db_run(NULL, db, size == BULK ? many : one, (lti_db_args_t){row, size * STAGE_COLUMNS}, scratch, err);
    }
    return rv;
}

apr_status_t lti_db_stage(lti_db_t *db, const char *run_id, const char *course_key, const apr_array_header_t *members,
                          apr_pool_t *ptemp, lti_err_t *err)
{
    apr_hash_t *places = apr_hash_make(ptemp);
    batch_t batch = {.run_id = run_id, .course_key = course_key};
    int i;

    if (members->nelts == 0)
        return APR_SUCCESS;
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers */
    batch.members = apr_palloc(ptemp, (apr_size_t)members->nelts * sizeof(batch.members[0]));
    /* The last word on a person counts, and PostgreSQL refuses to replace a row twice in one statement. */
    for (i = 0; i < members->nelts; i++) {
        const lti_member_t *member = APR_ARRAY_IDX(members, i, const lti_member_t *);
        const lti_member_t **place = apr_hash_get(places, member->user_id, APR_HASH_KEY_STRING);

        if (place == NULL) {
            place = &batch.members[batch.count++];
            apr_hash_set(places, member->user_id, APR_HASH_KEY_STRING, place);
        }
        *place = member;
    }
    return lti_db_transaction(db, stage_batch, &batch, ptemp, err);
}

/* --- removing, a bounded number of rows at a time ------------------------------------------------------------ */

apr_status_t lti_db_unstage(lti_db_t *db, const char *run_id, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char find[] = "SELECT user_id FROM lti_staging WHERE run_id = %s ORDER BY user_id LIMIT 1 OFFSET %lld";
    static const char some[] = "DELETE FROM lti_staging WHERE run_id = %s AND user_id < %s";
    static const char rest[] = "DELETE FROM lti_staging WHERE run_id = %s";
    apr_int64_t offset = REMOVE_ABOUT;
    lti_db_rows_t rows;
    apr_status_t rv;

    while ((rv = lti_db_select_one(&rows, db, find, LTI_DB_ARGS(run_id, &offset), ptemp, err)) == APR_SUCCESS) {
        const char *border = apr_pstrdup(ptemp, lti_db_text(&rows, 0));

        rv = lti_db_run(NULL, db, some, LTI_DB_ARGS(run_id, border), ptemp, err);
        if (rv != APR_SUCCESS)
            return rv;
    }
    return rv == APR_NOTFOUND ? lti_db_run(NULL, db, rest, LTI_DB_ARGS(run_id), ptemp, err) : rv;
}

/** Rows that are past by a time column: the SQL that finds a border some thousand rows on, and those that remove up to it and
 * the rest. */
typedef struct past_t {
    const char *find;
    const char *some; /* up to and with the border */
    const char *rest; /* before the end */
} past_t;

static apr_status_t remove_past(lti_db_t *db, const past_t *past, apr_time_t before, apr_pool_t *ptemp, lti_err_t *err)
{
    apr_int64_t offset = REMOVE_ABOUT;
    lti_db_rows_t rows;
    apr_status_t rv;

    while ((rv = lti_db_select_one(&rows, db, past->find, LTI_DB_ARGS(&before, &offset), ptemp, err)) == APR_SUCCESS) {
        apr_int64_t border = lti_db_number(&rows, 0);

        rv = lti_db_run(NULL, db, past->some, LTI_DB_ARGS(&border), ptemp, err);
        if (rv != APR_SUCCESS)
            return rv;
    }
    return rv == APR_NOTFOUND ? lti_db_run(NULL, db, past->rest, LTI_DB_ARGS(&before), ptemp, err) : rv;
}

apr_status_t lti_db_purge(lti_db_t *db, apr_time_t now, apr_time_t staged_before, apr_time_t left_before, apr_pool_t *ptemp,
                          lti_err_t *err)
{
    static const past_t nonces = {
        "SELECT expires_at FROM lti_nonce WHERE expires_at < %lld ORDER BY expires_at LIMIT 1 OFFSET %lld",
        "DELETE FROM lti_nonce WHERE expires_at <= %lld", "DELETE FROM lti_nonce WHERE expires_at < %lld"};
    static const past_t launches = {
        "SELECT expires_at FROM lti_launch WHERE expires_at < %lld ORDER BY expires_at LIMIT 1 OFFSET %lld",
        "DELETE FROM lti_launch WHERE expires_at <= %lld", "DELETE FROM lti_launch WHERE expires_at < %lld"};
    static const past_t left = {
        "SELECT status_at FROM lti_member WHERE status = 3 AND status_at < %lld ORDER BY status_at LIMIT 1 OFFSET %lld",
        "DELETE FROM lti_member WHERE status = 3 AND status_at <= %lld",
        "DELETE FROM lti_member WHERE status = 3 AND status_at < %lld"};
    static const past_t visits = {
        "SELECT launched_at FROM lti_visit WHERE launched_at < %lld ORDER BY launched_at LIMIT 1 OFFSET %lld",
        "DELETE FROM lti_visit WHERE launched_at <= %lld", "DELETE FROM lti_visit WHERE launched_at < %lld"};
    /* Not those of a run whose lease holds: they are to be applied, however long it takes. */
    static const char abandoned[] =
        "SELECT run_id FROM lti_staging g WHERE begun_at < %lld AND NOT EXISTS (SELECT 1 FROM lti_sync s "
        "WHERE s.course_key = g.course_key AND s.lease_since = g.begun_at AND s.lease_until > %lld) LIMIT 1";
    lti_db_rows_t rows;
    apr_status_t rv = remove_past(db, &nonces, now, ptemp, err);

    if (rv == APR_SUCCESS)
        rv = remove_past(db, &launches, now, ptemp, err);
    if (rv == APR_SUCCESS)
        rv = remove_past(db, &left, left_before, ptemp, err);
    if (rv == APR_SUCCESS)
        rv = remove_past(db, &visits, now - VISITS_KEPT, ptemp, err);
    if (rv == APR_SUCCESS)
        rv = lti_db_purge_events(db, left_before, ptemp, err);
    if (rv == APR_SUCCESS)
        rv = lti_db_purge_admission(db, now, ptemp, err);
    if (rv == APR_SUCCESS)
        rv = lti_db_purge_pace(db, now, ptemp, err);
    if (rv == APR_SUCCESS)
        rv = lti_db_purge_runs(db, now, ptemp, err);
    while (rv == APR_SUCCESS) {
        rv = lti_db_select_one(&rows, db, abandoned, LTI_DB_ARGS(&staged_before, &now), ptemp, err);
        if (rv == APR_SUCCESS)
            rv = lti_db_unstage(db, apr_pstrdup(ptemp, lti_db_text(&rows, 0)), ptemp, err);
    }
    return rv == APR_NOTFOUND ? APR_SUCCESS : rv;
}
