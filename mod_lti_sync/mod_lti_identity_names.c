/* SPDX-License-Identifier: Apache-2.0 */
/* Sections and groups of the person of a request, as the roster has them. */
#include "mod_lti_identity.h"

#include <apr_strings.h>
#include <http_log.h>

#include "lti_db.h"
#include "lti_names.h"
#include "lti_surplus.h"
#include "mod_lti_store.h"

APLOG_USE_MODULE(lti_sync);

#define REMEMBERED apr_time_from_sec(3600)
#define ID_BYTES 21 /* 28 characters: what an id may have in the table of copies */

/* A roster that changes has another version: what is kept for a version stays true. */
static const char *copy_id(const lti_launch_t *launch, apr_int64_t version, apr_pool_t *p)
{
    unsigned char digest[LTI_SHA256_SIZE];
    const lti_bytes_t pieces[] = {
        {launch->course_key, strlen(launch->course_key)}, {launch->user_id, strlen(launch->user_id)}, {&version, sizeof(version)}};

    if (lti_sha256_pieces(digest, pieces, sizeof(pieces) / sizeof(pieces[0])) != APR_SUCCESS)
        return NULL;
    return apr_pstrcat(p, "n", lti_base64url_encode(digest, ID_BYTES, p), NULL);
}

/* Both as one text, a line each. */
static void split(const char **sections, const char **groups, char *text)
{
    char *line = strchr(text, '\n');

    if (line == NULL)
        return;
    *line = '\0';
    *sections = *text != '\0' ? text : NULL;
    *groups = line[1] != '\0' ? line + 1 : NULL;
}

static int read_copy(const char **sections, const char **groups, const lti_surplus_t *copies, const char *id, apr_time_t now,
                     apr_pool_t *p)
{
    const char *encoded = lti_surplus_get(copies, id, now, p);
    apr_size_t length = encoded != NULL ? strlen(encoded) : 0, size = 0;
    char *text;

    if (encoded == NULL)
        return 0;
    text = apr_palloc(p, length + 1);
    if (lti_base64url_decode((unsigned char *)text, &size, encoded, length) != APR_SUCCESS)
        return 0;
    text[size] = '\0';
    split(sections, groups, text);
    return 1;
}

static apr_status_t read_row(const char **sections, const char **groups, request_rec *r, const lti_launch_t *launch, lti_err_t *err)
{
    mod_lti_store_t store;
    lti_member_t *member;
    apr_status_t rv = mod_lti_store_lookup_open(&store, mod_lti_config_of(r->server)->db_server, r->pool, err);

    if (rv != APR_SUCCESS)
        return rv;
    rv = lti_db_member_read(&member, store.db, launch->course_key, launch->user_id, r->pool, err);
    if (rv == APR_SUCCESS && member->status == LTI_MEMBER_ACTIVE) {
        *sections = lti_names_list_to_words(member->sections, r->pool);
        *groups = lti_names_list_to_words(member->groups, r->pool);
    }
    mod_lti_store_lookup_done(&store, rv != APR_SUCCESS && rv != APR_NOTFOUND);
    return rv == APR_NOTFOUND ? APR_SUCCESS : rv;
}

void mod_lti_identity_roster_names(const char **sections, const char **groups, request_rec *r, const mod_lti_identity_t *identity)
{
    const lti_launch_t *launch = &identity->session->launch;
    lti_surplus_t *copies = mod_lti_config_of(r->server)->runtime->surplus;
    apr_time_t now = mod_lti_store_now();
    const char *id, *text;
    lti_err_t err;
    apr_status_t rv;

    *sections = *groups = NULL;
    if (!identity->on_roster || launch->course_key == NULL || launch->user_id == NULL)
        return;
    id = copy_id(launch, identity->roster_version, r->pool);
    if (id != NULL && read_copy(sections, groups, copies, id, now, r->pool))
        return;
    rv = read_row(sections, groups, r, launch, &err);
    if (rv != APR_SUCCESS) {
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, rv, r, "LTI0650: the sections and groups of a person cannot be read now: %s",
                      err.text);
        return;
    }
    text = apr_pstrcat(r->pool, *sections != NULL ? *sections : "", "\n", *groups != NULL ? *groups : "", NULL);
    if (id != NULL)
        (void)lti_surplus_put(copies, id, lti_base64url_encode((const unsigned char *)text, strlen(text), r->pool),
                              now + REMEMBERED, now);
}
