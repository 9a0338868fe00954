/* SPDX-License-Identifier: Apache-2.0 */
/* The optional claims of a launch: who the person is, what the course is called, custom parameters, the roster service. */
#include "lti_claims_part.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <apr_strings.h>
#include "lti_http.h"
#include "lti_json.h"
#include "lti_roster.h"

#define NRPS_CLAIM "https://purl.imsglobal.org/spec/lti-nrps/claim/namesroleservice"
#define NRPS_URL_MAX 2048 /* SPEC N-01 */
#define LOCALE_MAX 64
#define CUSTOM_NAME_MAX 255
#define CUSTOM_VALUE_MAX 8192 /* SPEC S-21: what environments and headers can carry */
#define CUSTOM_BYTES_MAX 32768
#define CUSTOM_COUNT_MAX 256
#define COURSE_TYPE "http://purl.imsglobal.org/vocab/lis/v2/course#"

const json_t *lti_claim_member(const json_t *object, const char *name)
{
    const json_t *member = json_object_get(object, name);

    return json_is_null(member) ? NULL : member;
}

/* A copy in which each control character (C0, DEL, C1) is a blank: the text goes into headers and pages. */
static const char *clean_copy(const char *text, apr_pool_t *p)
{
    char *copy = apr_pstrdup(p, text);
    char *end = copy;

    for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++) {
        if (*c < 0x20 || *c == 0x7f) {
            *end++ = ' ';
        } else if (*c == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0) {
            *end++ = ' ';
            c++;
        } else {
            *end++ = (char)*c;
        }
    }
    *end = '\0';
    return copy;
}

static const char *short_string(const json_t *object, const char *name, apr_size_t max)
{
    const char *text = lti_json_string(object, name);

    return text == NULL || text[0] == '\0' || strlen(text) > max ? NULL : text;
}

const char *lti_claim_display(const json_t *object, const char *name, apr_pool_t *p)
{
    const char *text = short_string(object, name, LTI_FIELD_MAX);

    return text == NULL ? NULL : clean_copy(text, p);
}

/* A text that names somebody to other systems: mended it would name somebody else, so it is taken as it is or not at all. */
static const char *identity(const json_t *object, const char *name, apr_pool_t *p)
{
    const char *text = short_string(object, name, LTI_FIELD_MAX);

    return text == NULL || !lti_json_is_clean(text) ? NULL : apr_pstrdup(p, text);
}

/* --- person, presentation ------------------------------------------------------------------------------------------------ */

static const char *locale(const json_t *object, apr_pool_t *p)
{
    const char *text = short_string(object, "locale", LOCALE_MAX);

    if (text == NULL || strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.@") != strlen(text))
        return NULL;
    return apr_pstrdup(p, text);
}

static void read_person(const lti_reading_t *reading)
{
    lti_launch_t *launch = reading->launch;

    /* An anonymous launch must not become somebody by the side door (SPEC C-12). */
    if (launch->user_id == NULL)
        return;
    launch->name = lti_claim_display(reading->claims, "name", reading->p);
    launch->given_name = lti_claim_display(reading->claims, "given_name", reading->p);
    launch->family_name = lti_claim_display(reading->claims, "family_name", reading->p);
    launch->email = identity(reading->claims, "email", reading->p);
    launch->sourcedid = identity(lti_claim_member(reading->claims, LTI_CLAIM("lis")), "person_sourcedid", reading->p);
    if (launch->locale == NULL)
        launch->locale = locale(reading->claims, reading->p);
}

static void read_presentation(const lti_reading_t *reading)
{
    const json_t *presentation = lti_claim_member(reading->claims, LTI_CLAIM("launch_presentation"));
    const char *url = lti_json_string(presentation, "return_url");

    reading->launch->locale = locale(presentation, reading->p);
    if (url != NULL && lti_json_is_clean(url) &&
        lti_http_check_url(url, LTI_CLAIM_URL_MAX, LTI_E_CLAIM_INVALID, NULL) == APR_SUCCESS)
        reading->launch->return_url = apr_pstrdup(reading->p, url);
}

/* --- course ---------------------------------------------------------------------------------------------------------------- */

/* The current URI for the short names and URNs of older texts (SPEC 4.6); whatever else is kept as it is. */
static const char *course_type(const char *text, apr_pool_t *p)
{
    static const char urn[] = "urn:lti:context-type:ims/lis/";
    static const char *const names[] = {"CourseTemplate", "CourseOffering", "CourseSection", "Group"};
    const char *name = strncmp(text, urn, sizeof urn - 1) == 0 ? text + sizeof urn - 1 : text;

    for (apr_size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(name, names[i]) == 0)
            return apr_pstrcat(p, COURSE_TYPE, name, NULL);
    }
    return text;
}

