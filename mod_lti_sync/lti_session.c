/* SPDX-License-Identifier: Apache-2.0 */
/* The session cookie: a launch packed into a record, sealed, and opened again without copying a text. */
#include "lti_session.h"

#include <stddef.h>
#include <string.h>
#include <apr_strings.h>

#define VALUE_PREFIX "1."
#define HEX_MAX 12 /* digits of the seconds */
#define KEY_BYTES 10
#define KEY_LENGTH LTI_SESSION_KEY_LENGTH
#define AAD_MAX 2048

/* --- the record ------------------------------------------------------------------------------------------------------- */

/* The head has a fixed place: role, flags, whether there is a surplus, and four times. */
#define HEAD_SIZE (3 + 4 * 8)

/* Stand in cookies: never renumber, never reuse. A tag that is not known (of a later release) is skipped. */
enum {
    TAG_ID = 1,
    TAG_PLATFORM = 2,
    TAG_ISSUER = 3,
    TAG_CLIENT_ID = 4,
    TAG_DEPLOYMENT_ID = 5,
    TAG_USER_ID = 6,
    TAG_NAME = 7,
    TAG_GIVEN_NAME = 8,
    TAG_FAMILY_NAME = 9,
    TAG_EMAIL = 10,
    TAG_SOURCEDID = 11,
    TAG_LOCALE = 12,
    TAG_CONTEXT_ID = 13,
    TAG_CONTEXT_LABEL = 14,
    TAG_CONTEXT_TITLE = 15,
    TAG_CONTEXT_TYPE = 16,
    TAG_COURSE_KEY = 17,
    TAG_RESOURCE_LINK_ID = 18,
    TAG_RESOURCE_LINK_TITLE = 19,
    TAG_MESSAGE_TYPE = 20,
    TAG_TARGET_LINK_URI = 21,
    TAG_RETURN_URL = 22,
    TAG_ROLES = 23,
    TAG_CUSTOM_NAME = 24,
    TAG_CUSTOM_VALUE = 25,
    TAG_FOR_USER_ID = 26,
    TAG_DEEP_LINK_RETURN_URL = 27,
    TAG_DEEP_LINK_DATA = 28,
    TAG_DEEP_LINK_ACCEPT_TYPES = 29,
    TAG_DEEP_LINK_ACCEPT_TARGETS = 30,
    TAG_DEEP_LINK_ACCEPT_MEDIA_TYPES = 31,
    TAG_DEEP_LINK_ACCEPT_MULTIPLE = 32,
    TAG_DEEP_LINK_ACCEPT_LINEITEM = 33,
    TAG_DEEP_LINK_AUTO_CREATE = 34,
    TAG_LEGACY_CONSUMER_KEY = 35,
    TAG_LEGACY_USER_ID = 36,
    TAG_LEGACY_CONTEXT_ID = 37,
    TAG_LEGACY_RESOURCE_LINK_ID = 38,
    TAG_SECTIONS = 39,
    TAG_GROUPS = 40,
    TAGS
};

/* The bytes are one: the place of the text among the common ones. */
#define TAG_IS_COMMON 0x80

#define BIT(tag) ((apr_uint64_t)1 << (tag))
_Static_assert(TAGS <= 64, "sets of tags are 64 bits");

/* Tags whose field is one text of the launch: all but roles and custom parameters, which stand in the middle of the numbers. */
#define IS_TEXT(tag) (((tag) >= 1 && (tag) < TAG_ROLES) || ((tag) > TAG_CUSTOM_VALUE && (tag) < TAGS))

