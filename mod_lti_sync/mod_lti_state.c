/* SPDX-License-Identifier: Apache-2.0 */
/* Keys and secret: read by the parent while it is root, made at the first start. */
#include "mod_lti_state.h"

#include <apr_file_io.h>
#include <apr_file_info.h>
#include <apr_strings.h>
#include <http_log.h>

#include "lti_claims.h"
#include "lti_crypto.h"
#include "lti_keys.h"

APLOG_USE_MODULE(lti_sync);

#define STATE_FILE_MAX 65536
#define SECRET_BYTES 32
#define SECRETS_MAX 8
#define FINGERPRINT_BYTES 10
#define PRIVATE_MODE (APR_FPROT_UREAD | APR_FPROT_UWRITE)

static apr_status_t read_file(char **text, const char *path, apr_pool_t *p, lti_err_t *err)
{
    apr_file_t *file;
    apr_size_t size = STATE_FILE_MAX;
    apr_finfo_t info;
    apr_status_t rv = apr_file_open(&file, path, APR_FOPEN_READ, APR_FPROT_OS_DEFAULT, p);

    if (rv == APR_ENOENT || rv == APR_ENOTDIR)
        return rv;
    if (rv != APR_SUCCESS)
        return lti_fail(err, LTI_E_CONFIG, rv, "%s cannot be read: let it be owned by root with mode 0600", path);
    *text = apr_palloc(p, STATE_FILE_MAX + 1);
    rv = apr_file_info_get(&info, APR_FINFO_PROT | APR_FINFO_TYPE, file);
    if (rv == APR_SUCCESS && info.filetype == APR_REG)
        rv = apr_file_read_full(file, *text, STATE_FILE_MAX, &size);
    apr_file_close(file);
    if (rv != APR_SUCCESS && rv != APR_EOF)
        return lti_fail(err, LTI_E_CONFIG, rv, "%s cannot be read", path);
    if (info.filetype != APR_REG)
        return lti_fail(err, LTI_E_CONFIG, APR_EINVAL, "%s is no file", path);
    if (info.protection & (APR_FPROT_GREAD | APR_FPROT_WREAD | APR_FPROT_GWRITE | APR_FPROT_WWRITE))
        return lti_fail(err, LTI_E_CONFIG, APR_EINVAL, "%s can be read or written by others: chmod 0600 it", path);
    (*text)[size] = '\0';
    return APR_SUCCESS;
}

/* Written beside its place and linked there, so that it is either whole or absent, and the first of two starts wins. */
static apr_status_t write_private(const char *path, const char *text, apr_pool_t *p, lti_err_t *err)
{
    const char *fresh = apr_psprintf(p, "%s.%" APR_PID_T_FMT, path, getpid());
    apr_file_t *file;
    apr_status_t rv;

    (void)apr_file_remove(fresh, p);
    rv = apr_file_open(&file, fresh, APR_FOPEN_WRITE | APR_FOPEN_CREATE | APR_FOPEN_EXCL, PRIVATE_MODE, p);
    if (rv == APR_SUCCESS) {
        rv = apr_file_write_full(file, text, strlen(text), NULL);
        if (rv == APR_SUCCESS)
            rv = apr_file_sync(file);
        apr_file_close(file);
    }
    if (rv == APR_SUCCESS)
        rv = apr_file_link(fresh, path);
    (void)apr_file_remove(fresh, p);
    if (rv != APR_SUCCESS && !APR_STATUS_IS_EEXIST(rv))
        return lti_fail(err, LTI_E_CONFIG, rv, "%s cannot be written: create the directory (LTIStateDir), owned by root", path);
    return APR_SUCCESS;
}

/* --- what is generated at the first start ------------------------------------------------------------------------------------- */

static const char *generated_path(const lti_server_config_t *conf, const char *name, apr_pool_t *p)
{
    return apr_pstrcat(p, conf->state_dir, "/", name, NULL);
}

static const char *key_path(const lti_server_config_t *conf, apr_pool_t *p)
{
    return generated_path(conf, "tool-key.pem", p);
}

static const char *secret_path(const lti_server_config_t *conf, apr_pool_t *p)
{
    return generated_path(conf, "secret", p);
}

static int is_there(const char *path, apr_pool_t *p)
{
    apr_finfo_t info;

    return apr_stat(&info, path, APR_FINFO_TYPE, p) == APR_SUCCESS;
}

/* --- the signing keys ----------------------------------------------------------------------------------------------------- */

