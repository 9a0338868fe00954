/* SPDX-License-Identifier: Apache-2.0 */
/* What the answers of the feed are made of. */
#include "mod_lti_feed_parts.h"

#include <string.h>
#include <apr_strings.h>
#include <http_protocol.h>

#include "lti_json.h"
#include "mod_lti_store.h"

lti_roster_state_t mod_lti_feed_state(const lti_course_t *course)
{
    if (course->succeeded_at != 0 && course->stale_at != 0 && mod_lti_store_now() >= course->stale_at)
        return LTI_ROSTER_STALE;
    return course->state;
}

void mod_lti_feed_set_text(json_t *object, const char *name, const char *value)
{
    if (value != NULL)
        json_object_set_new(object, name, json_string(value));
}

json_t *mod_lti_feed_roles_array(const char *roles)
{
    json_t *array = json_array();

    while (*roles != '\0') {
        apr_size_t size = strcspn(roles, " ");

        if (size > 0)
            json_array_append_new(array, json_stringn(roles, size));
        roles += size + (roles[size] == ' ');
    }
    return array;
}

void mod_lti_feed_set_json(request_rec *r)
{
    apr_table_setn(r->headers_out, "Cache-Control", "private, no-store");
    apr_table_setn(r->headers_out, "X-Content-Type-Options", "nosniff");
    ap_set_content_type(r, "application/json");
}

apr_status_t mod_lti_feed_send_json(request_rec *r, const json_t *object, lti_err_t *err)
{
    const char *text = lti_json_text(object, r->pool);

    if (text == NULL)
        return lti_fail(err, LTI_E_INTERNAL, APR_ENOMEM, "no memory for an answer");
    mod_lti_feed_set_json(r);
    ap_rputs(text, r);
    ap_rputs("\n", r);
    return APR_SUCCESS;
}
