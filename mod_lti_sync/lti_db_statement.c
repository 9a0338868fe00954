/* SPDX-License-Identifier: Apache-2.0 */
/* Statements of the room lti_db: prepared at first use, kept with the connection, prepared again when a driver lost them;
 * transactions as text. */
#include "lti_db_statement.h"
#include "lti_db_template.h"

#include <apr_hash.h>
#include <apr_strings.h>
#include <string.h>

#define BUSY_PATIENCE apr_time_from_sec(5)
#define RECOVERIES 2 /* more than one, since another node may be in the midst of changing the tables */

enum { SQLITE = LTI_DB_SQLITE, PGSQL = LTI_DB_PGSQL, MYSQL = LTI_DB_MYSQL, KINDS = LTI_DB_KINDS };

/* What the drivers return: SQLite's result codes, the numbers of the MariaDB and MySQL servers and client libraries. */
enum {
    SQLITE_IS_BUSY = 5,
    SQLITE_IS_LOCKED = 6,
    SQLITE_MAY_NOT_WRITE = 8,
    SQLITE_IO_FAULT = 10,
    SQLITE_FILE_DAMAGED = 11,
    SQLITE_CANNOT_OPEN = 14,
    SQLITE_NO_DATABASE = 26,
    SQLITE_SCHEMA_CHANGED = 17,
    SQLITE_HAS_ROW = 100, /* what a PRAGMA that was obeyed returns */
    SQLITE_IS_DONE = 101,
    MYSQL_CHANGED_SINCE_READ = 1020,
    MYSQL_DUPLICATE_COLUMN = 1060,
    MYSQL_DUPLICATE_INDEX = 1061,
    MYSQL_LOCK_TIMEOUT = 1205,
    MYSQL_DEADLOCK = 1213,
    MYSQL_UNKNOWN_STATEMENT = 1243,
    MYSQL_SERVER_GONE = 2006,
    MYSQL_SERVER_LOST = 2013,
    MYSQL_NOT_PREPARED = 2030,
    MYSQL_SERVER_LOST_EXTENDED = 2055,
    MYSQL_IDLE_TOO_LONG = 4031
};

/** Where the kinds differ in what is sent. */
typedef struct dialect_t {
    const char *driver;
    const char *session[3]; /* sent first, for each use of a connection; up to a NULL */
    const char *begin;
    const char *begin_reading;
    const char *lock_schema; /* NULL: a writing transaction excludes all others anyway */
    const char *unlock_schema;
    const char *analyze; /* NULL: it finds out by itself, and soon */
    int random;          /* the driver's access mode: only this one reports a failing SELECT and gives the rows in turn */
} dialect_t;

static const dialect_t dialects[KINDS] = {
    [SQLITE] =
        {.driver = "sqlite3",
         /* Two processes that write at the same instant: the driver alone would sleep for 100 ms, whoever is in its way for 0.1 ms. SQLite's own waiting
                 * begins with 1 ms, but goes on inside the driver's one mutex: so it is kept short, and a long transaction elsewhere is left to the driver. */
         .session = {"PRAGMA synchronous=NORMAL", "PRAGMA busy_timeout=10"},
         .begin = "BEGIN IMMEDIATE",
         .begin_reading = "BEGIN",
         .random = 0},
    [PGSQL] = {.driver = "pgsql",
               .begin = "BEGIN ISOLATION LEVEL READ COMMITTED",
               .begin_reading = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
               /* The number is arbitrary but must never change: nodes of different releases meet here. */
               .lock_schema = "SELECT 1 FROM (SELECT pg_advisory_xact_lock(7819520131)) AS locked",
               .analyze = "ANALYZE lti_member, lti_event",
               .random = 1},
    [MYSQL] = {.driver = "mysql",
               .session = {"SET NAMES utf8mb4 COLLATE utf8mb4_nopad_bin"},
               .begin = "START TRANSACTION",
               .begin_reading = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
               .lock_schema = "SELECT GET_LOCK(CONCAT('lti_schema ', CRC32(DATABASE())), 30)",
               .unlock_schema = "SELECT RELEASE_LOCK(CONCAT('lti_schema ', CRC32(DATABASE())))",
               .random = 0},
};

