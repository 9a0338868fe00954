/* SPDX-License-Identifier: Apache-2.0 */
/* The login request's form, the state's round trip and what breaks it, the authentication request. */
#include "test.h"
#include "lti_login.h"

#define BASE "https://tool.example.net"
#define NOW (apr_time_from_sec(1760000000) + 123456)

static const lti_platform_t platform = {.name = "campus",
                                        .issuer = "https://lms.example.org",
                                        .client_id = "tool-77",
                                        .authorization_endpoint = "https://lms.example.org/auth?tenant=7"};

static const lti_login_request_t request = {.iss = "https://lms.example.org",
                                            .login_hint = "2",
                                            .target_link_uri = "https://tool.example.net/app/?x=\xc3\xa4",
                                            .lti_message_hint = "{\"cmid\":4,\"launchid\":\"l_7\"}",
                                            .lti_deployment_id = "d-3",
                                            .client_id = "tool-77"};

static lti_sealer_t *sealer(apr_pool_t *p, char letter)
{
    char secret[32];
    lti_bytes_t bytes = {secret, sizeof secret};
    lti_sealer_t *made = NULL;
    lti_err_t err = {.code = LTI_OK};

    memset(secret, letter, sizeof secret);
    assert_ok(lti_sealer_create(&made, "state", &bytes, 1, p, &err), err);
    return made;
}

static const char *filled(apr_pool_t *p, apr_size_t length)
{
    char *text = apr_pcalloc(p, length + 1);
    memset(text, 'x', length);
    return text;
}

static void the_form_of_a_login_is_checked(void **state) /* SPEC L-03 to L-08, L-13, L-14 */
{
    apr_pool_t *p = *state;
    const struct {
        size_t field;
        const char *value;
        lti_code_t code;
    } rows[] = {
#define FIELD(name) offsetof(lti_login_request_t, name)
        {FIELD(iss), NULL, LTI_E_PARAMETER_MISSING},
        {FIELD(iss), "", LTI_E_PARAMETER_MISSING},
        {FIELD(iss), filled(p, 1024), LTI_OK},
        {FIELD(iss), filled(p, 1025), LTI_E_PARAMETER_INVALID},
        {FIELD(iss), "https://a\nb", LTI_E_PARAMETER_INVALID},
        {FIELD(login_hint), NULL, LTI_E_PARAMETER_MISSING},
        {FIELD(login_hint), "", LTI_E_PARAMETER_MISSING},
        {FIELD(login_hint), filled(p, 4096), LTI_OK},
        {FIELD(login_hint), filled(p, 4097), LTI_E_PARAMETER_INVALID},
        {FIELD(login_hint), "\xff\xfe", LTI_E_PARAMETER_INVALID},
        {FIELD(target_link_uri), NULL, LTI_E_PARAMETER_MISSING},
        {FIELD(target_link_uri), filled(p, 4096), LTI_OK},
        {FIELD(target_link_uri), filled(p, 4097), LTI_E_PARAMETER_INVALID},
        {FIELD(target_link_uri), "https://a/\x7f", LTI_E_PARAMETER_INVALID},
        {FIELD(lti_message_hint), NULL, LTI_OK},
        {FIELD(lti_message_hint), "", LTI_OK},
        {FIELD(lti_message_hint), filled(p, 8192), LTI_OK},
        {FIELD(lti_message_hint), filled(p, 8193), LTI_E_PARAMETER_INVALID},
        {FIELD(lti_message_hint), "a\tb", LTI_E_PARAMETER_INVALID},
        {FIELD(client_id), NULL, LTI_OK},
        {FIELD(client_id), filled(p, 255), LTI_OK},
        {FIELD(client_id), filled(p, 256), LTI_E_PARAMETER_INVALID},
        {FIELD(lti_deployment_id), NULL, LTI_OK},
        {FIELD(lti_deployment_id), filled(p, 256), LTI_E_PARAMETER_INVALID},
        {FIELD(lti_deployment_id), "\xc2\x80", LTI_E_PARAMETER_INVALID},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        lti_login_request_t broken = request;
        lti_err_t err = {.code = LTI_OK};
        *(const char **)((char *)&broken + rows[i].field) = rows[i].value;
        if (rows[i].code == LTI_OK)
            assert_ok(lti_login_check(&broken, &err), err);
        else
            assert_code(lti_login_check(&broken, &err), err, rows[i].code);
    }
    assert_int_equal(lti_login_check(&(lti_login_request_t){.iss = "x"}, NULL), APR_EINVAL);
}

