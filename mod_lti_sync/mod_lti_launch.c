/* SPDX-License-Identifier: Apache-2.0 */
/* The end point launch: from the platform's answer to a session and the application's door (SPEC sections 1.3, 1.4 and 2). */
#include "mod_lti_launch.h"

#include <string.h>
#include <apr_atomic.h>
#include <apr_strings.h>
#include <http_log.h>
#include <http_protocol.h>
#include <http_request.h>

#include "lti_claims.h"
#include "lti_db.h"
#include "lti_json.h"
#include "lti_jws.h"
#include "lti_keys.h"
#include "lti_login.h"
#include "lti_session.h"
#include "lti_surplus.h"
#include "lti_visit.h"
#include "mod_lti_cookie.h"
#include "mod_lti_form.h"
#include "mod_lti_identity.h"
#include "mod_lti_launch_parts.h"
#include "mod_lti_page.h"
#include "mod_lti_paths.h"
#include "mod_lti_store.h"

APLOG_USE_MODULE(lti_sync);

#define ERROR_CODE_MAX 64

/* A launch on its way through the steps. */
typedef struct passage_t {
    request_rec *r;
    const lti_server_config_t *conf;
    const char *base_url;
    mod_lti_form_t *form; /* NULL: it could not be read */
    const char *id_token; /* NULL: the platform posted an error */
    const char *error, *error_description;
    const char *state_text; /* as it was posted */
    const lti_state_t *state;
    int bound;              /* this browser began the login */
    apr_time_t verified_at; /* second step: when the first one found it good; else 0 */
    const lti_platform_t *platform;
    int stale_keys;
    int first_roster; /* of its course is on its way */
    lti_launch_t *launch;
    const char *destination;
    const char *cookie_name, *cookie_value, *surplus;
    apr_time_t expires_at;
    mod_lti_page_aside_t aside; /* for the page of a refusal */
} passage_t;

/* --- what was posted ----------------------------------------------------------------------------------------------------- */

static apr_status_t read_form(passage_t *passage, lti_err_t *err)
{
    mod_lti_form_t *form;
    apr_status_t rv = mod_lti_form_read(&passage->form, passage->r, (apr_size_t)passage->conf->max_launch_size, err);

    if (mod_lti_launch_is_old(passage->form))
        return mod_lti_launch_fail_old(passage->form, err);
    if (rv != APR_SUCCESS)
        return rv;
    form = passage->form;
    if (apr_table_get(form->values, "handle") != NULL)
        return lti_fail(err, LTI_E_CROSS_SITE, APR_EACCES, "the second step of a launch without its header (SPEC W-21)");
    passage->state_text = mod_lti_form_get(form, "state", &rv, err);
    passage->id_token = mod_lti_form_get(form, "id_token", &rv, err);
    passage->error = mod_lti_form_get(form, "error", &rv, err);
    passage->error_description = mod_lti_form_get(form, "error_description", &rv, err);
    if (rv != APR_SUCCESS)
        return rv;
    if (passage->state_text == NULL || *passage->state_text == '\0')
        return lti_fail(err, LTI_E_PARAMETER_MISSING, APR_EINVAL, "the launch has no state (SPEC B-01)");
    if (passage->id_token != NULL && passage->error != NULL)
        return lti_fail(err, LTI_E_PARAMETER_INVALID, APR_EINVAL, "the launch has both id_token and error (SPEC B-03)");
    if (passage->id_token == NULL && passage->error == NULL)
        return lti_fail(err, LTI_E_PARAMETER_MISSING, APR_EINVAL, "the launch has neither id_token nor error (SPEC B-03)");
    return APR_SUCCESS;
}

