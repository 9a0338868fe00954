/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a browser brings back. The first byte says what the rest is:
 *   h   a Cookie header: walked, and our cookies withheld from the application
 *   v   the value of a session cookie
 *   s   the text of a state
 *   r   the record inside a session's seal, up to a line "--", and behind it the surplus before base64url: what only a holder of the secret can send
 *       must not break anything either, since nodes of different releases share one secret
 */
#include "fuzz.h"

#include "lti_login.h"
#include "lti_session.h"
#include "mod_lti_cookie.h"

#define BASE "https://tools.example.edu"
#define PREFIX "lti"
#define NAME PREFIX "_abcdefghijklmnop"
#define CLEAR "1.68e7f500."
#define NOW (1760000000 * APR_USEC_PER_SEC)

static const lti_sealer_t *sealer(const char *purpose)
{
    lti_sealer_t *made = NULL;
    lti_err_t err;

    FUZZ_MUST(lti_sealer_create(&made, purpose, &(lti_bytes_t){"0123456789abcdef0123456789abcdef", 32}, 1, fuzz_pool(), &err) ==
              APR_SUCCESS);
    return made;
}

static int is_ours(const char *name)
{
    static const char session[] = PREFIX "_", state[] = LTI_STATE_COOKIE;

    return strncmp(name, session, sizeof(session) - 1) == 0 || strncmp(name, state, sizeof(state) - 1) == 0;
}

/* Everything that some program could take for a cookie: how many are ours, and how many bytes the others have. */
static void count(const char *header, int *ours, size_t *others)
{
    *ours = 0;
    *others = 0;
    while (*(header += strspn(header, " \t;,")) != '\0') {
        size_t length = strcspn(header, ";,");

        if (is_ours(header))
            ++*ours;
        else
            *others += length;
        header += length;
    }
}

/* Walks the header as the module does; every range lies inside it. */
static void walk(const char *header)
{
    const char *at = header, *end = header + strlen(header);
    mod_lti_cookie_t cookie;

    while (mod_lti_cookie_next(&cookie, &at)) {
        FUZZ_MUST(cookie.name >= header && cookie.name + cookie.name_length <= end && at <= end);
        FUZZ_MUST(cookie.value >= cookie.name && cookie.value + cookie.value_length <= end);
        FUZZ_MUST(memchr(cookie.name, ';', cookie.name_length) == NULL && memchr(cookie.value, ';', cookie.value_length) == NULL);
        /* What follows a comma is part of a value: else a cookie of any host of the domain could bring one of ours along. */
        FUZZ_MUST(cookie.name == header || strchr("; \t", cookie.name[-1]) != NULL);
    }
}

static void check_header(const char *header, apr_pool_t *p)
{
    request_rec r;
    const char *left;
    int ours, ours_left;
    size_t others, others_left;

    memset(&r, 0, sizeof(r));
    r.pool = p;
    r.headers_in = apr_table_make(p, 2);
    apr_table_setn(r.headers_in, "Cookie", header);
    walk(header);
    count(header, &ours, &others);
    (void)mod_lti_cookie_get(&r, NAME);
    mod_lti_cookie_withhold(&r, PREFIX);
    left = apr_table_get(r.headers_in, "Cookie");
    count(left != NULL ? left : "", &ours_left, &others_left);
    FUZZ_MUST(ours_left == 0 && others_left == others);
}

static void check_launch(const lti_session_t *session, size_t record)
{
    const lti_launch_t *launch = &session->launch;
    const char *const texts[] = {launch->id,         launch->name,       launch->user_id,
                                 launch->context_id, launch->return_url, launch->message_type};
    size_t i;

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        FUZZ_MUST(texts[i] == NULL || strlen(texts[i]) <= record + 64);
    /* A byte of the record can stand for a whole URI. */
    FUZZ_MUST(launch->roles != NULL && strlen(launch->roles) <= record * 128 + 128);
}

static void check_record(const uint8_t *data, size_t size, apr_pool_t *p)
{
    static const lti_sealer_t *session_sealer;
    const uint8_t *cut = NULL, *c;
    unsigned char sealed[LTI_SESSION_COOKIE_MAX + LTI_SEAL_OVERHEAD];
    static const char aad[] = NAME "\n" BASE "\n" CLEAR;
    apr_size_t length = 0, record;
    const char *value;
    lti_session_t *session = NULL;
    lti_err_t err = {.code = LTI_OK};
    apr_status_t rv;

    if (session_sealer == NULL)
        session_sealer = sealer("session");
    for (c = data; cut == NULL && size >= 4 && c < data + size - 3; c++) {
        if (memcmp(c, "\n--\n", 4) == 0)
            cut = c;
    }
    record = cut != NULL ? (size_t)(cut - data) : size;
    if (record > LTI_SESSION_COOKIE_MAX)
        return;
    FUZZ_MUST(lti_seal(sealed, &length, session_sealer, (lti_bytes_t){aad, sizeof(aad) - 1}, (lti_bytes_t){data, record}, &err) ==
              APR_SUCCESS);
    value = apr_pstrcat(p, CLEAR, lti_base64url_encode(sealed, length, p), NULL);
    rv = lti_session_open(&session, session_sealer, BASE, NAME, value, NOW, 0, p, &err);
    FUZZ_MUST_TELL(rv, err);
    if (rv != APR_SUCCESS)
        return;
    check_launch(session, record);
    if (cut != NULL) {
        const char *surplus = lti_base64url_encode(cut + 4, size - record - 4, p);

        rv = lti_session_add_surplus(session, surplus, p, &err);
        FUZZ_MUST_TELL(rv, err);
        check_launch(session, size);
    }
}

static void check_value(const char *value, apr_pool_t *p)
{
    static const lti_sealer_t *session_sealer;
    lti_session_t *session = NULL;
    lti_err_t err = {.code = LTI_OK};

    if (session_sealer == NULL)
        session_sealer = sealer("session");
    (void)lti_session_peek(value);
    /* Nobody guesses a seal. */
    FUZZ_MUST(lti_session_open(&session, session_sealer, BASE, NAME, value, NOW, 0, p, &err) != APR_SUCCESS);
    FUZZ_MUST(err.code == LTI_E_SESSION_INVALID);
}

static void check_state(const char *text, apr_pool_t *p)
{
    static const lti_sealer_t *state_sealer;
    lti_state_t *state = NULL;
    lti_err_t err = {.code = LTI_OK};

    if (state_sealer == NULL)
        state_sealer = sealer("state");
    FUZZ_MUST(lti_state_open(&state, state_sealer, BASE, text, NOW, p, &err) != APR_SUCCESS);
    FUZZ_MUST(err.code == LTI_E_STATE_INVALID);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    apr_pool_t *p = fuzz_begin();

    switch (size > 0 ? data[0] : 0) {
    case 'h':
        check_header(fuzz_text(data + 1, size - 1, p), p);
        break;
    case 'v':
        check_value(fuzz_text(data + 1, size - 1, p), p);
        break;
    case 's':
        check_state(fuzz_text(data + 1, size - 1, p), p);
        break;
    case 'r':
        check_record(data + 1, size - 1, p);
        break;
    default:
        break;
    }
    fuzz_end(p);
    return 0;
}
