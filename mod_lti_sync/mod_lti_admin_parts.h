/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_lti_admin_parts: what the files of the room share: who is let in, the loan of a database connection with what the overview needs, the token of actions, pages with the same head, the
 * lines of the audit. mod_lti_admin.c decides who answers: _page.c and _list.c write the status page, _course.c that of a course, _doctor.c that of an examination, _metrics.c the
 * metrics, _action.c does what is asked for. Request threads only.
 */
#ifndef MOD_LTI_ADMIN_PARTS_H
#define MOD_LTI_ADMIN_PARTS_H

#include <httpd.h>
#include <jansson.h>
#include "lti_err.h"
#include "lti_overview.h"
#include "mod_lti_config.h"
#include "mod_lti_form.h"
#include "mod_lti_html.h"
#include "mod_lti_store.h"

/** A request of an administrator. */
typedef struct mod_lti_admin_t {
    request_rec *r;
    const lti_server_config_t *conf;
    const mod_lti_form_t *form; /* the query of a GET; of a POST its body */
    const char *self;           /* path of the end point: "/lti/status" */
    int wants_json;             /* ?format=json, or Accept: application/json */
    lti_overview_t overview;    /* `db` between mod_lti_admin_open() and _close() only */
    apr_int64_t known;          /* where the overview keeps how many courses there are */
    mod_lti_store_t store;
} mod_lti_admin_t;

/**
 * Only where LTIAdmin On holds (LTI_E_ADMIN_OFF), and only by a name that this host has (LTI_E_HOST): a page of another site whose name suddenly leads here would else read
 * and press everything as whoever may. For status and metrics, before anything else.
 */
apr_status_t mod_lti_admin_let_in(request_rec *r, lti_err_t *err);

/** Begins a request that was let in: all but `form`, `wants_json` and the connection. */
void mod_lti_admin_fill(mod_lti_admin_t *admin, request_rec *r);

/** Borrows a connection and sets admin->overview.db. Not while the network is waited for. */
apr_status_t mod_lti_admin_open(mod_lti_admin_t *admin, lti_err_t *err);
void mod_lti_admin_close(mod_lti_admin_t *admin);

/** Refuses the request; what the handler returns. `tag` as in mod_lti_page_refuse(). */
int mod_lti_admin_refuse(const mod_lti_admin_t *admin, const char *tag, const lti_err_t *err);

/** Of the query or the form; NULL if it is absent or empty. Repeated ones were refused before anybody is asked. */
const char *mod_lti_admin_get(const mod_lti_admin_t *admin, const char *name);

/** Answers with `object` as JSON; what the handler returns. */
int mod_lti_admin_send_json(const mod_lti_admin_t *admin, const json_t *object);

/**
 * Begins a page with the title `title`: fills `html` (all but frame_ancestors), so that buttons post to the status end point, carry a token, and lead back to `back`, a query of
 * that end point ("course=KEY"; NULL: none). With `parent` a link leads up to the status page. Ends with mod_lti_html_end().
 */
int mod_lti_admin_begin(mod_lti_html_t *html, const mod_lti_admin_t *admin, const char *title, int parent, const char *back);

/** What was done by the button that led here ("The update was asked for."), as a line on the page; nothing if none did. */
void mod_lti_admin_write_done(mod_lti_html_t *html, const mod_lti_admin_t *admin);

/** status?course=KEY, to be put into an attribute. */
const char *mod_lti_admin_course_href(const mod_lti_admin_t *admin, const char *course_key);

/* --- protection of actions ------------------------------------------------------------------------------------------------- */

/** A token for forms, good for twelve hours, for this server and this user; NULL if there is no memory or randomness. */
const char *mod_lti_admin_token(const mod_lti_admin_t *admin);

/** LTI_E_ACTION_TOKEN: missing, too old, or made elsewhere. LTI_E_CROSS_SITE: a page of another site sent it. */
apr_status_t mod_lti_admin_check_action(const mod_lti_admin_t *admin, lti_err_t *err);

/* --- audit ------------------------------------------------------------------------------------------------------------------ */

/** One line at notice level: who, from where, did `action` with what, and how it ended (`outcome`: "done" or the name of an error code). NULL: not named. */
void mod_lti_admin_audit(const mod_lti_admin_t *admin, const char *action, const char *course_key, const char *platform,
                         const char *subject, const char *outcome);

/** The same of a look at people: before they are shown. `what`: "people", "held". */
void mod_lti_admin_audit_look(const mod_lti_admin_t *admin, const char *what, const char *course_key, const char *platform);

/* --- who answers ------------------------------------------------------------------------------------------------------------ */

/** GET status (mod_lti_admin_page.c). */
int mod_lti_admin_overview(mod_lti_admin_t *admin);

/** GET status?course=KEY (mod_lti_admin_course.c). */
int mod_lti_admin_course(mod_lti_admin_t *admin, const char *course_key);

/** GET status?doctor=PLATFORM (mod_lti_admin_doctor.c). */
int mod_lti_admin_doctor(mod_lti_admin_t *admin, const char *platform);

/** POST status (mod_lti_admin_action.c). */
int mod_lti_admin_act(mod_lti_admin_t *admin);

#endif
