/* SPDX-License-Identifier: Apache-2.0 */
/* What ltictl prints: text that cannot steer a terminal, widths in columns, tables that fit. */
#include "test.h"

#include <locale.h>
#include <stdio.h>
#include "ltictl.h"

#define ELLIPSIS "\xE2\x80\xA6"

static void what_steers_a_terminal_is_taken_out(void **state)
{
    static const struct {
        const char *text, *clean;
    } rows[] = {
        {NULL, ""},
        {"", ""},
        {"plain", "plain"},
        {"a\tb\nc\rd", "a b c d"},
        {"\033[2Jx\007\b\177", "[2Jx"},
        {"\xC2\x9B"
         "31m",
         "31m"},                                  /* CSI as one character of C1 */
        {"\xC2\x80\xC2\x9F\xC2\xA0", "\xC2\xA0"}, /* the last of C1, and what follows it */
        {"\xE2\x80\xAE"
         "gnp\xE2\x80\xAC",
         "gnp"},                                                /* right-to-left override */
        {"\xE2\x81\xA6x\xE2\x81\xA9\xE2\x80\x8F\xD8\x9C", "x"}, /* isolates, marks of direction */
        {"a\xE2\x80\x8B\xEF\xBB\xBF"
         "b\xC2\xAD",
         "ab"},                             /* nothing to be seen */
        {"\xE2\x80\xA8x\xE2\x80\xA9", "x"}, /* line and paragraph separator */
        {"\xF3\xA0\x81\x81x", "x"},         /* tags */
        {"\xC3\x85se \xE6\x9E\x97 e\xCC\x81 \xF0\x9F\xA6\x89",
         "\xC3\x85se \xE6\x9E\x97 e\xCC\x81 \xF0\x9F\xA6\x89"}, /* letters stay */
    };
    size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_string_equal(ctl_clean(rows[i].text, *state), rows[i].clean);
}

static void bytes_that_are_no_text_become_question_marks(void **state)
{
    static const struct {
        const char *text, *clean;
    } rows[] = {
        {"\xFFx", "?x"},
        {"\x9B"
         "31m",
         "?31m"},           /* CSI as one byte */
        {"\x80\xBF", "??"}, /* nothing before them */
        {"\xC3", "?"},      /* cut off */
        {"\xE6\x9E", "??"},
        {"\xF0\x9F\xA6", "???"},
        {"\xC3(", "?("},
        {"\xC0\x9B[", "??["}, /* ESC in two bytes */
        {"\xC1\xBF", "??"},
        {"\xE0\x80\x9B[", "???["},      /* ESC in three */
        {"\xE0\x9F\xBF", "???"},        /* the last that two bytes hold */
        {"\xF0\x80\x80\x9B[", "????["}, /* ESC in four */
        {"\xF0\x8F\xBF\xBF", "????"},
        {"\xED\xA0\x80", "???"}, /* half of a pair */
        {"\xED\xBF\xBF", "???"},
        {"\xF4\x90\x80\x80", "????"}, /* beyond the last */
        {"\xF5\x80\x80\x80", "????"},
        {"\xE0\xA0\x80\xED\x9F\xBF\xEE\x80\x80\xF0\x90\x80\x80\xF4\x8F\xBF\xBF",
         "\xE0\xA0\x80\xED\x9F\xBF\xEE\x80\x80\xF0\x90\x80\x80\xF4\x8F\xBF\xBF"},
    };
    size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_string_equal(ctl_clean(rows[i].text, *state), rows[i].clean);
}

static void widths_are_columns(void **state)
{
    static const struct {
        const char *text;
        int width;
    } rows[] = {
        {"", 0},
        {"abc", 3},
        {"\xC3\x85se", 3},
        {"\xE6\x9E\x97", 2},
        /* CJK */ {"\xEF\xBC\xA1", 2}, /* a wide letter */
        {"e\xCC\x81", 1},
        /* combining */ {"a\xCC\x80\xCC\x80\xCC\x80", 1},
        {ELLIPSIS, 1},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(ctl_width(rows[i].text), rows[i].width);
}

static void what_is_cut_says_so_and_is_no_wider(void **state)
{
    static const struct {
        const char *text;
        int width;
        const char *cut;
    } rows[] = {
        {"abcdef", 6, "abcdef"},
        {"abcdef", 5, "abcd" ELLIPSIS},
        {"abcdef", 1, ELLIPSIS},
        {"\xE6\x9E\x97\xE6\x9E\x97\xE6\x9E\x97", 6, "\xE6\x9E\x97\xE6\x9E\x97\xE6\x9E\x97"},
        {"\xE6\x9E\x97\xE6\x9E\x97\xE6\x9E\x97", 5, "\xE6\x9E\x97\xE6\x9E\x97" ELLIPSIS},
        {"\xE6\x9E\x97\xE6\x9E\x97\xE6\x9E\x97", 4, "\xE6\x9E\x97" ELLIPSIS}, /* a wide one is not halved */
        {"e\xCC\x81"
         "abc",
         2, "e\xCC\x81" ELLIPSIS}, /* the accent stays with its letter */
    };
    size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *cut = ctl_cut(rows[i].text, rows[i].width, *state);

        assert_string_equal(cut, rows[i].cut);
        assert_true(ctl_width(cut) <= rows[i].width);
    }
}

