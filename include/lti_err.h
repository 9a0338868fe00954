/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lti_err: what went wrong, and for whom.
 *
 * Every function of the core that can fail returns an apr_status_t and fills an lti_err_t of its caller's stack. The
 * code is stable: it stands in error pages, log lines, the sync table and the documentation (docs/errors.md lists the
 * table of lti_err.c). The text is the detail of this one case; it may quote the outside world, so whoever shows it
 * escapes it for the place where it goes. The core never logs errors: the edge (handler, provider, watch) does, once.
 *
 * Any thread, any process; nothing here allocates.
 */
#ifndef LTI_ERR_H
#define LTI_ERR_H

#include <apr_errno.h>

/** Whose matter it is; decides the HTTP status class and whether trying again can help. */
typedef enum lti_err_kind_t {
    LTI_ERR_NONE = 0,
    LTI_ERR_REQUEST,  /* the request is malformed */
    LTI_ERR_DENIED,   /* well formed, but not admitted */
    LTI_ERR_PLATFORM, /* the platform failed us: try again later */
    LTI_ERR_STORE,    /* the database failed us: try again later */
    LTI_ERR_CONFIG,   /* an administrator has to change something */
    LTI_ERR_INTERNAL  /* a fault of this module or of the machine */
} lti_err_kind_t;

/** One code per reason; lti_err.c holds the one table of names, statuses and sentences. */
typedef enum lti_code_t {
    LTI_OK = 0,
    /* requests at our end points */
    LTI_E_METHOD,
    LTI_E_CONTENT_TYPE,
    LTI_E_TOO_LARGE,
    LTI_E_URI_TOO_LONG,
    LTI_E_PARAMETER_MISSING,
    LTI_E_PARAMETER_REPEATED,
    LTI_E_PARAMETER_INVALID,
    LTI_E_FORM_INVALID,
    LTI_E_OLD_LTI,
    /* login */
    LTI_E_ISSUER_UNKNOWN,
    LTI_E_CLIENT_UNKNOWN,
    LTI_E_PLATFORM_AMBIGUOUS,
    LTI_E_TARGET_NOT_ALLOWED,
    /* state, nonce */
    LTI_E_STATE_INVALID,
    LTI_E_STATE_EXPIRED,
    LTI_E_STATE_BROWSER,
    LTI_E_NONCE_MISMATCH,
    LTI_E_NONCE_USED,
    LTI_E_PLATFORM_ERROR,
    LTI_E_PLATFORM_DENIED,
    LTI_E_PLATFORM_LOGIN,
    LTI_E_PLATFORM_UNAVAILABLE,
    /* token envelope and signature */
    LTI_E_TOKEN_MALFORMED,
    LTI_E_ALGORITHM,
    LTI_E_KID_MISSING,
    LTI_E_KEY_UNKNOWN,
    LTI_E_KEY_UNUSABLE,
    LTI_E_KEYSET_INVALID,
    LTI_E_KEYSET_UNAVAILABLE,
    LTI_E_SIGNATURE,
    /* claims */
    LTI_E_CLAIM_MISSING,
    LTI_E_CLAIM_INVALID,
    LTI_E_ISSUER,
    LTI_E_AUDIENCE,
    LTI_E_EXPIRED,
    LTI_E_NOT_YET_VALID,
    LTI_E_VERSION,
    LTI_E_MESSAGE_TYPE,
    LTI_E_DEPLOYMENT_UNKNOWN,
    LTI_E_DEPLOYMENT_WAITING,
    LTI_E_DEPLOYMENT_WITHDRAWN,
    LTI_E_DEPLOYMENT_MISMATCH,
    LTI_E_TARGET_MISMATCH,
    LTI_E_ANONYMOUS,
    LTI_E_REMOTE_USER,
    /* session and authorization */
    LTI_E_SESSION_NONE,
    LTI_E_SESSION_INVALID,
    LTI_E_SESSION_EXPIRED,
    LTI_E_SESSION_ENDED,
    LTI_E_SESSION_AMBIGUOUS,
    LTI_E_MEMBER_LEFT,
    LTI_E_ROSTER_PENDING,
    LTI_E_ROSTER_UNAVAILABLE,
    LTI_E_ROLE_REQUIRED,
    LTI_E_COURSE_UNKNOWN,
    LTI_E_COURSE_AMBIGUOUS,
    LTI_E_CROSS_SITE,
    /* roster runs */
    LTI_E_HTTP_CONNECT,
    LTI_E_HTTP_TIMEOUT,
    LTI_E_HTTP_TOO_LARGE,
    LTI_E_HTTP_REDIRECT,
    LTI_E_HTTP_STATUS,
    LTI_E_HTTP_ADDRESS,
    LTI_E_HTTP_ABORTED,
    LTI_E_SERVICE_URL,
    LTI_E_SERVICE_NONE,
    LTI_E_TOKEN_REFUSED,
    LTI_E_TOKEN_ANSWER,
    LTI_E_SCOPE_REFUSED,
    LTI_E_ROSTER_FORBIDDEN,
    LTI_E_ROSTER_GONE,
    LTI_E_ROSTER_BUSY,
    LTI_E_ROSTER_TYPE,
    LTI_E_ROSTER_MALFORMED,
    LTI_E_ROSTER_LOOP,
    LTI_E_ROSTER_ORIGIN,
    LTI_E_ROSTER_LIMIT,
    LTI_E_ROSTER_MEMBERS,
    LTI_E_ROSTER_EMPTY,
    LTI_E_ROSTER_HELD,
    LTI_E_LEASE_LOST,
    /* machine */
    LTI_E_STORE,
    LTI_E_STORE_BUSY,
    LTI_E_SCHEMA_NEWER,
    LTI_E_CONFIG,
    LTI_E_SNAPSHOT_FULL,
    LTI_E_NOT_FOUND,
    LTI_E_INTERNAL,
    LTI_E_ROSTER_TOO_LARGE,
    LTI_E_ROSTER_CHANGES,
    LTI_E_EVENTS_GONE,
    LTI_E_EVENTS_BUSY,
    LTI_E_RATE_LIMITED,
    LTI_E_ADMIN_OFF,
    LTI_E_HOST,
    LTI_E_ACTION_TOKEN,
    LTI_E_EXAMINATION_BUSY,
    LTI_E_COUNT
} lti_code_t;

