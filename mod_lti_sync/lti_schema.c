/* SPDX-License-Identifier: Apache-2.0 */
/* Creates and upgrades the tables of the room lti_db: a list of steps, each additive and safe to repeat. docs/database.md
 * describes the tables. */
#include "lti_db_statement.h"

/* Version 1. Sizes are in characters; what is longer is cut or refused before it comes here. Texts that can be long without a
 * limit of ours are {text}. */
static const char *const version_1[] = {
    "CREATE TABLE IF NOT EXISTS lti_context ("
    "course_key VARCHAR(16){id} NOT NULL PRIMARY KEY, "
    "platform VARCHAR(64){id} NOT NULL, "
    "issuer VARCHAR(1024){id} NOT NULL, "
    "client_id " LTI_DB_ID " NOT NULL, "
    "deployment_id " LTI_DB_ID " NOT NULL, "
    "context_id " LTI_DB_ID " NOT NULL, "
    "label VARCHAR(1024), "
    "title VARCHAR(1024), "
    "type VARCHAR(1024), "
    "nrps_url {text}, "
    "launched_at BIGINT NOT NULL){table}",
    "CREATE INDEX {unless_exists} lti_context_by_id ON lti_context (context_id)",

    "CREATE TABLE IF NOT EXISTS lti_sync ("
    "course_key VARCHAR(16){id} NOT NULL PRIMARY KEY, "
    "state SMALLINT NOT NULL, "
    "version BIGINT NOT NULL, "
    "change_no BIGINT NOT NULL, "
    "active BIGINT NOT NULL, "
    "succeeded_at BIGINT NOT NULL, "
    "stale_at BIGINT NOT NULL, "
    "due_at BIGINT NOT NULL, "
    "failures BIGINT NOT NULL, "
    "error_name VARCHAR(64), "
    "error_text VARCHAR(255), "
    "lease_owner VARCHAR(255){id}, "
    "lease_since BIGINT NOT NULL, "
    "lease_until BIGINT NOT NULL, "
    "held_digest VARCHAR(32), "
    "held_since BIGINT NOT NULL, "
    "held_missing BIGINT NOT NULL, "
    "held_accepted SMALLINT NOT NULL){table}",
    "CREATE INDEX {unless_exists} lti_sync_by_due ON lti_sync (due_at)",
    "CREATE INDEX {unless_exists} lti_sync_by_change ON lti_sync (change_no)",

    "CREATE TABLE IF NOT EXISTS lti_member ("
    "course_key VARCHAR(16){id} NOT NULL, "
    "user_id " LTI_DB_ID " NOT NULL, "
    "name VARCHAR(1024), "
    "given_name VARCHAR(1024), "
    "family_name VARCHAR(1024), "
    "email VARCHAR(1024), "
    "sourcedid VARCHAR(1024), "
    "roles {text} NOT NULL, "
    "status SMALLINT NOT NULL, "
    "joined_at BIGINT NOT NULL, "
    "status_at BIGINT NOT NULL, "
    "role_at BIGINT NOT NULL, "
    "digest VARCHAR(32) NOT NULL, "
    "PRIMARY KEY (course_key, user_id)){table}",
    "CREATE INDEX {unless_exists} lti_member_by_status ON lti_member (status, status_at)",

    "CREATE TABLE IF NOT EXISTS lti_staging ("
    "run_id VARCHAR(64){id} NOT NULL, "
    "user_id " LTI_DB_ID " NOT NULL, "
    "course_key VARCHAR(16){id} NOT NULL, "
    "name VARCHAR(1024), "
    "given_name VARCHAR(1024), "
    "family_name VARCHAR(1024), "
    "email VARCHAR(1024), "
    "sourcedid VARCHAR(1024), "
    "roles {text} NOT NULL, "
    "status SMALLINT NOT NULL, "
    "digest VARCHAR(32) NOT NULL, "
    "begun_at BIGINT NOT NULL, "
    "PRIMARY KEY (run_id, user_id)){table}",

    "CREATE TABLE IF NOT EXISTS lti_nonce ("
    "nonce_key VARCHAR(64){id} NOT NULL PRIMARY KEY, "
    "expires_at BIGINT NOT NULL){table}",
    "CREATE INDEX {unless_exists} lti_nonce_by_end ON lti_nonce (expires_at)",

    "CREATE TABLE IF NOT EXISTS lti_launch ("
    "launch_id VARCHAR(64){id} NOT NULL PRIMARY KEY, "
    "course_key VARCHAR(16){id}, "
    "user_id " LTI_DB_ID ", "
    "surplus {text} NOT NULL, "
    "expires_at BIGINT NOT NULL){table}",
    "CREATE INDEX {unless_exists} lti_launch_by_end ON lti_launch (expires_at)",
    NULL,
};

