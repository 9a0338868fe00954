/* SPDX-License-Identifier: Apache-2.0 */
/* The check of the whole configuration that `apachectl -t` runs, and the defaults. */
#include "mod_lti_config.h"

#include <apr_dbd.h>
#include <apr_optional.h>
#include <apr_strings.h>
#include <http_core.h>
#include <http_log.h>
#include <mod_dbd.h>

#include "lti_claims.h"
#include "mod_lti_config_parts.h"

APLOG_USE_MODULE(lti_sync);

#define SECONDS(n) ((apr_interval_time_t)(n)*APR_USEC_PER_SEC)
#define HOURS(n) SECONDS((n)*3600)
#define DEFAULT(field, value)     \
    if (conf->field == LTI_UNSET) \
    conf->field = (value)

#define DEFAULT_APPLICATION_HELP \
    "write LTIApplication /app/ with the path of the application, so that launches have a place to land"

static void complete(lti_server_config_t *conf)
{
    if (conf->path == NULL)
        conf->path = "/lti";
    if (conf->cookie_name == NULL)
        conf->cookie_name = "lti";
    if (conf->state_dir == NULL)
        conf->state_dir = LTI_STATE_DIR;
    DEFAULT(session_lifetime, HOURS(8));
    DEFAULT(session_idle, HOURS(2));
    DEFAULT(clock_skew, SECONDS(60));
    DEFAULT(max_launch_size, 256 * 1024);
    DEFAULT(anonymous, 0);
    DEFAULT(strict_roles, 0);
    DEFAULT(message_types, LTI_MESSAGE_RESOURCE_LINK | LTI_MESSAGE_SUBMISSION_REVIEW | LTI_MESSAGE_DEEP_LINKING);
    DEFAULT(sync_on_launch, 1);
    DEFAULT(sync_wait, 0);
    DEFAULT(sync, 1);
    DEFAULT(sync_interval, SECONDS(15 * 60));
    DEFAULT(sync_timeout, SECONDS(60));
    DEFAULT(sync_stale_after, 3);
    DEFAULT(sync_stale_time, 0);
    DEFAULT(sync_concurrency, 8);
    DEFAULT(sync_drop_guard, 50);
    DEFAULT(dormant_after, HOURS(24 * 120));
    DEFAULT(retain, HOURS(24 * 30));
    DEFAULT(shared_memory, 64 * 1024 * 1024);
    DEFAULT(event_waiters, 16);
    /* Whoever left must be known as having left for as long as their session could last. */
    if (conf->retain < conf->session_lifetime)
        conf->retain = conf->session_lifetime;
}

static void complain(server_rec *s, const char *file, int line, const char *text)
{
    ap_log_error(APLOG_MARK, APLOG_EMERG | APLOG_STARTUP, 0, s, "%s:%d: %s", file, line, text);
}

/* Numbers the platforms of all servers; the same block seen through several virtual hosts counts once. */
static int collect_platforms(apr_array_header_t *all, const lti_server_config_t *conf, apr_pool_t *ptemp, server_rec *s)
{
    int i, k, faults = 0;

    for (i = 0; conf->platforms != NULL && i < conf->platforms->nelts; i++) {
        lti_platform_t *platform = APR_ARRAY_IDX(conf->platforms, i, lti_platform_t *);

        for (k = 0; k < all->nelts && APR_ARRAY_IDX(all, k, lti_platform_t *) != platform; k++) {
            const lti_platform_t *other = APR_ARRAY_IDX(all, k, lti_platform_t *);

            if (strcmp(platform->name, other->name) == 0) {
                complain(s, platform->file, platform->line,
                         apr_psprintf(ptemp, "<LTIPlatform \"%s\"> stands at %s:%d too: give one of them another name",
                                      platform->name, other->file, other->line));
                faults++;
            } else if (strcmp(platform->issuer, other->issuer) == 0 && strcmp(platform->client_id, other->client_id) == 0) {
                complain(
                    s, platform->file, platform->line,
                    apr_psprintf(
                        ptemp,
                        "<LTIPlatform \"%s\"> is the same registration (issuer %s, client id %s) as \"%s\" at %s:%d: remove one",
                        platform->name, platform->issuer, platform->client_id, other->name, other->file, other->line));
                faults++;
            }
        }
        if (k == all->nelts) {
            platform->index = all->nelts;
            APR_ARRAY_PUSH(all, lti_platform_t *) = platform;
        }
    }
    return faults;
}