/* Where the text of a tag stands in a launch. */
static const apr_size_t offsets[TAGS] = {
    [TAG_ID] = offsetof(lti_launch_t, id),
    [TAG_PLATFORM] = offsetof(lti_launch_t, platform),
    [TAG_ISSUER] = offsetof(lti_launch_t, issuer),
    [TAG_CLIENT_ID] = offsetof(lti_launch_t, client_id),
    [TAG_DEPLOYMENT_ID] = offsetof(lti_launch_t, deployment_id),
    [TAG_USER_ID] = offsetof(lti_launch_t, user_id),
    [TAG_NAME] = offsetof(lti_launch_t, name),
    [TAG_GIVEN_NAME] = offsetof(lti_launch_t, given_name),
    [TAG_FAMILY_NAME] = offsetof(lti_launch_t, family_name),
    [TAG_EMAIL] = offsetof(lti_launch_t, email),
    [TAG_SOURCEDID] = offsetof(lti_launch_t, sourcedid),
    [TAG_LOCALE] = offsetof(lti_launch_t, locale),
    [TAG_CONTEXT_ID] = offsetof(lti_launch_t, context_id),
    [TAG_CONTEXT_LABEL] = offsetof(lti_launch_t, context_label),
    [TAG_CONTEXT_TITLE] = offsetof(lti_launch_t, context_title),
    [TAG_CONTEXT_TYPE] = offsetof(lti_launch_t, context_type),
    [TAG_COURSE_KEY] = offsetof(lti_launch_t, course_key),
    [TAG_RESOURCE_LINK_ID] = offsetof(lti_launch_t, resource_link_id),
    [TAG_RESOURCE_LINK_TITLE] = offsetof(lti_launch_t, resource_link_title),
    [TAG_MESSAGE_TYPE] = offsetof(lti_launch_t, message_type),
    [TAG_TARGET_LINK_URI] = offsetof(lti_launch_t, target_link_uri),
    [TAG_RETURN_URL] = offsetof(lti_launch_t, return_url),
    [TAG_FOR_USER_ID] = offsetof(lti_launch_t, for_user_id),
    [TAG_DEEP_LINK_RETURN_URL] = offsetof(lti_launch_t, deep_link_return_url),
    [TAG_DEEP_LINK_DATA] = offsetof(lti_launch_t, deep_link_data),
    [TAG_DEEP_LINK_ACCEPT_TYPES] = offsetof(lti_launch_t, deep_link_accept_types),
    [TAG_DEEP_LINK_ACCEPT_TARGETS] = offsetof(lti_launch_t, deep_link_accept_targets),
    [TAG_DEEP_LINK_ACCEPT_MEDIA_TYPES] = offsetof(lti_launch_t, deep_link_accept_media_types),
    [TAG_DEEP_LINK_ACCEPT_MULTIPLE] = offsetof(lti_launch_t, deep_link_accept_multiple),
    [TAG_DEEP_LINK_ACCEPT_LINEITEM] = offsetof(lti_launch_t, deep_link_accept_lineitem),
    [TAG_DEEP_LINK_AUTO_CREATE] = offsetof(lti_launch_t, deep_link_auto_create),
    [TAG_LEGACY_CONSUMER_KEY] = offsetof(lti_launch_t, legacy_consumer_key),
    [TAG_LEGACY_USER_ID] = offsetof(lti_launch_t, legacy_user_id),
    [TAG_LEGACY_CONTEXT_ID] = offsetof(lti_launch_t, legacy_context_id),
    [TAG_LEGACY_RESOURCE_LINK_ID] = offsetof(lti_launch_t, legacy_resource_link_id),
    [TAG_SECTIONS] = offsetof(lti_launch_t, sections),
    [TAG_GROUPS] = offsetof(lti_launch_t, groups),
};

/* What leaves for the surplus, one after the other, until the rest fits. Roles: those without a number. */
static const unsigned char drop_order[] = {
    TAG_DEEP_LINK_DATA,
    TAG_CUSTOM_NAME,
    TAG_RETURN_URL,
    TAG_TARGET_LINK_URI,
    TAG_RESOURCE_LINK_TITLE,
    TAG_CONTEXT_TITLE,
    TAG_CONTEXT_TYPE,
    TAG_CONTEXT_LABEL,
    TAG_GROUPS,
    TAG_SECTIONS,
    TAG_DEEP_LINK_ACCEPT_MEDIA_TYPES,
    TAG_DEEP_LINK_ACCEPT_TARGETS,
    TAG_DEEP_LINK_ACCEPT_TYPES,
    TAG_DEEP_LINK_RETURN_URL,
    TAG_LEGACY_RESOURCE_LINK_ID,
    TAG_LEGACY_CONTEXT_ID,
    TAG_LEGACY_USER_ID,
    TAG_LEGACY_CONSUMER_KEY,
    TAG_LOCALE,
    TAG_GIVEN_NAME,
    TAG_FAMILY_NAME,
    TAG_NAME,
    TAG_EMAIL,
    TAG_SOURCEDID,
    TAG_RESOURCE_LINK_ID,
    TAG_CONTEXT_ID,
    TAG_FOR_USER_ID,
    TAG_ROLES,
};