/* Version 2: who may. In lti_revocation '' stands for "whichever", since NULL cannot be in a key; the time is in the key so that an
 * INSERT by hand never meets a row of before. */
static const char *const version_2[] = {
    "CREATE TABLE IF NOT EXISTS lti_deployment ("
    "platform VARCHAR(64){id} NOT NULL, "
    "deployment_id " LTI_DB_ID " NOT NULL, "
    "status SMALLINT NOT NULL, "
    "ended_at BIGINT DEFAULT 0 NOT NULL, "
    "first_seen_at BIGINT DEFAULT 0 NOT NULL, "
    "seen_at BIGINT DEFAULT 0 NOT NULL, "
    "context_title VARCHAR(1024), "
    "PRIMARY KEY (platform, deployment_id)){table}",

    "CREATE TABLE IF NOT EXISTS lti_revocation ("
    "platform VARCHAR(64){id} NOT NULL, "
    "user_id " LTI_DB_ID " DEFAULT '' NOT NULL, "
    "course_key VARCHAR(16){id} DEFAULT '' NOT NULL, "
    "deployment_id " LTI_DB_ID " DEFAULT '' NOT NULL, "
    "ended_at BIGINT NOT NULL, "
    "expires_at BIGINT NOT NULL, "
    "PRIMARY KEY (platform, user_id, course_key, deployment_id, ended_at)){table}",
    "CREATE INDEX {unless_exists} lti_revocation_by_end ON lti_revocation (expires_at)",

    "CREATE TABLE IF NOT EXISTS lti_node ("
    "node " LTI_DB_ID " NOT NULL PRIMARY KEY, "
    "jwks {text} NOT NULL, "
    "fingerprint VARCHAR(255) NOT NULL, "
    "seen_at BIGINT NOT NULL){table}",

    "CREATE TABLE IF NOT EXISTS lti_old_launch ("
    "consumer_key " LTI_DB_ID " NOT NULL, "
    "instance " LTI_DB_ID " NOT NULL, "
    "product VARCHAR(255), "
    "context_title VARCHAR(1024), "
    "first_seen_at BIGINT NOT NULL, "
    "seen_at BIGINT NOT NULL, "
    "PRIMARY KEY (consumer_key, instance)){table}",

    "INSERT INTO lti_schema (name, value) VALUES ('admission', 0) {keep name}",
    NULL,
};

/* Version 3: the change feed. Numbers of events come from the row 'event'; what is numbered up to 'event_floor' may be purged. */
static const char *const version_3[] = {
    "CREATE TABLE IF NOT EXISTS lti_event ("
    "number {number} NOT NULL PRIMARY KEY, "
    "course_key VARCHAR(16){id} NOT NULL, "
    "user_id " LTI_DB_ID " NOT NULL, "
    "kind SMALLINT NOT NULL, "
    "status SMALLINT NOT NULL, "
    "roles {text} NOT NULL, "
    "happened_at BIGINT NOT NULL){table}",
    "CREATE INDEX {unless_exists} lti_event_by_course ON lti_event (course_key, number)",
    "INSERT INTO lti_schema (name, value) VALUES ('event', 0), ('event_floor', 0) {keep name}",
    NULL,
};

/* Version 4: what all nodes share about a platform: access tokens, and until when it asked not to be asked. */
static const char *const version_4[] = {
    "CREATE TABLE IF NOT EXISTS lti_token ("
    "token_key VARCHAR(64){id} NOT NULL PRIMARY KEY, "
    "sealed {text}, "
    "expires_at BIGINT NOT NULL, "
    "lease_owner VARCHAR(255){id}, "
    "lease_until BIGINT NOT NULL){table}",

    "CREATE TABLE IF NOT EXISTS lti_pace ("
    "platform VARCHAR(64){id} NOT NULL PRIMARY KEY, "
    "paused_until BIGINT NOT NULL, "
    "error_name VARCHAR(64), "
    "error_text VARCHAR(255)){table}",
    "ALTER TABLE lti_sync {add_column} requested_at BIGINT DEFAULT 0 NOT NULL",
    NULL,
};

