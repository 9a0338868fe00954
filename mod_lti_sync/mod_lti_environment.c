/* SPDX-License-Identifier: Apache-2.0 */
/* What applications are told: the one table of names, and how they are told. */
#include "mod_lti_environment.h"

#include <stddef.h>
#include <ap_expr.h>
#include <apr_strings.h>
#include <http_core.h>
#include <http_log.h>
#include <http_request.h>

#include "lti_json.h"
#include "mod_lti_cookie.h"
#include "mod_lti_environment_parts.h"
#include "mod_lti_identity.h"
#include "mod_lti_store.h"

APLOG_USE_MODULE(lti_sync);

#define HEADER_MAX 4096     /* bytes of one value */
#define HEADERS_MAX 16384   /* bytes of all names and values that we add */
#define HEADER_NAME_MAX 36  /* of the table */
#define HEADER_COUNT_MAX 64 /* servers take 100 in all, and a browser sends some 20 */
#define TRUNCATED_MAX 1024  /* bytes of the list of what was cut */

#define CUSTOM_NAME "LTI_CUSTOM_"
#define CUSTOM_HEADER "X-LTI-Custom-"

/* --- the table of what is exported -------------------------------------------------------------------------------------- */

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

static const char *path_prefix(const mod_lti_identity_t *identity, apr_pool_t *p)
{
    (void)p;
    return identity->path_prefix;
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
    ROW("LTI_PATH_PREFIX", "X-LTI-Path-Prefix", COMPUTED(path_prefix)),
    ROW("LTI_ROSTER_SIZE", "X-LTI-Roster-Size", COMPUTED(roster_size)),
    ROW("LTI_ROSTER_AGE", "X-LTI-Roster-Age", COMPUTED(roster_age)),
    ROW("LTI_ROSTER_STATE", "X-LTI-Roster-State", COMPUTED(roster_state)),
};

#define EXPORTS (sizeof(exports) / sizeof(exports[0]))

/* The platform's own text, to be given back letter by letter; where it has control characters nobody gets it. */
static const char *deep_link_data(const mod_lti_identity_t *identity, apr_pool_t *p)
{
    const char *data = identity->session->launch.deep_link_data;

    (void)p;
    return data != NULL && lti_json_is_clean(data) ? data : NULL;
}

static const char *sections(const mod_lti_identity_t *identity, apr_pool_t *p)
{
    (void)p;
    return identity->sections;
}

static const char *groups(const mod_lti_identity_t *identity, apr_pool_t *p)
{
    (void)p;
    return identity->groups;
}

/* What few launches have: other requests are spared the walk through it. */
static const export_t rare_exports[] = {
    ROW("LTI_FOR_USER_ID", "X-LTI-For-User-Id", LAUNCH(for_user_id)),
    ROW("LTI_DEEP_LINK_RETURN_URL", "X-LTI-Deep-Link-Return-Url", LAUNCH(deep_link_return_url)),
    ROW("LTI_DEEP_LINK_DATA", "X-LTI-Deep-Link-Data", COMPUTED(deep_link_data)),
    ROW("LTI_DEEP_LINK_ACCEPT_TYPES", "X-LTI-Deep-Link-Accept-Types", LAUNCH(deep_link_accept_types)),
    ROW("LTI_DEEP_LINK_ACCEPT_TARGETS", "X-LTI-Deep-Link-Accept-Targets", LAUNCH(deep_link_accept_targets)),
    ROW("LTI_DEEP_LINK_ACCEPT_MEDIA_TYPES", "X-LTI-Deep-Link-Accept-Media-Types", LAUNCH(deep_link_accept_media_types)),
    ROW("LTI_DEEP_LINK_ACCEPT_MULTIPLE", "X-LTI-Deep-Link-Accept-Multiple", LAUNCH(deep_link_accept_multiple)),
    ROW("LTI_DEEP_LINK_ACCEPT_LINEITEM", "X-LTI-Deep-Link-Accept-Lineitem", LAUNCH(deep_link_accept_lineitem)),
    ROW("LTI_DEEP_LINK_AUTO_CREATE", "X-LTI-Deep-Link-Auto-Create", LAUNCH(deep_link_auto_create)),
    ROW("LTI_LEGACY_CONSUMER_KEY", "X-LTI-Legacy-Consumer-Key", LAUNCH(legacy_consumer_key)),
    ROW("LTI_LEGACY_USER_ID", "X-LTI-Legacy-User-Id", LAUNCH(legacy_user_id)),
    ROW("LTI_LEGACY_CONTEXT_ID", "X-LTI-Legacy-Context-Id", LAUNCH(legacy_context_id)),
    ROW("LTI_LEGACY_RESOURCE_LINK_ID", "X-LTI-Legacy-Resource-Link-Id", LAUNCH(legacy_resource_link_id)),
    ROW("LTI_SECTIONS", "X-LTI-Sections", COMPUTED(sections)),
    ROW("LTI_GROUPS", "X-LTI-Groups", COMPUTED(groups)),
};

