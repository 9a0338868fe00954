/* SPDX-License-Identifier: Apache-2.0 */
/* lti_admission: what the table answers, how it widens what does not fit, and that a reader never meets half of a filling, whoever dies. */
#include "test.h"

#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "lti_admission.h"

#define AT(n) apr_time_from_sec(1700000000 + (n))

/* --- a table and what goes into it ------------------------------------------------------------------------------------ */

typedef struct tables_t {
    apr_pool_t *pool;
    lti_admission_t *table;
    lti_platform_t platforms[3];
    apr_array_header_t *names; /* of const lti_platform_t * */
    apr_array_header_t *deployments, *ended;
} tables_t;

static tables_t *make_in(void *block, int deployments, int ended, apr_pool_t *p)
{
    static const char *const names[] = {"campus", "school", "unused"};
    tables_t *t = apr_pcalloc(p, sizeof(*t));
    lti_err_t err;
    int i;

    t->pool = p;
    assert_ok(lti_admission_format(&t->table, block, lti_admission_size(3, deployments, ended), 3, deployments, ended, p, &err),
              err);
    t->names = apr_array_make(p, 3, sizeof(const lti_platform_t *));
    /* Not in the order of their indices: that is what counts. */
    for (i = 2; i >= 0; i--) {
        t->platforms[i] = (lti_platform_t){.name = names[i], .index = i};
        APR_ARRAY_PUSH(t->names, const lti_platform_t *) = &t->platforms[i];
    }
    t->deployments = apr_array_make(p, 8, sizeof(lti_deployment_t));
    t->ended = apr_array_make(p, 8, sizeof(lti_ended_t));
    return t;
}

static tables_t *make(int deployments, int ended, apr_pool_t *p)
{
    apr_size_t size = lti_admission_size(3, deployments, ended);
    void *block = apr_palloc(p, size);

    memset(block, 0xa5, size);
    return make_in(block, deployments, ended, p);
}

static void deploy(tables_t *t, const char *platform, const char *id, lti_deployment_status_t status, apr_time_t ended_at)
{
    APR_ARRAY_PUSH(t->deployments, lti_deployment_t) =
        (lti_deployment_t){.platform = platform, .deployment_id = id, .status = status, .ended_at = ended_at};
}

static void end(tables_t *t, const char *platform, const char *user, const char *course, const char *deployment, apr_time_t at)
{
    APR_ARRAY_PUSH(t->ended, lti_ended_t) =
        (lti_ended_t){.platform = platform, .user_id = user, .course_key = course, .deployment_id = deployment, .ended_at = at};
}

static int fill(tables_t *t)
{
    return lti_admission_fill(t->table, t->names, t->deployments, t->ended);
}

static lti_admission_answer_t ask(tables_t *t, int platform, const char *deployment, const char *course, const char *user)
{
    lti_admission_question_t question = {&t->platforms[platform], deployment, course, user};
    lti_admission_answer_t answer = {.status = (lti_deployment_status_t)77, .ended_at = 77};

    assert_int_equal(lti_admission_ask(&answer, t->table, &question), 1);
    return answer;
}

static int is_unknown(tables_t *t, int platform, const char *deployment)
{
    lti_admission_question_t question = {&t->platforms[platform], deployment, NULL, NULL};
    lti_admission_answer_t answer;

    return !lti_admission_ask(&answer, t->table, &question);
}

static void assert_answer(lti_admission_answer_t answer, lti_deployment_status_t status, apr_time_t ended_at)
{
    assert_int_equal(answer.status, status);
    assert_int_equal(answer.ended_at, ended_at);
}

/* --- what it answers ---------------------------------------------------------------------------------------------------- */

static void nothing_is_known_before_the_first_filling(void **state)
{
    tables_t *t = make(4, 4, *state);

    assert_true(is_unknown(t, 0, "1"));
    assert_int_equal(fill(t), 0);
    assert_answer(ask(t, 0, "1", "course", "user"), LTI_DEPLOYMENT_UNSEEN, 0);
    assert_answer(ask(t, 0, NULL, NULL, NULL), LTI_DEPLOYMENT_UNSEEN, 0);
}

