/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_lti_html: what pages of several parts are written with: the frame and its one stylesheet, text that cannot become markup, times, tables, a diagnosis, buttons that post.
 * It writes straight into the answer: whoever uses it has gathered all that is to be shown before. No script is needed to read or to press anything. Pages are ASCII: what is not becomes
 * a character reference. Request threads only.
 */
#ifndef MOD_LTI_HTML_H
#define MOD_LTI_HTML_H

#include <httpd.h>
#include <apr_time.h>
#include <jansson.h>

/** The head of a column. */
typedef struct mod_lti_html_column_t {
    const char *title;
    int is_number;      /* right-aligned, digits of one width */
    const char *href;   /* sorts by it; NULL: does not */
    const char *sorted; /* "ascending", "descending"; NULL: not by this one */
} mod_lti_html_column_t;

/** A page in the making. Zero it, fill in what stands first, hand it to mod_lti_html_begin(). */
typedef struct mod_lti_html_t {
    const char *title;
    const char *parent, *parent_href; /* a link above the title to the page that this one is of; NULL: none */
    const char *frame_ancestors;      /* as in the policy: "https://lms.example.edu"; NULL: 'none' */
    const char *self;                 /* where buttons post to: a path, "/lti/status" */
    const char *token;                /* that buttons carry; NULL: buttons are not written at all */
    const char *back;                 /* query that buttons carry as "back": where the answer leads to; NULL: none */
    apr_time_t now;                   /* ages are counted from here */
    /* the room's own */
    request_rec *r;
    const char *nonce;
    const mod_lti_html_column_t *columns;
    int column_count, cell, row_open;
} mod_lti_html_t;

/**
 * Headers (content type, policy with a nonce, no-store, no-referrer, nosniff), head, skip link, landmark <main>, <h1>. HTTP_INTERNAL_SERVER_ERROR if there is no randomness, with
 * nothing written; else OK.
 */
int mod_lti_html_begin(mod_lti_html_t *html, request_rec *r);

/** Closes the page. `script`: ours, ASCII, without "</script"; NULL: none. */
void mod_lti_html_end(mod_lti_html_t *html, const char *script);

/**
 * Writes `format`, which is markup of ours in ASCII. What stands for %s is text from anywhere: escaped, fit for between tags and for attribute values in quotes; NULL is nothing. Known
 * besides: %d, %lld, %%.
 */
void mod_lti_html_write(mod_lti_html_t *html, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* --- pieces --------------------------------------------------------------------------------------------------------- */

/** "3 minutes ago" or "in 2 hours", with the moment itself for machines and in the tool tip. `time` is like 2026-01-31T08:00:00Z; NULL or unreadable: "never". */
void mod_lti_html_when(mod_lti_html_t *html, const char *time);

/** "2026-01-31 08:00:00 UTC"; NULL: "never". */
void mod_lti_html_moment(mod_lti_html_t *html, const char *time);

/** "45 seconds", "3 minutes", "2 hours", "5 days". */
const char *mod_lti_html_span(apr_int64_t seconds, apr_pool_t *p);

/** A word of several, like "teaching-assistant", as it is read; NULL is "". */
const char *mod_lti_html_words(const char *word, apr_pool_t *p);

/** The moment of a text like 2026-01-31T08:00:00Z; 0 if it is none. */
apr_time_t mod_lti_html_parse_time(const char *time);

/** A mark of severity 0 (well) to 3 (error): shape, word and colour. `word` NULL: "Well", "Note", "Warning", "Problem". */
void mod_lti_html_badge(mod_lti_html_t *html, int severity, const char *word);

/** The object D of lti_overview.h: mark, sentence, evidence quoted, remedy as a list of steps. Where all is well, the mark and the sentence. */
void mod_lti_html_diagnosis(mod_lti_html_t *html, const json_t *diagnosis);

/** The steps alone; nothing for an empty list or none. */
void mod_lti_html_steps(mod_lti_html_t *html, const json_t *steps);

/**
 * A table: begin, then for each row mod_lti_html_row() and for each of its cells mod_lti_html_cell() and what is written into it, then end. On narrow screens a row becomes a card whose
 * cells carry the titles of their columns. `caption` is read out, not shown. The first cell of a row is its heading.
 */
void mod_lti_html_table(mod_lti_html_t *html, const char *caption, const mod_lti_html_column_t *columns, int count);
void mod_lti_html_row(mod_lti_html_t *html);
void mod_lti_html_cell(mod_lti_html_t *html);
void mod_lti_html_table_end(mod_lti_html_t *html);

/** How a button looks. */
typedef enum mod_lti_html_kind_t {
    MOD_LTI_HTML_PLAIN,
    MOD_LTI_HTML_MAIN,  /* what this page is for */
    MOD_LTI_HTML_DANGER /* takes something away */
} mod_lti_html_kind_t;

/**
 * A form with nothing but a button, its token and the fields that follow as pairs name, value, up to NULL. `about` follows the label for who cannot see what stands beside it ("of the course
 * Biology"); NULL: nothing.
 */
void mod_lti_html_button(mod_lti_html_t *html, mod_lti_html_kind_t kind, const char *label, const char *about, ...)
    __attribute__((sentinel));

/* --- reading what is shown --------------------------------------------------------------------------------------------- */

/** The member's text; NULL if it is missing, null or no text. */
const char *mod_lti_html_text_of(const json_t *object, const char *name);

/** The member's number; 0 if it is none. */
long long mod_lti_html_number_of(const json_t *object, const char *name);

/** 12,345 */
const char *mod_lti_html_grouped(apr_int64_t number, apr_pool_t *p);

/** The stylesheet (mod_lti_html_style.c). */
extern const char mod_lti_html_style[];

#endif
