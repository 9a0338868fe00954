/* SPDX-License-Identifier: Apache-2.0 */
/* Require lti-role, lti-context, lti-platform, lti-member, lti-section, lti-group. */
#include "mod_lti_identity.h"

#include <ap_expr.h>
#include <ap_provider.h>
#include <apr_strings.h>
#include <http_core.h>
#include <http_log.h>
#include <http_request.h>
#include <mod_auth.h>

#include "lti_names.h"
#include "mod_lti_identity_parts.h"

APLOG_USE_MODULE(lti_sync);

/* The line as an expression, so that `Require lti-context %{env:COURSE}` works as for other modules. */
static const char *parse_line(cmd_parms *cmd, const char *line, const void **parsed)
{
    const char *failure = NULL;
    ap_expr_info_t *expression;

    if (*line == '\0')
        return "Require lti-... needs at least one value (lti-member takes none)";
    expression = ap_expr_parse_cmd(cmd, line, AP_EXPR_FLAG_STRING_RESULT, &failure, NULL);
    if (failure != NULL)
        return apr_pstrcat(cmd->temp_pool, "cannot parse the Require line: ", failure, NULL);
    *parsed = expression;
    return NULL;
}

static const char *parse_roles(cmd_parms *cmd, const char *line, const void **parsed)
{
    const char *rest = line, *word;
    lti_role_t role;

    while (strchr(line, '%') == NULL && *(word = ap_getword_conf(cmd->temp_pool, &rest)) != '\0') {
        if (strcmp(word, "staff") != 0 && !lti_role_by_word(word, &role))
            return apr_psprintf(
                cmd->pool,
                "Require lti-role: '%s' is no role; administrator, instructor, teaching-assistant, content-developer, manager, "
                "observer, mentor, learner, member, guest, none, or staff",
                word);
    }
    return parse_line(cmd, line, parsed);
}

static const char *parse_nothing(cmd_parms *cmd, const char *line, const void **parsed)
{
    (void)cmd;
    *parsed = NULL;
    return *line == '\0' ? NULL : "Require lti-member takes no value";
}

/* Who is asked about; NULL: `*answer` is final. Before authentication there is no user: httpd asks again after it. */
static const mod_lti_identity_t *present(request_rec *r, authz_status *answer)
{
    const mod_lti_identity_t *identity;

    if (r->user == NULL) {
        *answer = AUTHZ_DENIED_NO_USER;
        return NULL;
    }
    identity = mod_lti_identity_of(r);
    *answer = AUTHZ_DENIED;
    return identity->standing == MOD_LTI_PRESENT ? identity : NULL;
}

typedef int word_matches_fn(const mod_lti_identity_t *identity, const char *word);

/* Somebody who is present, and the words of the line for this request; else NULL and the answer. */
static const mod_lti_identity_t *read_line(const char **line, authz_status *answer, request_rec *r, const void *parsed)
{
    const mod_lti_identity_t *identity = present(r, answer);
    const char *failure = NULL;

    if (identity == NULL)
        return NULL;
    *line = ap_expr_str_exec(r, parsed, &failure);
    if (failure == NULL)
        return identity;
    ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r, "LTI0110: a Require line cannot be evaluated: %s", failure);
    *answer = AUTHZ_GENERAL_ERROR;
    return NULL;
}

static authz_status check_words(request_rec *r, const void *parsed, word_matches_fn *matches)
{
    const char *line, *word;
    authz_status answer;
    const mod_lti_identity_t *identity = read_line(&line, &answer, r, parsed);

    if (identity == NULL)
        return answer;
    while (*(word = ap_getword_conf(r->pool, &line)) != '\0') {
        if (matches(identity, word))
            return AUTHZ_GRANTED;
    }
    return AUTHZ_DENIED;
}

static int role_matches(const mod_lti_identity_t *identity, const char *word)
{
    lti_role_t role;

    if (strcmp(word, "staff") == 0)
        return lti_role_is_staff(identity->role);
    return lti_role_by_word(word, &role) && role == identity->role;
}

static int context_matches(const mod_lti_identity_t *identity, const char *word)
{
    const lti_launch_t *launch = &identity->session->launch;
    const char *slash = strchr(word, '/');
    apr_size_t length;

    if (launch->course_key == NULL)
        return 0;
    if (slash == NULL)
        return strcmp(word, launch->course_key) == 0;
    length = (apr_size_t)(slash - word);
    return strlen(launch->platform) == length && memcmp(word, launch->platform, length) == 0 &&
           strcmp(slash + 1, launch->context_id) == 0;
}