/* mod_dbd keeps its configuration to itself: whether there is a database for a server is read off the configuration tree. The last of several counts. */
static const ap_directive_t *find_directive(const ap_directive_t *node, const char *name)
{
    const ap_directive_t *found = NULL;

    for (; node != NULL; node = node->next) {
        if (ap_cstr_casecmp(node->directive, name) == 0)
            found = node;
    }
    return found;
}

static const ap_directive_t *find_host(const server_rec *s)
{
    const ap_directive_t *node;

    for (node = ap_conftree; node != NULL; node = node->next) {
        if (ap_cstr_casecmp(node->directive, "<VirtualHost") == 0 && s->defn_name != NULL && node->filename != NULL &&
            strcmp(node->filename, s->defn_name) == 0 && (unsigned)node->line_num == s->defn_line_number)
            return node->first_child;
    }
    return NULL;
}

/* One database serves all virtual hosts: the main server's if it has one, else that of the first virtual host with a platform and a driver. */
static server_rec *find_database(server_rec *main_server)
{
    server_rec *s;

    if (find_directive(ap_conftree, "DBDriver") != NULL)
        return main_server;
    for (s = main_server->next; s != NULL; s = s->next) {
        if (mod_lti_config_of(s)->platforms != NULL && find_directive(find_host(s), "DBDriver") != NULL)
            return s;
    }
    return NULL;
}

/* Without a file SQLite gives each connection a database of its own, which is gone with it: a launch could be replayed. */
static int check_sqlite_file(server_rec *found, const ap_directive_t *tree, apr_pool_t *ptemp)
{
    const ap_directive_t *driver = find_directive(tree, "DBDriver"), *params = find_directive(tree, "DBDParams");
    const char *file = "";

    if (params == NULL && tree != ap_conftree)
        params = find_directive(ap_conftree, "DBDParams");
    if (params != NULL) {
        const char *text = params->args;

        file = ap_getword_conf(ptemp, &text);
    }
    if (*file != '\0' && ap_strstr_c(file, ":memory:") == NULL)
        return 0;
    complain(found, driver->filename, driver->line_num,
             "DBDriver sqlite3 has no file: write DBDParams /path/of/the/file, its directory owned by the User of this server");
    return 1;
}

static int is_sqlite(const ap_directive_t *tree, apr_pool_t *ptemp)
{
    const char *args = find_directive(tree, "DBDriver")->args;

    return strcmp(ap_getword_conf(ptemp, &args), "sqlite3") == 0;
}

/* All that decides which tables our connections see: a host without lines of its own has those of the main server. */
static const char *database_text(const ap_directive_t *tree, apr_pool_t *p)
{
    const char *text = "";

    for (; tree != NULL; tree = tree->next) {
        if (ap_cstr_casecmpn(tree->directive, "DBD", 3) == 0)
            text = apr_pstrcat(p, text, tree->directive, " ", tree->args, "\n", NULL);
    }
    return text;
}

static int check_database(const lti_platform_t *first, server_rec *main_server, apr_pool_t *ptemp)
{
    server_rec *found = find_database(main_server), *s;
    const ap_directive_t *tree;
    int sqlite;

    if (APR_RETRIEVE_OPTIONAL_FN(ap_dbd_open) == NULL) {
        complain(
            main_server, first->file, first->line,
            apr_psprintf(
                ptemp,
                "<LTIPlatform \"%s\"> needs a database: load mod_dbd (LoadModule dbd_module .../mod_dbd.so) and write DBDriver "
                "sqlite3 and DBDParams /path/of/the/file",
                first->name));
        return 1;
    }
    if (found == NULL) {
        complain(main_server, first->file, first->line,
                 apr_psprintf(ptemp,
                              "<LTIPlatform \"%s\"> needs a database: write DBDriver sqlite3 and DBDParams /path/of/the/file (its "
                              "directory owned "
                              "by the User of this server), or DBDriver pgsql or mysql with their DBDParams",
                              first->name));
        return 1;
    }
    tree = found == main_server ? ap_conftree : find_host(found);
    sqlite = is_sqlite(tree, ptemp);
    for (s = main_server; s != NULL; s = s->next) {
        mod_lti_config_of(s)->db_server = found;
        mod_lti_config_of(s)->db_is_sqlite = sqlite;
    }
    mod_lti_config_of(main_server)->db_text =
        apr_pstrcat(main_server->process->pconf, database_text(ap_conftree, ptemp), "\n", database_text(tree, ptemp), NULL);
    return sqlite ? check_sqlite_file(found, tree, ptemp) : 0;
}

