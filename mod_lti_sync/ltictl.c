/* SPDX-License-Identifier: Apache-2.0 */
/* The program ltictl: the status page for people who prefer a terminal, and for scripts. docs/ltictl.1 describes it. */
#include "ltictl.h"

#include <locale.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>
#include <apr_file_io.h>
#include <apr_general.h>
#include <apr_strings.h>
#include <curl/curl.h>

#define USUAL_URL "http://localhost/lti/status"
#define USUAL_WIDTH 80
#define PASSWORD_MAX 256

static const ctl_command_t commands[] = {
    {"status", "", "how all is, and what is wrong first", 0, 0, ctl_status},
    {"platforms", "", "the platforms: keys, tokens, clocks, launches", 0, 0, ctl_platforms},
    {"courses", "[--search TEXT] [--state STATE] [--platform NAME] [--order ORDER]", "the courses and how their rosters stand", 0,
     0, ctl_courses},
    {"course", "COURSE", "one course: its state, what to do about it, its last runs", 1, 1, ctl_show_course},
    {"roster", "COURSE", "the people of a course", 1, 1, ctl_roster},
    {"sync", "COURSE [--wait]", "update the roster of a course now", 1, 1, ctl_sync},
    {"doctor", "PLATFORM", "examine a platform now, step by step", 1, 1, ctl_doctor},
    {"accept", "COURSE [--yes]", "accept removals that are held", 1, 1, ctl_accept},
    {"deployments", "[accept|withdraw PLATFORM DEPLOYMENT]", "deployments: show them, let one in, shut one out", 0, 3,
     ctl_deployments},
    {"end-sessions", "COURSE [--person ID] [--yes]", "end all sessions of a course, or of one person in it", 1, 1,
     ctl_end_sessions},
    {"export", "COURSE --csv [--raw]", "the people of a course as comma-separated values", 1, 1, ctl_export},
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

int ctl_fail(int code, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    fputs("ltictl: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    return code;
}

static void print_usage(FILE *to)
{
    size_t i;

    fputs("usage: ltictl [--url URL] [--user NAME] [--password-file FILE] [--cacert FILE] [--json] COMMAND ...\n\n", to);
    for (i = 0; i < COMMANDS; i++)
        fprintf(to, "  %-13s %s\n", commands[i].name, commands[i].help);
    fputs("\nltictl help COMMAND tells more; so does man ltictl.\n", to);
}

static const ctl_command_t *find_command(const char *name)
{
    size_t i;

    for (i = 0; i < COMMANDS; i++) {
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    }
    return NULL;
}

static int print_help(const char *name)
{
    const ctl_command_t *command = name != NULL ? find_command(name) : NULL;

    if (name == NULL) {
        print_usage(stdout);
        return CTL_OK;
    }
    if (command == NULL)
        return ctl_fail(CTL_USAGE, "there is no command %s; ltictl help lists them", name);
    printf("usage: ltictl %s %s\n\n%s\n", command->name, command->usage, command->help);
    return CTL_OK;
}

/* Options that every command takes; the others stand in the usage of those that take them. */
static int takes(const ctl_command_t *command, const char *option)
{
    static const char *const common[] = {"url", "user", "password-file", "cacert", "json", "help"};
    const char *at = command->usage;
    size_t i, length = strlen(option);

    for (i = 0; i < sizeof(common) / sizeof(common[0]); i++) {
        if (strcmp(option, common[i]) == 0)
            return 1;
    }
    while ((at = strstr(at, "--")) != NULL) {
        at += 2;
        if (strncmp(at, option, length) == 0 && strchr(" ]", at[length]) != NULL)
            return 1;
    }
    return 0;
}

/* --- options ------------------------------------------------------------------------------------------------------------------ */

/** An option: a switch, or one that takes a value. */
typedef struct option_t {
    const char *name;
    int *flag;
    const char **value;
    int given;
} option_t;

static char *read_first_line(const char *path, apr_pool_t *p)
{
    char line[PASSWORD_MAX];
    FILE *file = fopen(path, "r");
    char *text = NULL;

    /* One that does not fit would be sent without its end. */
    if (file != NULL && fgets(line, sizeof(line), file) != NULL && strlen(line) < sizeof(line) - 1)
        text = apr_pstrmemdup(p, line, strcspn(line, "\r\n"));
    if (file != NULL)
        fclose(file);
    return text;
}

static struct termios as_it_was;

/* Whoever thinks better of it shall see what they type again. */
static void give_terminal_back(int number)
{
    (void)tcsetattr(STDIN_FILENO, TCSANOW, &as_it_was);
    _exit(128 + number);
}

static const char *ask_password(apr_pool_t *p)
{
    struct termios before, silent;
    struct sigaction leave = {.sa_handler = give_terminal_back}, usual;
    char line[PASSWORD_MAX] = "";

    if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &before) != 0)
        return NULL;
    silent = before;
    silent.c_lflag &= ~(tcflag_t)ECHO;
    as_it_was = before;
    (void)sigaction(SIGINT, &leave, &usual);
    fputs("Password: ", stderr);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
    if (fgets(line, sizeof(line), stdin) == NULL)
        line[0] = '\0';
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    (void)sigaction(SIGINT, &usual, NULL);
    fputc('\n', stderr);
    return apr_pstrmemdup(p, line, strcspn(line, "\r\n"));
}