/* Long texts that stand in most launches; append only. */
static const char *const common_texts[] = {
    "LtiResourceLinkRequest",
    "LtiDeepLinkingRequest",
    "LtiSubmissionReviewRequest",
    "http://purl.imsglobal.org/vocab/lis/v2/course#CourseOffering",
    "http://purl.imsglobal.org/vocab/lis/v2/course#CourseSection",
    "http://purl.imsglobal.org/vocab/lis/v2/course#CourseTemplate",
    "http://purl.imsglobal.org/vocab/lis/v2/course#Group",
};

#define COMMON_TEXTS (sizeof common_texts / sizeof *common_texts)

static const char **text_of(lti_launch_t *launch, int tag)
{
    return (const char **)((char *)launch + offsets[tag]);
}

/* --- writing ----------------------------------------------------------------------------------------------------------- */

/* Without a buffer it only counts. */
typedef struct writer_t {
    unsigned char *buffer;
    apr_size_t size;
} writer_t;

static void put(writer_t *writer, const void *bytes, apr_size_t size)
{
    if (writer->buffer != NULL)
        memcpy(writer->buffer + writer->size, bytes, size);
    writer->size += size;
}

static void put_byte(writer_t *writer, int byte)
{
    unsigned char c = (unsigned char)byte;
    put(writer, &c, 1);
}

/* Seven bits a byte, the lowest first. */
static void put_length(writer_t *writer, apr_size_t length)
{
    for (; length >= 0x80; length >>= 7)
        put_byte(writer, (int)(length & 0x7f) | 0x80);
    put_byte(writer, (int)length);
}

static void put_field(writer_t *writer, int tag, const char *text)
{
    apr_size_t length = strlen(text);

    put_byte(writer, tag);
    put_length(writer, length);
    put(writer, text, length);
}

static void put_text(writer_t *writer, int tag, const char *text)
{
    for (apr_size_t i = 0; i < COMMON_TEXTS; i++) {
        if (strcmp(text, common_texts[i]) == 0) {
            put_byte(writer, tag | TAG_IS_COMMON);
            put_length(writer, 1);
            put_byte(writer, (int)i);
            return;
        }
    }
    put_field(writer, tag, text);
}

static void put_time(writer_t *writer, apr_time_t time)
{
    for (int shift = 56; shift >= 0; shift -= 8)
        put_byte(writer, (int)((apr_uint64_t)time >> shift & 0xff));
}

/* The bytes of the field: numbers; 0, length and text for a role without one. */
static void put_roles_content(writer_t *writer, const char *roles, int known_only, apr_pool_t *p)
{
    while (*roles != '\0') {
        apr_size_t length = strcspn(roles, " ");
        int number = 0;

        lti_role_canonical(apr_pstrmemdup(p, roles, length), LTI_ROLE_STRICT, &number);
        if (number != 0) {
            put_byte(writer, number);
        } else if (!known_only) {
            put_byte(writer, 0);
            put_length(writer, length);
            put(writer, roles, length);
        }
        roles += length + (roles[length] == ' ');
    }
}

static void put_roles(writer_t *writer, const char *roles, int known_only, apr_pool_t *p)
{
    writer_t count = {NULL, 0};

    put_roles_content(&count, roles, known_only, p);
    if (count.size == 0)
        return;
    put_byte(writer, TAG_ROLES);
    put_length(writer, count.size);
    put_roles_content(writer, roles, known_only, p);
}

