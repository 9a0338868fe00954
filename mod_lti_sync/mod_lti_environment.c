/* SPDX-License-Identifier: Apache-2.0 */
/* What goes in and what comes out under our names. */
#include "mod_lti_environment.h"

#include <stddef.h>
#include <ap_expr.h>
#include <apr_strings.h>
#include <http_core.h>
#include <http_log.h>
#include <http_request.h>
#include <util_filter.h>

#include "mod_lti_cookie.h"
#include "mod_lti_identity.h"
#include "mod_lti_store.h"

APLOG_USE_MODULE(lti_sync);

#define HEADER_MAX 4096     /* bytes of one value */
#define HEADERS_MAX 16384   /* bytes of all names and values that we add */
#define HEADER_COUNT_MAX 64 /* servers take 100 in all, and a browser sends some 20 */
#define TRUNCATED_MAX 1024  /* bytes of the list of what was cut */

/* --- scrubbing ------------------------------------------------------------------------------------------------------- */

static char fold(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (char)(c - 'A' + 'a');
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ? c : '_';
}

/*
 * 1 if a backend might read `name` as one that begins with `folded`: letters without case, every other character as '_', since CGI, WSGI, Rack and
 * their like fold names so, each a little differently (S-20). With `whole` the name must end there.
 */
static int reads_as(const char *name, const char *folded, int whole)
{
    for (; *folded != '\0'; name++, folded++) {
        if (*name == '\0' || fold(*name) != *folded)
            return 0;
    }
    return !whole || *name == '\0';
}

static void unset_all(apr_table_t *headers, int (*forged)(const char *name), apr_pool_t *p)
{
    const apr_array_header_t *list = apr_table_elts(headers);
    const apr_table_entry_t *entries = (const apr_table_entry_t *)list->elts;
    apr_array_header_t *names = NULL;
    int i;

    /* Removing while walking would skip entries: names first. */
    for (i = 0; i < list->nelts; i++) {
        if (forged(entries[i].key)) {
            if (names == NULL)
                names = apr_array_make(p, 4, sizeof(const char *));
            APR_ARRAY_PUSH(names, const char *) = entries[i].key;
        }
    }
    for (i = 0; names != NULL && i < names->nelts; i++)
        apr_table_unset(headers, APR_ARRAY_IDX(names, i, const char *));
}

static int is_our_header(const char *name)
{
    return (name[0] == 'x' || name[0] == 'X') && reads_as(name, "x_lti_", 0);
}

static int is_remote_user(const char *name)
{
    char first = fold(*name);

    return (first == 'r' || first == 'x') && (reads_as(name, "remote_user", 1) || reads_as(name, "x_remote_user", 1));
}

int mod_lti_environment_scrub(request_rec *r)
{
    if (mod_lti_config_is_active(mod_lti_config_of(r->server)))
        unset_all(r->headers_in, is_our_header, r->pool);
    return DECLINED;
}

/* --- the table of what is exported -------------------------------------------------------------------------------------- */

static ap_filter_rec_t *private_filter;

typedef const char *value_fn(const mod_lti_identity_t *identity, apr_pool_t *p);

/* Either a text of the launch at `offset`, or what `value` works out. */
typedef struct export_t {
    const char *name;
    const char *header;
    apr_size_t header_length;
    apr_size_t offset;
    value_fn *value;
} export_t;

static const char *role(const mod_lti_identity_t *identity, apr_pool_t *p)
{
    (void)p;
    return lti_role_word(identity->role);
}

static const char *roles(const mod_lti_identity_t *identity, apr_pool_t *p)
{
    (void)p;
    return identity->roles;
}

static const char *role_source(const mod_lti_identity_t *identity, apr_pool_t *p)
{
    (void)p;
    return identity->role_from_roster ? "roster" : "launch";
}

static const char *member_status(const mod_lti_identity_t *identity, apr_pool_t *p)
{
    (void)p;
    return identity->member_status;
}

static const char *roster_state(const mod_lti_identity_t *identity, apr_pool_t *p)
{
    (void)p;
    return lti_roster_state_word(identity->roster_state);
}

#define DIGITS_MAX 20 /* of 64 bits */

