/* SPDX-License-Identifier: Apache-2.0 */
/* AuthType LTI: the person of the session becomes the user of the request; what happens to those without one (LTIUnauthenticated). */
#include "mod_lti_identity.h"

#include <apr_strings.h>
#include <http_core.h>
#include <http_log.h>
#include <http_protocol.h>
#include <http_request.h>

#include "mod_lti_identity_parts.h"
#include "mod_lti_origin.h"
#include "mod_lti_page.h"

APLOG_USE_MODULE(lti_sync);

static int is_ours(request_rec *r)
{
    const char *type = ap_auth_type(r);

    return type != NULL && ap_cstr_casecmp(type, "LTI") == 0;
}

static void set_user(request_rec *r, const mod_lti_identity_t *identity)
{
    static char auth_type[] = "LTI";

    r->user = apr_pstrdup(r->pool, identity->remote_user);
    r->ap_auth_type = auth_type;
}

int mod_lti_identity_check_access(request_rec *r)
{
    const char *unauthenticated = mod_lti_config_of_dir(r)->unauthenticated;
    const mod_lti_identity_t *identity;

    if (unauthenticated == NULL || strcmp(unauthenticated, LTI_UNAUTHENTICATED_PASS) != 0 || !is_ours(r))
        return DECLINED;
    identity = mod_lti_identity_of(r);
    if (identity->standing == MOD_LTI_PRESENT)
        set_user(r, identity);
    return DECLINED;
}

/* 1 if the URL `target`, up to `path`, is this site, by its name or by the one that the browser used. */
static int is_here(request_rec *r, const char *target, const char *path)
{
    const char *base = mod_lti_identity_base_url(r), *host = apr_table_get(r->headers_in, "Host");
    const char *authority = ap_strstr_c(target, "://") + 3;
    apr_size_t length = (apr_size_t)(path - target);

    if (strlen(base) == length && ap_cstr_casecmpn(target, base, length) == 0)
        return 1;
    length = (apr_size_t)(path - authority);
    return host != NULL && strlen(host) == length && ap_cstr_casecmpn(authority, host, length) == 0;
}

/* Somebody who is at the place already where strangers are led must not be led there again. */
static int is_there(request_rec *r, const char *target)
{
    const char *path = target;
    char *plain;

    if (*target != '/') {
        path = ap_strstr_c(target, "://") + 3;
        path += strcspn(path, "/?#");
        if (!is_here(r, target, path))
            return 0;
    }
    plain = apr_pstrmemdup(r->pool, path, strcspn(path, "?#"));
    (void)ap_unescape_url(plain); /* as the address of the request was */
    return strcmp(r->uri, *plain != '\0' ? plain : "/") == 0;
}

/* Nobody is here: the status to return. */
static int turn_away(request_rec *r, const mod_lti_identity_t *identity)
{
    const lti_session_t *session = identity->session != NULL ? identity->session : identity->ended;
    const char *target = mod_lti_config_of_dir(r)->unauthenticated;

    if (session != NULL)
        ap_log_rerror(APLOG_MARK, APLOG_DEBUG, 0, r, "LTI0766: launch %s: %s %s is not let in (request %s): %s", session->launch.id,
                      r->method, r->uri, mod_lti_page_request_id(r), lti_err_info(identity->err.code)->name);
    if (identity->standing != MOD_LTI_NOBODY || target == NULL || strcmp(target, LTI_UNAUTHENTICATED_401) == 0 ||
        strcmp(target, LTI_UNAUTHENTICATED_PASS) == 0 || !mod_lti_origin_is_navigation(r) || is_there(r, target))
        return mod_lti_identity_refuse(r, "LTI0101", &identity->err);
    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, "LTI0140: led to %s: %s", target, identity->err.text);
    apr_table_setn(r->headers_out, "Location", target);
    apr_table_setn(r->err_headers_out, "Cache-Control", "no-store");
    return HTTP_MOVED_TEMPORARILY;
}

int mod_lti_identity_check_authn(request_rec *r)
{
    const mod_lti_identity_t *identity;
    mod_lti_identity_record_t *record;

    if (!is_ours(r))
        return DECLINED;
    record = mod_lti_identity_record(r);
    identity = mod_lti_identity_of(r);
    if (identity->standing != MOD_LTI_PRESENT)
        return turn_away(r, identity);
    set_user(r, identity);
    record->authenticated = 1;
    if (record->pending) {
        /* Require lti-member cannot say 503 by itself; whether the other Require lines would let the person in all the same is asked here. */
        int verdict = ap_run_auth_checker(r);

        if (verdict != OK && verdict != DECLINED) {
            lti_err_t err;

            lti_fail(&err, LTI_E_ROSTER_PENDING, APR_EAGAIN, "Require lti-member: course %s has no roster yet",
                     identity->session->launch.course_key != NULL ? identity->session->launch.course_key : "(none)");
            return mod_lti_identity_refuse(r, "LTI0103", &err);
        }
    }
    return OK;
}