/* The fields whose bit is in `included`. */
static void put_fields(writer_t *writer, const lti_launch_t *launch, apr_uint64_t included)
{
    for (int tag = 1; tag < TAGS; tag++) {
        const char *text = IS_TEXT(tag) ? *(const char *const *)((const char *)launch + offsets[tag]) : NULL;
        if (text != NULL && (included & BIT(tag)) != 0)
            put_text(writer, tag, text);
    }
    if (launch->custom != NULL && (included & BIT(TAG_CUSTOM_NAME)) != 0) {
        const apr_array_header_t *entries = apr_table_elts(launch->custom);
        for (int i = 0; i < entries->nelts; i++) {
            put_field(writer, TAG_CUSTOM_NAME, APR_ARRAY_IDX(entries, i, apr_table_entry_t).key);
            put_field(writer, TAG_CUSTOM_VALUE, APR_ARRAY_IDX(entries, i, apr_table_entry_t).val);
        }
    }
}

typedef struct times_t {
    apr_time_t expires_at, touched_at;
} times_t;

static void put_record(writer_t *writer, const lti_launch_t *launch, const times_t *times, apr_uint64_t dropped, apr_pool_t *p)
{
    put_byte(writer, (int)launch->role);
    put_byte(writer, (int)launch->role_flags);
    put_byte(writer, dropped != 0);
    put_time(writer, launch->launched_at);
    put_time(writer, launch->token_expires_at);
    put_time(writer, times->expires_at);
    put_time(writer, times->touched_at);
    put_fields(writer, launch, ~dropped);
    put_roles(writer, launch->roles == NULL ? "" : launch->roles, (dropped & BIT(TAG_ROLES)) != 0, p);
}

/* --- reading ----------------------------------------------------------------------------------------------------------- */

/* The length at `*at`, which moves behind it; 0 if it does not end before `end` or leads beyond it. */
static int take_length(apr_size_t *length, unsigned char **at, const unsigned char *end)
{
    if (*at < end && **at < 0x80) { /* most texts */
        *length = *(*at)++;
        return *length <= (apr_size_t)(end - *at);
    }
    *length = 0;
    for (int shift = 0; *at < end && shift < 28; shift += 7) {
        unsigned char c = *(*at)++;
        *length |= (apr_size_t)(c & 0x7f) << shift;
        if ((c & 0x80) == 0)
            return *length <= (apr_size_t)(end - *at);
    }
    return 0;
}

/* Writes the roles into `out` unless that is NULL; `*size` receives their bytes with the closing NUL. 0 for a damaged field. */
static int expand_roles(char *out, apr_size_t *size, unsigned char *at, const unsigned char *end)
{
    apr_size_t written = 0;

    while (at < end) {
        int number = *at++;
        const char *role = lti_role_uri(number);
        apr_size_t length = role == NULL ? 0 : strlen(role);

        if (number == 0) {
            if (!take_length(&length, &at, end))
                return 0;
            role = (const char *)at;
            at += length;
        }
        if (length == 0)
            continue; /* a number of a later release */
        if (written > 0 && out != NULL)
            out[written - 1] = ' ';
        if (out != NULL) {
            memcpy(out + written, role, length);
            out[written + length] = '\0';
        }
        written += length + 1;
    }
    *size = written;
    return 1;
}

static int read_roles(lti_launch_t *launch, unsigned char *bytes, apr_size_t size, apr_pool_t *p)
{
    const char *only = size == 1 ? lti_role_uri(bytes[0]) : NULL;
    apr_size_t needed = 0;
    char *text;

    if (only != NULL) { /* most people: nothing to write */
        launch->roles = only;
        return 1;
    }
    if (!expand_roles(NULL, &needed, bytes, bytes + size))
        return 0;
    text = apr_palloc(p, needed + 1);
    text[0] = '\0';
    expand_roles(text, &needed, bytes, bytes + size);
    launch->roles = text;
    return 1;
}

/*
 * Points the launch's texts into the record, which is `size` bytes and has room for one more: a field's tag, once read, becomes the NUL that
 * closes the text before it. 0 for a damaged record.
 */
