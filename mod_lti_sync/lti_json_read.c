/* SPDX-License-Identifier: Apache-2.0 */
/* lti_json's fast reader: one pass, recursion no deeper than LTI_JSON_DEPTH, gives up at the first oddity. */
#include "lti_json_read.h"

#include <string.h>
#include "lti_json.h"

#define KEY_MAX 255
#define DIGITS_MAX 18 /* what surely fits into 64 bits */
#define NUMBER_MAX 64

typedef struct reader_t {
    const char *at, *end;
    char *scratch; /* for texts with escapes; made at the first one */
    apr_size_t size;
    apr_pool_t *ptemp;
    int depth;
} reader_t;

int lti_json_character(const unsigned char *s)
{
    unsigned char low = 0x80, high = 0xBF;
    int length, i;

    if (s[0] < 0x80)
        return 1;
    if (s[0] < 0xC2 || s[0] > 0xF4)
        return 0;
    length = s[0] < 0xE0 ? 2 : s[0] < 0xF0 ? 3 : 4;
    if (s[0] == 0xE0)
        low = 0xA0;
    else if (s[0] == 0xED)
        high = 0x9F;
    else if (s[0] == 0xF0)
        low = 0x90;
    else if (s[0] == 0xF4)
        high = 0x8F;
    if (s[1] < low || s[1] > high)
        return 0;
    for (i = 2; i < length; i++) {
        if ((s[i] & 0xC0) != 0x80)
            return 0;
    }
    return length;
}

static void skip_blanks(reader_t *reader)
{
    while (reader->at < reader->end && (*reader->at == ' ' || *reader->at == '\n' || *reader->at == '\r' || *reader->at == '\t'))
        reader->at++;
}

/* Moves behind `c`, which must come next. */
static int take(reader_t *reader, char c)
{
    if (reader->at == reader->end || *reader->at != c)
        return 0;
    reader->at++;
    return 1;
}

/* --- texts ---------------------------------------------------------------------------------------------------------------- */

/* Four hexadecimal digits at `s`, -1 if they are none. */
static long read_hex(const char *s, const char *end)
{
    long value = 0;
    int i;

    if (end - s < 4)
        return -1;
    for (i = 0; i < 4; i++) {
        char c = s[i];

        if (c >= '0' && c <= '9')
            value = value << 4 | (c - '0');
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            value = value << 4 | ((c | 0x20) - 'a' + 10);
        else
            return -1;
    }
    return value;
}