static apr_status_t load_keys(const lti_toolkeys_t **toolkeys, const apr_array_header_t *paths, apr_pool_t *p, apr_pool_t *ptemp,
                              lti_err_t *err)
{
    apr_array_header_t *pems = apr_array_make(ptemp, paths->nelts, sizeof(const char *));
    lti_toolkeys_t *made = NULL;
    apr_status_t rv;
    int i;

    for (i = 0; i < paths->nelts; i++) {
        const char *path = APR_ARRAY_IDX(paths, i, lti_place_t).text;
        char *pem = NULL;

        rv = read_file(&pem, path, ptemp, err);
        if (rv == APR_ENOENT || rv == APR_ENOTDIR)
            return lti_fail(
                err, LTI_E_CONFIG, rv,
                "LTIKeyFile %s does not exist: leave LTIKeyFile out to have a key generated, or make one with openssl genpkey",
                path);
        if (rv != APR_SUCCESS)
            return rv;
        APR_ARRAY_PUSH(pems, const char *) = pem;
    }
    rv = lti_toolkeys_create(&made, pems, p, err);
    *toolkeys = made;
    return rv;
}

static apr_array_header_t *one_place(const char *path, apr_pool_t *p)
{
    apr_array_header_t *places = apr_array_make(p, 1, sizeof(lti_place_t));

    APR_ARRAY_PUSH(places, lti_place_t) = (lti_place_t){.text = path};
    return places;
}

static apr_status_t generated_key(apr_array_header_t **paths, const lti_server_config_t *conf, apr_pool_t *ptemp, lti_err_t *err)
{
    const char *path = key_path(conf, ptemp);
    char *pem = NULL;
    apr_status_t rv;

    *paths = one_place(path, ptemp);
    if (is_there(path, ptemp))
        return APR_SUCCESS;
    rv = lti_key_generate_pem(&pem, ptemp, err);
    return rv == APR_SUCCESS ? write_private(path, pem, ptemp, err) : rv;
}

/* --- the secret ------------------------------------------------------------------------------------------------------------- */

static int is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* One secret a line; the text itself is the key material. */
static apr_status_t parse_secrets(lti_bytes_t *secrets, int *count, char *text, const char *path, lti_err_t *err)
{
    *count = 0;
    while (*text != '\0') {
        char *start;

        while (is_space(*text))
            text++;
        if (*text == '\0')
            break;
        start = text;
        while (*text != '\0' && *text != '\n')
            text++;
        if (*count == SECRETS_MAX)
            return lti_fail(err, LTI_E_CONFIG, APR_EINVAL, "%s holds more than %d secrets: remove the oldest", path, SECRETS_MAX);
        secrets[*count].data = start;
        secrets[*count].size = (apr_size_t)(text - start);
        while (secrets[*count].size > 0 && is_space(start[secrets[*count].size - 1]))
            secrets[*count].size--;
        if (secrets[*count].size < SECRET_BYTES)
            return lti_fail(err, LTI_E_CONFIG, APR_EINVAL,
                            "line %d of %s is shorter than %d characters: make a secret with openssl rand -base64 48", *count + 1,
                            path, SECRET_BYTES);
        (*count)++;
    }
    if (*count == 0)
        return lti_fail(err, LTI_E_CONFIG, APR_EINVAL, "%s is empty: make a secret with openssl rand -base64 48", path);
    return APR_SUCCESS;
}

static apr_status_t read_secrets(lti_bytes_t *secrets, int *count, const char *path, apr_pool_t *ptemp, lti_err_t *err)
{
    char *text = NULL;
    apr_status_t rv = read_file(&text, path, ptemp, err);

    if (rv == APR_ENOENT || rv == APR_ENOTDIR)
        return lti_fail(err, LTI_E_CONFIG, rv, "LTISecretFile %s does not exist: make it with openssl rand -base64 48", path);
    return rv != APR_SUCCESS ? rv : parse_secrets(secrets, count, text, path, err);
}

/* For other nodes to compare: of each secret 80 bits that are derived from it as its keys are, so that nothing can be derived from them. */
static apr_status_t make_fingerprint(const char **fingerprint, const lti_bytes_t *secrets, int count, apr_pool_t *p, apr_pool_t *ptemp,
                                     lti_err_t *err)
{
    static const lti_bytes_t nothing = {"", 0};
    apr_array_header_t *words = apr_array_make(ptemp, count, sizeof(const char *));
    unsigned char mac[LTI_SHA256_SIZE];
    int i;

    for (i = 0; i < count; i++) {
        char *word = apr_palloc(ptemp, FINGERPRINT_BYTES * 8 / 5 + 2);
        lti_sealer_t *sealer;
        apr_status_t rv = lti_sealer_create(&sealer, "fingerprint", &secrets[i], 1, ptemp, err);

        if (rv != APR_SUCCESS)
            return rv;
        rv = lti_sealer_mac(mac, sealer, &nothing, 1);
        if (rv != APR_SUCCESS)
            return lti_fail(err, LTI_E_INTERNAL, rv, "no fingerprint of the secret can be made");
        lti_base32_encode(word, mac, FINGERPRINT_BYTES);
        APR_ARRAY_PUSH(words, const char *) = word;
    }
    *fingerprint = apr_array_pstrcat(p, words, ' ');
    return APR_SUCCESS;
}