#define RARE_EXPORTS (sizeof(rare_exports) / sizeof(rare_exports[0]))

/* 1 if any of them may have a value. Return URL and consumer key may have gone to a surplus that is lost, the rest of their kind with them. */
static int has_rare(const mod_lti_identity_t *identity)
{
    const lti_launch_t *launch = &identity->session->launch;

    return launch->for_user_id != NULL || launch->deep_link_return_url != NULL || launch->legacy_consumer_key != NULL ||
           identity->sections != NULL || identity->groups != NULL;
}

/* All rows have a number, the rare ones after the others: what an application is told of is a set of them. */
_Static_assert(EXPORTS + RARE_EXPORTS <= 64, "a set of rows is one 64 bit word");
#define ALL_ROWS (~(apr_uint64_t)0)

static const export_t *row(apr_size_t number)
{
    return number < EXPORTS ? &exports[number] : &rare_exports[number - EXPORTS];
}

/* The number of the row of this name (LTI_ROLE), in any case; EXPORTS + RARE_EXPORTS if there is none. */
static apr_size_t find_row(const char *name)
{
    apr_size_t i;

    for (i = 0; i < EXPORTS + RARE_EXPORTS && ap_cstr_casecmp(row(i)->name, name) != 0; i++)
        ;
    return i;
}

int mod_lti_environment_is_told(const char *name)
{
    return strncmp(name, CUSTOM_NAME, sizeof(CUSTOM_NAME) - 1) == 0 || find_row(name) < EXPORTS + RARE_EXPORTS;
}

static const char *value_of(const export_t *entry, const mod_lti_identity_t *identity, apr_pool_t *p)
{
    if (entry->value != NULL)
        return entry->value(identity, p);
    return *(const char *const *)((const char *)&identity->session->launch + entry->offset);
}

/* --- exporting ------------------------------------------------------------------------------------------------------------ */

typedef struct export_state_t {
    request_rec *r;
    apr_table_t *env, *headers;        /* where to tell; NULL: not there (LTIPassIdentity) */
    int encoded;                       /* headers in percent encoding */
    const apr_array_header_t *customs; /* what custom parameters may be told (LTIPassClaims); NULL: all */
    apr_size_t header_bytes;
    int header_count;
    const char *truncated; /* names of headers that were cut or left out, joined by commas */
} export_state_t;

static int is_plain(unsigned char c)
{
    return c > 0x20 && c < 0x7F && c != '%';
}

static const char *percent_encode(const char *value, apr_pool_t *p)
{
    char *out = apr_palloc(p, strlen(value) * 3 + 1), *at = out;

    for (; *value != '\0'; value++) {
        unsigned char c = (unsigned char)*value;

        if (is_plain(c))
            *at++ = (char)c;
        else
            at += apr_snprintf(at, 4, "%%%02X", c);
    }
    *at = '\0';
    return out;
}

/*
 * The beginning of `value` that has at most `max` bytes, percent-encoded or as it is: cut at a blank (lists of roles) unless that costs more than half, else at a
 * whole character.
 */
static const char *cut(const char *value, apr_size_t max, int encoded, apr_pool_t *p)
{
    apr_size_t length, width = 0, whole = 0, blank = 0;

    for (length = 0; value[length] != '\0'; length++) {
        unsigned char c = (unsigned char)value[length];

        if ((c & 0xC0) != 0x80)
            whole = length;
        if (c == ' ')
            blank = length;
        width += encoded && !is_plain(c) ? 3 : 1;
        if (width > max)
            break;
    }
    if (value[length] == '\0')
        return value;
    return apr_pstrmemdup(p, value, blank > whole / 2 ? blank : whole);
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
    const char *kept = cut(value, HEADER_MAX, state->encoded, state->r->pool);
    int is_cut = kept != value;
    apr_size_t length;

    if (is_cut)
        note_truncated(state, header);
    value = state->encoded ? percent_encode(kept, state->r->pool) : kept;
    length = strlen(value);
    if (state->header_bytes + length + header_length > HEADERS_MAX || state->header_count == HEADER_COUNT_MAX) {
        if (!is_cut)
            note_truncated(state, header);
        return;
    }
    state->header_bytes += length + header_length;
    state->header_count++;
    apr_table_addn(state->headers, header, value);
}

