/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lti_db_statement (inside of the room lti_db): the one place where statements are prepared, run and judged, and where the three
 * kinds of database differ.
 *
 * SQL is written once, as a template with static storage (its address is the key under which the prepared statement is kept with
 * the connection). Parameters are %s (const char *, NULL for SQL NULL) and %lld (const apr_int64_t *); a literal per cent is %%.
 * Words in braces are replaced when the statement is prepared:
 *
 *   {id}              behind the type of a column whose texts are compared byte by byte
 *   {table}           behind the closing parenthesis of CREATE TABLE
 *   {text}            the type of a long text
 *   {number}          the type of a number that is the primary key
 *   {unless_exists}   in CREATE INDEX
 *   {upsert COLUMNS}  behind INSERT: what to do where these key columns are there already; assignments follow
 *   {new COLUMN}      in those assignments: the value that was to be inserted
 *   {keep COLUMN}     behind INSERT: leave a row alone whose key column is there already
 *   {for_update}      behind SELECT: lock the row until the transaction ends
 *   {50*TEXT}         TEXT fifty times, separated by commas
 *
 * A statement outside of a transaction waits for a busy database for up to five seconds and is sent again if it or the
 * connection was lost. Inside, a failure means that the whole transaction is rolled back; lti_db_transaction() then repeats it
 * if the database was merely busy.
 */
#ifndef LTI_DB_STATEMENT_H
#define LTI_DB_STATEMENT_H

#include "lti_db.h"

#define LTI_DB_PAGE 1000                       /* rows of a keyset page */
#define LTI_DB_AFTER_SIZE (LTI_ID_MAX * 4 + 1) /* bytes of the user id where a page ended: the column counts characters */

/** Values of a statement's parameters, in order. */
typedef struct lti_db_args_t {
    const void **values;
    int count;
} lti_db_args_t;

#define LTI_DB_ARGS(...) \
    ((lti_db_args_t){(const void *[]){__VA_ARGS__}, (int)(sizeof((const void *[]){__VA_ARGS__}) / sizeof(void *))})
#define LTI_DB_NO_ARGS ((lti_db_args_t){NULL, 0})

/** Runs a statement without result. `affected` (may be NULL) counts the rows that really changed: MariaDB leaves out rows that
 * had the value before. */
apr_status_t lti_db_run(int *affected, lti_db_t *db, const char *sql, lti_db_args_t args, apr_pool_t *ptemp, lti_err_t *err);

/** The result of a SELECT; on the caller's stack. */
typedef struct lti_db_rows_t {
    lti_db_t *db;
    apr_pool_t *pool;
    apr_dbd_results_t *results;
    apr_dbd_row_t *row;
} lti_db_rows_t;

/** Runs a SELECT; its rows live in `ptemp`. */
apr_status_t lti_db_select(lti_db_rows_t *rows, lti_db_t *db, const char *sql, lti_db_args_t args, apr_pool_t *ptemp,
                           lti_err_t *err);

/** The next row; APR_EOF (err not filled) behind the last one. The texts of a row hold until the next call. */
apr_status_t lti_db_next(lti_db_rows_t *rows, lti_err_t *err);

/** A column of the row; NULL for SQL NULL. */
const char *lti_db_text(const lti_db_rows_t *rows, int column);

/** A column of the row as a number; 0 for SQL NULL. */
apr_int64_t lti_db_number(const lti_db_rows_t *rows, int column);

/** lti_db_select() and its first row; APR_NOTFOUND (err not filled) if there is none. */
apr_status_t lti_db_select_one(lti_db_rows_t *rows, lti_db_t *db, const char *sql, lti_db_args_t args, apr_pool_t *ptemp,
                               lti_err_t *err);

/** Runs a statement that is never needed again, such as DDL: words in braces are replaced, there are no parameters. */
apr_status_t lti_db_run_text(lti_db_t *db, const char *sql, apr_pool_t *ptemp, lti_err_t *err);

/** What a transaction does. May be called again from the start, after a rollback. A status other than APR_SUCCESS rolls back and
 * is handed on. */
typedef apr_status_t lti_db_work_fn(lti_db_t *db, void *baton, apr_pool_t *ptemp, lti_err_t *err);

apr_status_t lti_db_transaction(lti_db_t *db, lti_db_work_fn *work, void *baton, apr_pool_t *ptemp, lti_err_t *err);

/** A reading transaction: all its SELECTs see the same state. lti_db_end_reading() ends it and hands `rv` on. */
apr_status_t lti_db_begin_reading(lti_db_t *db, apr_pool_t *ptemp, lti_err_t *err);
apr_status_t lti_db_end_reading(lti_db_t *db, apr_status_t rv);

/** On SQLite, once for a file: write-ahead log, so that readers do not wait for the writer. Nothing elsewhere. */
apr_status_t lti_db_write_ahead(lti_db_t *db, apr_pool_t *ptemp, lti_err_t *err);

/** Keeps other nodes from changing the tables meanwhile; inside a transaction. What a rollback does not undo is undone by
 * unlock. */
apr_status_t lti_db_lock_schema(lti_db_t *db, apr_pool_t *ptemp, lti_err_t *err);
void lti_db_unlock_schema(lti_db_t *db, apr_pool_t *ptemp);

/* --- shared by the files of the room ------------------------------------------------------------------------- */

#define LTI_DB_ID "VARCHAR(255){id}"

/** Counts the change number up; its new value goes into lti_sync.change_no of the course concerned, right before the end of the
 * transaction: the row of the counter stays locked until then, so that the order of numbers is the order of commits. */