static int read_fields(lti_launch_t *launch, unsigned char *record, apr_size_t size, apr_pool_t *p)
{
    unsigned char *at = record, *end = record + size;
    const char *custom_name = NULL;

    *end = '\0';
    while (at < end) {
        int tag = *at;
        apr_size_t length;
        const char *text;

        *at++ = '\0';
        if (!take_length(&length, &at, end))
            return 0;
        text = (const char *)at;
        if (tag >= 1 && tag < TAG_ROLES) {
            *text_of(launch, tag) = text;
        } else if (tag == TAG_ROLES) {
            if (!read_roles(launch, at, length, p))
                return 0;
        } else if (tag == TAG_CUSTOM_NAME) {
            custom_name = text;
        } else if (tag == TAG_CUSTOM_VALUE && custom_name != NULL) {
            if (launch->custom == NULL)
                launch->custom = apr_table_make(p, 8);
            apr_table_addn(launch->custom, custom_name, text);
        } else if (tag > TAG_IS_COMMON && IS_TEXT(tag & ~TAG_IS_COMMON) && length == 1 && *at < COMMON_TEXTS) {
            *text_of(launch, tag & ~TAG_IS_COMMON) = common_texts[*at];
        } else if (IS_TEXT(tag)) {
            *text_of(launch, tag) = text;
        }
        at += length;
    }
    return 1;
}

static apr_time_t read_time(const unsigned char *bytes)
{
    apr_uint64_t time = 0;

    for (int i = 0; i < 8; i++)
        time = time << 8 | bytes[i];
    /* Half the range: the difference of any two fits, whatever another release sealed. */
    return (apr_time_t)(time & (APR_UINT64_MAX >> 2));
}

/* --- name and value ----------------------------------------------------------------------------------------------------- */

static lti_bytes_t piece(const char *text)
{
    return (lti_bytes_t){text == NULL ? "" : text, text == NULL ? 0 : strlen(text)};
}

const char *lti_session_cookie_name(const lti_sealer_t *sealer, const char *prefix, const lti_launch_t *launch, apr_pool_t *p)
{
    const char *place = launch->context_id != NULL ? launch->context_id : launch->resource_link_id;
    const lti_bytes_t pieces[] = {piece(launch->issuer), piece(launch->client_id), piece(launch->deployment_id),
                                  piece(place != NULL ? place : "-"), piece(launch->user_id)};
    unsigned char mac[LTI_SHA256_SIZE];
    char key[KEY_LENGTH + 1];

    if (lti_sealer_mac(mac, sealer, pieces, (int)(sizeof pieces / sizeof *pieces)) != APR_SUCCESS)
        return NULL;
    lti_base32_encode(key, mac, KEY_BYTES);
    return apr_pstrcat(p, prefix, "_", key, NULL);
}

/* What the seal vouches for besides the record: the cookie's name, the site, and the clear part. None of the three has a newline. */
static int make_aad(lti_bytes_t *aad, char buffer[AAD_MAX], const char *cookie_name, const char *base_url, const char *value,
                    apr_size_t clear)
{
    apr_size_t name_length = strlen(cookie_name), base_length = strlen(base_url);
    char *end = buffer;

    if (name_length + base_length + clear + 2 > AAD_MAX)
        return 0;
    memcpy(end, cookie_name, name_length);
    end += name_length;
    *end++ = '\n';
    memcpy(end, base_url, base_length);
    end += base_length;
    *end++ = '\n';
    memcpy(end, value, clear);
    end += clear;
    *aad = (lti_bytes_t){buffer, (apr_size_t)(end - buffer)};
    return 1;
}

/* Length of the clear part with its dots, 0 if there is none; `*seconds` is what it says. */
static apr_size_t read_clear(apr_time_t *seconds, const char *value)
{
    const char *at = value + sizeof(VALUE_PREFIX) - 1;
    apr_time_t result = 0;

    if (strncmp(value, VALUE_PREFIX, sizeof(VALUE_PREFIX) - 1) != 0)
        return 0;
    for (int i = 0; i < HEX_MAX; i++, at++) {
        if (*at >= '0' && *at <= '9')
            result = result << 4 | (*at - '0');
        else if (*at >= 'a' && *at <= 'f')
            result = result << 4 | (*at - 'a' + 10);
        else
            break;
    }
    *seconds = result;
    return *at == '.' && result != 0 ? (apr_size_t)(at + 1 - value) : 0;
}

