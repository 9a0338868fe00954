/* SPDX-License-Identifier: Apache-2.0 */
/* Who may read which course's roster. */
#include "mod_lti_feed_parts.h"

#include <string.h>
#include <apr_strings.h>

#include "lti_db.h"
#include "mod_lti_config.h"
#include "mod_lti_feed.h"
#include "mod_lti_form.h"
#include "mod_lti_identity.h"
#include "mod_lti_store.h"

static apr_status_t read_limit(int *limit, const char *text, lti_err_t *err)
{
    apr_size_t digits = strspn(text, "0123456789");
    apr_int64_t number = apr_atoi64(text);

    if (digits == 0 || digits > 9 || text[digits] != '\0' || number < 1)
        return lti_fail(err, LTI_E_PARAMETER_INVALID, APR_EINVAL, "limit must be a number from 1 to %d", MOD_LTI_FEED_LIMIT_MAX);
    *limit = number > MOD_LTI_FEED_LIMIT_MAX ? MOD_LTI_FEED_LIMIT_MAX : (int)number;
    return APR_SUCCESS;
}

/* .../roster/KEY says the same as .../roster?course=KEY. */
static apr_status_t read_path(mod_lti_feed_query_t *query, request_rec *r, lti_err_t *err)
{
    const char *end_point = mod_lti_identity_end_point(r);

    if (end_point == NULL || strncmp(end_point, MOD_LTI_FEED_ROSTER_OF, sizeof(MOD_LTI_FEED_ROSTER_OF) - 1) != 0)
        return APR_SUCCESS;
    if (query->course != NULL || query->context != NULL)
        return lti_fail(err, LTI_E_PARAMETER_INVALID, APR_EINVAL, "the course is named by the path: leave course and context out");
    query->course = end_point + sizeof(MOD_LTI_FEED_ROSTER_OF) - 1;
    query->in_path = 1;
    return APR_SUCCESS;
}

apr_status_t mod_lti_feed_read_query(mod_lti_feed_query_t *query, request_rec *r, lti_err_t *err)
{
    const char *limit;
    mod_lti_form_t *form;
    apr_status_t rv = mod_lti_form_query(&form, r, err);

    memset(query, 0, sizeof(*query));
    if (rv != APR_SUCCESS)
        return rv;
    query->course = mod_lti_form_get(form, "course", &rv, err);
    query->context = mod_lti_form_get(form, "context", &rv, err);
    query->role = mod_lti_form_get(form, "role", &rv, err);
    query->after = mod_lti_form_get(form, "after", &rv, err);
    query->since = mod_lti_form_get(form, "since", &rv, err);
    limit = mod_lti_form_get(form, "limit", &rv, err);
    if (rv == APR_SUCCESS)
        rv = read_path(query, r, err);
    if (rv != APR_SUCCESS)
        return rv;
    if (query->after != NULL && strlen(query->after) > LTI_ID_MAX)
        return lti_fail(err, LTI_E_PARAMETER_INVALID, APR_EINVAL, "after is longer than %d bytes", LTI_ID_MAX);
    if (query->role != NULL &&
        (*query->role == '\0' || strlen(query->role) > LTI_ROLE_TEXT_MAX || strchr(query->role, ' ') != NULL))
        return lti_fail(err, LTI_E_PARAMETER_INVALID, APR_EINVAL,
                        "role must be one role: its URI, or the short name of a course role");
    return limit != NULL ? read_limit(&query->limit, limit, err) : APR_SUCCESS;
}

/* The launch behind a session whose person may read the roster of its course. */
static apr_status_t check_session(const lti_launch_t **launch, request_rec *r, lti_err_t *err)
{
    const mod_lti_identity_t *identity = mod_lti_identity_of(r);

    *launch = NULL;
    if (identity->standing != MOD_LTI_PRESENT) {
        *err = identity->err;
        return err->status != APR_SUCCESS ? err->status : APR_EACCES;
    }
    if (identity->role < LTI_ROLE_INSTRUCTOR)
        return lti_fail(err, LTI_E_ROLE_REQUIRED, APR_EACCES, "the role of this person is %s", lti_role_word(identity->role));
    if (identity->session->launch.course_key == NULL)
        return lti_fail(err, LTI_E_COURSE_UNKNOWN, APR_NOTFOUND, "the session belongs to no course");
    *launch = &identity->session->launch;
    return APR_SUCCESS;
}

