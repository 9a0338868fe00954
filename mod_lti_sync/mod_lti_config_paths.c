/* SPDX-License-Identifier: Apache-2.0 */
/* LTICoursePaths: read in its <Location>, and held against the applications once both are known. */
#include "mod_lti_config_parts.h"

#include <apr_strings.h>
#include <http_core.h>
#include <http_log.h>

APLOG_USE_MODULE(lti_sync);

/* What a client may write in one way only, once httpd has resolved it: otherwise an address could pass for one outside the application. */
#define PLAIN "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~-/"

#define WHERE "write it inside the <Location> of an application, such as <Location \"/app\"> with LTIApplication /app/"

/* Sessions are chosen by the address before directories and files are known: nothing but a plain <Location> can say so. */
static int is_in_location(cmd_parms *cmd)
{
    const ap_directive_t *section = cmd->directive->parent;
    const char *args;

    if (section == NULL || ap_cstr_casecmp(section->directive, "<Location") != 0 || cmd->path == NULL || cmd->path[0] != '/')
        return 0;
    args = section->args;
    return strcmp(ap_getword_conf(cmd->temp_pool, &args), "~") != 0;
}

const char *mod_lti_config_set_course_paths(cmd_parms *cmd, void *dir, int on)
{
    lti_server_config_t *conf = mod_lti_config_of(cmd->server);
    lti_course_line_t *line;
    apr_size_t length;

    (void)dir;
    if (!is_in_location(cmd))
        return "LTICoursePaths is of an application as a whole: " WHERE;
    for (length = strlen(cmd->path); length > 0 && cmd->path[length - 1] == '/';)
        length--;
    line = apr_pcalloc(cmd->pool, sizeof(*line));
    line->place = mod_lti_config_place(cmd, apr_pstrmemdup(cmd->pool, cmd->path, length));
    line->on = on;
    if (conf->course_lines == NULL)
        conf->course_lines = apr_array_make(cmd->pool, 2, sizeof(lti_course_line_t *));
    APR_ARRAY_PUSH(conf->course_lines, lti_course_line_t *) = line;
    return NULL;
}

static void complain(server_rec *s, const lti_place_t *place, const char *text)
{
    ap_log_error(APLOG_MARK, APLOG_EMERG | APLOG_STARTUP, 0, s, "%s:%d: %s", place->file, place->line, text);
}

/* The last line that holds for this application, as httpd merges sections; NULL if none does. */
static lti_course_line_t *find_line(const apr_array_header_t *lines, const char *prefix)
{
    lti_course_line_t *found = NULL;
    int i;

    for (i = 0; i < lines->nelts; i++) {
        lti_course_line_t *line = APR_ARRAY_IDX(lines, i, lti_course_line_t *);

        if (mod_lti_config_is_below(prefix, line->place.text, strlen(line->place.text))) {
            line->used = 1;
            found = line;
        }
    }
    return found;
}

/* Notes for each application of this host whether its addresses name the course; without any, the host has no list and requests have no work. */
static int check_applications(lti_server_config_t *conf, apr_pool_t *pconf, apr_pool_t *ptemp, server_rec *s)
{
    apr_array_header_t *all = apr_array_make(pconf, conf->applications->nelts, sizeof(lti_course_path_t));
    int i, any = 0, faults = 0;

    for (i = 0; i < conf->applications->nelts; i++) {
        const char *written = APR_ARRAY_IDX(conf->applications, i, const char *);
        lti_course_path_t *application = apr_array_push(all);
        const lti_course_line_t *line;

        application->length = strlen(written);
        while (application->length > 0 && written[application->length - 1] == '/')
            application->length--;
        application->prefix = apr_pstrmemdup(pconf, written, application->length);
        line = find_line(conf->course_lines, application->prefix);
        application->on = line != NULL && line->on;
        any |= application->on;
        if (application->on && written[strspn(written, PLAIN)] != '\0') {
            complain(
                s, &line->place,
                apr_psprintf(ptemp,
                             "LTICoursePaths cannot tell addresses of LTIApplication %s apart, since there are several ways to "
                             "write them: give the application a path of letters, digits and . _ ~ - only",
                             written));
            faults++;
        }
    }
    conf->course_paths = any ? all : NULL;
    return faults;
}

int mod_lti_config_check_course_paths(apr_pool_t *pconf, apr_pool_t *ptemp, server_rec *main_server)
{
    server_rec *s;
    int i, faults = 0;

    for (s = main_server; s != NULL; s = s->next) {
        lti_server_config_t *conf = mod_lti_config_of(s);

        if (conf->course_lines != NULL && conf->platforms != NULL && conf->applications != NULL)
            faults += check_applications(conf, pconf, ptemp, s);
    }
    /* A line of the main server may be there for its virtual hosts: only what holds nowhere is a mistake. */
    for (s = main_server; s != NULL; s = s->next) {
        const apr_array_header_t *lines = mod_lti_config_of(s)->course_lines;

        for (i = 0; lines != NULL && i < lines->nelts; i++) {
            lti_course_line_t *line = APR_ARRAY_IDX(lines, i, lti_course_line_t *);

            if (line->used)
                continue;
            complain(s, &line->place,
                     apr_psprintf(ptemp, "LTICoursePaths in <Location \"%s\"> holds for no prefix of LTIApplication: " WHERE,
                                  *line->place.text != '\0' ? line->place.text : "/"));
            line->used = 1; /* one complaint for all hosts that inherit it */
            faults++;
        }
    }
    return faults;
}