/* Version 5: what became of runs. ended_at is 0 while one is under way. */
static const char *const version_5[] = {
    "CREATE TABLE IF NOT EXISTS lti_run ("
    "course_key VARCHAR(16){id} NOT NULL, "
    "run_id VARCHAR(64){id} NOT NULL, "
    "node VARCHAR(255){id} NOT NULL, "
    "started_at BIGINT NOT NULL, "
    "ended_at BIGINT NOT NULL, "
    "pages BIGINT NOT NULL, "
    "members BIGINT NOT NULL, "
    "joined BIGINT NOT NULL, "
    "changed BIGINT NOT NULL, "
    "departed BIGINT NOT NULL, "
    "returned BIGINT NOT NULL, "
    "missing BIGINT NOT NULL, "
    "error_name VARCHAR(64), "
    "error_text VARCHAR(255), "
    "repeats BIGINT NOT NULL, "
    "PRIMARY KEY (course_key, run_id)){table}",
    "CREATE INDEX {unless_exists} lti_run_by_start ON lti_run (course_key, started_at)",
    "CREATE INDEX {unless_exists} lti_run_by_end ON lti_run (ended_at)",
    "ALTER TABLE lti_context {add_column} used_at BIGINT DEFAULT 0 NOT NULL",
    NULL,
};

/* Version 6: JSON lists of texts, NULL where nothing was said; and what the groups service of a course said last, ids and names. */
static const char *const version_6[] = {
    "ALTER TABLE lti_member {add_column} section_names {text}",
    "ALTER TABLE lti_member {add_column} group_names {text}",
    "ALTER TABLE lti_staging {add_column} section_names {text}",
    "ALTER TABLE lti_staging {add_column} group_names {text}",
    "ALTER TABLE lti_context {add_column} groups_url {text}",
    "ALTER TABLE lti_context {add_column} group_list {text}",
    NULL,
};

/* Version 7: where a platform tells what changed, and when the whole list was read last. */
static const char *const version_7[] = {
    "ALTER TABLE lti_sync {add_column} differences_url {text}",
    "ALTER TABLE lti_sync {add_column} full_at BIGINT DEFAULT 0 NOT NULL",
    NULL,
};

/*
 * Version 8: what an administrator is shown. sort_name is the course's name in small letters, cut to what every database can put into an index; lti_visit has who launched, lti_held whom a
 * held run would remove.
 */
static const char *const version_8[] = {
    "CREATE TABLE IF NOT EXISTS lti_platform ("
    "platform VARCHAR(64){id} NOT NULL PRIMARY KEY, "
    "launched_at BIGINT DEFAULT 0 NOT NULL, "
    "token_at BIGINT DEFAULT 0 NOT NULL, "
    "scopes {text}, "
    "error_at BIGINT DEFAULT 0 NOT NULL, "
    "error_name VARCHAR(64), "
    "error_text VARCHAR(255), "
    "clock_offset BIGINT DEFAULT 0 NOT NULL, "
    "clock_at BIGINT DEFAULT 0 NOT NULL, "
    "configured VARCHAR(64)){table}",

    "CREATE TABLE IF NOT EXISTS lti_visit ("
    "course_key VARCHAR(16){id} NOT NULL, "
    "user_id " LTI_DB_ID " NOT NULL, "
    "first_at BIGINT NOT NULL, "
    "launched_at BIGINT NOT NULL, "
    "PRIMARY KEY (course_key, user_id)){table}",
    "CREATE INDEX {unless_exists} lti_visit_by_time ON lti_visit (launched_at)",

    "CREATE TABLE IF NOT EXISTS lti_held ("
    "course_key VARCHAR(16){id} NOT NULL, "
    "user_id " LTI_DB_ID " NOT NULL, "
    "PRIMARY KEY (course_key, user_id)){table}",

    "ALTER TABLE lti_context {add_column} sort_name VARCHAR(100){id} DEFAULT '' NOT NULL",
    "UPDATE lti_context SET sort_name = LOWER(SUBSTR(COALESCE(title, label, context_id), 1, 100)) WHERE sort_name = ''",
    "CREATE INDEX {unless_exists} lti_context_by_name ON lti_context (sort_name, course_key)",
    "CREATE INDEX {unless_exists} lti_context_by_platform ON lti_context (platform, course_key)",
    "ALTER TABLE lti_sync {add_column} suspect SMALLINT DEFAULT 0 NOT NULL",
    "CREATE INDEX {unless_exists} lti_sync_by_state ON lti_sync (state, stale_at, active)",
    "CREATE INDEX {unless_exists} lti_sync_by_failures ON lti_sync (failures, course_key)",
    "CREATE INDEX {unless_exists} lti_sync_by_success ON lti_sync (succeeded_at, course_key)",
    "CREATE INDEX {unless_exists} lti_sync_by_people ON lti_sync (active, course_key)",
    "CREATE INDEX {unless_exists} lti_sync_by_suspect ON lti_sync (suspect, course_key)",
    NULL,
};