static int check_templates(const lti_server_config_t *conf, int platforms, apr_pool_t *ptemp, server_rec *s)
{
    int i, faults = 0;

    for (i = 0; platforms > 1 && conf->remote_users != NULL && i < conf->remote_users->nelts; i++) {
        const lti_place_t *place = &APR_ARRAY_IDX(conf->remote_users, i, lti_place_t);
        int unique = 0;

        if (lti_remote_user_check(place->text, &unique, NULL) == APR_SUCCESS && !unique) {
            complain(
                s, place->file, place->line,
                apr_psprintf(
                    ptemp,
                    "LTIRemoteUser %s would give people of different platforms the same name: write %s@{platform}, or write it "
                    "inside each <LTIPlatform>",
                    place->text, place->text));
            faults++;
        }
    }
    return faults;
}

/* httpd lets a virtual host without a directive of ours share the main server's record; what belongs to one host (its base URL) needs one of its own. */
static void separate(apr_pool_t *pconf, server_rec *main_server)
{
    lti_server_config_t *base = mod_lti_config_of(main_server);
    server_rec *s;

    for (s = main_server->next; s != NULL; s = s->next) {
        if (mod_lti_config_of(s) == base)
            ap_set_module_config(s->module_config, &lti_sync_module,
                                 mod_lti_config_merge_server(pconf, base, mod_lti_config_create_server(pconf, s)));
    }
}

/* What lies below LTIPath is answered by this module: an application there would never be reached. */
static const char *find_hidden(const lti_server_config_t *conf)
{
    apr_size_t length = strlen(conf->path);
    int i;

    for (i = 0; i < conf->applications->nelts; i++) {
        const char *prefix = APR_ARRAY_IDX(conf->applications, i, const char *);

        if (strncmp(prefix, conf->path, length) == 0 && (prefix[length] == '/' || prefix[length] == '\0'))
            return prefix;
    }
    return NULL;
}

/* Whether launches have a place to land in a host with platforms. */
static int check_applications(const lti_server_config_t *conf, apr_pool_t *ptemp, server_rec *s)
{
    const lti_platform_t *first = APR_ARRAY_IDX(conf->platforms, 0, lti_platform_t *);
    const char *hidden = conf->applications != NULL ? find_hidden(conf) : NULL;

    if (conf->applications != NULL && hidden == NULL)
        return 0;
    if (hidden != NULL)
        complain(
            s, first->file, first->line,
            apr_psprintf(ptemp,
                         "<LTIPlatform \"%s\"> leads to LTIApplication %s, which lies below LTIPath %s, where the end points are: "
                         "write another LTIPath, such as /lti",
                         first->name, hidden, conf->path));
    else
        complain(s, first->file, first->line,
                 apr_psprintf(ptemp, "<LTIPlatform \"%s\"> leads nowhere: " DEFAULT_APPLICATION_HELP, first->name));
    return 1;
}

/* The module does nothing in a host without platforms: the page would not be found, and nobody would know why. */
static int check_admin(const lti_server_config_t *conf, int platforms, apr_pool_t *ptemp, server_rec *s)
{
    if (conf->admin_place == NULL || conf->platforms != NULL || platforms == 0)
        return 0;
    complain(
        s, conf->admin_place->file, conf->admin_place->line,
        apr_psprintf(
            ptemp,
            "LTIAdmin On shows nothing in the virtual host %s, which has no platform: write the <LTIPlatform> blocks outside of "
            "virtual hosts, or this section into the virtual host that has them",
            s->server_hostname));
    return 1;
}

int mod_lti_config_check(apr_array_header_t **platforms, apr_pool_t *pconf, apr_pool_t *ptemp, server_rec *main_server)
{
    apr_array_header_t *all = apr_array_make(pconf, 8, sizeof(lti_platform_t *));
    server_rec *s;
    int faults = 0;

    separate(pconf, main_server);
    for (s = main_server; s != NULL; s = s->next) {
        lti_server_config_t *conf = mod_lti_config_of(s);

        complete(conf);
        faults += collect_platforms(all, conf, ptemp, s);
    }
    for (s = main_server; s != NULL; s = s->next) {
        lti_server_config_t *conf = mod_lti_config_of(s);

        faults += check_templates(conf, all->nelts, ptemp, s) + check_admin(conf, all->nelts, ptemp, s);
        if (conf->platforms != NULL)
            faults += check_applications(conf, ptemp, s);
    }
    faults += mod_lti_config_check_course_paths(pconf, ptemp, main_server);
    faults += mod_lti_config_check_named(all, pconf, ptemp, main_server);
    if (all->nelts > 0)
        faults += check_database(APR_ARRAY_IDX(all, 0, lti_platform_t *), main_server, ptemp);
    *platforms = all;
    return faults == 0 ? OK : HTTP_INTERNAL_SERVER_ERROR;
}
