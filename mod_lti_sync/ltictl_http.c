/* SPDX-License-Identifier: Apache-2.0 */
/* ltictl asks the status end point. */
#include "ltictl.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <apr_strings.h>
#include <curl/curl.h>
#include "lti_err.h"
#include "lti_http.h"
#include "lti_json.h"

#define ANSWER_MAX (32 * 1024 * 1024)
#define CONNECT_SECONDS 10
#define SECONDS 60 /* an examination takes up to 20 */
#define CANDIDATES 10

/** An answer as it comes. */
typedef struct answer_t {
    char *text;
    size_t size;
    const char *location, *error;
    apr_pool_t *pool;
} answer_t;

static size_t take_body(char *data, size_t one, size_t size, void *baton)
{
    answer_t *answer = baton;
    char *text;

    (void)one;
    if (size > ANSWER_MAX - answer->size)
        return 0;
    text = realloc(answer->text, answer->size + size + 1);
    if (text == NULL)
        return 0;
    memcpy(text + answer->size, data, size);
    answer->text = text;
    answer->size += size;
    text[answer->size] = '\0';
    return size;
}

static const char *value_of(const char *line, size_t size, const char *name, apr_pool_t *p)
{
    size_t length = strlen(name);

    if (size <= length || strncasecmp(line, name, length) != 0)
        return NULL;
    for (line += length, size -= length; size > 0 && (*line == ' ' || *line == '\t'); size--)
        line++;
    while (size > 0 && (line[size - 1] == '\r' || line[size - 1] == '\n' || line[size - 1] == ' '))
        size--;
    return apr_pstrmemdup(p, line, size);
}

static size_t take_header(char *line, size_t one, size_t size, void *baton)
{
    answer_t *answer = baton;
    const char *value;

    (void)one;
    if ((value = value_of(line, size, "Location:", answer->pool)) != NULL)
        answer->location = value;
    if ((value = value_of(line, size, "X-LTI-Error:", answer->pool)) != NULL)
        answer->error = value;
    return size;
}

/* The status end point says why in a header; anything else that answers there does not. */
static int judge(long status, const answer_t *answer, const ctl_t *ctl)
{
    const char *code = answer->error != NULL ? ctl_clean(answer->error, ctl->pool) : NULL,
               *advice = code != NULL ? lti_err_advice(code) : "";

    if (status >= 200 && status < 300)
        return CTL_OK;
    if (status == 401 && code == NULL)
        return ctl_fail(CTL_OUTSIDE, "httpd wants a name and a password (HTTP 401): give --user NAME");
    if ((status == 401 || status == 403) && code == NULL)
        return ctl_fail(CTL_OUTSIDE,
                        "httpd does not let this user in (HTTP %ld): look at the Require lines of <Location /lti/status>", status);
    if (status == 404 && code == NULL)
        return ctl_fail(CTL_OUTSIDE, "there is no status page at %s (HTTP 404): give --url, or set LTICTL_URL", ctl->url);
    if (status >= 300 && status < 400)
        return ctl_fail(CTL_OUTSIDE, "%s leads elsewhere (HTTP %ld, %s): give that address with --url", ctl->url, status,
                        ctl_clean(answer->location, ctl->pool));
    if (code == NULL)
        return ctl_fail(status >= 500 ? CTL_OUTSIDE : CTL_FAILED, "httpd answered HTTP %ld", status);
    return ctl_fail(status == 403 || status == 421 || status == 503 ? CTL_OUTSIDE : CTL_FAILED, "%s (HTTP %ld)%s%s", code, status,
                    *advice != '\0' ? ": " : "", advice);
}

/* Something else that speaks JSON may answer there. */
static int parse(json_t **object, const answer_t *answer, const char *wanted, ctl_t *ctl)
{
    json_error_t error;

    *object = json_loadb(answer->text != NULL ? answer->text : "", answer->size, JSON_REJECT_DUPLICATES, &error);
    if (*object != NULL)
        lti_json_own(*object, ctl->pool);
    if (json_object_get(*object, wanted) == NULL)
        return ctl_fail(CTL_OUTSIDE, "what answers at %s is not the status page of mod_lti_sync", ctl->url);
    /* Kept for an action that may follow; it has no business in what is printed. */
    if (lti_json_string(*object, "action_token") != NULL)
        ctl->token = apr_pstrdup(ctl->pool, lti_json_string(*object, "action_token"));
    json_object_del(*object, "action_token");
    return CTL_OK;
}

/* A password goes over TLS, or nowhere but to this machine; and to this machine not by way of another one. */
static int set_user(CURL *curl, const ctl_t *ctl)
{
    const char *host = lti_http_host(ctl->url, ctl->pool);

    if (host != NULL && lti_http_is_loopback(host))
        curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    if (ctl->user == NULL)
        return CTL_OK;
    if (strncasecmp(ctl->url, "https:", 6) != 0 && (host == NULL || !lti_http_is_loopback(host)))
        return ctl_fail(CTL_USAGE, "a password is not sent to %s: use https", ctl->url);
    curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
    curl_easy_setopt(curl, CURLOPT_USERNAME, ctl->user);
    curl_easy_setopt(curl, CURLOPT_PASSWORD, ctl->password);
    return CTL_OK;
}

