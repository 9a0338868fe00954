/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of a platform: its last launch, whether it gives tokens and for what, how far its clock is off. */
#include "lti_db.h"
#include "lti_db_statement.h"

#include <apr_strings.h>
#include <apr_tables.h>
#include <string.h>

#define WRITE_STEP apr_time_from_sec(600)
#define CLOCK_STEP apr_time_from_sec(1)
#define SCOPES_MAX 4096 /* of what a platform says that it granted */

#define COLUMNS "platform, launched_at, token_at, scopes, error_at, error_name, error_text, clock_offset, clock_at"

static lti_db_platform_t from_row(const lti_db_rows_t *rows, apr_pool_t *p)
{
    return (lti_db_platform_t){
        .platform = lti_db_text_copy(rows, 0, p),
        .launched_at = lti_db_number(rows, 1),
        .token_at = lti_db_number(rows, 2),
        .scopes = lti_db_text_copy(rows, 3, p),
        .error_at = lti_db_number(rows, 4),
        .error_name = lti_db_text_copy(rows, 5, p),
        .error_text = lti_db_text_copy(rows, 6, p),
        .clock_offset = lti_db_number(rows, 7),
        .clock_at = lti_db_number(rows, 8),
    };
}

apr_status_t lti_db_platform_read(lti_db_platform_t *facts, lti_db_t *db, const char *platform, apr_pool_t *p, lti_err_t *err)
{
    static const char sql[] = "SELECT " COLUMNS " FROM lti_platform WHERE platform = %s";
    lti_db_rows_t rows;
    apr_status_t rv = lti_db_select_one(&rows, db, sql, LTI_DB_ARGS(platform), p, err);

    *facts = (lti_db_platform_t){.platform = platform};
    if (rv == APR_SUCCESS)
        *facts = from_row(&rows, p);
    return rv == APR_NOTFOUND ? APR_SUCCESS : rv;
}

apr_status_t lti_db_platforms_each(lti_db_t *db, lti_db_platform_fn *fn, void *baton, apr_pool_t *p, lti_err_t *err)
{
    static const char sql[] = "SELECT " COLUMNS " FROM lti_platform ORDER BY platform";
    lti_db_rows_t rows;
    apr_status_t rv = lti_db_select(&rows, db, sql, LTI_DB_NO_ARGS, p, err);

    if (rv != APR_SUCCESS)
        return rv;
    while ((rv = lti_db_next(&rows, err)) == APR_SUCCESS) {
        lti_db_platform_t facts = from_row(&rows, p);

        rv = fn(baton, &facts, err);
        if (rv != APR_SUCCESS)
            return rv;
    }
    return rv == APR_EOF ? APR_SUCCESS : rv;
}

/* --- writing -------------------------------------------------------------------------------------------------- */

static int differs(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a != b : strcmp(a, b) != 0;
}

/* A time that is ahead was written by a clock that was. */
static int is_past(apr_time_t written_at, apr_time_t now)
{
    return now - written_at > WRITE_STEP || written_at > now + WRITE_STEP;
}

static int is_listed(const apr_array_header_t *words, const char *word)
{
    int i;

    for (i = 0; i < words->nelts; i++) {
        if (strcmp(APR_ARRAY_IDX(words, i, const char *), word) == 0)
            return 1;
    }
    return 0;
}

/* Each word of `text` once, but for `without`. */
static void add_words(apr_array_header_t *words, const char *text, const char *without)
{
    while (text != NULL && *(text += strspn(text, " ")) != '\0') {
        apr_size_t length = strcspn(text, " ");
        const char *word = apr_pstrmemdup(words->pool, text, length);

        text += length;
        if ((without == NULL || strcmp(word, without) != 0) && !is_listed(words, word))
            APR_ARRAY_PUSH(words, const char *) = word;
    }
}