/** A statement of this connection. */
typedef struct statement_t {
    const char *sql;  /* the template's address */
    const char *text; /* for this dialect */
    int parameters;
    apr_dbd_prepared_t *prepared; /* NULL: not yet, or lost */
} statement_t;

struct lti_db_t {
    const apr_dbd_driver_t *driver;
    apr_dbd_t *handle;
    apr_pool_t *pool;
    int kind;
    const dialect_t *dialect;
    apr_hash_t *statements; /* template's address -> statement_t */
    int session_ready;
    int in_transaction;
    int spoilt; /* the file was not as it has to be: whoever mends it mends it for connections that are made afterwards */
    int (*stopping)(void *baton); /* NULL: nobody is in a hurry */
    void *stopping_baton;
};

apr_status_t lti_db_wrap(lti_db_t **db, const apr_dbd_driver_t *driver, apr_dbd_t *handle, apr_pool_t *pool, lti_err_t *err)
{
    static const char key[] = "lti_db";
    const char *name = apr_dbd_name(driver);
    lti_db_t *made;
    void *known = NULL;
    int kind;

    apr_pool_userdata_get(&known, key, pool);
    if (known != NULL) {
        *db = known;
        /* MariaDB's client reconnects without a word and forgets the session's settings: say them again for each use. */
        if ((*db)->kind == MYSQL)
            (*db)->session_ready = 0;
        return APR_SUCCESS;
    }
    for (kind = 0; kind < KINDS; kind++) {
        if (strcmp(dialects[kind].driver, name) == 0)
            break;
    }
    if (kind == KINDS)
        return lti_fail(err, LTI_E_CONFIG, APR_ENOTIMPL, "DBDriver %s is not one of sqlite3, pgsql, mysql", name);
    made = apr_pcalloc(pool, sizeof(*made));
    made->driver = driver;
    made->handle = handle;
    made->pool = pool;
    made->kind = kind;
    made->dialect = &dialects[kind];
    made->statements = apr_hash_make(pool);
    apr_pool_userdata_set(made, key, NULL, pool);
    *db = made;
    return APR_SUCCESS;
}

void lti_db_hurry(lti_db_t *db, int (*stopping)(void *baton), void *baton)
{
    db->stopping = stopping;
    db->stopping_baton = baton;
}

/* --- what a driver's answer means ---------------------------------------------------------------------------- */

static const char *driver_text(lti_db_t *db, int rc)
{
    const char *text = apr_dbd_error(db->driver, db->handle, rc);

    return text ? text : "";
}

/* Somebody else holds what we need; trying again helps. SQLite's driver turns a SELECT's BUSY into a plain error, and
 * PostgreSQL's knows no numbers at all: there the text has to tell. */
static int is_busy(lti_db_t *db, int rc)
{
    const char *text = driver_text(db, rc);

    switch (db->kind) {
    case SQLITE:
        return rc == SQLITE_IS_BUSY || rc == SQLITE_IS_LOCKED || (rc == 1 && strstr(text, " is locked") != NULL);
    case MYSQL:
        return rc == MYSQL_LOCK_TIMEOUT || rc == MYSQL_DEADLOCK || rc == MYSQL_CHANGED_SINCE_READ;
    default:
        return strstr(text, "deadlock detected") != NULL || strstr(text, "could not serialize access") != NULL ||
               strstr(text, "lock timeout") != NULL;
    }
}

/*
 * The statement or the connection is gone, and sending it once more can help. Inside a transaction only a lost *statement* may
 * be prepared again: a connection that was made anew knows nothing of the transaction, and what follows would be committed piece
 * by piece.
 */
static int is_lost(lti_db_t *db, int rc)
{
    const char *text = driver_text(db, rc);

    switch (db->kind) {
    case SQLITE:
        /* The driver's way of preparing hides the reason behind a plain error, and has often forgotten it by then. */
        return rc == SQLITE_SCHEMA_CHANGED ||
               (rc == 1 && (strcmp(text, "not an error") == 0 || strstr(text, "schema has changed") != NULL));
    case MYSQL:
        if (rc == MYSQL_NOT_PREPARED || rc == MYSQL_UNKNOWN_STATEMENT)
            return 1;
        return !db->in_transaction && (rc == MYSQL_SERVER_GONE || rc == MYSQL_SERVER_LOST || rc == MYSQL_SERVER_LOST_EXTENDED ||
                                       rc == MYSQL_IDLE_TOO_LONG);
    default:
        /* The driver has one number for everything, and its texts are in the server's language. */
        return !db->in_transaction;
    }
}