static void add_header(export_state_t *state, const char *header, apr_size_t header_length, const char *value)
{
    apr_size_t length = strlen(value);

    if (length > HEADER_MAX || state->header_bytes + length + header_length > HEADERS_MAX ||
        state->header_count == HEADER_COUNT_MAX || state->encoded) {
        add_unusual_header(state, header, header_length, value);
        return;
    }
    state->header_bytes += length + header_length;
    state->header_count++;
    apr_table_addn(state->headers, header, value);
}

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
        char folded = mod_lti_environment_fold(*key);

        *in_name++ = folded >= 'a' ? (char)(folded - 'a' + 'A') : folded;
        *in_header++ = folded != '_' ? *key : '-';
    }
    *in_name = *in_header = '\0';
}

/* `name` is a variable, LTI_CUSTOM_...; patterns are of what follows that. */
static int may_tell_custom(const export_state_t *state, const char *name)
{
    int i;

    for (i = 0; state->customs != NULL && i < state->customs->nelts; i++) {
        if (ap_strcmp_match(name + sizeof(CUSTOM_NAME) - 1, APR_ARRAY_IDX(state->customs, i, const char *)) == 0)
            return 1;
    }
    return state->customs == NULL;
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
            if (!may_tell_custom(state, name) || custom->val[0] == '\0')
                continue;
            if (state->env != NULL)
                apr_table_addn(state->env, name, custom->val);
            if (state->headers != NULL)
                add_header(state, header, sizeof(CUSTOM_HEADER) - 1 + length, custom->val);
        }
    }
}

/* `rows` has a bit for each of the `count` entries, the lowest for the first. `fits`: no value needs to be measured. */
static void export_rows(export_state_t *state, const export_t *entry, apr_size_t count, apr_uint64_t rows, int fits,
                        const mod_lti_identity_t *identity)
{
    apr_table_t *env = state->env, *headers = state->headers;
    const export_t *end = entry + count;

    for (; entry < end; entry++, rows >>= 1) {
        const char *value = rows & 1 ? value_of(entry, identity, state->r->pool) : NULL;

        if (value == NULL || *value == '\0')
            continue;
        if (env != NULL)
            apr_table_addn(env, entry->name, value);
        if (headers != NULL && !fits) {
            add_header(state, entry->header, entry->header_length, value);
        } else if (headers != NULL) {
            state->header_count++;
            apr_table_addn(headers, entry->header, value);
        }
    }
}

/*
 * 1 if no value needs to be measured, and room is kept for all: what fitted into a cookie fits into headers, but for roles, which stand there as numbers. Custom
 * parameters are measured all the same, since they may be many.
 */
static int reserve(export_state_t *state, const mod_lti_identity_t *identity)
{
    apr_size_t roles_length = identity->roles != NULL ? strlen(identity->roles) : 0;

    if (identity->session->has_surplus || identity->names_from_roster || roles_length > HEADER_MAX || state->encoded)
        return 0;
    state->header_bytes += LTI_SESSION_COOKIE_MAX + roles_length + (EXPORTS + RARE_EXPORTS) * HEADER_NAME_MAX;
    return 1;
}

/*
 * Names are appended: replacing compares each with all that stand there, and ours all begin alike, so a request would spend more on that than on all the rest
 * of this module. The tables have none of them, since they were scrubbed just before.
 */
static void export_identity(request_rec *r, const mod_lti_identity_t *identity)
{
    static const apr_array_header_t no_customs;
    const lti_dir_config_t *dir = mod_lti_config_of_dir(r);
    int pass = mod_lti_config_pass(dir), fits = 0;
    export_state_t state = {.r = r, .encoded = (pass & LTI_PASS_ENCODED) != 0};
    apr_uint64_t rows = ALL_ROWS;

    if (dir->pass_claims != NULL) {
        rows = dir->pass_claims->rows;
        state.customs = dir->pass_claims->customs != NULL ? dir->pass_claims->customs : &no_customs;
    }
    if (pass & LTI_PASS_ENV)
        state.env = r->subprocess_env;
    if (pass & LTI_PASS_HEADERS) {
        state.headers = r->headers_in;
        mod_lti_environment_keep_headers(r);
        add_header(&state, HEADER("X-LTI-Remote-User"), identity->remote_user);
        fits = reserve(&state, identity);
    }
    export_rows(&state, exports, EXPORTS, rows, fits, identity);
    if (has_rare(identity))
        export_rows(&state, rare_exports, RARE_EXPORTS, rows >> EXPORTS, fits, identity);
    if (identity->session->launch.custom != NULL)
        export_customs(&state, identity->session->launch.custom);
    if (state.truncated != NULL)
        apr_table_addn(r->headers_in, "X-LTI-Truncated", state.truncated);
}

