/* SPDX-License-Identifier: Apache-2.0 */
/* The Course Groups Service: its request, its answer, and the map of names. */
#include "lti_groups.h"

#include <string.h>
#include <strings.h>
#include <apr_strings.h>
#include "lti_json.h"
#include "lti_names.h"

void lti_groups_request(lti_http_request_t *request, const lti_platform_t *platform, const char *url, const char *token,
                        apr_pool_t *p)
{
    *request = (lti_http_request_t){
        .url = url,
        .accept = LTI_GROUPS_MEDIA_TYPE,
        .bearer = token,
        .max_body = LTI_GROUPS_PAGE_MAX,
        .stall_seconds = 15,
        .total_seconds = 30,
        .any_address = lti_platform_owns_host(platform, url, p),
    };
}

static apr_status_t fail_status(lti_err_t *err, lti_code_t code, long status, const char *excerpt)
{
    apr_status_t rv = lti_fail(err, code, APR_EGENERAL, "HTTP %ld%s%s", status, excerpt[0] != '\0' ? ": " : "", excerpt);

    if (err != NULL)
        err->detail = status;
    return rv;
}

apr_status_t lti_groups_check_answer(const lti_http_response_t *response, const char *excerpt, lti_err_t *err)
{
    const char *type = response->content_type;

    if (excerpt == NULL)
        excerpt = "";
    if (response->status == 401 || response->status == 403)
        return fail_status(err, LTI_E_ROSTER_FORBIDDEN, response->status, excerpt);
    if (response->status != 200)
        return fail_status(err, LTI_E_HTTP_STATUS, response->status, excerpt);
    if (strcasecmp(type, LTI_GROUPS_MEDIA_TYPE) != 0 && strcasecmp(type, "application/json") != 0)
        return fail_status(err, LTI_E_ROSTER_TYPE, response->status, type[0] != '\0' ? type : "the content type is missing");
    return APR_SUCCESS;
}

/* An id that a member can have in the roster; numbers stand for their digits there too (SPEC N-32). */
static const char *id_of(const json_t *group, apr_pool_t *p)
{
    const json_t *id = json_object_get(group, "id");

    if (json_is_integer(id))
        return apr_psprintf(p, "%" APR_INT64_T_FMT, (apr_int64_t)json_integer_value(id));
    return json_is_string(id) && json_string_length(id) > 0 && json_string_length(id) <= LTI_NAME_MAX ? json_string_value(id)
                                                                                                      : NULL;
}

/* "true" is what one platform writes. */
static int is_hidden(const json_t *value)
{
    const char *text = json_string_value(value);

    return json_is_true(value) || (text != NULL && strcasecmp(text, "true") == 0);
}

/* A name that a list of names would leave out (lti_names.h) names nothing. */
static int is_usable(const char *name)
{
    return name != NULL && name[0] != '\0' && strlen(name) <= LTI_NAME_MAX;
}

apr_status_t lti_groups_read(json_t *map, const char *body, apr_size_t size, apr_pool_t *ptemp, lti_err_t *err)
{
    const json_t *groups;
    json_t *container;
    apr_size_t i;
    apr_status_t rv = lti_json_object(&container, body, size, LTI_E_ROSTER_MALFORMED, ptemp, err);

    if (rv != APR_SUCCESS)
        return rv;
    groups = json_object_get(container, "groups");
    if (!json_is_array(groups))
        return lti_fail(err, LTI_E_ROSTER_MALFORMED, APR_EINVAL, "the page has no list of groups");
    for (i = 0; i < json_array_size(groups); i++) {
        const json_t *group = json_array_get(groups, i);
        const char *id = id_of(group, ptemp), *name = lti_json_string(group, "name");

        if (id == NULL)
            continue;
        if (json_object_size(map) == LTI_GROUPS_MAX && json_object_get(map, id) == NULL)
            return lti_fail(err, LTI_E_ROSTER_LIMIT, APR_ENOSPC, "more than %d groups in a course", LTI_GROUPS_MAX);
        if (is_hidden(json_object_get(group, "hidden")))
            json_object_set_new(map, id, json_null());
        else
            json_object_set_new(map, id, json_string(is_usable(name) ? name : id));
    }
    return APR_SUCCESS;
}

json_t *lti_groups_map(const char *text, apr_pool_t *p)
{
    json_t *map = NULL;

    if (text == NULL || lti_json_object(&map, text, strlen(text), LTI_E_STORE, p, NULL) != APR_SUCCESS)
        return NULL;
    return map;
}