static int is_fine(lti_db_t *db, int rc)
{
    return rc == 0 || (db->kind == SQLITE && (rc == SQLITE_HAS_ROW || rc == SQLITE_IS_DONE));
}

/* A file that was read-only or no database when SQLite opened it stays so for this connection. The driver gives 1 for what a SELECT met. */
static int is_of_the_file(const lti_db_t *db, int rc, const char *text)
{
    static const char *const texts[] = {"readonly", "not a database", "malformed", "unable to open", "disk I/O"};
    size_t i;

    if (db->kind != SQLITE)
        return 0;
    for (i = 0; rc == 1 && i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (strstr(text, texts[i]) != NULL)
            return 1;
    }
    return rc == SQLITE_MAY_NOT_WRITE || rc == SQLITE_IO_FAULT || rc == SQLITE_FILE_DAMAGED || rc == SQLITE_CANNOT_OPEN ||
           rc == SQLITE_NO_DATABASE;
}

static apr_status_t fail_with_driver(lti_db_t *db, int rc, lti_err_t *err)
{
    const char *text = driver_text(db, rc);
    int length = (int)strcspn(text, "\r\n");

    db->spoilt |= is_of_the_file(db, rc, text);
    if (is_busy(db, rc))
        return lti_fail(err, LTI_E_STORE_BUSY, APR_EAGAIN, "%s: %.*s (%d)", db->dialect->driver, length, text, rc);
    return lti_fail(err, LTI_E_STORE, APR_EGENERAL, "%s: %.*s (%d)", db->dialect->driver, length, text, rc);
}

/* Is a busy database worth another try? */
static int may_wait(const lti_db_t *db, apr_time_t deadline)
{
    return apr_time_now() <= deadline && (db->stopping == NULL || !db->stopping(db->stopping_baton));
}

/* Between two tries at a busy database; not the same time for everybody, so that two do not stay in step. */
static void pause_a_little(void)
{
    apr_sleep(apr_time_from_msec(5) + apr_time_now() % apr_time_from_msec(20));
}

/* --- statements ---------------------------------------------------------------------------------------------- */

static int prepare_session(lti_db_t *db)
{
    int i, rc, affected;

    if (db->session_ready)
        return 0;
    for (i = 0; db->dialect->session[i] != NULL; i++) {
        rc = apr_dbd_query(db->driver, db->handle, &affected, db->dialect->session[i]);
        if (!is_fine(db, rc))
            return rc;
    }
    db->session_ready = 1;
    return 0;
}

static apr_status_t find_statement(statement_t **found, lti_db_t *db, const char *sql, int arguments, lti_err_t *err)
{
    statement_t *statement = apr_hash_get(db->statements, &sql, sizeof(sql));

    if (statement == NULL) {
        statement = apr_pcalloc(db->pool, sizeof(*statement));
        statement->sql = sql;
        statement->text = lti_db_expand(db->kind, sql, db->pool);
        if (statement->text == NULL)
            return lti_fail(err, LTI_E_INTERNAL, APR_EINVAL, "malformed template: %s", sql);
        statement->parameters = lti_db_count_parameters(statement->text);
        apr_hash_set(db->statements, &statement->sql, sizeof(statement->sql), statement);
    }
    if (statement->parameters != arguments)
        return lti_fail(err, LTI_E_INTERNAL, APR_EINVAL, "%d values for %d parameters: %s", arguments, statement->parameters, sql);
    *found = statement;
    return APR_SUCCESS;
}

/* Sends it once. With `rows` it is a SELECT. No label: a statement that PostgreSQL's driver names on the server is gone after a
 * reconnect. */