/* The state is ours and in time (SPEC B-02). From here on its cookie is spent, whatever comes. */
static apr_status_t open_state(passage_t *passage, lti_err_t *err)
{
    apr_time_t now = passage->verified_at != 0 ? passage->verified_at : mod_lti_store_now();
    lti_state_t *state;
    apr_status_t rv = lti_state_open(&state, passage->conf->runtime->state_sealer, passage->base_url, passage->state_text, now,
                                     passage->r->pool, err);

    if (rv != APR_SUCCESS)
        return rv;
    mod_lti_cookie_set(passage->r, state->cookie_name, "", 0);
    passage->bound = lti_state_is_bound(state, mod_lti_cookie_get(passage->r, state->cookie_name));
    passage->state = state;
    mod_lti_page_name_request(passage->r, state->launch_id);
    mod_lti_launch_tell_answer(passage->r, state, passage->bound, passage->error != NULL);
    passage->platform = passage->aside.platform = lti_platform_by_name(passage->conf->platforms, state->platform);
    if (passage->platform == NULL)
        return lti_fail(err, LTI_E_STATE_INVALID, APR_EINVAL,
                        "the login was for platform %s, which is not configured here any more", state->platform);
    return APR_SUCCESS;
}

static apr_status_t fail_browser(const passage_t *passage, lti_err_t *err)
{
    return lti_fail(err, LTI_E_STATE_BROWSER, APR_EACCES, "the launch came without the cookie %s of its login (SPEC B-02)",
                    passage->state->cookie_name);
}

/* --- the platform says no (SPEC section 1.4) ------------------------------------------------------------------------------ */

static const struct {
    const char *error;
    lti_code_t code;
} refusals[] = {
    {"login_required", LTI_E_PLATFORM_LOGIN},
    {"interaction_required", LTI_E_PLATFORM_LOGIN},
    {"account_selection_required", LTI_E_PLATFORM_LOGIN},
    {"consent_required", LTI_E_PLATFORM_LOGIN},
    {"launch_no_longer_valid", LTI_E_STATE_EXPIRED},
    {"unauthorized_client", LTI_E_PLATFORM_DENIED},
    {"access_denied", LTI_E_PLATFORM_DENIED},
    {"server_error", LTI_E_PLATFORM_UNAVAILABLE},
    {"temporarily_unavailable", LTI_E_PLATFORM_UNAVAILABLE},
};

static int is_plain_code(const char *text)
{
    apr_size_t length = strlen(text);

    return length > 0 && length <= ERROR_CODE_MAX &&
           strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") == length;
}

static apr_status_t fail_error(passage_t *passage, lti_err_t *err)
{
    const char *detail = passage->error_description != NULL ? passage->error_description : "";
    lti_code_t code = LTI_E_PLATFORM_ERROR;
    apr_size_t i;

    for (i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        if (strcmp(refusals[i].error, passage->error) == 0)
            code = refusals[i].code;
    }
    passage->aside.error = passage->error;
    passage->aside.error_description = passage->error_description;
    if (!is_plain_code(passage->error))
        return lti_fail(err, code, APR_EGENERAL, "platform %s answered the login with an error code of %lu bytes that is none",
                        passage->platform->name, (unsigned long)strlen(passage->error));
    return lti_fail(err, code, APR_EGENERAL, "platform %s answered the login with %s%s%.120s", passage->platform->name,
                    passage->error, *detail != '\0' ? ": " : "", detail);
}

/* An error with a state that is not good may come from anybody: nothing of it is told (SPEC B-10, S-04). */
static apr_status_t fail_stray_error(const passage_t *passage, lti_err_t *err)
{
    lti_err_t cause = *err;

    return lti_fail(err, LTI_E_PARAMETER_INVALID, cause.status, "an error of %lu bytes was posted, but %.150s (SPEC B-10)",
                    (unsigned long)strlen(passage->error), cause.text);
}

/* --- the token ------------------------------------------------------------------------------------------------------------ */

/* What can be refused without a key is refused before one is fetched (SPEC S-10). Nothing in the token is believed yet. */
static apr_status_t check_envelope(const lti_jws_t *jws, const lti_platform_t *platform, lti_err_t *err)
{
    const char *issuer = lti_json_string(jws->claims, "iss");

    if (jws->kid == NULL)
        return lti_fail(err, LTI_E_KID_MISSING, APR_EINVAL, "the token's header has no kid (SPEC J-05)");
    if ((platform->algorithms & LTI_ALG_BIT(jws->alg)) == 0)
        return lti_fail(err, LTI_E_ALGORITHM, APR_EINVAL, "platform %s may not sign with %s (SPEC J-03)", platform->name,
                        lti_alg_name(jws->alg));
    if (issuer != NULL && strcmp(issuer, platform->issuer) != 0)
        return lti_fail(err, LTI_E_ISSUER, APR_EACCES, "the login was for platform %s, the token says iss %.100s (SPEC B-06)",
                        platform->name, issuer);
    return APR_SUCCESS;
}