static void a_deployment_is_what_was_decided_about_it(void **state)
{
    tables_t *t = make(8, 8, *state);

    deploy(t, "campus", "1", LTI_DEPLOYMENT_WAITING, 0);
    deploy(t, "campus", "2", LTI_DEPLOYMENT_ACCEPTED, 0);
    deploy(t, "campus", "3", LTI_DEPLOYMENT_WITHDRAWN, AT(3));
    deploy(t, "campus", "4", LTI_DEPLOYMENT_ACCEPTED, AT(4)); /* withdrawn once, accepted again */
    deploy(t, "school", "2", LTI_DEPLOYMENT_WITHDRAWN, 0);
    deploy(t, "gone", "9", LTI_DEPLOYMENT_ACCEPTED, AT(9));
    deploy(t, "campus", "10", (lti_deployment_status_t)3, 0); /* nothing that a row may say */
    deploy(t, "campus", "11", LTI_DEPLOYMENT_UNSEEN, 0);
    deploy(t, "campus", "12", LTI_DEPLOYMENT_ACCEPTED, -5);
    assert_int_equal(fill(t), 0);
    assert_answer(ask(t, 0, "1", NULL, NULL), LTI_DEPLOYMENT_WAITING, 0);
    assert_answer(ask(t, 0, "2", "c", "u"), LTI_DEPLOYMENT_ACCEPTED, 0);
    assert_answer(ask(t, 0, "3", "c", "u"), LTI_DEPLOYMENT_WITHDRAWN, AT(3));
    assert_answer(ask(t, 0, "4", "c", "u"), LTI_DEPLOYMENT_ACCEPTED, AT(4));
    assert_answer(ask(t, 1, "2", "c", "u"), LTI_DEPLOYMENT_WITHDRAWN, 0);
    assert_answer(ask(t, 1, "1", "c", "u"), LTI_DEPLOYMENT_UNSEEN, 0);
    assert_answer(ask(t, 2, "2", "c", "u"), LTI_DEPLOYMENT_UNSEEN, 0);
    assert_answer(ask(t, 0, "2 ", "c", "u"), LTI_DEPLOYMENT_UNSEEN, 0);
    assert_answer(ask(t, 0, "", "c", "u"), LTI_DEPLOYMENT_UNSEEN, 0);
    assert_answer(ask(t, 0, NULL, "c", "u"), LTI_DEPLOYMENT_UNSEEN, 0);
    assert_answer(ask(t, 0, "10", NULL, NULL), LTI_DEPLOYMENT_UNSEEN, 0);
    assert_answer(ask(t, 0, "11", NULL, NULL), LTI_DEPLOYMENT_UNSEEN, 0);
    assert_answer(ask(t, 0, "12", NULL, NULL), LTI_DEPLOYMENT_ACCEPTED, 0);
}

/* Invariant 11: of a person, of a person in one course, of a course, of a deployment; nobody else's. */
static void sessions_end_of_whom_they_were_ended(void **state)
{
    static const struct {
        int platform;
        const char *deployment, *course, *user;
        int ended_at; /* 0: not ended */
    } cases[] = {
        {0, "d1", "c1", "anna", 1},  {0, "d9", "c9", "anna", 1}, {0, "d1", NULL, "anna", 1},   {0, "d1", "c1", "bert", 2},
        {0, "d1", "c9", "bert", 0},  {0, "d1", NULL, "bert", 0}, {0, "d1", "c3", "carl", 3},   {0, NULL, "c3", NULL, 3},
        {0, "d4", "c9", "carl", 4},  {0, "d4", NULL, NULL, 4},   {0, "d4", "c3", "anna", 4},   {0, "d1", "c9", "carl", 0},
        {1, "d1", "c1", "anna", 0},  {1, "d4", "c3", "bert", 0}, {0, "d1", "c9", "ann", 0},    {0, "d1", "c9", "Anna", 0},
        {0, "d1", "c9", "anna ", 0}, {0, "c3", "d4", "carl", 0}, {0, "anna", "anna", "c3", 0}, {0, NULL, NULL, NULL, 0},
        {0, "d7", "c1", "emil", 7},  {0, "d7", "c1", "carl", 0}, {0, "d1", "c1", "emil", 0},
    };
    tables_t *t = make(8, 16, *state);
    size_t i;

    end(t, "campus", "anna", NULL, NULL, AT(1));
    end(t, "campus", "bert", "c1", NULL, AT(2));
    end(t, "campus", NULL, "c3", NULL, AT(3));
    end(t, "campus", "", "", "d4", AT(4));
    end(t, "campus", "emil", NULL, "d7", AT(7)); /* by hand: both must be true */
    end(t, "gone", NULL, NULL, NULL, AT(5));
    end(t, "campus", NULL, NULL, NULL, 0); /* no time is no ending */
    assert_int_equal(fill(t), 0);
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        lti_admission_answer_t answer = ask(t, cases[i].platform, cases[i].deployment, cases[i].course, cases[i].user);

        if (answer.ended_at != (cases[i].ended_at != 0 ? AT(cases[i].ended_at) : 0))
            fail_msg("case %d: %" APR_TIME_T_FMT, (int)i, answer.ended_at);
        assert_int_equal(answer.status, LTI_DEPLOYMENT_UNSEEN);
    }
}

