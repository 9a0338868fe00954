/* SPDX-License-Identifier: Apache-2.0 */
/* What the kinds of messages need besides the claims of every launch (SPEC section 3.2). */
#include "lti_claims_part.h"

#include <string.h>
#include <apr_strings.h>
#include "lti_http.h"
#include "lti_json.h"
#include "lti_roster.h"

#define DEEP_LINKING_CLAIM "https://purl.imsglobal.org/spec/lti-dl/claim/deep_linking_settings"
#define GRADES_CLAIM "https://purl.imsglobal.org/spec/lti-ags/claim/endpoint"
#define DATA_MAX 8192 /* bytes: what environments can carry */

/* --- deep linking ------------------------------------------------------------------------------------------------------ */

static int is_word(const char *text)
{
    return text != NULL && *text != '\0' && strchr(text, ' ') == NULL && lti_json_is_clean(text) && strlen(text) <= LTI_FIELD_MAX;
}

/* The words of an array, joined by blanks; what is no word is left out, as are those beyond LTI_FIELD_MAX. */
static const char *join_words(const json_t *array, apr_pool_t *p)
{
    const char *joined = NULL;

    for (apr_size_t i = 0; i < json_array_size(array); i++) {
        const char *word = json_string_value(json_array_get(array, i));
        if (!is_word(word))
            continue;
        if (joined != NULL && strlen(joined) + 1 + strlen(word) > LTI_FIELD_MAX)
            break;
        joined = joined == NULL ? apr_pstrdup(p, word) : apr_pstrcat(p, joined, " ", word, NULL);
    }
    return joined;
}

static apr_status_t require_words(const char **words, const lti_reading_t *reading, const json_t *settings, const char *name)
{
    const json_t *array = lti_claim_member(settings, name);

    if (array == NULL)
        return lti_claim_fail_missing(reading, settings, name);
    if (!json_is_array(array))
        return lti_claim_fail_invalid(reading, settings, name, "is no array");
    *words = join_words(array, reading->p);
    return APR_SUCCESS;
}

/* A comma-separated list of types and patterns, as browsers take them; some platforms send an array. */
static const char *media_types(const lti_reading_t *reading, const json_t *settings)
{
    const json_t *member = lti_claim_member(settings, "accept_media_types");

    return json_is_array(member) ? join_words(member, reading->p) : lti_claim_display(reading, settings, "accept_media_types");
}

static const char *flag(const json_t *settings, const char *name)
{
    const json_t *member = json_object_get(settings, name);
    const char *text = json_string_value(member);

    if (json_is_true(member) || (text != NULL && strcmp(text, "true") == 0))
        return "true";
    return json_is_false(member) || (text != NULL && strcmp(text, "false") == 0) ? "false" : NULL;
}

/*
 * The platform wants it back letter by letter: an answer without it would be refused at the very end, after all the person's work, so a launch whose
 * data cannot be kept is refused now.
 */
static apr_status_t read_data(const lti_reading_t *reading, const json_t *settings)
{
    const json_t *member = lti_claim_member(settings, "data");
    const char *text = json_string_value(member);

    if (member == NULL)
        return APR_SUCCESS;
    if (text == NULL)
        return lti_claim_fail_invalid(reading, settings, "data", "is no string");
    if (strlen(text) > DATA_MAX)
        return lti_claim_fail_invalid(reading, settings, "data", "is longer than 8 KiB");
    reading->launch->deep_link_data = apr_pstrdup(reading->p, text);
    return APR_SUCCESS;
}

apr_status_t lti_claims_deep_linking(const lti_reading_t *reading)
{
    lti_launch_t *launch = reading->launch;
    const json_t *settings;
    const char *url = NULL;
    apr_status_t rv = lti_claim_require_object(&settings, reading, DEEP_LINKING_CLAIM);

    if (rv != APR_SUCCESS || (rv = lti_claim_require_string(&url, reading, settings, "deep_link_return_url")) != APR_SUCCESS)
        return rv;
    if (!lti_json_is_clean(url) || lti_http_check_url(url, LTI_CLAIM_URL_MAX, LTI_E_CLAIM_INVALID, NULL) != APR_SUCCESS)
        return lti_claim_fail_invalid(reading, settings, "deep_link_return_url", "is no https URL");
    if ((rv = require_words(&launch->deep_link_accept_types, reading, settings, "accept_types")) != APR_SUCCESS ||
        (rv = require_words(&launch->deep_link_accept_targets, reading, settings, "accept_presentation_document_targets")) !=
            APR_SUCCESS ||
        (rv = read_data(reading, settings)) != APR_SUCCESS)
        return rv;
    launch->deep_link_return_url = apr_pstrdup(reading->p, url);
    launch->deep_link_accept_media_types = media_types(reading, settings);
    launch->deep_link_accept_multiple = flag(settings, "accept_multiple");
    launch->deep_link_accept_lineitem = flag(settings, "accept_lineitem");
    launch->deep_link_auto_create = flag(settings, "auto_create");
    return APR_SUCCESS;
}

/* --- submission review -------------------------------------------------------------------------------------------------- */

/* Of for_user only the id is taken: names and roles in it are not those of who is here. */
apr_status_t lti_claims_submission_review(const lti_reading_t *reading)
{
    const json_t *person, *grades;
    const char *lineitem = NULL;
    apr_status_t rv = lti_claim_require_object(&person, reading, LTI_CLAIM("for_user"));

    if (rv != APR_SUCCESS ||
        (rv = lti_claim_require_id(&reading->launch->for_user_id, reading, person, "user_id")) != APR_SUCCESS ||
        (rv = lti_claim_require_object(&grades, reading, GRADES_CLAIM)) != APR_SUCCESS ||
        (rv = lti_claim_require_string(&lineitem, reading, grades, "lineitem")) != APR_SUCCESS)
        return rv;
    return *lineitem != '\0' ? APR_SUCCESS : lti_claim_fail_invalid(reading, grades, "lineitem", "is empty");
}