/* A token is asked for one scope at a time: what is granted is known from several. */
static const char *merge_scopes(const char *stored, const char *scope, const char *granted, apr_pool_t *p)
{
    apr_array_header_t *words = apr_array_make(p, 4, sizeof(const char *));
    const char *text;

    add_words(words, stored, scope);
    add_words(words, granted, NULL);
    text = apr_array_pstrcat(p, words, ' ');
    return words->nelts == 0 ? NULL : strlen(text) > SCOPES_MAX ? stored : text;
}

apr_status_t lti_db_platform_token(lti_db_t *db, const char *platform, const char *scope, const char *granted, apr_time_t now,
                                   apr_pool_t *ptemp, lti_err_t *err)
{
    static const char sql[] =
        "INSERT INTO lti_platform (platform, token_at, scopes) VALUES (%s, %lld, %s) {upsert platform} token_at = {new token_at}, "
        "scopes = {new scopes}, error_at = 0, error_name = NULL, error_text = NULL";
    lti_db_platform_t stored;
    const char *scopes;
    apr_status_t rv = lti_db_platform_read(&stored, db, platform, ptemp, err);

    if (rv != APR_SUCCESS)
        return rv;
    scopes = merge_scopes(stored.scopes, NULL, granted != NULL ? granted : scope, ptemp);
    if (stored.error_name == NULL && !differs(scopes, stored.scopes) && !is_past(stored.token_at, now))
        return APR_SUCCESS;
    return lti_db_run(NULL, db, sql, LTI_DB_ARGS(platform, &now, scopes), ptemp, err);
}

apr_status_t lti_db_platform_refused(lti_db_t *db, const char *platform, const char *scope, const char *error_name,
                                     const char *error_text, apr_time_t now, apr_pool_t *ptemp, lti_err_t *err)
{
    static const char sql[] =
        "INSERT INTO lti_platform (platform, scopes, error_at, error_name, error_text) VALUES (%s, %s, %lld, %s, %s) "
        "{upsert platform} scopes = {new scopes}, error_at = {new error_at}, error_name = {new error_name}, "
        "error_text = {new error_text}";
    const char *text = error_text != NULL ? lti_db_presentable(error_text, ptemp) : NULL, *scopes;
    apr_time_t error_at = now;
    lti_db_platform_t stored;
    apr_status_t rv = lti_db_platform_read(&stored, db, platform, ptemp, err);

    if (rv != APR_SUCCESS)
        return rv;
    scopes = scope != NULL ? merge_scopes(stored.scopes, scope, NULL, ptemp) : stored.scopes;
    if (error_name == NULL) {
        error_name = stored.error_name;
        text = stored.error_text;
        error_at = stored.error_at;
    }
    if (!differs(error_name, stored.error_name) && !differs(text, stored.error_text) && !differs(scopes, stored.scopes) &&
        (error_name == NULL || !is_past(stored.error_at, now)))
        return APR_SUCCESS;
    return lti_db_run(NULL, db, sql, LTI_DB_ARGS(platform, scopes, &error_at, error_name, text), ptemp, err);
}

apr_status_t lti_db_platform_clock(lti_db_t *db, const char *platform, apr_interval_time_t offset, apr_time_t now,
                                   apr_pool_t *ptemp, lti_err_t *err)
{
    static const char sql[] =
        "INSERT INTO lti_platform (platform, clock_offset, clock_at) VALUES (%s, %lld, %lld) {upsert platform} "
        "clock_offset = {new clock_offset}, clock_at = {new clock_at}";
    lti_db_platform_t stored;
    apr_int64_t value = offset;
    apr_status_t rv = lti_db_platform_read(&stored, db, platform, ptemp, err);

    if (rv != APR_SUCCESS)
        return rv;
    if (stored.clock_at != 0 && offset - stored.clock_offset <= CLOCK_STEP && stored.clock_offset - offset <= CLOCK_STEP &&
        !is_past(stored.clock_at, now))
        return APR_SUCCESS;
    return lti_db_run(NULL, db, sql, LTI_DB_ARGS(platform, &value, &now), ptemp, err);
}