static void the_latest_of_several_endings_counts(void **state)
{
    tables_t *t = make(8, 8, *state);

    deploy(t, "campus", "d", LTI_DEPLOYMENT_ACCEPTED, AT(5));
    end(t, "campus", "u", NULL, NULL, AT(4));
    end(t, "campus", "u", NULL, NULL, AT(6));
    end(t, "campus", "u", NULL, NULL, AT(1));
    end(t, "campus", "u", "c", NULL, AT(8));
    end(t, "campus", NULL, "c", NULL, AT(7));
    assert_int_equal(fill(t), 0);
    assert_answer(ask(t, 0, "d", "c", "u"), LTI_DEPLOYMENT_ACCEPTED, AT(8));
    assert_answer(ask(t, 0, "d", "c", "v"), LTI_DEPLOYMENT_ACCEPTED, AT(7));
    assert_answer(ask(t, 0, "d", "x", "u"), LTI_DEPLOYMENT_ACCEPTED, AT(6));
    assert_answer(ask(t, 0, "d", "x", "v"), LTI_DEPLOYMENT_ACCEPTED, AT(5));
    end(t, "campus", NULL, NULL, NULL, AT(9)); /* by hand: the whole platform */
    assert_int_equal(fill(t), 0);
    assert_answer(ask(t, 0, "d", "c", "u"), LTI_DEPLOYMENT_ACCEPTED, AT(9));
    assert_answer(ask(t, 0, NULL, NULL, NULL), LTI_DEPLOYMENT_UNSEEN, AT(9));
    assert_answer(ask(t, 1, "d", "c", "u"), LTI_DEPLOYMENT_UNSEEN, 0);
}

/* Each filling replaces all of the one before, also by nothing. */
static void a_filling_leaves_nothing_of_the_one_before(void **state)
{
    tables_t *t = make(8, 8, *state);
    int round;

    for (round = 0; round < 6; round++) {
        deploy(t, "campus", "d", LTI_DEPLOYMENT_ACCEPTED, 0);
        end(t, "campus", "u", NULL, NULL, AT(round));
        end(t, "school", NULL, NULL, NULL, AT(round));
        assert_int_equal(fill(t), 0);
        assert_answer(ask(t, 0, "d", "c", "u"), LTI_DEPLOYMENT_ACCEPTED, AT(round));
        assert_answer(ask(t, 1, "d", "c", "u"), LTI_DEPLOYMENT_UNSEEN, AT(round));
        t->deployments->nelts = t->ended->nelts = 0;
        if (round % 3 == 0) {
            deploy(t, "campus", "e", LTI_DEPLOYMENT_ACCEPTED, 0);
            assert_int_equal(fill(t), 0);
            assert_answer(ask(t, 0, "e", "c", "u"), LTI_DEPLOYMENT_ACCEPTED, 0);
            t->deployments->nelts = 0;
        }
        if (round % 2 == 0)
            assert_int_equal(fill(t), 0);
        if (round % 2 == 0)
            assert_answer(ask(t, 0, "d", "c", "u"), LTI_DEPLOYMENT_UNSEEN, 0);
    }
}

/* --- what does not fit --------------------------------------------------------------------------------------------------- */

static const char *name(tables_t *t, const char *prefix, int number)
{
    return apr_psprintf(t->pool, "%s%05d", prefix, number);
}

