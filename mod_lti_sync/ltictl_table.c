/* SPDX-License-Identifier: Apache-2.0 */
/* ltictl prints: text that cannot steer a terminal, tables, diagnoses. */
#include "ltictl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#include <apr_strings.h>

#define GAP 2       /* columns between two cells */
#define NARROWEST 8 /* a cell that is cut keeps so many */
#define ELLIPSIS "\xE2\x80\xA6"

/* --- text ----------------------------------------------------------------------------------------------------------------------- */

/* The character at `text` and its bytes; 0xFFFFFFFF for a byte that is none. */
static unsigned long decode(const char *text, int *bytes)
{
    const unsigned char *c = (const unsigned char *)text;
    int length = c[0] < 0x80                   ? 1
                 : c[0] >= 0xC2 && c[0] < 0xE0 ? 2
                 : c[0] >= 0xE0 && c[0] < 0xF0 ? 3
                 : c[0] >= 0xF0 && c[0] < 0xF5 ? 4
                                               : 0,
        i;
    static const unsigned long least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned long character;

    *bytes = 1;
    if (length == 1)
        return c[0];
    if (length == 0)
        return 0xFFFFFFFFUL;
    character = c[0] & (0x7FU >> length);
    for (i = 1; i < length; i++) {
        if ((c[i] & 0xC0) != 0x80)
            return 0xFFFFFFFFUL;
        character = character << 6 | (c[i] & 0x3FU);
    }
    /* Longer than need be, half of a pair, or beyond the last: what a terminal makes of these nobody knows. */
    if (character < least[length] || (character >= 0xD800 && character < 0xE000) || character > 0x10FFFF)
        return 0xFFFFFFFFUL;
    *bytes = length;
    return character;
}

/* What steers: controls, and what turns the direction of writing, so that a name could rearrange the line it stands in. */
static int steers(unsigned long c)
{
    return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0xAD || c == 0x61C || (c >= 0x200B && c <= 0x200F) ||
           (c >= 0x2028 && c <= 0x202E) || (c >= 0x2060 && c <= 0x206F) || c == 0xFEFF || (c >= 0xFFF9 && c <= 0xFFFB) ||
           (c >= 0xE0000 && c <= 0xE007F);
}

const char *ctl_clean(const char *text, apr_pool_t *p)
{
    char *copy, *out;
    int bytes;

    if (text == NULL)
        return "";
    copy = out = apr_palloc(p, strlen(text) + 1);
    for (; *text != '\0'; text += bytes) {
        unsigned long c = decode(text, &bytes);

        if (c == 0xFFFFFFFFUL) {
            *out++ = '?';
        } else if (steers(c)) {
            if (c == '\t' || c == '\n' || c == '\r')
                *out++ = ' ';
        } else {
            memcpy(out, text, (size_t)bytes);
            out += bytes;
        }
    }
    *out = '\0';
    return copy;
}

static int width_of(unsigned long c)
{
    int width = wcwidth((wchar_t)c);

    return width < 0 ? 1 : width;
}

int ctl_width(const char *text)
{
    int width = 0, bytes;

    for (; *text != '\0'; text += bytes)
        width += width_of(decode(text, &bytes));
    return width;
}

const char *ctl_cut(const char *text, int width, apr_pool_t *p)
{
    const char *at = text;
    int used = 0, bytes;

    if (ctl_width(text) <= width)
        return text;
    while (*at != '\0') {
        int more = width_of(decode(at, &bytes));

        if (used + more > width - 1)
            break;
        used += more;
        at += bytes;
    }
    return apr_pstrcat(p, apr_pstrmemdup(p, text, (apr_size_t)(at - text)), ELLIPSIS, NULL);
}

const char *ctl_text(const json_t *object, const char *name, apr_pool_t *p)
{
    return ctl_clean(json_string_value(json_object_get(object, name)), p);
}

const char *ctl_number(const json_t *object, const char *name, apr_pool_t *p)
{
    const json_t *value = json_object_get(object, name);

    return json_is_integer(value) ? apr_psprintf(p, "%" APR_INT64_T_FMT, (apr_int64_t)json_integer_value(value)) : "";
}

const char *ctl_age(const json_t *seconds, apr_pool_t *p)
{
    apr_int64_t age = json_integer_value(seconds);
    const char *sign = age < 0 ? "-" : "";

    if (!json_is_integer(seconds))
        return "never";
    age = age < 0 ? -age : age;
    if (age < 120)
        return apr_psprintf(p, "%s%" APR_INT64_T_FMT " s", sign, age);
    if (age < 2 * 3600)
        return apr_psprintf(p, "%s%" APR_INT64_T_FMT " min", sign, age / 60);
    if (age < 2 * 86400)
        return apr_psprintf(p, "%s%" APR_INT64_T_FMT " h", sign, age / 3600);
    return apr_psprintf(p, "%s%" APR_INT64_T_FMT " d", sign, age / 86400);
}