/* A platform that gives an old name to a new key is asked once more before its launches are refused for an hour (SPEC Y-08). */
static apr_status_t verify_signature(passage_t *passage, const lti_jws_t *jws, const lti_key_t *key, lti_err_t *err)
{
    apr_status_t rv = lti_jws_verify(jws, key, passage->platform->algorithms, err);

    if (rv != APR_SUCCESS && err->code == LTI_E_SIGNATURE &&
        mod_lti_launch_renew_key(&key, &passage->stale_keys, passage->r, passage->platform, jws->kid))
        rv = lti_jws_verify(jws, key, passage->platform->algorithms, err);
    return rv;
}

static apr_status_t verify_token(passage_t *passage, lti_err_t *err)
{
    const lti_server_config_t *conf = passage->conf;
    const lti_key_t *key = NULL;
    lti_jws_t *jws;
    lti_expect_t expect = {.platform = passage->platform,
                           .nonce = passage->state->nonce,
                           .launch_id = passage->state->launch_id,
                           .target = passage->state->target,
                           .deployment_id = passage->state->deployment_id,
                           .skew_seconds = (int)apr_time_sec(conf->clock_skew),
                           .allow_anonymous = conf->anonymous,
                           .role_options = conf->strict_roles ? LTI_ROLE_STRICT : 0,
                           .message_types = (unsigned)conf->message_types,
                           .legacy_secrets = conf->legacy_secrets};
    apr_status_t rv = lti_jws_parse(&jws, passage->id_token, strlen(passage->id_token), passage->r->pool, err);

    if (rv == APR_SUCCESS)
        rv = check_envelope(jws, passage->platform, err);
    if (rv == APR_SUCCESS)
        rv = mod_lti_launch_key(&key, &passage->stale_keys, passage->r, passage->platform, jws->kid, err);
    if (rv == APR_SUCCESS)
        rv = verify_signature(passage, jws, key, err);
    if (rv == APR_SUCCESS) {
        mod_lti_launch_tell_signature(passage->r, passage->state, jws->kid, lti_alg_name(jws->alg));
        passage->aside.return_url = lti_claims_return_url(jws->claims, passage->r->pool);
    }
    /* Only now: fetching a key may have taken seconds, and the launch counts from its validation (Invariant 3). */
    expect.now = passage->verified_at != 0 ? passage->verified_at : mod_lti_store_now();
    if (rv == APR_SUCCESS)
        rv = lti_claims_launch(&passage->launch, jws->claims, &expect, passage->r->pool, err);
    if (rv == APR_SUCCESS)
        mod_lti_launch_tell_claims(passage->r, passage->launch);
    if (rv == APR_SUCCESS)
        rv = mod_lti_launch_target(&passage->destination, conf, passage->base_url, passage->launch->target_link_uri,
                                   passage->r->pool, err);
    return rv;
}

/* --- what is kept --------------------------------------------------------------------------------------------------------- */

static apr_status_t seal_session(passage_t *passage, lti_err_t *err)
{
    const lti_sealer_t *sealer = passage->conf->runtime->session_sealer;
    apr_pool_t *p = passage->r->pool;
    apr_time_t now = passage->launch->launched_at;

    passage->expires_at = now + passage->conf->session_lifetime;
    passage->cookie_name = lti_session_cookie_name(sealer, passage->conf->cookie_name, passage->launch, p);
    if (passage->cookie_name == NULL)
        return lti_fail(err, LTI_E_INTERNAL, APR_EGENERAL, "there is no name for the session's cookie");
    return lti_session_seal(&passage->cookie_value, &passage->surplus, sealer, passage->base_url, passage->cookie_name,
                            passage->launch, passage->expires_at, now, p, err);
}

/* A handle of the same launch may be as old as the token when the nonce goes: it must not outlive the nonce. */
static apr_time_t nonce_until(const passage_t *passage)
{
    return passage->launch->token_expires_at + passage->conf->clock_skew + apr_time_from_sec(LTI_HANDLE_LIFETIME);
}