static void deployments_that_do_not_fit_are_asked_of_the_database(void **state)
{
    tables_t *t = make(100, 8, *state);
    int i, known = 0;

    for (i = 0; i < 130; i++)
        deploy(t, "campus", name(t, "d", i), LTI_DEPLOYMENT_ACCEPTED, 0);
    deploy(t, "campus", "d00000", LTI_DEPLOYMENT_WITHDRAWN, AT(1)); /* there already: needs no room */
    assert_int_equal(fill(t), 30);
    for (i = 0; i < 130; i++)
        known += !is_unknown(t, 0, name(t, "d", i));
    assert_int_equal(known, 100);
    assert_answer(ask(t, 0, "d00000", NULL, NULL), LTI_DEPLOYMENT_WITHDRAWN, AT(1));
    assert_answer(ask(t, 0, "d00001", NULL, NULL), LTI_DEPLOYMENT_ACCEPTED, 0);
    /* Nor is anything sure about one that was never named; but other platforms have nothing to do with it. */
    assert_true(is_unknown(t, 0, "another"));
    assert_answer(ask(t, 1, "another", NULL, NULL), LTI_DEPLOYMENT_UNSEEN, 0);
    t->deployments->nelts = 100;
    assert_int_equal(fill(t), 0);
    assert_false(is_unknown(t, 0, "another"));
}

/* Persons may take three quarters of the room; then a person is the course, and when there is no room for courses, the platform. */
static void an_ended_person_without_room_is_an_ended_course(void **state)
{
    tables_t *t = make(8, 16, *state);
    int i;

    for (i = 0; i < 14; i++)
        end(t, "campus", name(t, "u", i), "c1", NULL, AT(100 - i)); /* the newest first */
    end(t, "school", "x", "c2", NULL, AT(50));
    assert_int_equal(fill(t), 3);
    for (i = 0; i < 12; i++)
        assert_answer(ask(t, 0, "d", "c1", name(t, "u", i)), LTI_DEPLOYMENT_UNSEEN, AT(100 - i));
    assert_answer(ask(t, 0, "d", "c1", "u00012"), LTI_DEPLOYMENT_UNSEEN, AT(88));
    assert_answer(ask(t, 0, "d", "c1", "u00013"), LTI_DEPLOYMENT_UNSEEN, AT(88));
    assert_answer(ask(t, 0, "d", "c1", "somebody"), LTI_DEPLOYMENT_UNSEEN, AT(88));
    assert_answer(ask(t, 0, "d", "c9", "u00012"), LTI_DEPLOYMENT_UNSEEN, 0);
    assert_answer(ask(t, 1, "d", "c2", "somebody"), LTI_DEPLOYMENT_UNSEEN, AT(50));
    assert_answer(ask(t, 1, "d", "c1", "x"), LTI_DEPLOYMENT_UNSEEN, 0);
}

static void an_ended_course_without_room_is_an_ended_platform(void **state)
{
    tables_t *t = make(8, 4, *state);
    int i;

    end(t, "campus", "anna", NULL, NULL, AT(90));
    end(t, "campus", "bert", "c0", NULL, AT(91));
    for (i = 0; i < 6; i++)
        end(t, "campus", NULL, name(t, "c", i), NULL, AT(10 + i));
    /* Courses before persons: four fit, two do not; the persons do not, and bert's course is not among the four. */
    assert_int_equal(fill(t), 4);
    assert_answer(ask(t, 0, "d", "c00000", "x"), LTI_DEPLOYMENT_UNSEEN, AT(91));
    assert_answer(ask(t, 0, "d", "elsewhere", "x"), LTI_DEPLOYMENT_UNSEEN, AT(91));
    assert_answer(ask(t, 1, "d", "c00000", "x"), LTI_DEPLOYMENT_UNSEEN, 0);
    t->ended->nelts = 0;
    for (i = 0; i < 6; i++)
        end(t, "campus", NULL, NULL, name(t, "d", i), AT(10 + i));
    assert_int_equal(fill(t), 2);
    assert_answer(ask(t, 0, "d00003", "c", "x"), LTI_DEPLOYMENT_UNSEEN, AT(15));
    assert_answer(ask(t, 0, "else", "c", "x"), LTI_DEPLOYMENT_UNSEEN, AT(15));
}