/* All types, joined by blanks. */
static const char *read_course_types(const json_t *type, apr_pool_t *p)
{
    const char *joined = NULL;
    apr_size_t count = json_is_array(type) ? json_array_size(type) : 1;

    for (apr_size_t i = 0; i < count; i++) {
        const char *text = json_string_value(json_is_array(type) ? json_array_get(type, i) : type);
        if (text == NULL || text[0] == '\0' || !lti_json_is_clean(text) || strchr(text, ' ') != NULL ||
            strlen(text) > LTI_FIELD_MAX)
            continue;
        text = course_type(text, p);
        if (joined != NULL && strlen(joined) + 1 + strlen(text) > LTI_FIELD_MAX)
            break;
        joined = joined == NULL ? apr_pstrdup(p, text) : apr_pstrcat(p, joined, " ", text, NULL);
    }
    return joined;
}

static void read_course(const lti_reading_t *reading)
{
    const json_t *context = lti_claim_member(reading->claims, LTI_CLAIM("context"));

    if (reading->launch->context_id == NULL)
        return;
    reading->launch->context_label = lti_claim_display(context, "label", reading->p);
    reading->launch->context_title = lti_claim_display(context, "title", reading->p);
    reading->launch->context_type = read_course_types(json_object_get(context, "type"), reading->p);
}

/* --- roster service --------------------------------------------------------------------------------------------------------- */

/* SPEC N-02: "2.0" is among them, or nothing is said. */
static int offers_version_2(const json_t *service)
{
    const json_t *versions = lti_claim_member(service, "service_versions");

    if (versions == NULL)
        versions = lti_claim_member(service, "service_version");
    if (versions == NULL)
        return 1;
    if (json_is_string(versions))
        return strcmp(json_string_value(versions), "2.0") == 0;
    for (apr_size_t i = 0; i < json_array_size(versions); i++) {
        const char *version = json_string_value(json_array_get(versions, i));
        if (version != NULL && strcmp(version, "2.0") == 0)
            return 1;
    }
    return 0;
}

static void read_roster_service(const lti_reading_t *reading)
{
    const json_t *service = lti_claim_member(reading->claims, NRPS_CLAIM);
    const char *url = lti_json_string(service, "context_memberships_url");

    /* Without a course there is nothing that a roster could be of (SPEC K-13). */
    if (reading->launch->context_id != NULL && url != NULL && offers_version_2(service) && lti_json_is_clean(url) &&
        lti_http_check_url(url, NRPS_URL_MAX, LTI_E_SERVICE_URL, NULL) == APR_SUCCESS)
        reading->launch->nrps_url = apr_pstrdup(reading->p, url);
}

/* --- custom parameters ------------------------------------------------------------------------------------------------------ */

/* By jansson, which writes a point whatever the locale; fifteen digits, so that 0.1 stays what it was. */
static const char *number_text(const json_t *value, apr_pool_t *p)
{
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
    const char *copy = text == NULL ? NULL : apr_pstrdup(p, text);

    free(text);
    return copy;
}

/* The text of a custom value, NULL if it is none (SPEC K-18) or a variable that the platform did not resolve (K-19). */
static const char *custom_text(const json_t *value, apr_pool_t *p)
{
    const char *text;

    if (json_is_number(value))
        return number_text(value, p);
    if (json_is_boolean(value))
        return json_is_true(value) ? "true" : "false";
    text = json_string_value(value);
    if (text == NULL || (text[0] == '$' && isalpha((unsigned char)text[1])))
        return NULL;
    return clean_copy(text, p);
}

static void read_custom(const lti_reading_t *reading)
{
    json_t *custom = json_object_get(reading->claims, LTI_CLAIM("custom"));
    const char *name;
    json_t *value;
    apr_size_t bytes = 0, size;
    int count = 0;

    json_object_foreach(custom, name, value)
    {
        const char *text = custom_text(value, reading->p);
        if (text == NULL || name[0] == '\0' || strlen(name) > CUSTOM_NAME_MAX || !lti_json_is_clean(name))
            continue;
        size = strlen(name) + strlen(text);
        if (strlen(text) > CUSTOM_VALUE_MAX || size > CUSTOM_BYTES_MAX - bytes || count == CUSTOM_COUNT_MAX)
            continue;
        bytes += size;
        count++;
        if (reading->launch->custom == NULL)
            reading->launch->custom = apr_table_make(reading->p, 8);
        apr_table_addn(reading->launch->custom, apr_pstrdup(reading->p, name), text);
    }
}

void lti_claims_optional(const lti_reading_t *reading)
{
    lti_launch_t *launch = reading->launch;

    read_presentation(reading);
    read_person(reading);
    read_course(reading);
    if (launch->resource_link_id != NULL)
        launch->resource_link_title =
            lti_claim_display(lti_claim_member(reading->claims, LTI_CLAIM("resource_link")), "title", reading->p);
    read_roster_service(reading);
    read_custom(reading);
}