/* The nonce first: its INSERT is what makes this launch the only one (Invariant 1). Only who is let in then leaves a course. */
static apr_status_t keep(passage_t *passage, lti_err_t *err)
{
    const lti_launch_t *launch = passage->launch;
    apr_pool_t *p = passage->r->pool;
    const char *nonce = lti_nonce_key(passage->platform->name, passage->state->nonce, p);
    mod_lti_store_t store;
    apr_status_t rv;

    if (nonce == NULL)
        return lti_fail(err, LTI_E_INTERNAL, APR_EGENERAL, "there is no digest of the nonce");
    rv = mod_lti_store_open_to_write(&store, passage->conf->runtime->turn, passage->conf->db_server, p, err);
    if (rv != APR_SUCCESS)
        return rv;
    rv = lti_db_nonce_redeem(store.db, nonce, nonce_until(passage), p, err);
    if (rv == APR_SUCCESS)
        rv = mod_lti_launch_admit(passage->r, store.db, passage->platform, launch, err);
    if (rv == APR_SUCCESS && launch->course_key != NULL)
        rv = mod_lti_launch_note_course(&passage->first_roster, launch, passage->conf, store.db, p, err);
    if (rv == APR_SUCCESS && passage->surplus != NULL)
        rv = lti_db_launch_write(store.db, launch->id, launch->course_key != NULL ? launch->course_key : "",
                                 launch->user_id != NULL ? launch->user_id : "", passage->surplus, passage->expires_at, p, err);
    mod_lti_store_close(&store);
    /* Where there is no room for a copy, requests ask the database. */
    if (rv == APR_SUCCESS && passage->surplus != NULL)
        (void)lti_surplus_put(passage->conf->runtime->surplus, launch->id, passage->surplus, passage->expires_at,
                              launch->launched_at);
    /* Where there is no room for it, the person's next launch tells of it. */
    if (rv == APR_SUCCESS)
        (void)lti_visit_put(passage->conf->runtime->visits, launch->course_key, passage->platform->name, launch->user_id, launch->launched_at);
    return rv;
}

/* The browser did not prove itself: the launch is spent all the same, so that nobody may try again (SPEC W-20). */
static apr_status_t burn(const passage_t *passage, lti_err_t *err)
{
    const char *nonce = lti_nonce_key(passage->platform->name, passage->state->nonce, passage->r->pool);
    mod_lti_store_t store;
    apr_status_t rv;

    if (nonce == NULL)
        return lti_fail(err, LTI_E_INTERNAL, APR_EGENERAL, "there is no digest of the nonce");
    rv = mod_lti_store_open_to_write(&store, passage->conf->runtime->turn, passage->conf->db_server, passage->r->pool, err);
    if (rv != APR_SUCCESS)
        return rv;
    rv = lti_db_nonce_redeem(store.db, nonce, nonce_until(passage), passage->r->pool, err);
    mod_lti_store_close(&store);
    return rv != APR_SUCCESS ? rv
                             : lti_fail(err, LTI_E_STATE_BROWSER, APR_EACCES,
                                        "what came from the platform's storage is not what the login put there (SPEC W-20)");
}

/* --- the answer ----------------------------------------------------------------------------------------------------------- */

/* Which of the older session cookies goes next: the one whose launch is longest ago; -1 if none is left. */
static int find_oldest(const apr_array_header_t *cookies)
{
    int i, oldest = -1;
    apr_time_t since = 0;

    for (i = 0; i < cookies->nelts; i++) {
        const mod_lti_launch_cookie_t *cookie = &APR_ARRAY_IDX(cookies, i, mod_lti_launch_cookie_t);
        apr_time_t launched = cookie->value != NULL ? lti_session_peek(cookie->value) : 0;

        if (launched != 0 && (oldest < 0 || launched < since)) {
            oldest = i;
            since = launched;
        }
    }
    return oldest;
}

static apr_size_t size_of(const char *name, const char *value)
{
    return strlen(name) + strlen(value) + sizeof("=; ") - 1;
}