/* Own course only: naming it is fine, naming another is not. */
static apr_status_t find_own(const char **key, request_rec *r, const mod_lti_feed_query_t *query, lti_err_t *err)
{
    const lti_launch_t *launch;
    apr_status_t rv = check_session(&launch, r, err);

    if (rv != APR_SUCCESS)
        return rv;
    if ((query->course != NULL && strcmp(query->course, launch->course_key) != 0) ||
        (query->context != NULL && (launch->context_id == NULL || strcmp(query->context, launch->context_id) != 0)))
        return lti_fail(err, LTI_E_ROLE_REQUIRED, APR_EACCES, "a session of course %s asks for another course", launch->course_key);
    *key = launch->course_key;
    return APR_SUCCESS;
}

apr_status_t mod_lti_feed_own_course(const char **key, request_rec *r, lti_err_t *err)
{
    const lti_launch_t *launch;
    apr_status_t rv;

    *key = NULL;
    if (mod_lti_config_of_dir(r)->roster_access_all == 1)
        return APR_SUCCESS;
    rv = check_session(&launch, r, err);
    if (rv == APR_SUCCESS)
        *key = launch->course_key;
    return rv;
}

/* A course of a platform that this virtual host does not have is none of its business. */
static apr_status_t read_course(lti_course_t **course, lti_db_t *db, const lti_server_config_t *conf, const char *key,
                                apr_pool_t *p, lti_err_t *err)
{
    apr_status_t rv = lti_db_course_read(course, db, key, p, err);

    if (rv == APR_SUCCESS && lti_platform_by_name(conf->platforms, (*course)->platform) == NULL)
        rv = APR_NOTFOUND;
    if (rv == APR_NOTFOUND)
        return lti_fail(err, LTI_E_COURSE_UNKNOWN, rv, "no launch of the course %.64s was seen", key);
    return rv;
}

static apr_status_t read_by_context(lti_course_t **course, lti_db_t *db, const lti_server_config_t *conf, const char *context,
                                    apr_pool_t *p, lti_err_t *err)
{
    apr_array_header_t *keys;
    lti_course_t *found;
    apr_status_t rv = lti_db_courses_by_context(&keys, db, context, p, err);
    int i, count = 0;

    /* Two are too many; but any number may be of platforms that other virtual hosts have. */
    for (i = 0; rv == APR_SUCCESS && i < keys->nelts && count < 2; i++) {
        rv = read_course(&found, db, conf, APR_ARRAY_IDX(keys, i, const char *), p, err);
        if (rv == APR_NOTFOUND) {
            rv = APR_SUCCESS;
        } else if (rv == APR_SUCCESS) {
            *course = found;
            count++;
        }
    }
    if (rv != APR_SUCCESS)
        return rv;
    if (count == 0)
        return lti_fail(err, LTI_E_COURSE_UNKNOWN, APR_NOTFOUND, "no launch of a course with the context id %.64s was seen",
                        context);
    if (count > 1)
        return lti_fail(err, LTI_E_COURSE_AMBIGUOUS, APR_EINVAL, "the context id %.64s belongs to several courses", context);
    return APR_SUCCESS;
}

apr_status_t mod_lti_feed_course(lti_course_t **course, request_rec *r, const mod_lti_feed_query_t *query, lti_err_t *err)
{
    const lti_server_config_t *conf = mod_lti_config_of(r->server);
    const char *key = query->course;
    mod_lti_store_t store;
    apr_status_t rv = APR_SUCCESS;

    *course = NULL;
    if (mod_lti_config_of_dir(r)->roster_access_all != 1)
        rv = find_own(&key, r, query, err);
    else if (key == NULL && query->context == NULL)
        rv = find_own(&key, r, query, err) == APR_SUCCESS
                 ? APR_SUCCESS
                 : lti_fail(err, LTI_E_PARAMETER_MISSING, APR_EINVAL, "say which course: course=KEY or context=ID");
    if (rv != APR_SUCCESS)
        return rv;
    rv = mod_lti_store_open(&store, conf->db_server, r->pool, err);
    if (rv != APR_SUCCESS)
        return rv;
    rv = key != NULL ? read_course(course, store.db, conf, key, r->pool, err)
                     : read_by_context(course, store.db, conf, query->context, r->pool, err);
    /* A note that cannot be written is no reason to answer nothing: the roster is there. */
    if (rv == APR_SUCCESS)
        (void)lti_db_course_used(store.db, (*course)->key, (*course)->used_at, mod_lti_store_now(), r->pool, NULL);
    mod_lti_store_close(&store);
    return rv;
}