/* --- tables --------------------------------------------------------------------------------------------------------------------- */

ctl_table_t *ctl_table(apr_pool_t *p, const char *const *headings, int columns)
{
    ctl_table_t *table = apr_pcalloc(p, sizeof(*table));

    table->pool = p;
    table->headings = headings;
    table->columns = columns;
    table->cells = apr_array_make(p, 64, sizeof(const char *));
    return table;
}

void ctl_cell(ctl_table_t *table, const char *text)
{
    APR_ARRAY_PUSH(table->cells, const char *) = ctl_clean(text, table->pool);
}

static const char *heading_of(const ctl_table_t *table, int column)
{
    return table->headings[column] + (table->headings[column][0] == '>' || table->headings[column][0] == '!');
}

/* The widest columns give way until the line fits; a key of which a part is missing is of no use. */
static void fit(int *widths, const ctl_table_t *table, int width)
{
    int sum = GAP * (table->columns - 1), column;

    for (column = 0; column < table->columns; column++)
        sum += widths[column];
    while (sum > width) {
        int widest = -1;

        for (column = 0; column < table->columns; column++) {
            if (table->headings[column][0] != '!' && (widest < 0 || widths[column] > widths[widest]))
                widest = column;
        }
        if (widest < 0 || widths[widest] <= NARROWEST)
            return;
        widths[widest]--;
        sum--;
    }
}

static void print_cell(const ctl_table_t *table, int column, int width, const char *text, apr_pool_t *p)
{
    const char *shown = ctl_cut(text, width, p);
    int pad = width - ctl_width(shown), last = column == table->columns - 1, right = table->headings[column][0] == '>';

    printf("%*s%s%*s%s", right && pad > 0 ? pad : 0, "", shown, !right && !last && pad > 0 ? pad : 0, "", last ? "\n" : "  ");
}

static void print_aligned(const ctl_table_t *table, const ctl_t *ctl)
{
    int *widths = apr_pcalloc(table->pool, (apr_size_t)table->columns * sizeof(int)), column, i;

    for (column = 0; column < table->columns; column++)
        widths[column] = ctl_width(heading_of(table, column));
    for (i = 0; i < table->cells->nelts; i++) {
        int width = ctl_width(APR_ARRAY_IDX(table->cells, i, const char *));

        if (width > widths[i % table->columns])
            widths[i % table->columns] = width;
    }
    fit(widths, table, ctl->width);
    if (ctl->colours)
        fputs("\033[1m", stdout);
    for (column = 0; column < table->columns; column++)
        print_cell(table, column, widths[column], heading_of(table, column), table->pool);
    if (ctl->colours)
        fputs("\033[0m", stdout);
    for (i = 0; i < table->cells->nelts; i++)
        print_cell(table, i % table->columns, widths[i % table->columns], APR_ARRAY_IDX(table->cells, i, const char *),
                   table->pool);
}

void ctl_print_table(const ctl_table_t *table, const ctl_t *ctl)
{
    int i;

    if (ctl->is_terminal) {
        print_aligned(table, ctl);
        return;
    }
    for (i = 0; i < table->cells->nelts; i++)
        printf("%s%c", APR_ARRAY_IDX(table->cells, i, const char *), (i + 1) % table->columns == 0 ? '\n' : '\t');
}

/* --- objects -------------------------------------------------------------------------------------------------------------------- */

void ctl_print_json(const json_t *json)
{
    char *text = json_dumps(json, JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_ENSURE_ASCII);

    puts(text != NULL ? text : "null");
    free(text);
}

void ctl_print_diagnosis(const json_t *diagnosis, const char *title, const ctl_t *ctl)
{
    static const char *const marks[] = {"ok", "note", "warning", "PROBLEM"};
    static const char *const colours[] = {"\033[32m", "\033[36m", "\033[33m", "\033[31m"};
    json_int_t severity = json_integer_value(json_object_get(diagnosis, "severity"));
    const json_t *step;
    size_t i;

    if (severity < 0 || severity > 3)
        severity = 3;
    printf("%s%s%s  %s%s%s  [%s]\n", ctl->colours ? colours[severity] : "", marks[severity], ctl->colours ? "\033[0m" : "", title,
           *title != '\0' ? ": " : "", ctl_text(diagnosis, "sentence", ctl->pool), ctl_text(diagnosis, "state", ctl->pool));
    if (json_is_string(json_object_get(diagnosis, "evidence")))
        printf("    seen: %s\n", ctl_text(diagnosis, "evidence", ctl->pool));
    json_array_foreach(json_object_get(diagnosis, "remedy"), i, step)
        printf("    %d. %s\n", (int)i + 1, ctl_clean(json_string_value(step), ctl->pool));
}