static apr_status_t generated_secret(const char **path, const lti_server_config_t *conf, apr_pool_t *ptemp, lti_err_t *err)
{
    const char *text;

    *path = secret_path(conf, ptemp);
    if (is_there(*path, ptemp))
        return APR_SUCCESS;
    text = lti_crypto_random_text(48, ptemp);
    if (text == NULL)
        return lti_fail(err, LTI_E_INTERNAL, APR_EGENERAL, "the system gives no random bytes");
    return write_private(*path, apr_pstrcat(ptemp, text, "\n", NULL), ptemp, err);
}

/* --- secrets of LTI 1.1 ---------------------------------------------------------------------------------------------------- */

/* They were chosen by people, long ago: the first line of the file, whatever its length. */
static apr_status_t read_legacy_secret(const char **secret, const char *path, apr_pool_t *p, apr_pool_t *ptemp, lti_err_t *err)
{
    char *text = NULL;
    apr_size_t length;
    apr_status_t rv = read_file(&text, path, ptemp, err);

    if (rv == APR_ENOENT || rv == APR_ENOTDIR)
        return lti_fail(err, LTI_E_CONFIG, rv, "%s does not exist: write the shared secret of LTI 1.1 into its first line", path);
    if (rv != APR_SUCCESS)
        return rv;
    length = strcspn(text, "\n");
    while (length > 0 && is_space(text[length - 1]))
        length--;
    if (length == 0)
        return lti_fail(err, LTI_E_CONFIG, APR_EINVAL, "the first line of %s is empty: write the shared secret of LTI 1.1 there",
                        path);
    *secret = apr_pstrmemdup(p, text, length);
    return APR_SUCCESS;
}

/* A virtual host has the main server's too: each is read once. */
static apr_status_t load_legacy_secrets(server_rec *s, apr_pool_t *pconf, apr_pool_t *ptemp, lti_err_t *err)
{
    apr_status_t rv = APR_SUCCESS;

    for (; s != NULL; s = s->next) {
        const apr_array_header_t *secrets = mod_lti_config_of(s)->legacy_secrets;
        int i;

        for (i = 0; rv == APR_SUCCESS && secrets != NULL && i < secrets->nelts; i++) {
            lti_legacy_secret_t *secret = APR_ARRAY_IDX(secrets, i, lti_legacy_secret_t *);

            if (secret->secret == NULL)
                rv = read_legacy_secret(&secret->secret, secret->path, pconf, ptemp, err);
        }
    }
    return rv;
}

static int check_legacy_secrets(server_rec *main_server, apr_pool_t *ptemp)
{
    const apr_array_header_t *of_main = mod_lti_config_of(main_server)->legacy_secrets;
    server_rec *s;
    int faults = 0;

    for (s = main_server; s != NULL; s = s->next) {
        const apr_array_header_t *secrets = mod_lti_config_of(s)->legacy_secrets;
        int i = s != main_server && of_main != NULL ? of_main->nelts : 0;

        for (; secrets != NULL && i < secrets->nelts; i++) {
            const lti_legacy_secret_t *place = APR_ARRAY_IDX(secrets, i, const lti_legacy_secret_t *);
            const char *secret;
            lti_err_t err;

            if (read_legacy_secret(&secret, place->path, ptemp, ptemp, &err) != APR_SUCCESS) {
                ap_log_error(APLOG_MARK, APLOG_EMERG | APLOG_STARTUP, err.status, s, "%s:%d: LTILegacySecret %s: %s", place->file,
                             place->line, place->consumer_key, err.text);
                faults++;
            }
        }
    }
    return faults;
}

/* --- what others call --------------------------------------------------------------------------------------------------------- */

/* Each with those before it, since together they must differ. */
static int check_keys(const apr_array_header_t *places, apr_pool_t *ptemp, server_rec *s)
{
    apr_array_header_t *good = apr_array_make(ptemp, places->nelts, sizeof(lti_place_t));
    int faults = 0, i;

    for (i = 0; i < places->nelts; i++) {
        const lti_place_t *place = &APR_ARRAY_IDX(places, i, lti_place_t);
        const lti_toolkeys_t *toolkeys;
        lti_err_t err;

        APR_ARRAY_PUSH(good, lti_place_t) = *place;
        if (load_keys(&toolkeys, good, ptemp, ptemp, &err) == APR_SUCCESS)
            continue;
        ap_log_error(APLOG_MARK, APLOG_EMERG | APLOG_STARTUP, err.status, s, "%s:%d: LTIKeyFile %s: %s", place->file, place->line,
                     place->text, err.text);
        faults++;
        apr_array_pop(good);
    }
    return faults;
}

