/* SPDX-License-Identifier: Apache-2.0 */
/* REMOTE_USER: the template's words, its check, and the name that it gives a person. */
#include "lti_platform.h"

#include <string.h>
#include "lti_crypto.h"
#include "lti_json.h"

typedef enum word_t { WORD_SUB, WORD_EMAIL, WORD_EMAIL_LOCAL, WORD_SOURCEDID, WORD_PLATFORM, WORD_ISSUER, WORDS } word_t;

#define WORD(text) {text, sizeof(text) - 1}

static const struct {
    const char *text;
    apr_size_t length;
} words[WORDS] = {WORD("sub"), WORD("email"), WORD("email-local"), WORD("sourcedid"), WORD("platform"), WORD("issuer")};

#define PIECES_MAX 16 /* words, and texts between them, of one template */

#define ALL_WORDS "{sub}, {email}, {email-local}, {sourcedid}, {platform}, {issuer}"

typedef enum piece_kind_t { PIECE_END, PIECE_LITERAL, PIECE_WORD, PIECE_UNBALANCED, PIECE_UNKNOWN } piece_kind_t;

/* The next piece of a template: a literal, or a word with its braces. */
typedef struct piece_t {
    const char *text;
    apr_size_t length;
    word_t word;
} piece_t;

/* Templates are short, and are read at each request: a loop is faster here than strcspn(). */
static apr_size_t up_to_brace(const char *text)
{
    const char *at = text;

    while (*at != '{' && *at != '}' && *at != '\0')
        at++;
    return (apr_size_t)(at - text);
}

static piece_kind_t next_piece(piece_t *piece, const char **cursor)
{
    const char *start = *cursor;
    apr_size_t length;

    piece->text = start;
    if (*start == '\0')
        return PIECE_END;
    if (*start != '{') {
        piece->length = up_to_brace(start);
        *cursor = start + piece->length;
        return piece->length > 0 ? PIECE_LITERAL : PIECE_UNBALANCED;
    }
    length = up_to_brace(start + 1);
    if (start[1 + length] != '}')
        return PIECE_UNBALANCED;
    piece->length = length + 2;
    *cursor = start + piece->length;
    for (int i = 0; i < WORDS; i++) {
        if (words[i].length == length && memcmp(words[i].text, start + 1, length) == 0) {
            piece->word = (word_t)i;
            return PIECE_WORD;
        }
    }
    return PIECE_UNKNOWN;
}

apr_status_t lti_remote_user_check(const char *template_text, int *unique, lti_err_t *err)
{
    const char *cursor = template_text == NULL ? "" : template_text;
    piece_kind_t kind;
    piece_t piece;
    int names_person = 0;
    int names_site = 0;
    int count = 0;

    if (!lti_json_is_clean(cursor))
        return lti_fail(err, LTI_E_CONFIG, APR_EINVAL, "LTIRemoteUser has control characters or is not UTF-8");
    while ((kind = next_piece(&piece, &cursor)) != PIECE_END) {
        if (kind == PIECE_UNBALANCED)
            return lti_fail(err, LTI_E_CONFIG, APR_EINVAL, "LTIRemoteUser \"%s\": the braces do not match", template_text);
        if (kind == PIECE_UNKNOWN)
            return lti_fail(err, LTI_E_CONFIG, APR_EINVAL, "LTIRemoteUser: \"%.*s\" is no word; write one of " ALL_WORDS,
                            (int)(piece.length > 40 ? 40 : piece.length), piece.text);
        if (++count > PIECES_MAX)
            return lti_fail(err, LTI_E_CONFIG, APR_EINVAL, "LTIRemoteUser \"%s\" has too many words, %d pieces are the most",
                            template_text, PIECES_MAX);
        if (kind == PIECE_WORD) {
            int is_site = piece.word == WORD_PLATFORM || piece.word == WORD_ISSUER;
            names_site |= is_site;
            names_person |= !is_site;
        }
    }
    if (!names_person)
        return lti_fail(
            err, LTI_E_CONFIG, APR_EINVAL,
            "LTIRemoteUser \"%s\" gives everybody the same name; write {sub}, {email}, {email-local} or {sourcedid} into it",
            template_text == NULL ? "" : template_text);
    if (unique != NULL)
        *unique = names_site;
    return APR_SUCCESS;
}

