/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lookup [people [people of each course]]: how long a look-up in shared memory takes, with and without a writer that republishes
 * rosters all the time, and how much memory a member needs. Without the second number the courses are those of a campus: many small
 * ones, some lectures, 50 people in the mean. People and courses are picked at random, so caches help no more than they would help
 * a server.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <apr_general.h>
#include "lti_snapshot.h"

#define MEMBERSHIP "http://purl.imsglobal.org/vocab/lis/v2/membership#"
#define BATCH 100
#define BATCHES 20000

static const int campus[] = {8, 12, 15, 18, 20, 22, 25, 25, 28, 30, 32, 36, 40, 45, 50, 60, 75, 100, 150, 209};

typedef struct bench_t {
    lti_snapshot_t *snapshot;
    int people, fixed_size, courses;
    int *sizes;
} bench_t;

static unsigned random_number(void)
{
    static uint64_t x = UINT64_C(0x9E3779B97F4A7C15);

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return (unsigned)(x >> 32);
}

static uint64_t now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void die(const char *what, const lti_err_t *err)
{
    fprintf(stderr, "%s: %s\n", what, err->text);
    exit(1);
}

static void key_of(char key[32], int course)
{
    snprintf(key, 32, "%016d", course);
}

static void id_of(char id[64], int course, int person)
{
    snprintf(id, 64, "5c1e8f0e-77a1-4d0b-%04d-%012d", course % 10000, person);
}