apr_status_t lti_db_count_change(apr_int64_t *number, lti_db_t *db, apr_pool_t *ptemp, lti_err_t *err);

/** When a course is due after a run: as planned, but at once if somebody asked for it after the run had begun. */
apr_time_t lti_db_due_after(apr_time_t stored_due_at, apr_time_t lease_since, apr_time_t due_at);

/** A text for a column of VARCHAR(LTI_DB_TITLE_MAX) or `max` bytes, cut at a character's end. */
#define LTI_DB_TITLE_MAX 1024
const char *lti_db_cut(const char *text, apr_size_t max, apr_pool_t *p);

/** A column of the row, copied; NULL for SQL NULL. */
const char *lti_db_text_copy(const lti_db_rows_t *rows, int column, apr_pool_t *p);

/** Removes what is past in the tables of who may: ended sessions, deployments nobody decided about, nodes, launches of LTI 1.1. */
apr_status_t lti_db_purge_admission(lti_db_t *db, apr_time_t now, apr_pool_t *ptemp, lti_err_t *err);

/** The numbers of the events that a transaction writes. */
typedef struct lti_db_numbering_t {
    apr_int64_t last; /* given */
    int written;
} lti_db_numbering_t;

/* For a transaction that applies a run: begin() locks the counter until its end, so that the order of numbers is the order of commits; staged() and missing() go
 * before what they look at is changed in lti_member. */
apr_status_t lti_db_events_begin(lti_db_numbering_t *numbering, lti_db_t *db, apr_pool_t *ptemp, lti_err_t *err);
apr_status_t lti_db_events_staged(lti_db_numbering_t *numbering, lti_db_t *db, const lti_apply_t *apply, apr_pool_t *ptemp,
                                  lti_err_t *err);
apr_status_t lti_db_events_missing(lti_db_numbering_t *numbering, lti_db_t *db, const lti_apply_t *apply, apr_pool_t *ptemp,
                                   lti_err_t *err);
apr_status_t lti_db_events_end(const lti_db_numbering_t *numbering, lti_db_t *db, apr_pool_t *ptemp, lti_err_t *err);

/** Removes events that happened before `before`, and says so in the row 'event_floor' first. */
apr_status_t lti_db_purge_events(lti_db_t *db, apr_time_t before, apr_pool_t *ptemp, lti_err_t *err);

/** Removes pauses and tokens that are past. */
apr_status_t lti_db_purge_pace(lti_db_t *db, apr_time_t now, apr_pool_t *ptemp, lti_err_t *err);

/** Removes runs that are long past, and those that nobody will end. */
apr_status_t lti_db_purge_runs(lti_db_t *db, apr_time_t now, apr_pool_t *ptemp, lti_err_t *err);

/** A reason as it can be stored: short enough, and UTF-8. */
const char *lti_db_presentable(const char *text, apr_pool_t *p);

/** Removes the staged rows of a run, in transactions of bounded size. */
apr_status_t lti_db_unstage(lti_db_t *db, const char *run_id, apr_pool_t *ptemp, lti_err_t *err);

/** Members as columns of a SELECT, and back from a row; texts as lti_db_text() gives them. */
#define LTI_DB_MEMBER_COLUMNS \
    "user_id, name, given_name, family_name, email, sourcedid, roles, status, joined_at, status_at, role_at, " \
    "section_names, group_names"
#define LTI_DB_MEMBER_WIDTH 13
void lti_db_member_from_row(lti_member_t *member, const lti_db_rows_t *rows);

/** A course as columns of a SELECT from lti_context c and lti_sync s, and back from a row, copied. */
#define LTI_DB_COURSE_COLUMNS                                                                                                     \
    "c.course_key, c.platform, c.issuer, c.client_id, c.deployment_id, c.context_id, c.label, c.title, c.type, c.nrps_url, "      \
    "c.launched_at, s.version, s.state, s.succeeded_at, s.stale_at, s.due_at, s.active, s.failures, s.error_name, s.error_text, " \
    "s.change_no, c.groups_url, c.used_at"
#define LTI_DB_COURSE_CHANGE_NO 20
#define LTI_DB_COURSE_WIDTH 23
void lti_db_course_from_row(lti_course_t *course, const lti_db_rows_t *rows, apr_pool_t *p);

#define LTI_DB_DIGEST_TEXT (2 * LTI_DIGEST_SIZE + 1)
void lti_db_digest_text(char text[LTI_DB_DIGEST_TEXT], const unsigned char digest[LTI_DIGEST_SIZE]);
/** APR_EINVAL if `text` (may be NULL) is no digest; then it is all zero. */
apr_status_t lti_db_digest_parse(unsigned char digest[LTI_DIGEST_SIZE], const char *text);

/* Within the transaction that applies a run. */
apr_status_t lti_db_differences_write(lti_db_t *db, const char *course_key, const lti_differences_t *differences, apr_pool_t *ptemp,
                                      lti_err_t *err);

/* The same: whom it holds, from now on nobody else; NULL: nobody. At most LTI_DB_HELD_MAX are kept. */
apr_status_t lti_db_held_write(lti_db_t *db, const char *course_key, const apr_array_header_t *people, apr_pool_t *ptemp,
                               lti_err_t *err);

/** Many members were written at once: PostgreSQL plans with what it knows of a table's contents, and would learn of them a minute later. Outside of transactions. */
void lti_db_analyze(lti_db_t *db, apr_pool_t *ptemp);

#endif
