/* SPDX-License-Identifier: Apache-2.0 */
/* What may not come in under our names: from clients, and from the request that this one was made from. */
#include "mod_lti_environment.h"

#include <apr_strings.h>

#include "mod_lti_config.h"
#include "mod_lti_environment_parts.h"

/*
 * 1 if a backend might read `name` as one that begins with `folded`: letters without case, every other character as '_', since CGI, WSGI, Rack and
 * their like fold names so, each a little differently (S-20). With `whole` the name must end there.
 */
static int reads_as(const char *name, const char *folded, int whole)
{
    for (; *folded != '\0'; name++, folded++) {
        if (*name == '\0' || mod_lti_environment_fold(*name) != *folded)
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
    char first = mod_lti_environment_fold(*name);

    return (first == 'r' || first == 'x') && (reads_as(name, "remote_user", 1) || reads_as(name, "x_remote_user", 1));
}

int mod_lti_environment_scrub(request_rec *r)
{
    if (mod_lti_config_is_active(mod_lti_config_of(r->server)))
        unset_all(r->headers_in, is_our_header, r->pool);
    return DECLINED;
}

static int is_identity_header(const char *name)
{
    return is_our_header(name) || is_remote_user(name);
}

#define REDIRECTED "REDIRECT_"

/*
 * A request that is made from another one begins with that one's variables, a sub-request with a copy, an internal redirect under new names; scripts also call our
 * headers HTTP_X_LTI_..., and a page with SSI hands these on. Variables that others set under LTI_ stay.
 */
static int is_told_variable(const char *name)
{
    while (name[0] == 'R' && strncmp(name, REDIRECTED, sizeof(REDIRECTED) - 1) == 0)
        name += sizeof(REDIRECTED) - 1;
    if (name[0] == 'L')
        return strncmp(name, "LTI_", 4) == 0 && mod_lti_environment_is_told(name);
    return name[0] == 'H' && reads_as(name, "http_x_lti_", 0);
}

void mod_lti_environment_scrub_again(request_rec *r, int remote_user)
{
    unset_all(r->headers_in, remote_user ? is_identity_header : is_our_header, r->pool);
    unset_all(r->subprocess_env, is_told_variable, r->pool);
}

void mod_lti_environment_keep_headers(request_rec *r)
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