/* Beyond LTI_SESSION_COOKIES_MAX the request's header would grow too large for servers: the oldest sessions go. */
static void set_session_cookie(const passage_t *passage)
{
    const char *prefix = apr_pstrcat(passage->r->pool, passage->conf->cookie_name, "_", NULL);
    apr_array_header_t *cookies = mod_lti_launch_cookies(passage->r, prefix);
    apr_size_t total = size_of(passage->cookie_name, passage->cookie_value);
    int i;

    for (i = 0; i < cookies->nelts; i++) {
        mod_lti_launch_cookie_t *cookie = &APR_ARRAY_IDX(cookies, i, mod_lti_launch_cookie_t);

        if (strcmp(cookie->name, passage->cookie_name) == 0)
            cookie->value = NULL; /* replaced by the new one */
        else if (lti_session_peek(cookie->value) != 0)
            total += size_of(cookie->name, cookie->value);
    }
    while (total > LTI_SESSION_COOKIES_MAX && (i = find_oldest(cookies)) >= 0) {
        mod_lti_launch_cookie_t *cookie = &APR_ARRAY_IDX(cookies, i, mod_lti_launch_cookie_t);

        total -= size_of(cookie->name, cookie->value);
        mod_lti_cookie_set(passage->r, cookie->name, "", 0);
        cookie->value = NULL;
    }
    mod_lti_cookie_set(passage->r, passage->cookie_name, passage->cookie_value, -1);
}

/*
 * Whether a REMOTE_USER can be made is judged where the application is; an administrator who looks for the reason of a later
 * refusal finds it here too.
 */
static void note_remote_user(const passage_t *passage)
{
    const lti_launch_t *launch = passage->launch;
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): there is a launch; whoever refuses a method never says APR_SUCCESS */
    const lti_person_t person = {.sub = launch->user_id, .email = launch->email, .sourcedid = launch->sourcedid};
    const char *user, *text = mod_lti_config_remote_user(mod_lti_config_of_dir(passage->r), passage->platform);

    if (launch->user_id != NULL && lti_remote_user(&user, text, passage->platform, &person, passage->r->pool, NULL) != APR_SUCCESS)
        ap_log_rerror(APLOG_MARK, APLOG_NOTICE, 0, passage->r,
                      "LTI0208: launch %s: no REMOTE_USER can be made for this person from the template %s. %s", launch->id, text,
                      lti_err_info(LTI_E_REMOTE_USER)->admin);
}

static void note_legacy(const passage_t *passage)
{
    if (passage->launch->legacy_fault != NULL)
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, passage->r,
                      "LTI0240: launch %s: the names of LTI 1.1 that platform %s sends are not used: %s", passage->launch->id,
                      passage->platform->name, passage->launch->legacy_fault);
}

/* A roster that cannot be fetched is a matter for administrators; the rest is of use to whoever looks for the reason of something (SPEC section 2). */
static void note_remarks(const passage_t *passage)
{
    const lti_launch_t *launch = passage->launch;

    if (launch->nrps_fault != NULL)
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, passage->r,
                      "LTI0230: launch %s: the roster service of platform %s is unusable: %s", launch->id, passage->platform->name,
                      launch->nrps_fault);
    if (launch->remarks != NULL)
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, passage->r, "LTI0231: launch %s: left out or mended: %s", launch->id,
                      launch->remarks);
}

static int answer(const passage_t *passage)
{
    request_rec *r = passage->r;
    const char *destination = mod_lti_paths_destination(r, passage->destination, passage->cookie_name);

    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, "LTI0202: launch %s: platform %s, course %s", passage->launch->id,
                  passage->platform->name, passage->launch->course_key != NULL ? passage->launch->course_key : "(none)");
    set_session_cookie(passage);
    mod_lti_launch_count(r);
    if (passage->verified_at != 0) {
        mod_lti_launch_send_location(r, destination, passage->cookie_name);
        return OK;
    }
    mod_lti_launch_redirect(r, HTTP_SEE_OTHER, destination);
    if (!passage->stale_keys || !mod_lti_launch_claim_keys(r, passage->platform))
        return HTTP_SEE_OTHER;
    /*
     * Nobody waits for keys that are not needed yet: the whole answer goes out first, and the browser's next request must not
     * queue behind this one.
     */
    r->connection->keepalive = AP_CONN_CLOSE;
    r->status = HTTP_SEE_OTHER;
    ap_set_content_length(r, 0);
    ap_rflush(r);
    mod_lti_launch_refresh_keys(r, passage->platform);
    return OK;
}