/* Where the story of a launch comes to the application. */
static void tell_request(request_rec *r, const mod_lti_identity_t *identity)
{
    const lti_launch_t *launch = &identity->session->launch;

    ap_log_rerror(APLOG_MARK, APLOG_DEBUG, 0, r, "LTI0765: launch %s: %s %s by %s, %s by the %s, course %s (%s, roster %s)",
                  launch->id, r->method, r->uri, launch->user_id != NULL ? launch->user_id : "nobody by name",
                  lti_role_word(identity->role), identity->role_from_roster ? "roster" : "launch",
                  launch->course_key != NULL ? launch->course_key : "(none)", launch->platform,
                  lti_roster_state_word(identity->roster_state));
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
    mod_lti_environment_scrub_again(r, type != NULL && ap_cstr_casecmp(type, "LTI") == 0);
    identity = mod_lti_identity_of(r);
    if (apr_table_get(r->headers_in, "Upgrade") == NULL)
        mod_lti_cookie_withhold(r, conf->cookie_name);
    if (identity->standing == MOD_LTI_PRESENT) {
        if (APLOGrdebug(r) && r->main == NULL && r->prev == NULL)
            tell_request(r, identity);
        export_identity(r, identity);
        mod_lti_identity_renew(r, identity);
    }
    return DECLINED;
}

/*
 * Where httpd itself agrees to an upgrade (h2c), it makes the first request of HTTP/2 of what it finds in this one, cookies too, before any handler: those are
 * withheld after that.
 */
void mod_lti_environment_before_handler(request_rec *r)
{
    const lti_server_config_t *conf = mod_lti_config_of(r->server);

    if (mod_lti_config_is_active(conf) && apr_table_get(r->headers_in, "Upgrade") != NULL)
        mod_lti_cookie_withhold(r, conf->cookie_name);
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
    apr_size_t number;

    if (parms->type != AP_EXPR_FUNC_VAR || ap_cstr_casecmpn(parms->name, "LTI_", 4) != 0)
        return DECLINED;
    number = find_row(parms->name);
    if (number == EXPORTS + RARE_EXPORTS)
        return DECLINED;
    *parms->func = expression_value;
    *parms->data = row(number);
    return OK;
}

/* --- LTIPassClaims ---------------------------------------------------------------------------------------------------------- */

/* 0 if the word names nothing. */
static int take_word(lti_pass_claims_t *claims, const char *word, apr_pool_t *p)
{
    char *name = apr_pstrcat(p, ap_cstr_casecmpn(word, "LTI_", 4) == 0 ? "" : "LTI_", word, NULL);
    apr_size_t number = find_row(name);

    ap_str_toupper(name);
    if (strcmp(name, "LTI_ALL") == 0) {
        claims->rows = ALL_ROWS;
        name = apr_pstrdup(p, CUSTOM_NAME "*");
    }
    if (number < EXPORTS + RARE_EXPORTS) {
        claims->rows |= (apr_uint64_t)1 << number;
    } else if (strncmp(name, CUSTOM_NAME, sizeof(CUSTOM_NAME) - 1) == 0 && name[sizeof(CUSTOM_NAME) - 1] != '\0') {
        if (claims->customs == NULL)
            claims->customs = apr_array_make(p, 2, sizeof(const char *));
        APR_ARRAY_PUSH(claims->customs, const char *) = name + sizeof(CUSTOM_NAME) - 1;
    } else {
        return strcmp(name, "LTI_NONE") == 0;
    }
    return 1;
}

int mod_lti_environment_check(apr_pool_t *pconf, server_rec *main_server)
{
    server_rec *s;
    int i, k, faults = 0;

    for (s = main_server; s != NULL; s = s->next) {
        const apr_array_header_t *all = mod_lti_config_of(s)->pass_claims;

        for (i = 0; all != NULL && i < all->nelts; i++) {
            lti_pass_claims_t *claims = APR_ARRAY_IDX(all, i, lti_pass_claims_t *);

            for (k = 0; k < claims->words->nelts; k++) {
                const lti_place_t *place = &APR_ARRAY_IDX(claims->words, k, lti_place_t);

                if (take_word(claims, place->text, pconf))
                    continue;
                ap_log_error(
                    APLOG_MARK, APLOG_EMERG | APLOG_STARTUP, 0, s,
                    "%s:%d: LTIPassClaims: '%s' is none of the variables; write all, none, or their names without LTI_, such as "
                    "role course_key custom_*",
                    place->file, place->line, place->text);
                faults++;
            }
        }
    }
    return faults;
}

void mod_lti_environment_register(apr_pool_t *p)
{
    (void)p;
    ap_hook_expr_lookup(lookup_expression, NULL, NULL, APR_HOOK_MIDDLE);
}