static int platform_matches(const mod_lti_identity_t *identity, const char *word)
{
    return strcmp(word, identity->session->launch.platform) == 0;
}

static authz_status check_role(request_rec *r, const char *line, const void *parsed)
{
    (void)line;
    return check_words(r, parsed, role_matches);
}

static authz_status check_context(request_rec *r, const char *line, const void *parsed)
{
    (void)line;
    return check_words(r, parsed, context_matches);
}

static authz_status check_platform(request_rec *r, const char *line, const void *parsed)
{
    (void)line;
    return check_words(r, parsed, platform_matches);
}

/* What the launch said counts; where it said nothing, the roster is asked, whatever LTISectionsFromRoster says: this place needs to know. */
static authz_status check_names(request_rec *r, const void *parsed, int of_groups)
{
    const char *line, *word, *words, *sections, *groups;
    authz_status answer;
    const mod_lti_identity_t *identity = read_line(&line, &answer, r, parsed);

    if (identity == NULL)
        return answer;
    words = of_groups ? identity->groups : identity->sections;
    if (words == NULL && !identity->names_from_roster) {
        mod_lti_identity_roster_names(&sections, &groups, r, identity);
        words = of_groups ? groups : sections;
    }
    while (*(word = ap_getword_conf(r->pool, &line)) != '\0') {
        if (lti_names_has(words, word, r->pool))
            return AUTHZ_GRANTED;
    }
    return AUTHZ_DENIED;
}

static authz_status check_section(request_rec *r, const char *line, const void *parsed)
{
    (void)line;
    return check_names(r, parsed, 0);
}

static authz_status check_group(request_rec *r, const char *line, const void *parsed)
{
    (void)line;
    return check_names(r, parsed, 1);
}

static authz_status check_member(request_rec *r, const char *line, const void *parsed)
{
    authz_status answer;
    const mod_lti_identity_t *identity;

    (void)line;
    (void)parsed;
    if (!mod_lti_identity_record(r)->authenticated) {
        identity = mod_lti_identity_of(r);
        if (identity->standing == MOD_LTI_PRESENT && identity->roster_state == LTI_ROSTER_PENDING) {
            mod_lti_identity_record(r)->pending = 1;
            return AUTHZ_DENIED_NO_USER; /* check_authn answers */
        }
    }
    identity = present(r, &answer);
    return identity != NULL && identity->on_roster ? AUTHZ_GRANTED : answer;
}

void mod_lti_require_register(apr_pool_t *p)
{
    static const authz_provider role = {check_role, parse_roles};
    static const authz_provider context = {check_context, parse_line};
    static const authz_provider platform = {check_platform, parse_line};
    static const authz_provider member = {check_member, parse_nothing};
    static const authz_provider section = {check_section, parse_line};
    static const authz_provider group = {check_group, parse_line};

    ap_register_auth_provider(p, AUTHZ_PROVIDER_GROUP, "lti-role", AUTHZ_PROVIDER_VERSION, &role, AP_AUTH_INTERNAL_PER_CONF);
    ap_register_auth_provider(p, AUTHZ_PROVIDER_GROUP, "lti-context", AUTHZ_PROVIDER_VERSION, &context, AP_AUTH_INTERNAL_PER_CONF);
    ap_register_auth_provider(p, AUTHZ_PROVIDER_GROUP, "lti-platform", AUTHZ_PROVIDER_VERSION, &platform,
                              AP_AUTH_INTERNAL_PER_CONF);
    ap_register_auth_provider(p, AUTHZ_PROVIDER_GROUP, "lti-section", AUTHZ_PROVIDER_VERSION, &section, AP_AUTH_INTERNAL_PER_CONF);
    ap_register_auth_provider(p, AUTHZ_PROVIDER_GROUP, "lti-group", AUTHZ_PROVIDER_VERSION, &group, AP_AUTH_INTERNAL_PER_CONF);
    ap_register_auth_provider(p, AUTHZ_PROVIDER_GROUP, "lti-member", AUTHZ_PROVIDER_VERSION, &member, AP_AUTH_INTERNAL_PER_CONF);
}
