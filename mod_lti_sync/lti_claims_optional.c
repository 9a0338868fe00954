/* SPDX-License-Identifier: Apache-2.0 */
/* The optional claims of a launch: who the person is, what the course is called, custom parameters, the roster service. */
#include "lti_claims_part.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <apr_strings.h>
#include "lti_http.h"
#include "lti_json.h"
#include "lti_names.h"
#include "lti_roster.h"

#define NRPS_CLAIM "https://purl.imsglobal.org/spec/lti-nrps/claim/namesroleservice"
#define GROUPS_CLAIM "https://purl.imsglobal.org/spec/lti-gs/claim/groupsservice"
#define NRPS_URL_MAX 2048 /* SPEC N-01 */
#define LOCALE_MAX 64
#define CUSTOM_NAME_MAX 255
#define CUSTOM_VALUE_MAX 8192 /* SPEC S-21: what environments and headers can carry */
#define CUSTOM_BYTES_MAX 32768
#define CUSTOM_COUNT_MAX 256
#define REMARKS_MAX 400 /* bytes, after which no more is added */
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

void lti_claim_remark(const lti_reading_t *reading, const char *format, ...)
{
    const char *known = reading->launch->remarks, *remark;
    va_list args;

    if (known != NULL && strlen(known) > REMARKS_MAX)
        return;
    va_start(args, format);
    remark = apr_pvsprintf(reading->p, format, args);
    va_end(args);
    reading->launch->remarks = known == NULL ? remark : apr_pstrcat(reading->p, known, "; ", remark, NULL);
}

static void remark_member(const lti_reading_t *reading, const json_t *object, const char *name, const char *fault)
{
    lti_claim_remark(reading, "%.80s %s", lti_claim_label(reading, object, name), fault);
}

/* NULL where it is absent, empty or none. */
static const char *short_string(const lti_reading_t *reading, const json_t *object, const char *name, apr_size_t max)
{
    const json_t *member = lti_claim_member(object, name);
    const char *text = json_string_value(member);

    if (member != NULL && text == NULL)
        remark_member(reading, object, name, "is no string");
    if (text == NULL || text[0] == '\0')
        return NULL;
    if (strlen(text) > max) {
        remark_member(reading, object, name, "is too long");
        return NULL;
    }
    return text;
}

const char *lti_claim_display(const lti_reading_t *reading, const json_t *object, const char *name)
{
    const char *text = short_string(reading, object, name, LTI_FIELD_MAX);

    if (text == NULL || lti_json_is_clean(text))
        return text == NULL ? NULL : apr_pstrdup(reading->p, text);
    remark_member(reading, object, name, "had control characters");
    return clean_copy(text, reading->p);
}

const char *lti_claim_identity(const lti_reading_t *reading, const json_t *object, const char *name)
{
    const char *text = short_string(reading, object, name, LTI_FIELD_MAX);

    if (text == NULL || lti_json_is_clean(text))
        return text == NULL ? NULL : apr_pstrdup(reading->p, text);
    remark_member(reading, object, name, "has control characters");
    return NULL;
}

/* The claim if it is an object. */
static const json_t *object_claim(const lti_reading_t *reading, const char *name)
{
    const json_t *claim = lti_claim_member(reading->claims, name);

    if (claim == NULL || json_is_object(claim))
        return claim;
    remark_member(reading, reading->claims, name, "is no object");
    return NULL;
}

/* --- person, presentation ------------------------------------------------------------------------------------------------ */