/** One row of the table. */
typedef struct lti_err_info_t {
    const char *name; /* stable, lower case, words joined by '-' */
    lti_err_kind_t kind;
    int http;           /* status of the answer when a browser asked */
    const char *person; /* a sentence for the person in front of the browser */
    const char *admin;  /* a sentence for the administrator: what to look at, what to write */
} lti_err_info_t;

typedef struct lti_err_t {
    lti_code_t code;
    apr_status_t status;
    const char *func; /* where it was noticed */
    long detail;      /* a number that belongs to the code: HTTP status, seconds of Retry-After, or 0 */
    char text[240];   /* this case, in English, never a secret; UTF-8, cut at a character's end */
} lti_err_t;

/** The row of `code`; codes out of range give that of LTI_E_INTERNAL. Never NULL. */
const lti_err_info_t *lti_err_info(lti_code_t code);

/** The code of that name, LTI_E_COUNT if there is none. */
lti_code_t lti_err_by_name(const char *name);

/** What to do about the reason of that name; "" for one that a newer release on another node has written and this one does not know. */
const char *lti_err_advice(const char *name);

/** Fills `err` (may be NULL) and returns `status`, so that `return lti_fail(...)` is one line. */
#ifdef __clang_analyzer__
/* It does not look into lti_err_set(): so it is told what comes back, and knows a failure from a success. */
#define lti_fail(err, code, status, ...) (lti_err_set((err), __func__, (code), (status), __VA_ARGS__), (status))
#else
#define lti_fail(err, code, status, ...) lti_err_set((err), __func__, (code), (status), __VA_ARGS__)
#endif

apr_status_t lti_err_set(lti_err_t *err, const char *func, lti_code_t code, apr_status_t status, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

#endif