static int send_once(lti_db_t *db, statement_t *statement, const void **values, lti_db_rows_t *rows, int *affected,
                     apr_pool_t *ptemp)
{
    int rc = prepare_session(db);

    if (rc == 0 && statement->prepared == NULL) {
        apr_dbd_prepared_t *prepared = NULL;

        rc = apr_dbd_prepare(db->driver, db->pool, db->handle, statement->text, NULL, &prepared);
        if (rc == 0)
            statement->prepared = prepared;
    }
    if (rc != 0)
        return rc;
    if (rows == NULL)
        return apr_dbd_pbquery(db->driver, ptemp, db->handle, affected, statement->prepared, values);
    rows->results = NULL;
    return apr_dbd_pbselect(db->driver, ptemp, db->handle, &rows->results, statement->prepared, db->dialect->random, values);
}

/* After a loss: the next sending prepares the statement anew, on a new connection if need be. */
static void recover(lti_db_t *db, statement_t *statement, apr_pool_t *ptemp)
{
    statement->prepared = NULL;
    /* SQLite loses no session, and would not take its setting inside a transaction. */
    if (db->kind != SQLITE)
        db->session_ready = 0;
    if (!db->in_transaction)
        apr_dbd_check_conn(db->driver, ptemp, db->handle);
}

static apr_status_t execute(lti_db_t *db, const char *sql, lti_db_args_t args, lti_db_rows_t *rows, int *affected,
                            apr_pool_t *ptemp, lti_err_t *err)
{
    apr_time_t deadline = apr_time_now() + BUSY_PATIENCE;
    statement_t *statement = NULL;
    apr_status_t rv = find_statement(&statement, db, sql, args.count, err);
    int rc, recoveries = 0;

    if (rv != APR_SUCCESS)
        return rv;
    while ((rc = send_once(db, statement, args.values, rows, affected, ptemp)) != 0) {
        if (is_busy(db, rc)) {
            if (db->in_transaction || !may_wait(db, deadline))
                break;
            pause_a_little();
        } else if (is_lost(db, rc) && recoveries++ < RECOVERIES) {
            recover(db, statement, ptemp);
        } else {
            break;
        }
    }
    return rc == 0 ? APR_SUCCESS : fail_with_driver(db, rc, err);
}

apr_status_t lti_db_run(int *affected, lti_db_t *db, const char *sql, lti_db_args_t args, apr_pool_t *ptemp, lti_err_t *err)
{
    int counted = 0;

    return execute(db, sql, args, NULL, affected ? affected : &counted, ptemp, err);
}

/* Where IF NOT EXISTS cannot be said: of indexes to MySQL, of columns to MySQL and SQLite. */
static int is_there_already(lti_db_t *db, int rc)
{
    if (db->kind == MYSQL)
        return rc == MYSQL_DUPLICATE_INDEX || rc == MYSQL_DUPLICATE_COLUMN;
    return db->kind == SQLITE && rc == 1 && strstr(driver_text(db, rc), "duplicate column name") != NULL;
}

apr_status_t lti_db_run_text(lti_db_t *db, const char *sql, apr_pool_t *ptemp, lti_err_t *err)
{
    const char *text = lti_db_expand(db->kind, sql, ptemp);
    int affected = 0, rc, recoveries = 0;

    if (text == NULL)
        return lti_fail(err, LTI_E_INTERNAL, APR_EINVAL, "malformed template: %s", sql);
    do {
        rc = prepare_session(db);
        if (rc == 0)
            rc = apr_dbd_query(db->driver, db->handle, &affected, text);
    } while (!is_fine(db, rc) && is_lost(db, rc) && recoveries++ < RECOVERIES);
    if (is_fine(db, rc) || is_there_already(db, rc))
        return APR_SUCCESS;
    return fail_with_driver(db, rc, err);
}

apr_status_t lti_db_select(lti_db_rows_t *rows, lti_db_t *db, const char *sql, lti_db_args_t args, apr_pool_t *ptemp,
                           lti_err_t *err)
{
    rows->db = db;
    rows->pool = ptemp;
    rows->results = NULL;
    rows->row = NULL;
    return execute(db, sql, args, rows, NULL, ptemp, err);
}

apr_status_t lti_db_next(lti_db_rows_t *rows, lti_err_t *err)
{
    int rc = apr_dbd_get_row(rows->db->driver, rows->pool, rows->results, &rows->row, -1);

    if (rc == 0)
        return APR_SUCCESS;
    return rc == -1 ? APR_EOF : fail_with_driver(rows->db, rc, err);
}

