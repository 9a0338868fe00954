/* SPDX-License-Identifier: Apache-2.0 */
/* How platforms were configured when the engine looked last: what was mended is tried at once. */
#include "lti_db.h"
#include "lti_db_statement.h"

#include <string.h>
#include <apr_strings.h>

#define HALF 16 /* characters of a digest */

/** A configuration, and what it made due. */
typedef struct configured_t {
    const char *platform, *ways, *names;
    apr_time_t now;
    int due;
} configured_t;

static apr_status_t make_due(configured_t *configured, lti_db_t *db, const char *before, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char failing[] =
        "UPDATE lti_sync SET due_at = %lld WHERE failures > 0 AND due_at > %lld AND state <> 0 AND course_key IN "
        "(SELECT course_key FROM lti_context WHERE platform = %s)";
    static const char all[] = "UPDATE lti_sync SET due_at = %lld WHERE due_at > %lld AND state <> 0 AND course_key IN "
                              "(SELECT course_key FROM lti_context WHERE platform = %s)";
    const char *sql = strcmp(before + HALF, configured->names) != 0  ? all
                      : strncmp(before, configured->ways, HALF) != 0 ? failing
                                                                     : NULL;

    if (sql == NULL)
        return APR_SUCCESS;
    return lti_db_run(&configured->due, db, sql, LTI_DB_ARGS(&configured->now, &configured->now, configured->platform), ptemp, err);
}

static apr_status_t take_note(lti_db_t *db, void *baton, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char read[] = "SELECT configured FROM lti_platform WHERE platform = %s {for_update}";
    static const char write[] =
        "INSERT INTO lti_platform (platform, configured) VALUES (%s, %s) {upsert platform} configured = {new configured}";
    configured_t *configured = baton;
    const char *text = apr_pstrcat(ptemp, configured->ways, configured->names, NULL), *before;
    lti_db_rows_t rows;
    apr_status_t rv = lti_db_select_one(&rows, db, read, LTI_DB_ARGS(configured->platform), ptemp, err);

    configured->due = 0;
    if (rv != APR_SUCCESS && rv != APR_NOTFOUND)
        return rv;
    before = rv == APR_SUCCESS ? lti_db_text_copy(&rows, 0, ptemp) : NULL;
    rv = lti_db_run(NULL, db, write, LTI_DB_ARGS(configured->platform, text), ptemp, err);
    /* One that is new has no course, or one from before this was noted. */
    return rv == APR_SUCCESS && before != NULL && strlen(before) == strlen(text) ? make_due(configured, db, before, ptemp, err)
                                                                                 : rv;
}

apr_status_t lti_db_platform_configured(int *due, lti_db_t *db, const char *platform, const char *ways, const char *names,
                                        apr_time_t now, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char read[] = "SELECT configured FROM lti_platform WHERE platform = %s";
    configured_t configured = {platform, ways, names, now, 0};
    lti_db_rows_t rows;
    apr_status_t rv = lti_db_select_one(&rows, db, read, LTI_DB_ARGS(platform), ptemp, err);
    const char *before;

    *due = 0;
    if (rv != APR_SUCCESS && rv != APR_NOTFOUND)
        return rv;
    before = rv == APR_SUCCESS ? lti_db_text(&rows, 0) : NULL;
    if (before != NULL && strcmp(before, apr_pstrcat(ptemp, ways, names, NULL)) == 0)
        return APR_SUCCESS;
    rv = lti_db_transaction(db, take_note, &configured, ptemp, err);
    *due = configured.due;
    return rv;
}