static apr_status_t pass(passage_t *passage, lti_err_t *err)
{
    apr_status_t rv;

    if (passage->r->method_number != M_POST)
        return mod_lti_launch_fail_method(passage->r, 1, err);
    rv = read_form(passage, err);
    if (rv != APR_SUCCESS)
        return rv;
    rv = open_state(passage, err);
    if (rv == APR_SUCCESS && passage->error != NULL && !passage->bound)
        rv = fail_browser(passage, err);
    if (passage->error != NULL)
        return rv == APR_SUCCESS ? fail_error(passage, err) : fail_stray_error(passage, err);
    if (rv == APR_SUCCESS)
        rv = verify_token(passage, err);
    if (rv == APR_SUCCESS && !passage->bound)
        rv = fail_browser(passage, err);
    if (rv == APR_SUCCESS)
        rv = seal_session(passage, err);
    return rv == APR_SUCCESS ? keep(passage, err) : rv;
}

/* The second step of a launch without its cookie: the very same checks, but for the proof that this browser began the login. */
static apr_status_t pass_proof(passage_t *passage, lti_err_t *err)
{
    lti_handle_t handle;
    const char *proof;
    apr_status_t rv = mod_lti_launch_read_proof(&handle, &proof, passage->r, passage->conf, passage->base_url, err);

    if (rv != APR_SUCCESS)
        return rv;
    passage->state_text = handle.state;
    passage->id_token = handle.id_token;
    passage->verified_at = handle.verified_at;
    rv = open_state(passage, err);
    if (rv == APR_SUCCESS)
        rv = verify_token(passage, err);
    if (rv == APR_SUCCESS && !lti_state_is_proved(passage->state, proof))
        return burn(passage, err);
    if (rv == APR_SUCCESS)
        rv = seal_session(passage, err);
    return rv == APR_SUCCESS ? keep(passage, err) : rv;
}

static int refuse(const passage_t *passage, const lti_err_t *err)
{
    const mod_lti_launch_stray_t stray = {.platform = passage->platform,
                                          .state = passage->state,
                                          .state_text = passage->state_text,
                                          .id_token = passage->id_token,
                                          .return_url = passage->aside.return_url,
                                          .verified_at = passage->launch != NULL ? passage->launch->launched_at : 0};

    if (err->code == LTI_E_OLD_LTI)
        return mod_lti_launch_refuse_old(passage->r, passage->form, err);
    if (err->code == LTI_E_STATE_BROWSER && passage->launch != NULL && passage->verified_at == 0)
        return mod_lti_launch_ask_browser(&stray, passage->r, passage->conf, passage->base_url, err);
    return mod_lti_launch_refuse(passage->r, "LTI0201", err, &passage->aside);
}

int mod_lti_launch_launch(request_rec *r)
{
    passage_t passage = {.r = r, .conf = mod_lti_config_of(r->server), .base_url = mod_lti_identity_base_url(r)};
    mod_lti_launch_step_t step = mod_lti_launch_step(r);
    lti_err_t err;
    apr_status_t rv;

    if (mod_lti_launch_is_probe(r))
        return OK;
    if (step == MOD_LTI_STEP_COOKIE)
        return mod_lti_launch_answer_cookie(r, passage.conf, passage.base_url);
    mod_lti_launch_no_store(r);
    rv = step == MOD_LTI_STEP_PROOF ? pass_proof(&passage, &err) : pass(&passage, &err);
    if (rv == APR_SUCCESS) {
        mod_lti_launch_tell_kept(r, passage.launch, passage.cookie_name, passage.expires_at, passage.first_roster);
        note_remote_user(&passage);
        note_legacy(&passage);
        note_remarks(&passage);
        if (passage.first_roster)
            mod_lti_launch_wait(r, passage.conf, passage.launch->course_key);
        return answer(&passage);
    }
    return rv == AP_FILTER_ERROR ? AP_FILTER_ERROR : refuse(&passage, &err);
}