static const char *locale(const lti_reading_t *reading, const json_t *object)
{
    const char *text = short_string(reading, object, "locale", LOCALE_MAX);

    if (text == NULL)
        return NULL;
    if (strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.@") == strlen(text))
        return apr_pstrdup(reading->p, text);
    remark_member(reading, object, "locale", "is no language tag");
    return NULL;
}

static void read_person(const lti_reading_t *reading)
{
    lti_launch_t *launch = reading->launch;

    /* An anonymous launch must not become somebody by the side door (SPEC C-12). */
    if (launch->user_id == NULL)
        return;
    launch->name = lti_claim_display(reading, reading->claims, "name");
    launch->given_name = lti_claim_display(reading, reading->claims, "given_name");
    launch->family_name = lti_claim_display(reading, reading->claims, "family_name");
    launch->email = lti_claim_identity(reading, reading->claims, "email");
    launch->sourcedid = lti_claim_identity(reading, object_claim(reading, LTI_CLAIM("lis")), "person_sourcedid");
    if (launch->locale == NULL)
        launch->locale = locale(reading, reading->claims);
}

#define PRESENTATION LTI_CLAIM("launch_presentation")

const char *lti_claims_return_url(const json_t *claims, apr_pool_t *p)
{
    const char *url = lti_json_string(lti_claim_member(claims, PRESENTATION), "return_url");

    if (url == NULL || !lti_json_is_clean(url) ||
        lti_http_check_url(url, LTI_CLAIM_URL_MAX, LTI_E_CLAIM_INVALID, NULL) != APR_SUCCESS)
        return NULL;
    return apr_pstrdup(p, url);
}

static void read_presentation(const lti_reading_t *reading)
{
    const json_t *presentation = object_claim(reading, PRESENTATION);

    reading->launch->locale = locale(reading, presentation);
    reading->launch->return_url = lti_claims_return_url(reading->claims, reading->p);
    if (reading->launch->return_url == NULL && lti_claim_member(presentation, "return_url") != NULL)
        remark_member(reading, presentation, "return_url", "is no https URL");
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
    reading->launch->context_label = lti_claim_display(reading, context, "label");
    reading->launch->context_title = lti_claim_display(reading, context, "title");
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
    lti_err_t fault;

    /* Without a course there is nothing that a roster could be of (SPEC K-13). */
    if (reading->launch->context_id == NULL || service == NULL)
        return;
    if (url == NULL)
        reading->launch->nrps_fault = "context_memberships_url is missing or no string";
    else if (!offers_version_2(service))
        reading->launch->nrps_fault = "service_versions does not name 2.0";
    else if (!lti_json_is_clean(url))
        reading->launch->nrps_fault = "context_memberships_url has control characters";
    else if (lti_http_check_url(url, NRPS_URL_MAX, LTI_E_SERVICE_URL, &fault) != APR_SUCCESS)
        reading->launch->nrps_fault = apr_pstrcat(reading->p, "context_memberships_url: ", fault.text, NULL);
    else
        reading->launch->nrps_url = apr_pstrdup(reading->p, url);
}

/* SPEC K-27: what cannot be used is left out, the roster comes without names of groups then. */
static void read_groups_service(const lti_reading_t *reading)
{
    const json_t *service = lti_claim_member(reading->claims, GROUPS_CLAIM);
    const char *url = lti_json_string(service, "context_groups_url");
    lti_err_t fault;

    if (reading->launch->context_id == NULL || service == NULL)
        return;
    if (url == NULL || !lti_json_is_clean(url))
        lti_claim_remark(reading, "context_groups_url of the groups service is missing or no text");
    else if (lti_http_check_url(url, NRPS_URL_MAX, LTI_E_SERVICE_URL, &fault) != APR_SUCCESS)
        lti_claim_remark(reading, "context_groups_url of the groups service: %s", fault.text);
    else
        reading->launch->groups_url = apr_pstrdup(reading->p, url);
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

/* 1 if the custom parameter is one that lists sections or groups (LTISectionClaim): it is told by that name, and does not take room in a cookie twice. */
static int take_names(const lti_reading_t *reading, const char *name, const json_t *value)
{
    const lti_platform_t *platform = reading->expect->platform;
    const char **words;
    apr_array_header_t *names;

    if (platform->section_claim != NULL && strcmp(name, platform->section_claim) == 0)
        words = &reading->launch->sections;
    else if (platform->group_claim != NULL && strcmp(name, platform->group_claim) == 0)
        words = &reading->launch->groups;
    else
        return 0;
    names = lti_names_make(reading->p);
    lti_names_add_value(names, value, reading->p);
    *words = lti_names_words(names, reading->p);
    return 1;
}

static void read_custom(const lti_reading_t *reading)
{
    json_t *custom = (json_t *)(uintptr_t)object_claim(reading, LTI_CLAIM("custom"));
    const char *name;
    json_t *value;
    apr_size_t bytes = 0, size;
    int count = 0, surplus = 0;

    json_object_foreach(custom, name, value)
    {
        const char *text;

        if (take_names(reading, name, value))
            continue;
        text = custom_text(value, reading->p);
        if (!json_is_string(value))
            remark_member(reading, custom, name, text == NULL ? "is no text" : "is no string, but was taken as one");
        if (text == NULL || name[0] == '\0' || strlen(name) > CUSTOM_NAME_MAX || !lti_json_is_clean(name))
            continue;
        size = strlen(name) + strlen(text);
        if (strlen(text) > CUSTOM_VALUE_MAX || size > CUSTOM_BYTES_MAX - bytes || count == CUSTOM_COUNT_MAX) {
            surplus++;
            continue;
        }
        bytes += size;
        count++;
        if (reading->launch->custom == NULL)
            reading->launch->custom = apr_table_make(reading->p, 8);
        apr_table_addn(reading->launch->custom, apr_pstrdup(reading->p, name), text);
    }
    if (surplus > 0)
        lti_claim_remark(reading, "%d custom parameters are beyond their limits", surplus);
}

void lti_claims_optional(const lti_reading_t *reading)
{
    lti_launch_t *launch = reading->launch;

    read_presentation(reading);
    read_person(reading);
    read_course(reading);
    if (launch->resource_link_id != NULL)
        launch->resource_link_title =
            lti_claim_display(reading, lti_claim_member(reading->claims, LTI_CLAIM("resource_link")), "title");
    read_roster_service(reading);
    read_groups_service(reading);
    read_custom(reading);
    lti_claims_legacy(reading);
}
