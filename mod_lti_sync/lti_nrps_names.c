/* SPDX-License-Identifier: Apache-2.0 */
/* What a roster says of people's sections and groups: custom parameters of the message section, and group_enrollments. */
#include "lti_nrps.h"

#include <string.h>
#include <apr_strings.h>
#include "lti_names.h"

#define CLAIM_CUSTOM "https://purl.imsglobal.org/spec/lti/claim/custom"

static void add_custom(apr_array_header_t *names, const json_t *message, const char *claim, apr_pool_t *p)
{
    if (claim != NULL)
        lti_names_add_value(names, json_object_get(json_object_get(message, CLAIM_CUSTOM), claim), p);
}

/* Groups that the service hides are told to nobody; one that it does not know goes by its id. */
static void add_enrollments(apr_array_header_t *groups, const json_t *enrollments, const json_t *map, apr_pool_t *p)
{
    apr_size_t i;

    for (i = 0; i < json_array_size(enrollments); i++) {
        const json_t *id = json_object_get(json_array_get(enrollments, i), "group_id"), *name;
        const char *text = json_string_value(id);

        if (json_is_integer(id))
            text = apr_psprintf(p, "%" APR_INT64_T_FMT, (apr_int64_t)json_integer_value(id));
        if (text == NULL)
            continue;
        name = map != NULL ? json_object_get(map, text) : NULL;
        if (name == NULL)
            lti_names_add(groups, text, p);
        else if (json_is_string(name))
            lti_names_add(groups, json_string_value(name), p);
    }
}

void lti_nrps_read_names(lti_member_t *member, const json_t *object, const lti_nrps_names_t *wanted, apr_pool_t *p)
{
    const json_t *message = json_object_get(object, "message"), *enrollments = json_object_get(object, "group_enrollments");
    apr_array_header_t *sections, *groups;
    apr_size_t i;

    if ((message == NULL || (wanted->section_claim == NULL && wanted->group_claim == NULL)) && enrollments == NULL)
        return;
    sections = lti_names_make(p);
    groups = lti_names_make(p);
    /* One platform sends the object itself in place of the array (SPEC N-51). */
    for (i = 0; json_is_object(message) ? i < 1 : i < json_array_size(message); i++) {
        const json_t *one = json_is_object(message) ? message : json_array_get(message, i);

        add_custom(sections, one, wanted->section_claim, p);
        add_custom(groups, one, wanted->group_claim, p);
    }
    add_enrollments(groups, enrollments, wanted->groups, p);
    member->sections = lti_names_list(sections, p);
    member->groups = lti_names_list(groups, p);
}

const char *lti_nrps_first_url(const char *url, const char *rlid, int groups, apr_pool_t *p)
{
    if (rlid != NULL && !lti_http_has_parameter(url, "rlid"))
        url = lti_http_add_query(url, "rlid", rlid, p);
    if (groups && !lti_http_has_parameter(url, "groups"))
        url = lti_http_add_query(url, "groups", "true", p);
    return url;
}