/* What a word stands for; no text if this person has no such claim. `whole` is what it is a part of. */
static lti_bytes_t value_of(const char **whole, word_t word, const lti_platform_t *platform, const lti_person_t *person)
{
    const char *const values[WORDS] = {[WORD_SUB] = person->sub,           [WORD_EMAIL] = person->email,
                                       [WORD_EMAIL_LOCAL] = person->email, [WORD_SOURCEDID] = person->sourcedid,
                                       [WORD_PLATFORM] = platform->name,   [WORD_ISSUER] = platform->issuer};
    const char *text = values[word] == NULL ? "" : values[word];
    const char *at = word == WORD_EMAIL_LOCAL ? strrchr(text, '@') : NULL;

    *whole = text;
    if (word == WORD_EMAIL_LOCAL)
        return (lti_bytes_t){text, at == NULL ? 0 : (apr_size_t)(at - text)};
    return (lti_bytes_t){text, strlen(text)};
}

/* Appends, so that the name is never a path, a pair or two words. */
static char *append_encoded(char *end, const char *start, lti_bytes_t value)
{
    static const char hex[] = "0123456789ABCDEF";
    static const char special[256] = {[' '] = 1, ['/'] = 1, [':'] = 1, ['%'] = 1, ['\\'] = 1};
    const char *text = value.data, *last = text + value.size;

    for (; text < last; text++) {
        unsigned char c = (unsigned char)*text;

        if (special[c] || (c == '.' && end == start)) {
            *end++ = '%';
            *end++ = hex[c >> 4];
            *end++ = hex[c & 15];
        } else {
            *end++ = (char)c;
        }
    }
    return end;
}

/* What the pieces of the template stand for, before encoding; `*size` receives their bytes together. */
static apr_status_t fill_in(lti_bytes_t filled[PIECES_MAX], int *count, apr_size_t *size, const char *template_text,
                            const lti_platform_t *platform, const lti_person_t *person, lti_err_t *err)
{
    const char *cursor = template_text;
    const char *whole;
    piece_kind_t kind;
    piece_t piece;

    *count = 0;
    *size = 0;
    while ((kind = next_piece(&piece, &cursor)) != PIECE_END) {
        lti_bytes_t value = {piece.text, piece.length};
        if ((kind != PIECE_LITERAL && kind != PIECE_WORD) || *count == PIECES_MAX)
            return lti_fail(err, LTI_E_REMOTE_USER, APR_EINVAL, "the template \"%s\" cannot be read", template_text);
        if (kind == PIECE_WORD) {
            value = value_of(&whole, piece.word, platform, person);
            if (value.size == 0)
                return lti_fail(err, LTI_E_REMOTE_USER, APR_EINVAL, "the template \"%s\" needs {%s}, which this person has not",
                                template_text, words[piece.word].text);
            if (whole != platform->name && whole != platform->issuer && !lti_json_is_clean(whole)) /* those were checked at start */
                return lti_fail(err, LTI_E_REMOTE_USER, APR_EINVAL, "{%s} has control characters", words[piece.word].text);
        }
        filled[(*count)++] = value;
        *size += value.size;
    }
    return APR_SUCCESS;
}

apr_status_t lti_remote_user(const char **user, const char *template_text, const lti_platform_t *platform,
                             const lti_person_t *person, apr_pool_t *p, lti_err_t *err)
{
    lti_bytes_t filled[PIECES_MAX];
    char *start, *end;
    apr_size_t size;
    int count;
    apr_status_t rv = fill_in(filled, &count, &size, template_text, platform, person, err);

    if (rv != APR_SUCCESS)
        return rv;
    if (size == 0)
        return lti_fail(err, LTI_E_REMOTE_USER, APR_EINVAL, "the template \"%s\" gives an empty name", template_text);
    start = end = apr_palloc(p, 3 * size + 1);
    for (int i = 0; i < count; i++)
        end = append_encoded(end, start, filled[i]);
    *end = '\0';
    *user = start;
    return APR_SUCCESS;
}