/* Whatever the order and the room: who was ended is ended, at least up to then. Nobody is forgotten. */
static void whoever_was_ended_is_ended_whatever_the_room(void **state)
{
    int room, seed;

    for (room = 1; room <= 40; room += 3) {
        apr_pool_t *p = NULL;
        tables_t *t;
        unsigned r = (unsigned)room * 77u + 5u;
        int i, misfits, exact = 0;

        apr_pool_create(&p, *state);
        t = make(4, room, p);
        for (seed = 0; seed < 60; seed++) {
            const char *platform, *user, *course, *deployment;

            r = r * 1103515245u + 12345u;
            platform = (r >> 16) & 1 ? "campus" : "school";
            user = (r >> 17) & 1 ? name(t, "u", (int)(r >> 20) % 9) : NULL;
            course = (r >> 18) & 1 ? name(t, "c", (int)(r >> 24) % 5) : NULL;
            deployment = user == NULL && course == NULL ? name(t, "d", (int)(r >> 22) % 7) : NULL;
            end(t, platform, user, course, deployment, AT(1 + (int)(r >> 8) % 1000));
        }
        misfits = fill(t);
        for (i = 0; i < t->ended->nelts; i++) {
            lti_ended_t *one = &APR_ARRAY_IDX(t->ended, i, lti_ended_t);
            int index = strcmp(one->platform, "campus") == 0 ? 0 : 1;
            const char *deployment = one->deployment_id != NULL ? one->deployment_id : "other";
            const char *course = one->course_key != NULL ? one->course_key : "other";
            const char *user = one->user_id != NULL ? one->user_id : "other";
            lti_admission_answer_t answer = ask(t, index, deployment, course, user);

            assert_true(answer.ended_at >= one->ended_at);
            exact += answer.ended_at == one->ended_at;
            assert_answer(ask(t, 2, deployment, course, user), LTI_DEPLOYMENT_UNSEEN, 0);
        }
        assert_true(misfits > 0 || exact > 0);
        if (room < 10)
            assert_true(misfits > 10);
        apr_pool_destroy(p);
    }
}

static void a_table_needs_its_block(void **state)
{
    apr_size_t size = lti_admission_size(3, 10, 10), i;
    unsigned char *block = apr_palloc(*state, size + 64);
    lti_admission_t *table = NULL;
    tables_t *t;
    lti_err_t err;
    int n;

    assert_int_equal(lti_admission_size(-1, 10, 10), 0);
    assert_int_equal(lti_admission_size(3, 0, 10), 0);
    assert_int_equal(lti_admission_size(3, 10, 0), 0);
    assert_int_equal(lti_admission_size(3, INT32_MAX, 10), 0);
    assert_true(lti_admission_size(0, 1, 1) > 0);
    assert_code(lti_admission_format(&table, block, size - 1, 3, 10, 10, *state, &err), err, LTI_E_INTERNAL);
    assert_code(lti_admission_format(&table, block + 4, size, 3, 10, 10, *state, &err), err, LTI_E_INTERNAL);
    assert_code(lti_admission_format(&table, block, size, 3, 10, 0, *state, &err), err, LTI_E_INTERNAL);
    assert_null(table);

    memset(block, 0x5a, size + 64);
    t = make_in(block + 8, 10, 10, *state);
    for (n = 0; n < 40; n++) {
        deploy(t, "campus", name(t, "d", n), LTI_DEPLOYMENT_ACCEPTED, AT(n));
        end(t, "unused", name(t, "u", n), NULL, NULL, AT(n));
        (void)fill(t);
    }
    for (i = 0; i < 8; i++)
        assert_int_equal(block[i], 0x5a);
    for (i = size + 8; i < size + 64; i++)
        assert_int_equal(block[i], 0x5a);
    /* An index that the table was not made for. */
    t->platforms[0].index = 3;
    assert_true(is_unknown(t, 0, "d00001"));
    t->platforms[0].index = -1;
    assert_true(is_unknown(t, 0, "d00001"));
    (void)fill(t);
}

/* --- all at once ----------------------------------------------------------------------------------------------------------- */

#define READERS 2
#define FILL 64 /* of each kind, in each filling */

typedef struct shared_t {
    _Atomic int stop;
    _Atomic long fillings, asked, answered, torn, stale;
    _Atomic long done; /* the newest filling that was finished, by its number */
} shared_t;