const char *lti_db_text(const lti_db_rows_t *rows, int column)
{
    char *text = NULL;

    /* Not get_entry: PostgreSQL's driver gives "" there for NULL. */
    if (apr_dbd_datum_get(rows->db->driver, rows->row, column, APR_DBD_TYPE_STRING, &text) != APR_SUCCESS)
        return NULL;
    return text;
}

apr_int64_t lti_db_number(const lti_db_rows_t *rows, int column)
{
    const char *text = lti_db_text(rows, column);

    return text ? apr_atoi64(text) : 0;
}

apr_status_t lti_db_select_one(lti_db_rows_t *rows, lti_db_t *db, const char *sql, lti_db_args_t args, apr_pool_t *ptemp,
                               lti_err_t *err)
{
    apr_status_t rv = lti_db_select(rows, db, sql, args, ptemp, err);

    if (rv == APR_SUCCESS)
        rv = lti_db_next(rows, err);
    return rv == APR_EOF ? APR_NOTFOUND : rv;
}

/* --- transactions -------------------------------------------------------------------------------------------- */

static void roll_back(lti_db_t *db)
{
    int affected;

    db->in_transaction = 0;
    /* Fails where the server has rolled back already, or is gone: both are as well. */
    apr_dbd_query(db->driver, db->handle, &affected, "ROLLBACK");
}

static apr_status_t begin(lti_db_t *db, const char *text, apr_pool_t *ptemp, lti_err_t *err)
{
    int affected, rc = prepare_session(db);

    if (rc == 0)
        rc = apr_dbd_query(db->driver, db->handle, &affected, text);
    if (rc != 0 && !is_busy(db, rc)) {
        /* A dead connection, or one that its last user gave back inside a transaction. */
        roll_back(db);
        db->session_ready = 0;
        apr_dbd_check_conn(db->driver, ptemp, db->handle);
        rc = prepare_session(db);
        if (rc == 0)
            rc = apr_dbd_query(db->driver, db->handle, &affected, text);
    }
    if (rc != 0)
        return fail_with_driver(db, rc, err);
    db->in_transaction = 1;
    return APR_SUCCESS;
}

static apr_status_t commit(lti_db_t *db, lti_err_t *err)
{
    int affected, rc = apr_dbd_query(db->driver, db->handle, &affected, "COMMIT");

    if (rc != 0) {
        apr_status_t rv = fail_with_driver(db, rc, err);

        roll_back(db);
        return rv;
    }
    db->in_transaction = 0;
    return APR_SUCCESS;
}

static apr_status_t try_transaction(lti_db_t *db, lti_db_work_fn *work, void *baton, apr_pool_t *ptemp, lti_err_t *err)
{
    apr_status_t rv = begin(db, db->dialect->begin, ptemp, err);

    if (rv != APR_SUCCESS)
        return rv;
    rv = work(db, baton, ptemp, err);
    if (rv == APR_SUCCESS)
        return commit(db, err);
    roll_back(db);
    return rv;
}

apr_status_t lti_db_transaction(lti_db_t *db, lti_db_work_fn *work, void *baton, apr_pool_t *ptemp, lti_err_t *err)
{
    apr_time_t deadline = apr_time_now() + BUSY_PATIENCE;
    apr_pool_t *scratch = NULL;
    lti_err_t own = {.code = LTI_OK};
    apr_status_t rv = apr_pool_create(&scratch, ptemp);

    if (rv != APR_SUCCESS)
        return lti_fail(err, LTI_E_INTERNAL, rv, "no memory for a transaction");
    for (;;) {
        own.code = LTI_OK;
        rv = try_transaction(db, work, baton, scratch, &own);
        apr_pool_clear(scratch);
        if (rv == APR_SUCCESS || own.code != LTI_E_STORE_BUSY || !may_wait(db, deadline))
            break;
        pause_a_little();
    }
    apr_pool_destroy(scratch);
    if (rv != APR_SUCCESS && own.code != LTI_OK && err != NULL)
        *err = own;
    return rv;
}

apr_status_t lti_db_begin_reading(lti_db_t *db, apr_pool_t *ptemp, lti_err_t *err)
{
    return begin(db, db->dialect->begin_reading, ptemp, err);
}

apr_status_t lti_db_end_reading(lti_db_t *db, apr_status_t rv)
{
    roll_back(db);
    return rv;
}