/* Decimal text without the weight of printf: two of these stand on the path of every request. */
static const char *decimal(apr_uint64_t number, apr_pool_t *p)
{
    char *at = (char *)apr_palloc(p, DIGITS_MAX + 1) + DIGITS_MAX;

    *at = '\0';
    do {
        *--at = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    return at;
}

static const char *roster_size(const mod_lti_identity_t *identity, apr_pool_t *p)
{
    return identity->roster_time != 0 ? decimal(identity->roster_size, p) : NULL;
}

static const char *roster_age(const mod_lti_identity_t *identity, apr_pool_t *p)
{
    apr_time_t age = mod_lti_store_now() - identity->roster_time;

    return identity->roster_time != 0 ? decimal(age > 0 ? (apr_uint64_t)apr_time_sec(age) : 0, p) : NULL;
}

#define HEADER(header) header, sizeof(header) - 1
#define ROW(name, header, ...)            \
    {                                     \
        name, HEADER(header), __VA_ARGS__ \
    }
#define LAUNCH(field) offsetof(lti_launch_t, field), NULL
#define COMPUTED(fn) 0, fn

static const export_t exports[] = {
    ROW("LTI_USER_ID", "X-LTI-User-Id", LAUNCH(user_id)),
    ROW("LTI_NAME", "X-LTI-Name", LAUNCH(name)),
    ROW("LTI_GIVEN_NAME", "X-LTI-Given-Name", LAUNCH(given_name)),
    ROW("LTI_FAMILY_NAME", "X-LTI-Family-Name", LAUNCH(family_name)),
    ROW("LTI_EMAIL", "X-LTI-Email", LAUNCH(email)),
    ROW("LTI_SOURCEDID", "X-LTI-Sourcedid", LAUNCH(sourcedid)),
    ROW("LTI_ROLE", "X-LTI-Role", COMPUTED(role)),
    ROW("LTI_ROLES", "X-LTI-Roles", COMPUTED(roles)),
    ROW("LTI_ROLE_SOURCE", "X-LTI-Role-Source", COMPUTED(role_source)),
    ROW("LTI_MEMBER_STATUS", "X-LTI-Member-Status", COMPUTED(member_status)),
    ROW("LTI_COURSE_KEY", "X-LTI-Course-Key", LAUNCH(course_key)),
    ROW("LTI_CONTEXT_ID", "X-LTI-Context-Id", LAUNCH(context_id)),
    ROW("LTI_CONTEXT_LABEL", "X-LTI-Context-Label", LAUNCH(context_label)),
    ROW("LTI_CONTEXT_TITLE", "X-LTI-Context-Title", LAUNCH(context_title)),
    ROW("LTI_CONTEXT_TYPE", "X-LTI-Context-Type", LAUNCH(context_type)),
    ROW("LTI_RESOURCE_LINK_ID", "X-LTI-Resource-Link-Id", LAUNCH(resource_link_id)),
    ROW("LTI_RESOURCE_LINK_TITLE", "X-LTI-Resource-Link-Title", LAUNCH(resource_link_title)),
    ROW("LTI_PLATFORM", "X-LTI-Platform", LAUNCH(platform)),
    ROW("LTI_ISSUER", "X-LTI-Issuer", LAUNCH(issuer)),
    ROW("LTI_CLIENT_ID", "X-LTI-Client-Id", LAUNCH(client_id)),
    ROW("LTI_DEPLOYMENT_ID", "X-LTI-Deployment-Id", LAUNCH(deployment_id)),
    ROW("LTI_MESSAGE_TYPE", "X-LTI-Message-Type", LAUNCH(message_type)),
    ROW("LTI_TARGET_LINK_URI", "X-LTI-Target-Link-Uri", LAUNCH(target_link_uri)),
    ROW("LTI_RETURN_URL", "X-LTI-Return-Url", LAUNCH(return_url)),
    ROW("LTI_LOCALE", "X-LTI-Locale", LAUNCH(locale)),
    ROW("LTI_LAUNCH_ID", "X-LTI-Launch-Id", LAUNCH(id)),
    ROW("LTI_ROSTER_SIZE", "X-LTI-Roster-Size", COMPUTED(roster_size)),
    ROW("LTI_ROSTER_AGE", "X-LTI-Roster-Age", COMPUTED(roster_age)),
    ROW("LTI_ROSTER_STATE", "X-LTI-Roster-State", COMPUTED(roster_state)),
};

#define EXPORTS (sizeof(exports) / sizeof(exports[0]))

static const char *value_of(const export_t *entry, const mod_lti_identity_t *identity, apr_pool_t *p)
{
    if (entry->value != NULL)
        return entry->value(identity, p);
    return *(const char *const *)((const char *)&identity->session->launch + entry->offset);
}

/* --- exporting ------------------------------------------------------------------------------------------------------------ */

typedef void put_fn(apr_table_t *table, const char *key, const char *value);

typedef struct export_state_t {
    request_rec *r;
    int pass;
    put_fn *put_env;
    put_fn *put_header;
    apr_size_t header_bytes;
    int header_count;
    const char *truncated; /* names of headers that were cut or left out, joined by commas */
} export_state_t;

static int is_our_variable(const char *name)
{
    return (name[0] == 'l' || name[0] == 'L') && reads_as(name, "lti_", 0);
}

/*
 * How to put our names into `table`. Replacing compares each with all that stand there, and ours all begin alike: a request would spend more on that than
 * on all the rest of this module. So they are appended where none is there yet, as in every request that is not made from another one.
 */
static put_fn *way_to_put(const apr_table_t *table, int (*ours)(const char *name))
{
    const apr_array_header_t *list = apr_table_elts(table);
    const apr_table_entry_t *entries = (const apr_table_entry_t *)list->elts;
    int i;

    for (i = 0; i < list->nelts; i++) {
        if (ours(entries[i].key))
            return apr_table_setn;
    }
    return apr_table_addn;
}

static const char *percent_encode(const char *value, apr_pool_t *p)
{
    char *out = apr_palloc(p, strlen(value) * 3 + 1), *at = out;

    for (; *value != '\0'; value++) {
        unsigned char c = (unsigned char)*value;

        if (c > 0x20 && c < 0x7F && c != '%')
            *at++ = (char)c;
        else
            at += apr_snprintf(at, 4, "%%%02X", c);
    }
    *at = '\0';
    return out;
}

/* Cut at a blank (lists of roles), else at a whole character. */
static const char *cut(const char *value, apr_size_t max, apr_pool_t *p)
{
    apr_size_t length = max;

    while (length > max / 2 && value[length] != ' ')
        length--;
    if (value[length] != ' ')
        length = max;
    while (length > 0 && ((unsigned char)value[length] & 0xC0) == 0x80)
        length--;
    return apr_pstrmemdup(p, value, length);
}

static void note_truncated(export_state_t *state, const char *header)
{
    if (state->truncated == NULL)
        state->truncated = header;
    else if (strlen(state->truncated) + strlen(header) < TRUNCATED_MAX)
        state->truncated = apr_pstrcat(state->r->pool, state->truncated, ",", header, NULL);
}

/* A value that needs work or has no room as it is. Kept apart, so that the usual ones need few registers. */
__attribute__((noinline)) static void add_unusual_header(export_state_t *state, const char *header, apr_size_t header_length,
                                                         const char *value)
{
    apr_size_t length;

    if (state->pass & LTI_PASS_ENCODED)
        value = percent_encode(value, state->r->pool);
    length = strlen(value);
    if (length > HEADER_MAX) {
        value = cut(value, HEADER_MAX, state->r->pool);
        length = strlen(value);
        note_truncated(state, header);
    }
    if (state->header_bytes + length + header_length > HEADERS_MAX || state->header_count == HEADER_COUNT_MAX) {
        note_truncated(state, header);
        return;
    }
    state->header_bytes += length + header_length;
    state->header_count++;
    state->put_header(state->r->headers_in, header, value);
}

static void add_header(export_state_t *state, const char *header, apr_size_t header_length, const char *value)
{
    apr_size_t length = strlen(value);

    if (length > HEADER_MAX || state->header_bytes + length + header_length > HEADERS_MAX ||
        state->header_count == HEADER_COUNT_MAX || (state->pass & LTI_PASS_ENCODED)) {
        add_unusual_header(state, header, header_length, value);
        return;
    }
    state->header_bytes += length + header_length;
    state->header_count++;
    state->put_header(state->r->headers_in, header, value);
}

static void export_one(export_state_t *state, const char *name, const char *header, apr_size_t header_length, const char *value)
{
    if (value == NULL || *value == '\0')
        return;
    if (state->pass & LTI_PASS_ENV)
        state->put_env(state->r->subprocess_env, name, value);
    if (state->pass & LTI_PASS_HEADERS)
        add_header(state, header, header_length, value);
}

#define CUSTOM_NAME "LTI_CUSTOM_"
#define CUSTOM_HEADER "X-LTI-Custom-"

/* The variable and the header of a custom parameter. */
static void name_custom(char **name, char **header, const char *key, apr_size_t length, apr_pool_t *p)
{
    char *in_name = *name = apr_palloc(p, sizeof(CUSTOM_NAME) + length);
    char *in_header = *header = apr_palloc(p, sizeof(CUSTOM_HEADER) + length);

    memcpy(in_name, CUSTOM_NAME, sizeof(CUSTOM_NAME) - 1);
    memcpy(in_header, CUSTOM_HEADER, sizeof(CUSTOM_HEADER) - 1);
    in_name += sizeof(CUSTOM_NAME) - 1;
    in_header += sizeof(CUSTOM_HEADER) - 1;
    for (; *key != '\0'; key++) {
        char folded = fold(*key);

        *in_name++ = folded >= 'a' ? (char)(folded - 'a' + 'A') : folded;
        *in_header++ = folded != '_' ? *key : '-';
    }
    *in_name = *in_header = '\0';
}

/* Two custom parameters may read as one name ("a.b", "a_b"): the later counts, so the last is exported first, and the others if they are new. */
static void export_customs(export_state_t *state, const apr_table_t *customs)
{
    const apr_array_header_t *list = apr_table_elts(customs);
    const char **names = apr_palloc(state->r->pool, (apr_size_t)list->nelts * sizeof(*names));
    int i, k, count = 0;

    for (i = list->nelts - 1; i >= 0; i--) {
        const apr_table_entry_t *custom = &APR_ARRAY_IDX(list, i, apr_table_entry_t);
        apr_size_t length = strlen(custom->key);
        char *name, *header;

        name_custom(&name, &header, custom->key, length, state->r->pool);
        for (k = 0; k < count && strcmp(names[k], name) != 0; k++)
            ;
        if (k == count) {
            names[count++] = name;
            export_one(state, name, header, sizeof(CUSTOM_HEADER) - 1 + length, custom->val);
        }
    }
}

/* mod_proxy leaves out what the Connection header names (RFC 9110 section 7.6.1): a client must not make it leave out what we say. */
static void keep_headers(request_rec *r)
{
    const char *at = apr_table_get(r->headers_in, "Connection"), *kept = NULL;
    int taken = 0;

    while (at != NULL && *(at += strspn(at, ",; \t")) != '\0') {
        apr_size_t length = strcspn(at, ",; \t");
        const char *token = apr_pstrmemdup(r->pool, at, length);

        if (is_our_header(token) || is_remote_user(token))
            taken = 1;
        else
            kept = kept == NULL ? token : apr_pstrcat(r->pool, kept, ", ", token, NULL);
        at += length;
    }
    if (taken && kept != NULL)
        apr_table_setn(r->headers_in, "Connection", kept);
    else if (taken)
        apr_table_unset(r->headers_in, "Connection");
}

static void export_identity(request_rec *r, const mod_lti_identity_t *identity)
{
    export_state_t state = {.r = r, .pass = mod_lti_config_pass(mod_lti_config_of_dir(r))};
    apr_size_t i;

    if (state.pass == 0)
        return;
    state.put_env = way_to_put(r->subprocess_env, is_our_variable);
    state.put_header = way_to_put(r->headers_in, is_our_header);
    if (state.pass & LTI_PASS_HEADERS) {
        keep_headers(r);
        add_header(&state, HEADER("X-LTI-Remote-User"), identity->remote_user);
    }
    for (i = 0; i < EXPORTS; i++)
        export_one(&state, exports[i].name, exports[i].header, exports[i].header_length, value_of(&exports[i], identity, r->pool));
    if (identity->session->launch.custom != NULL)
        export_customs(&state, identity->session->launch.custom);
    if (state.truncated != NULL && (state.pass & LTI_PASS_HEADERS))
        state.put_header(r->headers_in, "X-LTI-Truncated", state.truncated);
}

/* What scripts call our headers; a page with SSI hands these on too. */
static int is_header_variable(const char *name)
{
    return reads_as(name, "http_x_lti_", 0);
}

/* A sub-request begins with a copy of what was told to its main request; where less is to be told, the rest is taken back. */
static void take_back(request_rec *r, const mod_lti_identity_t *identity)
{
    int pass = identity->standing == MOD_LTI_PRESENT ? mod_lti_config_pass(mod_lti_config_of_dir(r)) : 0;

    if (!(pass & LTI_PASS_HEADERS)) {
        unset_all(r->headers_in, is_our_header, r->pool);
        unset_all(r->subprocess_env, is_header_variable, r->pool);
    }
    if (!(pass & LTI_PASS_ENV))
        unset_all(r->subprocess_env, is_our_variable, r->pool);
}

/* What was made for one person is not for shared caches, unless the application said so itself. */
static apr_status_t mark_private(ap_filter_t *filter, apr_bucket_brigade *brigade)
{
    request_rec *r = filter->r;
    const char *control = apr_table_get(r->headers_out, "Cache-Control");

    ap_remove_output_filter(filter);
    if (control == NULL)
        apr_table_setn(r->headers_out, "Cache-Control", "private");
    else if (ap_strcasestr(control, "private") == NULL && ap_strcasestr(control, "no-store") == NULL)
        apr_table_setn(r->headers_out, "Cache-Control", apr_pstrcat(r->pool, control, ", private", NULL));
    return ap_pass_brigade(filter->next, brigade);
}

int mod_lti_environment_export(request_rec *r)
{
    const lti_server_config_t *conf = mod_lti_config_of(r->server);
    const char *type;
    const mod_lti_identity_t *identity;

    if (!mod_lti_config_is_active(conf))
        return DECLINED;
    if (mod_lti_identity_end_point(r) != NULL) {
        r->handler = "lti-sync";
        r->proxyreq = PROXYREQ_NONE; /* `RewriteRule ... [P]` does not ask for no-proxy */
        return DECLINED;
    }
    type = r->ap_auth_type != NULL ? r->ap_auth_type : ap_auth_type(r); /* the first is who let the user in, and is free */
    if (type != NULL && ap_cstr_casecmp(type, "LTI") == 0)
        unset_all(r->headers_in, is_remote_user, r->pool);
    identity = mod_lti_identity_of(r);
    mod_lti_cookie_withhold(r, conf->cookie_name);
    if (r->main != NULL && identity->session != NULL)
        take_back(r, identity);
    if (identity->standing == MOD_LTI_PRESENT) {
        export_identity(r, identity);
        mod_lti_identity_renew(r, identity);
        if (r->main == NULL)
            ap_add_output_filter_handle(private_filter, NULL, r, r->connection);
    }
    return DECLINED;
}

/* --- expressions: %{LTI_ROLE} and its like resolve the session themselves ------------------------------------------------------ */

static const char *expression_value(ap_expr_eval_ctx_t *ctx, const void *data)
{
    const mod_lti_identity_t *identity;
    const char *value = NULL;

    if (ctx->r == NULL)
        return "";
    identity = mod_lti_identity_of(ctx->r);
    if (identity->standing == MOD_LTI_PRESENT)
        value = value_of(data, identity, ctx->p);
    return value != NULL ? value : "";
}

static int lookup_expression(ap_expr_lookup_parms *parms)
{
    apr_size_t i;

    if (parms->type != AP_EXPR_FUNC_VAR || ap_cstr_casecmpn(parms->name, "LTI_", 4) != 0)
        return DECLINED;
    for (i = 0; i < EXPORTS; i++) {
        if (ap_cstr_casecmp(parms->name, exports[i].name) == 0) {
            *parms->func = expression_value;
            *parms->data = &exports[i];
            return OK;
        }
    }
    return DECLINED;
}

void mod_lti_environment_register(apr_pool_t *p)
{
    (void)p;
    private_filter = ap_register_output_filter("LTI_PRIVATE", mark_private, NULL, AP_FTYPE_CONTENT_SET);
    ap_hook_expr_lookup(lookup_expression, NULL, NULL, APR_HOOK_MIDDLE);
}