/* Filling n says n in everything: an answer that says two numbers is of two fillings. */
static void prepare(tables_t *t, long n)
{
    int i;

    t->deployments->nelts = t->ended->nelts = 0;
    for (i = 0; i < FILL; i++) {
        deploy(t, "campus", name(t, "d", i), (n & 1) != 0 ? LTI_DEPLOYMENT_ACCEPTED : LTI_DEPLOYMENT_WITHDRAWN, AT(2 * n));
        end(t, "campus", name(t, "u", i), "c", NULL, AT(n));
    }
}

/* What a process does that is killed at any time; whoever comes next goes on. */
static void write_on(tables_t *t, shared_t *shared)
{
    long n = atomic_load(&shared->done) + 1;

    for (;; n++) {
        apr_pool_t *p = NULL;

        apr_pool_create(&p, NULL);
        t->pool = p;
        prepare(t, n);
        (void)fill(t);
        atomic_store(&shared->done, n);
        atomic_fetch_add(&shared->fillings, 1);
        apr_pool_destroy(p);
    }
}

static void read_on(tables_t *t, shared_t *shared)
{
    char deployment[16], user[16];
    unsigned i = 0;

    while (!atomic_load(&shared->stop)) {
        lti_admission_question_t question = {&t->platforms[0], deployment, "c", user};
        lti_admission_answer_t answer, person;
        long done = atomic_load(&shared->done);

        i = (i + 7) % FILL;
        apr_snprintf(deployment, sizeof(deployment), "d%05d", (int)i);
        apr_snprintf(user, sizeof(user), "u%05d", (int)i);
        atomic_fetch_add(&shared->asked, 1);
        if (!lti_admission_ask(&answer, t->table, &question))
            continue;
        atomic_fetch_add(&shared->answered, 1);
        /* The deployment's time is twice the number, so it is the one that is told; its status must be of the same number. */
        if ((answer.ended_at - AT(0)) % apr_time_from_sec(2) != 0 ||
            answer.status !=
                (((answer.ended_at - AT(0)) / apr_time_from_sec(2)) & 1 ? LTI_DEPLOYMENT_ACCEPTED : LTI_DEPLOYMENT_WITHDRAWN))
            atomic_fetch_add(&shared->torn, 1);
        if (answer.ended_at < AT(2 * done))
            atomic_fetch_add(&shared->stale, 1);
        question.deployment_id = "other";
        if (lti_admission_ask(&person, t->table, &question) &&
            (person.status != LTI_DEPLOYMENT_UNSEEN || person.ended_at < AT(done) ||
             person.ended_at > AT(atomic_load(&shared->done) + 1)))
            atomic_fetch_add(&shared->torn, 1);
    }
    _exit(0);
}

static pid_t start(void (*run)(tables_t *, shared_t *), tables_t *t, shared_t *shared)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0)
        run(t, shared);
    return pid;
}