static int check_secret(const lti_place_t *place, apr_pool_t *ptemp, server_rec *s)
{
    lti_bytes_t secrets[SECRETS_MAX];
    lti_err_t err;
    int count;

    if (read_secrets(secrets, &count, place->text, ptemp, &err) == APR_SUCCESS)
        return 0;
    ap_log_error(APLOG_MARK, APLOG_EMERG | APLOG_STARTUP, err.status, s, "%s:%d: %s", place->file, place->line, err.text);
    return 1;
}

/* What an earlier start has generated: a fault in it would end a running server at its next reload. */
static int check_generated(const lti_server_config_t *conf, apr_pool_t *ptemp, server_rec *s)
{
    const char *key = key_path(conf, ptemp), *secret = secret_path(conf, ptemp);
    lti_bytes_t secrets[SECRETS_MAX];
    const lti_toolkeys_t *toolkeys;
    lti_err_t err;
    int faults = 0, count;

    if (conf->key_files == NULL && is_there(key, ptemp) &&
        load_keys(&toolkeys, one_place(key, ptemp), ptemp, ptemp, &err) != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_EMERG | APLOG_STARTUP, err.status, s, "the tool's key in %s: %s", key, err.text);
        faults++;
    }
    if (conf->secret_file == NULL && is_there(secret, ptemp) && read_secrets(secrets, &count, secret, ptemp, &err) != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_EMERG | APLOG_STARTUP, err.status, s, "the secret in %s: %s", secret, err.text);
        faults++;
    }
    return faults;
}

int mod_lti_state_check(const lti_server_config_t *conf, apr_pool_t *ptemp, server_rec *s)
{
    int faults = check_legacy_secrets(s, ptemp) + check_generated(conf, ptemp, s);

    if (conf->key_files != NULL)
        faults += check_keys(conf->key_files, ptemp, s);
    if (conf->secret_file != NULL)
        faults += check_secret(conf->secret_file, ptemp, s);
    return faults;
}

apr_status_t mod_lti_state_load(lti_runtime_t *runtime, const lti_server_config_t *conf, apr_pool_t *pconf, apr_pool_t *ptemp,
                                lti_err_t *err)
{
    apr_array_header_t *keys = conf->key_files;
    const char *secret = conf->secret_file != NULL ? conf->secret_file->text : NULL;
    lti_bytes_t secrets[SECRETS_MAX];
    lti_sealer_t *session = NULL, *state = NULL, *token = NULL;
    int count = 0;
    apr_status_t rv = APR_SUCCESS;

    if (keys == NULL || secret == NULL) {
        rv = apr_dir_make_recursive(conf->state_dir, APR_FPROT_UREAD | APR_FPROT_UWRITE | APR_FPROT_UEXECUTE, ptemp);
        if (rv != APR_SUCCESS)
            return lti_fail(err, LTI_E_CONFIG, rv, "LTIStateDir %s cannot be made: create it, owned by root with mode 0700",
                            conf->state_dir);
    }
    if (keys == NULL)
        rv = generated_key(&keys, conf, ptemp, err);
    if (rv == APR_SUCCESS)
        rv = load_keys(&runtime->toolkeys, keys, pconf, ptemp, err);
    if (rv == APR_SUCCESS && secret == NULL)
        rv = generated_secret(&secret, conf, ptemp, err);
    if (rv == APR_SUCCESS)
        rv = read_secrets(secrets, &count, secret, ptemp, err);
    if (rv == APR_SUCCESS)
        rv = lti_sealer_create(&session, "session", secrets, count, pconf, err);
    if (rv == APR_SUCCESS)
        rv = lti_sealer_create(&state, "state", secrets, count, pconf, err);
    if (rv == APR_SUCCESS)
        rv = lti_sealer_create(&token, "token", secrets, count, pconf, err);
    if (rv == APR_SUCCESS)
        rv = make_fingerprint(&runtime->fingerprint, secrets, count, pconf, ptemp, err);
    if (rv == APR_SUCCESS)
        rv = load_legacy_secrets(runtime->server, pconf, ptemp, err);
    runtime->session_sealer = session;
    runtime->state_sealer = state;
    runtime->token_sealer = token;
    return rv;
}