/* The step at place n leads from version n to n + 1. A released step is never edited: what changes is one more entry. */
static const char *const *const steps[] = {
    version_1,
    version_2,
    version_3,
    version_4,
    version_5,
    version_6,
    version_7,
    version_8,
};

#define NEWEST ((apr_int64_t)(sizeof(steps) / sizeof(steps[0])))

static apr_status_t read_version(apr_int64_t *version, lti_db_t *db, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char sql[] = "SELECT value FROM lti_schema WHERE name = 'version'";
    lti_db_rows_t rows;
    apr_status_t rv = lti_db_select_one(&rows, db, sql, LTI_DB_NO_ARGS, ptemp, err);

    if (rv == APR_NOTFOUND)
        return lti_fail(err, LTI_E_STORE, APR_EGENERAL, "table lti_schema has no row 'version'");
    if (rv != APR_SUCCESS)
        return rv;
    *version = lti_db_number(&rows, 0);
    if (*version > NEWEST)
        return lti_fail(err, LTI_E_SCHEMA_NEWER, APR_EINCOMPLETE,
                        "the tables have version %" APR_INT64_T_FMT ", this release knows %" APR_INT64_T_FMT, *version, NEWEST);
    return APR_SUCCESS;
}

static apr_status_t take_step(lti_db_t *db, apr_int64_t from, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char write_version[] = "UPDATE lti_schema SET value = %lld WHERE name = 'version'";
    apr_int64_t reached = from + 1;
    const char *const *sql;

    for (sql = steps[from]; *sql != NULL; sql++) {
        apr_status_t rv = lti_db_run_text(db, *sql, ptemp, err);

        if (rv != APR_SUCCESS)
            return rv;
    }
    return lti_db_run(NULL, db, write_version, LTI_DB_ARGS(&reached), ptemp, err);
}

static apr_status_t upgrade(lti_db_t *db, apr_pool_t *ptemp, lti_err_t *err)
{
    apr_int64_t version = 0;
    apr_status_t rv = lti_db_run_text(db,
                                      "CREATE TABLE IF NOT EXISTS lti_schema ("
                                      "name VARCHAR(32){id} NOT NULL PRIMARY KEY, "
                                      "value BIGINT NOT NULL){table}",
                                      ptemp, err);

    if (rv == APR_SUCCESS)
        rv = lti_db_run_text(db, "INSERT INTO lti_schema (name, value) VALUES ('version', 0), ('change', 0) {keep name}", ptemp,
                             err);
    if (rv == APR_SUCCESS)
        rv = read_version(&version, db, ptemp, err);
    while (rv == APR_SUCCESS && version < NEWEST)
        rv = take_step(db, version++, ptemp, err);
    return rv;
}

/* MariaDB ends the transaction at each CREATE; there the lock alone keeps others away, and a step that was cut short is taken
 * again. */
static apr_status_t upgrade_alone(lti_db_t *db, void *baton, apr_pool_t *ptemp, lti_err_t *err)
{
    apr_status_t rv = lti_db_lock_schema(db, ptemp, err);

    (void)baton;
    if (rv != APR_SUCCESS)
        return rv;
    rv = upgrade(db, ptemp, err);
    lti_db_unlock_schema(db, ptemp);
    return rv;
}

apr_status_t lti_schema_ensure(lti_db_t *db, apr_pool_t *ptemp, lti_err_t *err)
{
    lti_err_t unread = {.code = LTI_OK};
    apr_int64_t version = 0;
    apr_status_t rv = lti_db_write_ahead(db, ptemp, err);

    if (rv != APR_SUCCESS)
        return rv;
    rv = read_version(&version, db, ptemp, &unread);
    if (rv == APR_SUCCESS && version == NEWEST)
        return APR_SUCCESS;
    if (unread.code == LTI_E_SCHEMA_NEWER) {
        if (err != NULL)
            *err = unread;
        return rv;
    }
    /* Not readable: most likely there are no tables yet; if it is another fault, the upgrade meets it too and tells. */
    return lti_db_transaction(db, upgrade_alone, NULL, ptemp, err);
}