apr_time_t lti_session_peek(const char *value)
{
    apr_time_t seconds = 0;

    return read_clear(&seconds, value) != 0 ? seconds : 0;
}

/* The set of tags that has to leave so that the record takes at most `room` bytes; 0 in `*fits` if nothing helps. */
static apr_uint64_t choose_dropped(int *fits, const lti_launch_t *launch, const times_t *times, apr_size_t room, apr_pool_t *p)
{
    apr_uint64_t dropped = 0;

    for (apr_size_t i = 0; i <= sizeof drop_order; i++) {
        writer_t count = {NULL, 0};
        put_record(&count, launch, times, dropped, p);
        *fits = count.size <= room;
        if (*fits || i == sizeof drop_order)
            break;
        dropped |= BIT(drop_order[i]);
    }
    return dropped;
}

/* The id stands in front, so that a surplus is never added to another launch. */
static const char *make_surplus(const lti_launch_t *launch, apr_uint64_t dropped, apr_pool_t *p)
{
    writer_t writer = {NULL, 0};

    for (int pass = 0; pass < 2; pass++) {
        writer.size = 0;
        put_fields(&writer, launch, dropped | BIT(TAG_ID));
        if ((dropped & BIT(TAG_ROLES)) != 0)
            put_roles(&writer, launch->roles == NULL ? "" : launch->roles, 0, p);
        if (pass == 0)
            writer.buffer = apr_palloc(p, writer.size);
    }
    return lti_base64url_encode(writer.buffer, writer.size, p);
}

apr_status_t lti_session_seal(const char **value, const char **surplus, const lti_sealer_t *sealer, const char *base_url,
                              const char *cookie_name, const lti_launch_t *launch, apr_time_t expires_at, apr_time_t touched_at,
                              apr_pool_t *p, lti_err_t *err)
{
    const times_t times = {expires_at, touched_at};
    const char *clear = apr_psprintf(p, VALUE_PREFIX "%" APR_UINT64_T_HEX_FMT ".", (apr_uint64_t)apr_time_sec(launch->launched_at));
    apr_size_t clear_length = strlen(clear);
    apr_size_t taken = strlen(cookie_name) + 1 + clear_length;
    unsigned char record[LTI_SESSION_COOKIE_MAX], sealed[LTI_SESSION_COOKIE_MAX + LTI_SEAL_OVERHEAD];
    char aad_buffer[AAD_MAX];
    writer_t writer = {record, 0};
    apr_size_t room, size = 0;
    apr_uint64_t dropped;
    lti_bytes_t aad;
    apr_status_t rv;
    int fits = 0;

    if (lti_session_peek(clear) == 0)
        return lti_fail(err, LTI_E_INTERNAL, APR_EINVAL, "a launch without a time cannot be sealed");
    if (taken >= LTI_SESSION_COOKIE_MAX || !make_aad(&aad, aad_buffer, cookie_name, base_url, clear, clear_length))
        return lti_fail(err, LTI_E_INTERNAL, APR_ENOSPC, "the session cookie's name or the base URL is too long");
    room = (LTI_SESSION_COOKIE_MAX - taken) * 3 / 4;
    room = room > LTI_SEAL_OVERHEAD ? room - LTI_SEAL_OVERHEAD : 0;
    dropped = choose_dropped(&fits, launch, &times, room, p);
    if (!fits)
        return lti_fail(err, LTI_E_INTERNAL, APR_ENOSPC,
                        "the ids of this launch do not fit into a cookie of %d bytes: shorten the platform's name in <LTIPlatform>",
                        LTI_SESSION_COOKIE_MAX);
    put_record(&writer, launch, &times, dropped, p);
    rv = lti_seal(sealed, &size, sealer, aad, (lti_bytes_t){record, writer.size}, err);
    if (rv != APR_SUCCESS)
        return rv;
    *value = apr_pstrcat(p, clear, lti_base64url_encode(sealed, size, p), NULL);
    *surplus = dropped != 0 ? make_surplus(launch, dropped, p) : NULL;
    return APR_SUCCESS;
}