static void a_state_comes_back_as_it_was_made(void **state) /* SPEC */
{
    apr_pool_t *p = *state;
    lti_sealer_t *s = sealer(p, 'a');
    lti_state_t *made = NULL, *opened = NULL;
    const char *text = NULL;
    lti_err_t err = {.code = LTI_OK};

    assert_ok(lti_state_make(&text, &made, s, BASE, &platform, &request, NOW, p, &err), err);
    /* Platforms clean the text of a state: nothing but these survives everywhere. */
    assert_int_equal(strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"), strlen(text));
    assert_true(strlen(made->nonce) >= 22);
    assert_true(strlen(made->cookie_value) >= 22);
    assert_int_equal(strlen(made->cookie_name), strlen("__Host-lti-") + 8);
    assert_int_equal(strncmp(made->cookie_name, "__Host-lti-", 11), 0);

    assert_ok(lti_state_open(&opened, s, BASE, text, NOW + 1, p, &err), err);
    assert_string_equal(opened->platform, "campus");
    assert_string_equal(opened->nonce, made->nonce);
    assert_string_equal(opened->target, request.target_link_uri);
    assert_string_equal(opened->deployment_id, "d-3");
    assert_int_equal(opened->created_at, NOW);
    assert_string_equal(opened->cookie_name, made->cookie_name);
    assert_int_equal(strlen(made->launch_id), 13);
    assert_string_equal(opened->launch_id, made->launch_id);
    assert_null(opened->cookie_value);
    /* Nothing of the record can be read in the text. */
    assert_null(strstr(text, made->nonce));
}

static void each_login_is_another(void **state)
{
    apr_pool_t *p = *state;
    lti_sealer_t *s = sealer(p, 'a');
    lti_state_t *one = NULL, *two = NULL;
    const char *text_one = NULL, *text_two = NULL;
    lti_err_t err = {.code = LTI_OK};

    assert_ok(lti_state_make(&text_one, &one, s, BASE, &platform, &request, NOW, p, &err), err);
    assert_ok(lti_state_make(&text_two, &two, s, BASE, &platform, &request, NOW, p, &err), err);
    assert_string_not_equal(text_one, text_two);
    assert_string_not_equal(one->nonce, two->nonce);
    assert_string_not_equal(one->cookie_name, two->cookie_name);
    assert_string_not_equal(one->launch_id, two->launch_id);
    assert_string_not_equal(one->cookie_value, two->cookie_value);
}

static void an_absent_or_empty_deployment_is_none(void **state)
{
    static const char *const values[] = {NULL, ""};
    apr_pool_t *p = *state;
    lti_sealer_t *s = sealer(p, 'a');

    for (int i = 0; i < 2; i++) {
        lti_login_request_t bare = request;
        lti_state_t *made = NULL, *opened = NULL;
        const char *text = NULL;
        lti_err_t err = {.code = LTI_OK};
        bare.lti_deployment_id = values[i];
        assert_ok(lti_state_make(&text, &made, s, BASE, &platform, &bare, NOW, p, &err), err);
        assert_ok(lti_state_open(&opened, s, BASE, text, NOW, p, &err), err);
        assert_null(made->deployment_id);
        assert_null(opened->deployment_id);
    }
}

static void the_largest_request_fits(void **state)
{
    apr_pool_t *p = *state;
    lti_sealer_t *s = sealer(p, 'a');
    lti_platform_t named = platform;
    lti_login_request_t large = request;
    lti_state_t *made = NULL, *opened = NULL;
    const char *text = NULL;
    lti_err_t err = {.code = LTI_OK};

    named.name = filled(p, 64);
    large.target_link_uri = filled(p, 4096);
    large.lti_deployment_id = filled(p, 255);
    large.storage_target = filled(p, 64);
    large.login_hint = filled(p, 1000);
    large.lti_message_hint = filled(p, 1048);
    assert_ok(lti_state_make(&text, &made, s, BASE, &named, &large, NOW, p, &err), err);
    assert_ok(lti_state_open(&opened, s, BASE, text, NOW, p, &err), err);
    assert_string_equal(opened->platform, named.name);
    assert_string_equal(opened->target, large.target_link_uri);
    assert_string_equal(opened->deployment_id, large.lti_deployment_id);
    assert_string_equal(opened->storage_target, large.storage_target);
    assert_string_equal(opened->login_hint, large.login_hint);
    assert_string_equal(opened->lti_message_hint, large.lti_message_hint);

    named.name = filled(p, 65);
    assert_code(lti_state_make(&text, &made, s, BASE, &named, &large, NOW, p, &err), err, LTI_E_INTERNAL);
    large.target_link_uri = filled(p, 4097);
    assert_code(lti_state_make(&text, &made, s, BASE, &platform, &large, NOW, p, &err), err, LTI_E_PARAMETER_INVALID);
}

static void a_state_lives_ten_minutes(void **state) /* SPEC S-01 */
{
    apr_pool_t *p = *state;
    lti_sealer_t *s = sealer(p, 'a');
    lti_state_t *made = NULL, *opened = NULL;
    const char *text = NULL;
    lti_err_t err = {.code = LTI_OK};

    assert_ok(lti_state_make(&text, &made, s, BASE, &platform, &request, NOW, p, &err), err);
    assert_ok(lti_state_open(&opened, s, BASE, text, NOW + apr_time_from_sec(600), p, &err), err);
    assert_code(lti_state_open(&opened, s, BASE, text, NOW + apr_time_from_sec(600) + 1, p, &err), err, LTI_E_STATE_EXPIRED);
}

static void a_state_of_others_is_refused(void **state)
{
    apr_pool_t *p = *state;
    lti_sealer_t *s = sealer(p, 'a');
    lti_state_t *made = NULL, *opened = NULL;
    const char *text = NULL;
    char *broken;
    lti_err_t err = {.code = LTI_OK};

    assert_ok(lti_state_make(&text, &made, s, BASE, &platform, &request, NOW, p, &err), err);
    assert_code(lti_state_open(&opened, sealer(p, 'b'), BASE, text, NOW, p, &err), err, LTI_E_STATE_INVALID);
    assert_code(lti_state_open(&opened, s, "https://other.example.net", text, NOW, p, &err), err, LTI_E_STATE_INVALID);
    assert_code(lti_state_open(&opened, s, BASE "/", text, NOW, p, &err), err, LTI_E_STATE_INVALID);
    assert_code(lti_state_open(&opened, s, BASE, "", NOW, p, &err), err, LTI_E_STATE_INVALID);
    assert_code(lti_state_open(&opened, s, BASE, NULL, NOW, p, &err), err, LTI_E_STATE_INVALID);
    assert_code(lti_state_open(&opened, s, BASE, "AAAA", NOW, p, &err), err, LTI_E_STATE_INVALID);
    assert_code(lti_state_open(&opened, s, BASE, filled(p, 100000), NOW, p, &err), err, LTI_E_STATE_INVALID);
    assert_code(lti_state_open(&opened, s, BASE, apr_pstrcat(p, text, "A", NULL), NOW, p, &err), err, LTI_E_STATE_INVALID);
    assert_code(lti_state_open(&opened, s, BASE, apr_pstrcat(p, text, "=", NULL), NOW, p, &err), err, LTI_E_STATE_INVALID);
    broken = apr_pstrdup(p, text);
    for (size_t i = 0; i < strlen(text); i++) {
        broken[i] = broken[i] == 'A' ? 'B' : 'A';
        assert_code(lti_state_open(&opened, s, BASE, broken, NOW, p, &err), err, LTI_E_STATE_INVALID);
        broken[i] = text[i];
    }
    assert_null(opened);
}

static void a_record_of_another_shape_is_refused(void **state)
{
    apr_pool_t *p = *state;
    lti_sealer_t *s = sealer(p, 'a');
    unsigned char record[128] = {0}, sealed[128 + LTI_SEAL_OVERHEAD];
    lti_err_t err = {.code = LTI_OK};

    /* Sealed with our own key, as a later release might: shorter, other version, lengths that lead out of the record. */
    for (apr_size_t size = 1; size <= sizeof record; size++) {
        for (unsigned char version = 0; version < 4; version++) {
            apr_size_t sealed_size = 0;
            lti_state_t *opened = NULL;
            memset(record, version == 2 ? 0xff : 0, sizeof record);
            record[0] = version;
            assert_ok(lti_seal(sealed, &sealed_size, s, (lti_bytes_t){BASE, strlen(BASE)}, (lti_bytes_t){record, size}, &err), err);
            assert_code(lti_state_open(&opened, s, BASE, lti_base64url_encode(sealed, sealed_size, p), NOW, p, &err), err,
                        LTI_E_STATE_INVALID);
        }
    }
}

static void a_state_belongs_to_one_browser(void **state) /* SPEC W-03 */
{
    apr_pool_t *p = *state;
    lti_sealer_t *s = sealer(p, 'a');
    lti_state_t *made = NULL, *opened = NULL, *other = NULL;
    const char *text = NULL, *other_text = NULL;
    lti_err_t err = {.code = LTI_OK};

    assert_ok(lti_state_make(&text, &made, s, BASE, &platform, &request, NOW, p, &err), err);
    assert_ok(lti_state_make(&other_text, &other, s, BASE, &platform, &request, NOW, p, &err), err);
    assert_ok(lti_state_open(&opened, s, BASE, text, NOW, p, &err), err);
    assert_int_equal(lti_state_is_bound(opened, made->cookie_value), 1);
    assert_int_equal(lti_state_is_bound(opened, other->cookie_value), 0);
    assert_int_equal(lti_state_is_bound(opened, NULL), 0);
    assert_int_equal(lti_state_is_bound(opened, ""), 0);
    assert_int_equal(lti_state_is_bound(opened, apr_pstrcat(p, made->cookie_value, "A", NULL)), 0);
}

static void a_storage_target_is_a_frame_name_or_nothing(void **state) /* SPEC L-10 */
{
    static const char *const good[] = {"_parent", "post_message_forwarding", "a", "A.b:c-9"};
    static const char *const bad[] = {NULL, "", " ", "a b", "_parent\n", "a/b", "a\"b", "a'b", "a<b", "\xc3\xa4", "a\\b", "*"};
    apr_pool_t *p = *state;

    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_string_equal(lti_login_storage_target(good[i]), good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_null(lti_login_storage_target(bad[i]));
    assert_non_null(lti_login_storage_target(filled(p, 64)));
    assert_null(lti_login_storage_target(filled(p, 65)));
}

static void the_second_secret_is_another_one(void **state) /* SPEC A-17, W-20 */
{
    apr_pool_t *p = *state;
    lti_sealer_t *s = sealer(p, 'a');
    lti_login_request_t stored = request;
    lti_state_t *made = NULL, *other = NULL, *opened = NULL, *bare = NULL;
    const char *text = NULL;
    lti_err_t err = {.code = LTI_OK};

    stored.storage_target = "post_message_forwarding";
    assert_ok(lti_state_make(&text, &other, s, BASE, &platform, &stored, NOW, p, &err), err);
    assert_ok(lti_state_make(&text, &made, s, BASE, &platform, &stored, NOW, p, &err), err);
    assert_ok(lti_state_open(&opened, s, BASE, text, NOW, p, &err), err);
    assert_string_equal(opened->storage_target, "post_message_forwarding");
    assert_string_equal(opened->storage_key, made->storage_key);
    assert_int_equal(strncmp(made->storage_key, "lti_state_", 10), 0);
    assert_string_equal(made->storage_key + 10, made->cookie_name + strlen("__Host-lti-"));
    assert_true(strlen(made->storage_value) >= 22);
    assert_string_not_equal(made->storage_value, made->cookie_value);
    assert_null(opened->storage_value);
    assert_null(strstr(text, made->storage_value));

    assert_int_equal(lti_state_is_proved(opened, made->storage_value), 1);
    assert_int_equal(lti_state_is_proved(opened, made->cookie_value), 0);
    assert_int_equal(lti_state_is_bound(opened, made->storage_value), 0);
    assert_int_equal(lti_state_is_proved(opened, other->storage_value), 0);
    assert_int_equal(lti_state_is_proved(opened, NULL), 0);
    assert_int_equal(lti_state_is_proved(opened, ""), 0);
    assert_int_equal(lti_state_is_proved(opened, apr_pstrcat(p, made->storage_value, "A", NULL)), 0);

    /* Without storage there is nothing that could prove anything. */
    assert_ok(lti_state_make(&text, &bare, s, BASE, &platform, &request, NOW, p, &err), err);
    assert_ok(lti_state_open(&opened, s, BASE, text, NOW, p, &err), err);
    assert_null(bare->storage_value);
    assert_null(opened->storage_target);
    assert_null(opened->storage_key);
    assert_int_equal(lti_state_is_proved(opened, made->storage_value), 0);
    assert_int_equal(lti_state_is_proved(opened, ""), 0);
    stored.storage_target = "not checked";
    assert_code(lti_state_make(&text, &bare, s, BASE, &platform, &stored, NOW, p, &err), err, LTI_E_INTERNAL);
}

static void hints_travel_along_while_they_are_short(void **state) /* SPEC 9.4 */
{
    apr_pool_t *p = *state;
    lti_sealer_t *s = sealer(p, 'a');
    const struct {
        const char *login_hint, *message_hint;
        int kept;
    } rows[] = {
        {"2", NULL, 1},
        {"2", "", 1},
        {"2", "{\"cmid\":4}", 1},
        {filled(p, 2048), NULL, 1},
        {filled(p, 2048), "", 1},
        {filled(p, 2048), "x", 0},
        {"x", filled(p, 2047), 1},
        {"x", filled(p, 2048), 0},
        {filled(p, 4096), filled(p, 8192), 0},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        lti_login_request_t hinted = request;
        lti_state_t *made = NULL, *opened = NULL;
        const char *text = NULL;
        lti_err_t err = {.code = LTI_OK};
        hinted.login_hint = rows[i].login_hint;
        hinted.lti_message_hint = rows[i].message_hint;
        hinted.new_window = (int)(i % 2);
        assert_ok(lti_state_make(&text, &made, s, BASE, &platform, &hinted, NOW, p, &err), err);
        assert_ok(lti_state_open(&opened, s, BASE, text, NOW, p, &err), err);
        assert_int_equal(opened->new_window, i % 2);
        if (!rows[i].kept) {
            assert_null(opened->login_hint);
            assert_null(opened->lti_message_hint);
            continue;
        }
        assert_string_equal(opened->login_hint, rows[i].login_hint);
        if (rows[i].message_hint == NULL)
            assert_null(opened->lti_message_hint);
        else
            assert_string_equal(opened->lti_message_hint, rows[i].message_hint);
    }
}

static void a_handle_comes_back_for_a_minute(void **state) /* SPEC 9.3, W-22 */
{
    apr_pool_t *p = *state;
    lti_sealer_t *s = sealer(p, 'a');
    const lti_handle_t rows[] = {
        {"STATE-1", "eyJhbGciOiJSUzI1NiJ9.e30.c2ln", NOW},
        {"", "", NOW},
        {filled(p, 12000), filled(p, 262144), NOW},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const apr_time_t end = NOW + apr_time_from_sec(60);
        lti_handle_t opened;
        const char *text = NULL;
        lti_err_t err = {.code = LTI_OK};
        assert_ok(lti_handle_make(&text, &rows[i], s, BASE, p, &err), err);
        assert_int_equal(strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"), strlen(text));
        if (rows[i].id_token[0] != '\0')
            assert_null(strstr(text, rows[i].id_token));
        assert_ok(lti_handle_open(&opened, s, BASE, text, end, p, &err), err);
        assert_string_equal(opened.state, rows[i].state);
        assert_string_equal(opened.id_token, rows[i].id_token);
        assert_int_equal(opened.verified_at, NOW);
        assert_code(lti_handle_open(&opened, s, BASE, text, end + 1, p, &err), err, LTI_E_STATE_EXPIRED);
    }
}

static void a_handle_of_others_is_refused(void **state)
{
    apr_pool_t *p = *state;
    lti_sealer_t *s = sealer(p, 'a');
    lti_handle_t handle = {"STATE-1", "e30.e30.c2ln", NOW}, opened;
    lti_state_t *made = NULL;
    const char *text = NULL, *other = NULL;
    char *broken;
    lti_err_t err = {.code = LTI_OK};

    assert_ok(lti_handle_make(&text, &handle, s, BASE, p, &err), err);
    assert_code(lti_handle_open(&opened, sealer(p, 'b'), BASE, text, NOW, p, &err), err, LTI_E_STATE_INVALID);
    assert_code(lti_handle_open(&opened, s, "https://other.example.net", text, NOW, p, &err), err, LTI_E_STATE_INVALID);
    assert_code(lti_handle_open(&opened, s, BASE, "", NOW, p, &err), err, LTI_E_STATE_INVALID);
    assert_code(lti_handle_open(&opened, s, BASE, NULL, NOW, p, &err), err, LTI_E_STATE_INVALID);
    assert_code(lti_handle_open(&opened, s, BASE, "AAAA", NOW, p, &err), err, LTI_E_STATE_INVALID);
    assert_code(lti_handle_open(&opened, s, BASE, filled(p, 50000), NOW, p, &err), err, LTI_E_STATE_INVALID);
    assert_code(lti_handle_open(&opened, s, BASE, apr_pstrcat(p, text, "A", NULL), NOW, p, &err), err, LTI_E_STATE_INVALID);
    broken = apr_pstrdup(p, text);
    for (size_t i = 0; i < strlen(text); i++) {
        broken[i] = broken[i] == 'A' ? 'B' : 'A';
        assert_code(lti_handle_open(&opened, s, BASE, broken, NOW, p, &err), err, LTI_E_STATE_INVALID);
        broken[i] = text[i];
    }
    /* State and handle have one sealer; neither is the other. */
    assert_code(lti_state_open(&made, s, BASE, text, NOW, p, &err), err, LTI_E_STATE_INVALID);
    assert_ok(lti_state_make(&other, &made, s, BASE, &platform, &request, NOW, p, &err), err);
    assert_code(lti_handle_open(&opened, s, BASE, other, NOW, p, &err), err, LTI_E_STATE_INVALID);
    handle.id_token = filled(p, 9 * 1024 * 1024);
    assert_code(lti_handle_make(&text, &handle, s, BASE, p, &err), err, LTI_E_INTERNAL);
}

static void a_handle_of_another_shape_is_refused(void **state)
{
    apr_pool_t *p = *state;
    lti_sealer_t *s = sealer(p, 'a');
    unsigned char record[16], sealed[16 + LTI_SEAL_OVERHEAD];
    lti_err_t err = {.code = LTI_OK};

    for (apr_size_t size = 1; size <= sizeof record; size++) {
        for (unsigned char version = 0; version < 3; version++) {
            apr_size_t sealed_size = 0;
            lti_handle_t opened;
            memset(record, version == 1 ? 0xff : 0, sizeof record);
            record[0] = version;
            assert_ok(lti_seal(sealed, &sealed_size, s, (lti_bytes_t){"handle " BASE, strlen("handle " BASE)},
                               (lti_bytes_t){record, size}, &err),
                      err);
            assert_code(lti_handle_open(&opened, s, BASE, lti_base64url_encode(sealed, sealed_size, p), NOW, p, &err), err,
                        LTI_E_STATE_INVALID);
        }
    }
}

static void the_authentication_request(void **state) /* SPEC */
{
    apr_pool_t *p = *state;
    lti_login_request_t bare = request;
    lti_platform_t plain = platform;

    assert_string_equal(
        lti_login_url(&platform, &request, "https://tool.example.net/lti/launch", "ST-1_", "NO-1_", p),
        "https://lms.example.org/auth?tenant=7&scope=openid&response_type=id_token&response_mode=form_post&prompt=none"
        "&client_id=tool-77&redirect_uri=https%3A%2F%2Ftool.example.net%2Flti%2Flaunch&login_hint=2"
        "&lti_message_hint=%7B%22cmid%22%3A4%2C%22launchid%22%3A%22l_7%22%7D&state=ST-1_&nonce=NO-1_");
    bare.lti_message_hint = NULL;
    bare.login_hint = "a b&c=d#e+f%20\"\xc3\xa4";
    plain.authorization_endpoint = "https://lms.example.org/auth";
    assert_string_equal(
        lti_login_url(&plain, &bare, "https://t/l", "S", "N", p),
        "https://lms.example.org/auth?scope=openid&response_type=id_token&response_mode=form_post&prompt=none"
        "&client_id=tool-77&redirect_uri=https%3A%2F%2Ft%2Fl&login_hint=a%20b%26c%3Dd%23e%2Bf%2520%22%C3%A4&state=S&nonce=N");
    bare.lti_message_hint = ""; /* SPEC L-06: sent back also when empty */
    assert_non_null(strstr(lti_login_url(&plain, &bare, "https://t/l", "S", "N", p), "&lti_message_hint=&"));
}

static void nonce_keys_depend_on_platform_and_nonce(void **state)
{
    apr_pool_t *p = *state;
    const char *key = lti_nonce_key("campus", "n-1", p);

    assert_int_equal(strlen(key), 43);
    assert_string_equal(key, lti_nonce_key("campus", "n-1", p));
    assert_string_not_equal(key, lti_nonce_key("campus", "n-2", p));
    assert_string_not_equal(key, lti_nonce_key("campu", "sn-1", p));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(the_form_of_a_login_is_checked),
        POOL_TEST(a_state_comes_back_as_it_was_made),
        POOL_TEST(each_login_is_another),
        POOL_TEST(an_absent_or_empty_deployment_is_none),
        POOL_TEST(the_largest_request_fits),
        POOL_TEST(a_state_lives_ten_minutes),
        POOL_TEST(a_state_of_others_is_refused),
        POOL_TEST(a_record_of_another_shape_is_refused),
        POOL_TEST(a_state_belongs_to_one_browser),
        POOL_TEST(a_storage_target_is_a_frame_name_or_nothing),
        POOL_TEST(the_second_secret_is_another_one),
        POOL_TEST(hints_travel_along_while_they_are_short),
        POOL_TEST(a_handle_comes_back_for_a_minute),
        POOL_TEST(a_handle_of_others_is_refused),
        POOL_TEST(a_handle_of_another_shape_is_refused),
        POOL_TEST(the_authentication_request),
        POOL_TEST(nonce_keys_depend_on_platform_and_nonce),
    };
    return cmocka_run_group_tests_name("login", tests, NULL, NULL);
}