static void a_writer_that_dies_at_any_time_harms_no_reader(void **state)
{
    apr_size_t size = lti_admission_size(3, FILL, 2 * FILL);
    char *memory = mmap(NULL, 4096 + size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    shared_t *shared = (shared_t *)(void *)memory;
    pid_t readers[READERS], writer;
    apr_time_t until;
    unsigned pause = 1;
    int i, kills = 0;
    tables_t *t;

    assert_ptr_not_equal(memory, MAP_FAILED);
    t = make_in(memory + 4096, FILL, 2 * FILL, *state);
    prepare(t, 0);
    assert_int_equal(fill(t), 0);
    for (i = 0; i < READERS; i++)
        readers[i] = start(read_on, t, shared);
    for (until = apr_time_now() + apr_time_from_msec(800); apr_time_now() < until; kills++) {
        writer = start(write_on, t, shared);
        pause = pause * 1103515245u + 12345u;
        apr_sleep(500 + (pause >> 16) % 4000);
        kill(writer, SIGKILL);
        assert_int_equal(waitpid(writer, NULL, 0), writer);
    }
    atomic_store(&shared->stop, 1);
    for (i = 0; i < READERS; i++) {
        int status = -1;

        assert_int_equal(waitpid(readers[i], &status, 0), readers[i]);
        assert_int_equal(status, 0);
    }
    assert_int_equal(atomic_load(&shared->torn), 0);
    assert_int_equal(atomic_load(&shared->stale), 0);
    assert_true(kills > 10);
    assert_true(atomic_load(&shared->fillings) > 50);
    assert_true(atomic_load(&shared->answered) > atomic_load(&shared->asked) / 2);
    /* What the dead left behind is cleared by the next filling. */
    t->deployments->nelts = t->ended->nelts = 0;
    deploy(t, "school", "1", LTI_DEPLOYMENT_ACCEPTED, 0);
    assert_int_equal(fill(t), 0);
    assert_answer(ask(t, 1, "1", "c", "u00001"), LTI_DEPLOYMENT_ACCEPTED, 0);
    assert_answer(ask(t, 0, "d00001", "c", "u00001"), LTI_DEPLOYMENT_UNSEEN, 0);
    munmap(memory, 4096 + size);
}

/* Garbage in the half that is being filled must not keep a reader who came late for ever: it is bounded by the half. */
static void a_half_full_of_garbage_ends_a_look_up(void **state)
{
    apr_size_t size = lti_admission_size(3, 4, 4);
    uint64_t *block = apr_palloc(*state, size);
    tables_t *t = make_in(block, 4, 4, *state);
    lti_admission_question_t question = {&t->platforms[0], "d", "c", "u"};
    lti_admission_answer_t answer;
    apr_size_t i;

    deploy(t, "campus", "d", LTI_DEPLOYMENT_ACCEPTED, 0);
    assert_int_equal(fill(t), 0);
    for (i = 8; i < size / 8; i++)
        block[i] = UINT64_C(0x7f7f7f7f7f7f7f7f) ^ (i << 20);
    (void)lti_admission_ask(&answer, t->table, &question);
}

/* --- taking over ------------------------------------------------------------------------------------------------------------ */

static void the_next_generation_knows_what_the_old_one_knew(void **state)
{
    tables_t *old = make(4, 4, *state), *next;
    int fillings;

    next = make(4, 4, *state);
    assert_int_equal(lti_admission_copy(next->table, old->table), 0);
    assert_true(is_unknown(next, 0, "1"));
    /* Each half may be the one that counts. */
    for (fillings = 1; fillings <= 2; fillings++) {
        old->deployments->nelts = old->ended->nelts = 0;
        deploy(old, "campus", "1", LTI_DEPLOYMENT_WITHDRAWN, AT(fillings));
        end(old, "school", "u", "c", NULL, AT(10 + fillings));
        assert_int_equal(fill(old), 0);
        next = make(4, 4, *state);
        assert_int_equal(lti_admission_copy(next->table, old->table), 1);
        assert_answer(ask(next, 0, "1", "c", "u"), LTI_DEPLOYMENT_WITHDRAWN, AT(fillings));
        assert_answer(ask(next, 1, "1", "c", "u"), LTI_DEPLOYMENT_UNSEEN, AT(10 + fillings));
        assert_answer(ask(next, 1, "1", "c", "v"), LTI_DEPLOYMENT_UNSEEN, 0);
        /* And is filled as ever. */
        assert_int_equal(fill(next), 0);
        assert_answer(ask(next, 0, "1", "c", "u"), LTI_DEPLOYMENT_UNSEEN, 0);
    }
    /* Of another size: nothing. */
    next = make(8, 4, *state);
    assert_int_equal(lti_admission_copy(next->table, old->table), 0);
    assert_true(is_unknown(next, 0, "1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(nothing_is_known_before_the_first_filling),
        POOL_TEST(a_deployment_is_what_was_decided_about_it),
        POOL_TEST(sessions_end_of_whom_they_were_ended),
        POOL_TEST(the_latest_of_several_endings_counts),
        POOL_TEST(a_filling_leaves_nothing_of_the_one_before),
        POOL_TEST(deployments_that_do_not_fit_are_asked_of_the_database),
        POOL_TEST(an_ended_person_without_room_is_an_ended_course),
        POOL_TEST(an_ended_course_without_room_is_an_ended_platform),
        POOL_TEST(whoever_was_ended_is_ended_whatever_the_room),
        POOL_TEST(a_table_needs_its_block),
        POOL_TEST(a_writer_that_dies_at_any_time_harms_no_reader),
        POOL_TEST(a_half_full_of_garbage_ends_a_look_up),
        POOL_TEST(the_next_generation_knows_what_the_old_one_knew),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