void lti_db_analyze(lti_db_t *db, apr_pool_t *ptemp)
{
    /* The server does it by itself later; until then reading page by page may be slow, no more. */
    if (db->dialect->analyze != NULL)
        (void)lti_db_run_text(db, db->dialect->analyze, ptemp, NULL);
}

/* --- schema -------------------------------------------------------------------------------------------------- */

/* A SELECT of the dialect's record, by its text; `*value` receives the first column of its first row. */
static apr_status_t ask(char **value, lti_db_t *db, const char *text, apr_pool_t *ptemp, lti_err_t *err)
{
    lti_db_rows_t rows = {.db = db, .pool = ptemp};
    const char *first;
    apr_status_t rv;
    int rc = apr_dbd_select(db->driver, ptemp, db->handle, &rows.results, text, db->dialect->random);

    if (rc != 0)
        return fail_with_driver(db, rc, err);
    rv = lti_db_next(&rows, err);
    if (rv != APR_SUCCESS)
        return rv == APR_EOF ? lti_fail(err, LTI_E_STORE, APR_EGENERAL, "no answer to: %s", text) : rv;
    first = lti_db_text(&rows, 0);
    *value = apr_pstrdup(ptemp, first ? first : "");
    while ((rv = lti_db_next(&rows, err)) == APR_SUCCESS)
        ;
    return rv == APR_EOF ? APR_SUCCESS : rv;
}

apr_dbd_t *lti_db_reopen(lti_db_t *db, apr_pool_t *ptemp)
{
    lti_db_rows_t rows = {.db = db, .pool = ptemp};
    const char *path = NULL;
    apr_dbd_t *fresh = NULL;

    if (!db->spoilt || db->in_transaction ||
        apr_dbd_select(db->driver, ptemp, db->handle, &rows.results, "PRAGMA database_list", 0) != 0)
        return NULL;
    while (lti_db_next(&rows, NULL) == APR_SUCCESS) {
        if (path == NULL && lti_db_text(&rows, 2) != NULL)
            path = apr_pstrdup(ptemp, lti_db_text(&rows, 2));
    }
    if (path == NULL || *path == '\0' || apr_dbd_open_ex(db->driver, db->pool, path, &fresh, NULL) != APR_SUCCESS)
        return NULL;
    apr_dbd_close(db->driver, db->handle);
    db->handle = fresh;
    apr_hash_clear(db->statements);
    db->session_ready = 0;
    db->spoilt = 0;
    return fresh;
}

apr_status_t lti_db_write_ahead(lti_db_t *db, apr_pool_t *ptemp, lti_err_t *err)
{
    apr_time_t deadline = apr_time_now() + BUSY_PATIENCE;
    lti_err_t own = {.code = LTI_OK};
    char *mode = NULL;
    apr_status_t rv;

    if (db->kind != SQLITE)
        return APR_SUCCESS;
    /* The answer is the mode in force: a file system without shared memory keeps the old one, which is slower but right. */
    while ((rv = ask(&mode, db, "PRAGMA journal_mode=WAL", ptemp, &own)) != APR_SUCCESS) {
        if (own.code != LTI_E_STORE_BUSY || !may_wait(db, deadline)) {
            if (err != NULL)
                *err = own;
            return rv;
        }
        pause_a_little();
    }
    return APR_SUCCESS;
}

apr_status_t lti_db_lock_schema(lti_db_t *db, apr_pool_t *ptemp, lti_err_t *err)
{
    char *answer = NULL;
    apr_status_t rv;

    if (db->dialect->lock_schema == NULL)
        return APR_SUCCESS;
    rv = ask(&answer, db, db->dialect->lock_schema, ptemp, err);
    if (rv != APR_SUCCESS)
        return rv;
    if (strcmp(answer, "1") != 0)
        return lti_fail(err, LTI_E_STORE_BUSY, APR_EAGAIN, "another node is changing the tables for too long");
    return APR_SUCCESS;
}

void lti_db_unlock_schema(lti_db_t *db, apr_pool_t *ptemp)
{
    char *answer = NULL;

    /* If it fails the connection is gone, and the lock with it. */
    if (db->dialect->unlock_schema != NULL)
        (void)ask(&answer, db, db->dialect->unlock_schema, ptemp, NULL);
}