/* 1: taken, and `*at` stands on what comes behind; 0: no option; -1: a wrong one, said. */
static int take_option(option_t *options, int argc, const char *const *argv, int *at)
{
    const char *word = argv[*at];
    option_t *option;

    if (word[0] != '-' || word[1] == '\0')
        return 0;
    if (strcmp(word, "-h") == 0)
        word = "--help";
    for (option = options; option->name != NULL; option++) {
        size_t length = strlen(option->name);

        if (strncmp(word, "--", 2) != 0 || strncmp(word + 2, option->name, length) != 0 ||
            (word[length + 2] != '\0' && (word[length + 2] != '=' || option->value == NULL)))
            continue;
        ++*at;
        option->given = 1;
        if (option->flag != NULL)
            *option->flag = 1;
        else if (word[length + 2] == '=')
            *option->value = word + length + 3;
        else if (*at < argc)
            *option->value = argv[(*at)++];
        else
            return ctl_fail(-1, "%s needs a value", word);
        return 1;
    }
    return ctl_fail(-1, "there is no option %s; ltictl help lists what there is", word);
}

static int get_password(ctl_t *ctl, const char *file)
{
    if (file != NULL && ctl->user == NULL)
        return ctl_fail(CTL_USAGE, "--password-file is of no use without --user NAME");
    if (file != NULL && (ctl->password = read_first_line(file, ctl->pool)) == NULL)
        return ctl_fail(CTL_USAGE, "the password cannot be read from %s", file);
    if (ctl->user != NULL && ctl->password == NULL && (ctl->password = ask_password(ctl->pool)) == NULL)
        return ctl_fail(CTL_USAGE, "there is no terminal to ask for a password: add --password-file FILE");
    return CTL_OK;
}

static int read_command_line(const ctl_command_t **command, int *help, ctl_t *ctl, int argc, const char *const *argv)
{
    const char *password_file = NULL, *name = NULL;
    option_t options[] = {
        {"url", NULL, &ctl->url, 0},
        {"user", NULL, &ctl->user, 0},
        {"password-file", NULL, &password_file, 0},
        {"cacert", NULL, &ctl->ca_file, 0},
        {"json", &ctl->json, NULL, 0},
        {"yes", &ctl->yes, NULL, 0},
        {"wait", &ctl->wait, NULL, 0},
        {"csv", &ctl->csv, NULL, 0},
        {"raw", &ctl->raw, NULL, 0},
        {"search", NULL, &ctl->search, 0},
        {"state", NULL, &ctl->state, 0},
        {"platform", NULL, &ctl->platform, 0},
        {"order", NULL, &ctl->order, 0},
        {"person", NULL, &ctl->person, 0},
        {"help", help, NULL, 0},
        {NULL, NULL, NULL, 0},
    };
    const option_t *option;
    int at = 1, only_words = 0;

    ctl->words = apr_pcalloc(ctl->pool, (apr_size_t)argc * sizeof(char *));
    while (at < argc) {
        int taken;

        /* A course may be called like an option. */
        if (!only_words && strcmp(argv[at], "--") == 0) {
            only_words = 1;
            at++;
            continue;
        }
        taken = only_words ? 0 : take_option(options, argc, argv, &at);

        if (taken < 0)
            return CTL_USAGE;
        if (taken == 0 && name == NULL)
            name = argv[at++];
        else if (taken == 0)
            ctl->words[ctl->count++] = argv[at++];
    }
    if (name != NULL && strcmp(name, "help") == 0) {
        *help = 1;
        name = ctl->count > 0 ? ctl->words[0] : NULL;
    }
    if (*help)
        return print_help(name);
    *command = name != NULL ? find_command(name) : NULL;
    if (name == NULL) {
        print_usage(stderr);
        return CTL_USAGE;
    }
    if (*command == NULL)
        return ctl_fail(CTL_USAGE, "there is no command %s; ltictl help lists them", name);
    if (ctl->count < (*command)->least || ctl->count > (*command)->most)
        return ctl_fail(CTL_USAGE, "usage: ltictl %s %s", (*command)->name, (*command)->usage);
    for (option = options; option->name != NULL; option++) {
        if (option->given && !takes(*command, option->name))
            return ctl_fail(CTL_USAGE, "%s takes no --%s; usage: ltictl %s %s", (*command)->name, option->name, (*command)->name,
                            (*command)->usage);
    }
    return get_password(ctl, password_file);
}

static void look_at_terminal(ctl_t *ctl)
{
    const char *plain = getenv("NO_COLOR"), *kind = getenv("TERM");
    struct winsize size;

    ctl->is_terminal = isatty(STDOUT_FILENO);
    ctl->width = ctl->is_terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : USUAL_WIDTH;
    ctl->colours = ctl->is_terminal && (plain == NULL || *plain == '\0') && kind != NULL && strcmp(kind, "dumb") != 0;
}

int main(int argc, const char *const *argv)
{
    const char *url = getenv("LTICTL_URL");
    ctl_t ctl = {.url = url != NULL && *url != '\0' ? url : USUAL_URL};
    const ctl_command_t *command = NULL;
    int help = 0, code;

    /* Widths of characters are those of UTF-8, whatever the terminal was told. */
    if (setlocale(LC_CTYPE, "C.UTF-8") == NULL)
        (void)setlocale(LC_CTYPE, "");
    if (apr_initialize() != APR_SUCCESS || apr_pool_create(&ctl.pool, NULL) != APR_SUCCESS ||
        curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return ctl_fail(CTL_OUTSIDE, "there is no memory");
    look_at_terminal(&ctl);
    code = read_command_line(&command, &help, &ctl, argc, argv);
    if (code == CTL_OK && !help)
        code = command->run(&ctl);
    apr_pool_destroy(ctl.pool);
    curl_global_cleanup();
    if ((fflush(stdout) != 0 || ferror(stdout)) && code == CTL_OK)
        code = ctl_fail(CTL_FAILED, "the output cannot be written");
    return code;
}