/* `body` NULL: GET. */
static int ask(json_t **object, const char **location, ctl_t *ctl, const char *url, const char *body, const char *wanted)
{
    answer_t answer = {.pool = ctl->pool};
    CURL *curl = curl_easy_init();
    struct curl_slist *headers = curl_slist_append(NULL, "Accept: application/json");
    long status = 0;
    CURLcode rc;
    int code;

    if (curl == NULL || headers == NULL)
        return ctl_fail(CTL_OUTSIDE, "there is no memory");
    curl_easy_setopt(curl, CURLOPT_URL, url);
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "ltictl/" LTI_VERSION);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)SECONDS);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &answer);
    if (ctl->ca_file != NULL)
        curl_easy_setopt(curl, CURLOPT_CAINFO, ctl->ca_file);
    if (body != NULL)
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    code = set_user(curl, ctl);
    if (code == CTL_OK) {
        rc = curl_easy_perform(curl);
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
        code =
            rc != CURLE_OK
                ? ctl_fail(CTL_OUTSIDE, "%s cannot be reached: %s; is httpd running, and is the address right (--url, LTICTL_URL)?",
                           ctl->url, curl_easy_strerror(rc))
                : judge(status, &answer, ctl);
    }
    if (code == CTL_OK)
        code = parse(object, &answer, wanted, ctl);
    if (location != NULL)
        *location = answer.location;
    free(answer.text);
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    return code;
}

/* "&name=value" for each pair. */
static const char *pairs(va_list arguments, apr_pool_t *p)
{
    const char *text = "", *name;

    while ((name = va_arg(arguments, const char *)) != NULL) {
        const char *value = va_arg(arguments, const char *);

        if (value != NULL)
            text = apr_pstrcat(p, text, "&", name, "=", lti_http_encode(value, p), NULL);
    }
    return text;
}

int ctl_get(json_t **answer, ctl_t *ctl, const char *wanted, ...)
{
    const char *query;
    va_list arguments;

    va_start(arguments, wanted);
    query = pairs(arguments, ctl->pool);
    va_end(arguments);
    return ask(answer, NULL, ctl,
               apr_pstrcat(ctl->pool, ctl->url, strchr(ctl->url, '?') != NULL ? "&" : "?", "format=json", query, NULL), NULL,
               wanted);
}

int ctl_follow(json_t **answer, ctl_t *ctl, const char *location)
{
    const char *url = lti_http_resolve(ctl->url, location, ctl->pool),
               *origin = url != NULL ? lti_http_origin(url, ctl->pool) : NULL;
    const char *wanted = lti_http_origin(ctl->url, ctl->pool);

    /* A password is not carried to another host. Behind a proxy the site may call itself by another name: the path is what counts. */
    if (origin == NULL || wanted == NULL)
        return ctl_fail(CTL_OUTSIDE, "the update cannot be followed at %s", ctl_clean(location, ctl->pool));
    if (strcmp(origin, wanted) != 0)
        url = apr_pstrcat(ctl->pool, wanted, url + strlen(origin), NULL);
    return ask(answer, NULL, ctl, url, NULL, "course");
}

static int fetch_token(ctl_t *ctl)
{
    json_t *answer = NULL;
    int code = ctl_get(&answer, ctl, "health", "part", "health", NULL);

    if (code == CTL_OK && ctl->token == NULL)
        return ctl_fail(CTL_OUTSIDE, "the status page gives no token for actions; the log of httpd says why");
    return code;
}

int ctl_post(json_t **answer, const char **location, ctl_t *ctl, ...)
{
    const char *body;
    va_list arguments;
    int code = ctl->token == NULL ? fetch_token(ctl) : CTL_OK;

    if (code != CTL_OK)
        return code;
    va_start(arguments, ctl);
    body = pairs(arguments, ctl->pool);
    va_end(arguments);
    return ask(answer, location, ctl, ctl->url,
               apr_pstrcat(ctl->pool, "token=", lti_http_encode(ctl->token, ctl->pool), body, NULL), "outcome");
}

/* --- courses by name ---------------------------------------------------------------------------------------------------------- */

static int is_named(const json_t *row, const char *word)
{
    static const char *const names[] = {"title", "label", "context_id"};
    size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *text = lti_json_string(row, names[i]);

        if (text != NULL && strcasecmp(text, word) == 0)
            return 1;
    }
    return 0;
}

int ctl_course(const char **key, ctl_t *ctl, const char *word)
{
    const json_t *rows, *found = NULL, *row;
    json_t *answer = NULL;
    size_t i;
    int exact = 0, code;

    code = ctl_get(&answer, ctl, "courses", "part", "courses", "search", word, "limit", "200", NULL);
    if (code != CTL_OK)
        return code;
    rows = json_object_get(json_object_get(answer, "courses"), "rows");
    json_array_foreach(rows, i, row)
    {
        if (strcmp(ctl_text(row, "course", ctl->pool), word) == 0) {
            *key = word;
            return CTL_OK;
        }
        if (is_named(row, word)) {
            found = row;
            exact++;
        }
    }
    if (exact == 0 && json_array_size(rows) == 1)
        found = json_array_get(rows, 0);
    if (found != NULL && exact <= 1) {
        *key = ctl_text(found, "course", ctl->pool);
        return CTL_OK;
    }
    if (json_array_size(rows) == 0)
        return ctl_fail(CTL_FAILED, "no course is called %s; ltictl courses lists them", ctl_clean(word, ctl->pool));
    ctl_fail(CTL_FAILED, "several courses are called so; name one by its key:");
    for (i = 0; i < json_array_size(rows) && i < CANDIDATES; i++) {
        row = json_array_get(rows, i);
        fprintf(stderr, "  %s  %s (%s)\n", ctl_text(row, "course", ctl->pool), ctl_text(row, "title", ctl->pool),
                ctl_text(row, "platform", ctl->pool));
    }
    return CTL_FAILED;
}