static void ages_are_in_the_unit_that_one_reads(void **state)
{
    static const struct {
        json_int_t age;
        const char *text;
    } rows[] = {
        {0, "0 s"},       {119, "119 s"},  {120, "2 min"}, {7199, "119 min"}, {7200, "2 h"},
        {172799, "47 h"}, {172800, "2 d"}, {-5, "-5 s"},   {-7200, "-2 h"},   {8640000000000, "100000000 d"},
    };
    json_t *object = json_pack("{s:n, s:I, s:s}", "none", "many", (json_int_t)5000000000, "text", "a\tb");
    size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        json_t *age = json_integer(rows[i].age);

        assert_string_equal(ctl_age(age, *state), rows[i].text);
        json_decref(age);
    }
    assert_string_equal(ctl_age(json_object_get(object, "none"), *state), "never");
    assert_string_equal(ctl_age(NULL, *state), "never");
    assert_string_equal(ctl_number(object, "many", *state), "5000000000");
    assert_string_equal(ctl_number(object, "text", *state), "");
    assert_string_equal(ctl_text(object, "text", *state), "a b");
    assert_string_equal(ctl_text(object, "many", *state), "");
    json_decref(object);
}

/* What the table prints, from a file that stands in for standard output. */
static const char *printed(const ctl_table_t *table, const ctl_t *ctl)
{
    static char text[4096];
    FILE *usual = stdout, *file = tmpfile();
    size_t size;

    assert_non_null(file);
    stdout = file;
    ctl_print_table(table, ctl);
    stdout = usual;
    rewind(file);
    size = fread(text, 1, sizeof(text) - 1, file);
    text[size] = '\0';
    fclose(file);
    return text;
}

static void fill(ctl_table_t *table)
{
    static const char *const cells[] = {"abcdefghijklmnop", "Introduction to a Course", "7",
                                        "qrstuvwxyz234567", "\xE6\x9E\x97\tx",          "1234"};
    size_t i;

    for (i = 0; i < sizeof(cells) / sizeof(cells[0]); i++)
        ctl_cell(table, cells[i]);
}

static void tables_fit_the_terminal(void **state)
{
    static const char *const headings[] = {"!key", "title", ">people"};
    ctl_table_t *table = ctl_table(*state, headings, 3);
    ctl_t ctl = {.pool = *state, .is_terminal = 1};

    fill(table);
    ctl.width = 80;
    assert_string_equal(printed(table, &ctl), "key               title                     people\n"
                                              "abcdefghijklmnop  Introduction to a Course       7\n"
                                              "qrstuvwxyz234567  \xE6\x9E\x97 x                        1234\n");
    ctl.width = 42;
    assert_string_equal(printed(table, &ctl), "key               title             people\n"
                                              "abcdefghijklmnop  Introduction to" ELLIPSIS "       7\n"
                                              "qrstuvwxyz234567  \xE6\x9E\x97 x                1234\n");
    /* A key stays whole, and the rest keeps enough to be told apart, even where that is too wide. */
    ctl.width = 10;
    assert_string_equal(printed(table, &ctl), "key               title     people\n"
                                              "abcdefghijklmnop  Introdu" ELLIPSIS "       7\n"
                                              "qrstuvwxyz234567  \xE6\x9E\x97 x        1234\n");
}

static void elsewhere_they_are_whole_and_tab_separated(void **state)
{
    static const char *const headings[] = {"!key", "title", ">people"};
    ctl_table_t *table = ctl_table(*state, headings, 3);
    const ctl_t ctl = {.pool = *state, .width = 10};

    assert_string_equal(printed(table, &ctl), "");
    fill(table);
    assert_string_equal(printed(table, &ctl), "abcdefghijklmnop\tIntroduction to a Course\t7\n"
                                              "qrstuvwxyz234567\t\xE6\x9E\x97 x\t1234\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(what_steers_a_terminal_is_taken_out),
        POOL_TEST(bytes_that_are_no_text_become_question_marks),
        POOL_TEST(widths_are_columns),
        POOL_TEST(what_is_cut_says_so_and_is_no_wider),
        POOL_TEST(ages_are_in_the_unit_that_one_reads),
        POOL_TEST(tables_fit_the_terminal),
        POOL_TEST(elsewhere_they_are_whole_and_tab_separated),
    };

    if (setlocale(LC_CTYPE, "C.UTF-8") == NULL)
        (void)setlocale(LC_CTYPE, "");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