static char *put_character(char *out, long c)
{
    if (c < 0x80) {
        *out++ = (char)c;
    } else if (c < 0x800) {
        *out++ = (char)(0xC0 | c >> 6);
        *out++ = (char)(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
        *out++ = (char)(0xE0 | c >> 12);
        *out++ = (char)(0x80 | (c >> 6 & 0x3F));
        *out++ = (char)(0x80 | (c & 0x3F));
    } else {
        *out++ = (char)(0xF0 | c >> 18);
        *out++ = (char)(0x80 | (c >> 12 & 0x3F));
        *out++ = (char)(0x80 | (c >> 6 & 0x3F));
        *out++ = (char)(0x80 | (c & 0x3F));
    }
    return out;
}

/* The escape whose letter is at reader->at, which moves behind it; NULL for what is none, for a NUL and for half a pair. */
static char *read_escape(char *out, reader_t *reader)
{
    static const char letters[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    const char *letter;
    long c, low;

    if (reader->at == reader->end || *reader->at == '\0')
        return NULL;
    letter = strchr(letters, *reader->at++);
    if (letter != NULL) {
        *out++ = meant[letter - letters];
        return out;
    }
    c = reader->at[-1] == 'u' ? read_hex(reader->at, reader->end) : -1;
    if (c <= 0 || (c >= 0xDC00 && c <= 0xDFFF))
        return NULL;
    reader->at += 4;
    if (c >= 0xD800 && c <= 0xDBFF) {
        if (reader->end - reader->at < 6 || reader->at[0] != '\\' || reader->at[1] != 'u')
            return NULL;
        low = read_hex(reader->at + 2, reader->end);
        if (low < 0xDC00 || low > 0xDFFF)
            return NULL;
        reader->at += 6;
        c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
    }
    return put_character(out, c);
}

/* Moves to the first byte that is no plain character of a text: its end, an escape, or what may not be there. 0 for broken UTF-8. */
static int skip_plain(reader_t *reader)
{
    const unsigned char *s = (const unsigned char *)reader->at, *end = (const unsigned char *)reader->end;

    s += lti_json_plain(s, (apr_size_t)(end - s));
    while (s < end) {
        int length = 1;

        if (*s >= 0x80) {
            length = end - s < 4 ? 0 : lti_json_character(s);
            if (length == 0)
                return 0;
        } else if (*s < 0x20 || *s == '"' || *s == '\\') {
            break;
        }
        s += length;
    }
    reader->at = (const char *)s;
    return 1;
}

/* The text that begins after its opening quote: points into the input, or into the scratch if it has escapes. */
static int read_text(const char **text, apr_size_t *length, reader_t *reader)
{
    const char *start = reader->at;
    char *out;

    if (!skip_plain(reader) || reader->at == reader->end)
        return 0;
    if (*reader->at == '"') {
        *text = start;
        *length = (apr_size_t)(reader->at++ - start);
        return 1;
    }
    if (reader->scratch == NULL)
        reader->scratch = apr_palloc(reader->ptemp, reader->size);
    /* What escapes stand for is never longer than they are. */
    for (out = reader->scratch;;) {
        apr_size_t plain = (apr_size_t)(reader->at - start);

        memcpy(out, start, plain);
        out += plain;
        if (take(reader, '"'))
            break;
        if (!take(reader, '\\') || (out = read_escape(out, reader)) == NULL)
            return 0;
        start = reader->at;
        if (!skip_plain(reader) || reader->at == reader->end)
            return 0;
    }
    *text = reader->scratch;
    *length = (apr_size_t)(out - reader->scratch);
    return 1;
}

/* --- values --------------------------------------------------------------------------------------------------------------- */

static json_t *read_value(reader_t *reader);

static json_t *read_word(reader_t *reader, const char *word, json_t *value)
{
    apr_size_t length = strlen(word);

    if ((apr_size_t)(reader->end - reader->at) < length || memcmp(reader->at, word, length) != 0)
        return NULL;
    reader->at += length;
    return value;
}

/* Whole numbers here; the others have rules of their own, which jansson knows. */
static json_t *read_number(reader_t *reader)
{
    const char *start = reader->at, *digits = start + (*start == '-'), *c = digits;
    json_int_t value = 0;

    while (c < reader->end && *c >= '0' && *c <= '9')
        c++;
    if (c == digits || (*digits == '0' && c - digits > 1))
        return NULL;
    if (c == reader->end || strchr(".eE", *c) == NULL || *c == '\0') {
        if (c - digits > DIGITS_MAX)
            return NULL;
        for (reader->at = c; digits < c; digits++)
            value = value * 10 + (*digits - '0');
        return json_integer(*start == '-' ? -value : value);
    }
    while (c < reader->end && strchr("0123456789+-.eE", *c) != NULL && *c != '\0')
        c++;
    if (c - start > NUMBER_MAX)
        return NULL;
    reader->at = c;
    return json_loadb(start, (apr_size_t)(c - start), JSON_DECODE_ANY, NULL);
}

static json_t *read_array(reader_t *reader)
{
    json_t *array = json_array();

    skip_blanks(reader);
    if (take(reader, ']'))
        return array;
    for (;;) {
        json_t *value = read_value(reader);

        if (value == NULL || json_array_append_new(array, value) != 0)
            break;
        skip_blanks(reader);
        if (take(reader, ']'))
            return array;
        if (!take(reader, ','))
            break;
    }
    json_decref(array);
    return NULL;
}

/* `"name":`, copied with a NUL behind it. */
static int read_key(char key[KEY_MAX + 1], reader_t *reader)
{
    const char *text;
    apr_size_t length;

    skip_blanks(reader);
    if (!take(reader, '"') || !read_text(&text, &length, reader) || length > KEY_MAX)
        return 0;
    memcpy(key, text, length);
    key[length] = '\0';
    skip_blanks(reader);
    return take(reader, ':');
}

static json_t *read_object(reader_t *reader)
{
    json_t *object = json_object();
    char key[KEY_MAX + 1];
    size_t members;

    skip_blanks(reader);
    if (take(reader, '}'))
        return object;
    for (members = 1;; members++) {
        json_t *value = read_key(key, reader) ? read_value(reader) : NULL;

        /* A name that comes twice takes the place of the first. */
        if (value == NULL || json_object_set_new_nocheck(object, key, value) != 0 || json_object_size(object) != members)
            break;
        skip_blanks(reader);
        if (take(reader, '}'))
            return object;
        if (!take(reader, ','))
            break;
    }
    json_decref(object);
    return NULL;
}

static json_t *read_value(reader_t *reader)
{
    const char *text;
    apr_size_t length;
    json_t *value = NULL;

    skip_blanks(reader);
    if (reader->at == reader->end)
        return NULL;
    switch (*reader->at) {
    case '"':
        reader->at++;
        return read_text(&text, &length, reader) ? json_stringn_nocheck(text, length) : NULL;
    case '{':
    case '[':
        if (++reader->depth > LTI_JSON_DEPTH)
            return NULL;
        value = *reader->at++ == '{' ? read_object(reader) : read_array(reader);
        reader->depth--;
        return value;
    case 't':
        return read_word(reader, "true", json_true());
    case 'f':
        return read_word(reader, "false", json_false());
    case 'n':
        return read_word(reader, "null", json_null());
    default:
        return *reader->at == '-' || (*reader->at >= '0' && *reader->at <= '9') ? read_number(reader) : NULL;
    }
}

json_t *lti_json_read(const char *text, apr_size_t size, apr_pool_t *ptemp)
{
    reader_t reader = {.at = text, .end = text + size, .size = size, .ptemp = ptemp};
    json_t *value;

    skip_blanks(&reader);
    if (reader.at == reader.end || *reader.at != '{')
        return NULL;
    value = read_value(&reader);
    skip_blanks(&reader);
    if (value != NULL && reader.at != reader.end) {
        json_decref(value);
        return NULL;
    }
    return value;
}