/* Texts as long as those of real people. */
static void write_course(lti_snapshot_writer_t *writer, const bench_t *bench, int number, apr_int64_t version)
{
    char key[32], id[64], mail[64];
    lti_course_t course = {.key = key, .version = version, .state = LTI_ROSTER_CURRENT, .active = bench->sizes[number]};
    lti_err_t err;
    int i;

    key_of(key, number);
    if (lti_snapshot_begin(writer, &course, bench->sizes[number], &err) != APR_SUCCESS)
        die("begin", &err);
    for (i = 0; i < bench->sizes[number]; i++) {
        lti_member_t member = {
            .user_id = id,
            .name = "Annalena  Li-Schmitz",
            .given_name = "Annalena",
            .family_name = "Li-Schmitz",
            .email = mail,
            .sourcedid = "12345678",
            .roles = i % 25 == 0 ? MEMBERSHIP "Instructor" : MEMBERSHIP "Learner",
            .status = LTI_MEMBER_ACTIVE,
            .status_at = version,
            .role_at = i % 50 == 1 ? version : 0, /* few have changed their role since they joined */
        };

        id_of(id, number, i);
        snprintf(mail, sizeof(mail), "a.li%06d@stud.example.edu", i % 1000000);
        if (lti_snapshot_add(writer, &member, &err) != APR_SUCCESS)
            die("add", &err);
    }
    if (lti_snapshot_commit(writer, &err) != APR_SUCCESS)
        die("commit", &err);
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static void measure(const bench_t *bench, const char *what)
{
    static char keys[BATCH][32], ids[BATCH][64];
    uint64_t *batches = calloc(BATCHES, sizeof(*batches)), *singles = calloc(BATCHES, sizeof(*singles)), total = 0, start, clock;
    long long missed = 0;
    lti_snapshot_course_t course;
    lti_snapshot_member_t member;
    int i, k;

    if (batches == NULL || singles == NULL)
        abort();
    for (i = 0; i < BATCHES; i++) {
        for (k = 0; k < BATCH; k++) {
            int number = (int)(random_number() % (unsigned)bench->courses);

            key_of(keys[k], number);
            id_of(ids[k], number, (int)(random_number() % (unsigned)bench->sizes[number]));
        }
        start = now();
        for (k = 0; k < BATCH - 1; k++)
            missed += lti_snapshot_lookup(bench->snapshot, keys[k], ids[k], &course, &member) != LTI_SNAPSHOT_MEMBER;
        batches[i] = (now() - start) / (BATCH - 1);
        total += batches[i];
        start = now();
        missed += lti_snapshot_lookup(bench->snapshot, keys[k], ids[k], &course, &member) != LTI_SNAPSHOT_MEMBER;
        singles[i] = now() - start;
    }
    start = now();
    for (i = 0; i < 1000; i++)
        (void)now();
    clock = (now() - start) / 1000;
    qsort(batches, BATCHES, sizeof(*batches), by_value);
    qsort(singles, BATCHES, sizeof(*singles), by_value);
    printf("%-18s mean %llu ns, batches of %d: p50 %llu p99 %llu, single: p50 %llu p99 %llu (clock %llu), %lld of %d to the "
           "database\n",
           what, (unsigned long long)(total / BATCHES), BATCH - 1, (unsigned long long)batches[BATCHES / 2],
           (unsigned long long)batches[BATCHES / 100 * 99], (unsigned long long)singles[BATCHES / 2],
           (unsigned long long)singles[BATCHES / 100 * 99], (unsigned long long)clock, missed, BATCHES * BATCH);
    free(batches);
    free(singles);
}

static pid_t start_writer(const bench_t *bench, apr_pool_t *p)
{
    lti_snapshot_writer_t *writer;
    apr_int64_t version;
    lti_err_t err;
    int number;
    pid_t child = fork();

    if (child != 0)
        return child;
    if (lti_snapshot_writer_create(&writer, bench->snapshot, p, &err) != APR_SUCCESS)
        die("writer", &err);
    for (version = 2;; version++) {
        for (number = 0; number < bench->courses; number++)
            write_course(writer, bench, number, version);
    }
}

static void lay_out(bench_t *bench, apr_pool_t *p)
{
    int left = bench->people, largest = 0, size;
    apr_size_t bytes;
    lti_err_t err;
    void *block;

    bench->sizes = calloc((size_t)bench->people, sizeof(*bench->sizes));
    if (bench->sizes == NULL)
        abort();
    for (; left > 0; left -= size) {
        size = bench->fixed_size ? bench->fixed_size : campus[bench->courses % 20];
        size = size < left ? size : left;
        largest = size > largest ? size : largest;
        bench->sizes[bench->courses++] = size;
    }
    bytes = (apr_size_t)(bench->people + 2 * largest) * 300 + (apr_size_t)bench->courses * 4096 + 2 * LTI_SNAPSHOT_MIN_SIZE;
    block = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (block == MAP_FAILED)
        abort();
    if (lti_snapshot_format(&bench->snapshot, block, bytes, p, &err) != APR_SUCCESS)
        die("format", &err);
}

int main(int argc, char **argv)
{
    bench_t bench = {.people = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 100000, .fixed_size = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 0};
    lti_snapshot_writer_t *writer;
    lti_snapshot_usage_t usage;
    apr_pool_t *p;
    lti_err_t err;
    uint64_t start;
    pid_t child;
    int i;

    if (bench.people < 1 || bench.fixed_size < 0) {
        fprintf(stderr, "usage: lookup [people [people of each course]]\n");
        return 2;
    }
    apr_initialize();
    apr_pool_create(&p, NULL);
    lay_out(&bench, p);
    if (lti_snapshot_writer_create(&writer, bench.snapshot, p, &err) != APR_SUCCESS)
        die("writer", &err);
    start = now();
    for (i = 0; i < bench.courses; i++)
        write_course(writer, &bench, i, 1);
    start = now() - start;
    lti_snapshot_usage(bench.snapshot, &usage);
    /* With the two slots that the directory has for each chunk. */
    printf("%d people in %d courses: %llu bytes a member, written in %llu ms\n", bench.people, bench.courses,
           (unsigned long long)((uint64_t)usage.chunks_used * (LTI_CHUNK_SIZE + 128) / usage.members),
           (unsigned long long)(start / 1000000));
    measure(&bench, "nobody writes");
    child = start_writer(&bench, p);
    measure(&bench, "a writer republishes");
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    return 0;
}