/* The session with its record behind it, in one allocation; NULL unless the seal is ours and the record whole. */
static lti_session_t *unseal(const lti_sealer_t *sealer, lti_bytes_t aad, lti_bytes_t sealed, apr_pool_t *p)
{
    lti_session_t *session = apr_palloc(p, sizeof *session + sealed.size);
    unsigned char *record = (unsigned char *)(session + 1);
    apr_size_t size = 0;

    memset(session, 0, sizeof *session);
    if (lti_unseal(record, &size, sealer, aad, sealed) != APR_SUCCESS || size < HEAD_SIZE)
        return NULL;
    session->launch.role = (lti_role_t)record[0];
    session->launch.role_flags = record[1];
    session->has_surplus = record[2];
    session->launch.launched_at = read_time(record + 3);
    session->launch.token_expires_at = read_time(record + 11);
    session->expires_at = read_time(record + 19);
    session->touched_at = read_time(record + 27);
    session->launch.roles = "";
    return read_fields(&session->launch, record + HEAD_SIZE, size - HEAD_SIZE, p) ? session : NULL;
}

apr_status_t lti_session_open(lti_session_t **session, const lti_sealer_t *sealer, const char *base_url, const char *cookie_name,
                              const char *value, apr_time_t now, apr_interval_time_t idle, apr_pool_t *p, lti_err_t *err)
{
    unsigned char sealed[LTI_SESSION_COOKIE_MAX];
    char aad_buffer[AAD_MAX];
    apr_time_t seconds;
    apr_size_t clear = read_clear(&seconds, value), length = strlen(value), size = 0;
    lti_session_t *opened = NULL;
    lti_bytes_t aad;

    if (clear == 0 || length > LTI_SESSION_COOKIE_MAX)
        return lti_fail(err, LTI_E_SESSION_INVALID, APR_EINVAL, "the session cookie has not the form of one");
    if (make_aad(&aad, aad_buffer, cookie_name, base_url, value, clear) &&
        lti_base64url_decode(sealed, &size, value + clear, length - clear) == APR_SUCCESS && size > LTI_SEAL_OVERHEAD)
        opened = unseal(sealer, aad, (lti_bytes_t){sealed, size}, p);
    if (opened == NULL)
        return lti_fail(err, LTI_E_SESSION_INVALID, APR_EINVAL, "the session cookie was not sealed by this site");
    *session = opened;
    if (now >= opened->expires_at)
        return lti_fail(err, LTI_E_SESSION_EXPIRED, APR_EINVAL, "the session's lifetime ended %ld seconds ago",
                        (long)apr_time_sec(now - opened->expires_at));
    if (idle > 0 && now - opened->touched_at >= idle)
        return lti_fail(err, LTI_E_SESSION_EXPIRED, APR_EINVAL, "the session was not used for %ld seconds",
                        (long)apr_time_sec(now - opened->touched_at));
    return APR_SUCCESS;
}

apr_status_t lti_session_add_surplus(lti_session_t *session, const char *surplus, apr_pool_t *p, lti_err_t *err)
{
    apr_size_t length = strlen(surplus), size = 0;
    unsigned char *record = apr_palloc(p, length * 3 / 4 + 1);
    const char *id = session->launch.id;
    lti_launch_t merged = session->launch;

    merged.id = NULL;
    if (lti_base64url_decode(record, &size, surplus, length) != APR_SUCCESS || !read_fields(&merged, record, size, p))
        return lti_fail(err, LTI_E_SESSION_INVALID, APR_EINVAL, "the stored part of the session is damaged");
    if (id == NULL || merged.id == NULL || strcmp(merged.id, id) != 0)
        return lti_fail(err, LTI_E_SESSION_INVALID, APR_EINVAL, "the stored part of the session is of another launch");
    session->launch = merged;
    return APR_SUCCESS;
}
