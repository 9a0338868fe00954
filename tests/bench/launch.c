/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of a launch alone, and the load for the whole; tests/bench/launch.py drives it.
 *
 *   launch rsa SECONDS WORKERS                      verifies an RSA-2048 signature over a text as long as a token; prints how often a second, and microseconds of
 *                                                   processor time for each
 *   launch insert SECONDS WORKERS DRIVER PARAMS     the same for bare INSERTs into lti_nonce, each a transaction of its own
 *   launch post PORT FILE CONNECTIONS               sends the requests of FILE (each behind its length in a line), one at a time on each connection;
 *                                                   prints requests, seconds, and how many were answered with each status
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <apr_dbd.h>
#include <apr_general.h>
#include <apr_pools.h>
#include <apr_strings.h>
#include <apr_time.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#define TOKEN_LENGTH 2300
#define WORKERS_MAX 64
#define STATUS_MAX 600

static void __attribute__((noreturn)) die(const char *what)
{
    fprintf(stderr, "launch: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* --- so many workers, each as fast as it can -------------------------------------------------------------------------------- */

typedef struct job_t {
    double seconds;
    int number; /* of the worker */
    const char *driver, *params;
    EVP_PKEY *key;
    unsigned char signature[512];
    size_t signature_size;
} job_t;

static const char text[TOKEN_LENGTH] = "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9.";

static long verify_all(const job_t *job)
{
    apr_time_t end = apr_time_now() + (apr_time_t)(job->seconds * APR_USEC_PER_SEC);
    long count = 0;

    while (apr_time_now() < end) {
        EVP_MD_CTX *ctx = EVP_MD_CTX_new();

        if (EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, job->key) != 1 ||
            EVP_DigestVerify(ctx, job->signature, job->signature_size, (const unsigned char *)text, sizeof(text)) != 1)
            die("a signature is not right");
        EVP_MD_CTX_free(ctx);
        count++;
    }
    return count;
}

static void make_signature(job_t *job)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    job->key = EVP_RSA_gen(2048);
    job->signature_size = sizeof(job->signature);
    if (job->key == NULL || EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, job->key) != 1 ||
        EVP_DigestSign(ctx, job->signature, &job->signature_size, (const unsigned char *)text, sizeof(text)) != 1)
        die("no signature");
    EVP_MD_CTX_free(ctx);
}

static long insert_all(const job_t *job)
{
    const apr_dbd_driver_t *driver;
    apr_dbd_t *handle;
    apr_dbd_prepared_t *statement = NULL;
    apr_pool_t *pool, *p;
    apr_time_t end;
    long count = 0, busy = 0;
    int affected;

    apr_pool_create(&pool, NULL);
    apr_pool_create(&p, pool);
    if (apr_dbd_init(pool) != APR_SUCCESS || apr_dbd_get_driver(pool, job->driver, &driver) != APR_SUCCESS ||
        apr_dbd_open(driver, pool, job->params, &handle) != APR_SUCCESS)
        die("the database cannot be opened");
    if (strcmp(job->driver, "sqlite3") == 0) /* as the module does; the file is in WAL mode since the module made it */
        (void)apr_dbd_query(driver, handle, &affected, "PRAGMA synchronous=NORMAL");
    if (apr_dbd_prepare(driver, pool, handle, "INSERT INTO lti_nonce (nonce_key, expires_at) VALUES (%s, %lld)", NULL,
                        &statement) != 0)
        die("the statement cannot be prepared");
    end = apr_time_now() + (apr_time_t)(job->seconds * APR_USEC_PER_SEC);
    while (apr_time_now() < end) {
        apr_int64_t expires = 1;
        const void *values[] = {apr_psprintf(p, "bench-%d-%d-%ld", (int)getpid(), job->number, count), &expires};

        if (apr_dbd_pbquery(driver, p, handle, &affected, statement, values) == 0)
            count++;
        else if (busy++ > 1000000)
            die("INSERT fails");
        apr_pool_clear(p);
    }
    apr_dbd_close(driver, handle);
    return count;
}

/* Processes, as httpd's children are: apr_dbd has locks that hold within one. */
static void run_all(job_t *job, int workers, long (*work)(const job_t *))
{
    struct rusage used;
    long *counts = mmap(NULL, sizeof(long) * WORKERS_MAX, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0), sum = 0;
    int i;

    if (counts == MAP_FAILED || workers < 1 || workers > WORKERS_MAX)
        die("workers");
    for (i = 0; i < workers; i++) {
        pid_t pid = fork();

        if (pid < 0)
            die("fork");
        if (pid == 0) {
            job->number = i;
            counts[i] = work(job);
            _exit(0);
        }
    }
    for (i = 0; i < workers; i++) {
        int status;

        if (wait(&status) < 0 || status != 0)
            die("a worker failed");
    }
    for (i = 0; i < workers; i++)
        sum += counts[i];
    getrusage(RUSAGE_CHILDREN, &used);
    printf("[%.1f, %.2f]\n", (double)sum / job->seconds,
           ((double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * APR_USEC_PER_SEC +
            (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec)) /
               (double)(sum > 0 ? sum : 1));
}

/* --- the load ------------------------------------------------------------------------------------------------------------------ */

typedef struct request_t {
    const char *bytes;
    size_t size;
} request_t;

static struct {
    int port;
    request_t *requests;
    size_t count, next;
    long statuses[STATUS_MAX];
    long reconnected;
    pthread_mutex_t mutex;
} load = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static char *read_all(const char *name, size_t *size)
{
    FILE *file = fopen(name, "rb");
    char *bytes;
    long length;

    if (file == NULL || fseek(file, 0, SEEK_END) != 0 || (length = ftell(file)) < 0 || fseek(file, 0, SEEK_SET) != 0)
        die(name);
    bytes = malloc((size_t)length + 1);
    if (bytes == NULL || fread(bytes, 1, (size_t)length, file) != (size_t)length)
        die(name);
    bytes[length] = '\0';
    fclose(file);
    *size = (size_t)length;
    return bytes;
}

static void read_requests(const char *name)
{
    size_t size, room = 0;
    char *at = read_all(name, &size), *end = at + size;

    while (at < end) {
        size_t length = strtoul(at, &at, 10);

        if (*at != '\n' || length == 0 || length > (size_t)(end - at - 1))
            die("the file of requests is damaged");
        if (load.count == room) {
            room = room == 0 ? 1024 : room * 2;
            load.requests = realloc(load.requests, room * sizeof(request_t));
            if (load.requests == NULL)
                die("memory");
        }
        load.requests[load.count++] = (request_t){at + 1, length};
        at += 1 + length;
    }
}

static int connect_to(int port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((unsigned short)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    return fd;
}

/* The status of one exchange, 0 if the connection was closed before the answer. Each answer says how long it is. */
static int exchange(int fd, const request_t *request)
{
    char answer[64 * 1024];
    size_t have = 0, wanted = 0;
    ssize_t got;

    for (size_t sent = 0; sent < request->size; sent += (size_t)got) {
        got = send(fd, request->bytes + sent, request->size - sent, MSG_NOSIGNAL);
        if (got <= 0)
            return 0;
    }
    while (wanted == 0 || have < wanted) {
        char *head_end, *length;

        got = recv(fd, answer + have, sizeof(answer) - 1 - have, 0);
        if (got <= 0)
            return 0;
        have += (size_t)got;
        answer[have] = '\0';
        head_end = strstr(answer, "\r\n\r\n");
        if (wanted == 0 && head_end != NULL) {
            length = strcasestr(answer, "\r\nContent-Length:");
            wanted = (size_t)(head_end - answer) + 4 + (length != NULL && length < head_end ? strtoul(length + 17, NULL, 10) : 0);
        }
    }
    return (int)strtol(answer + 9, NULL, 10);
}

static void *pour(void *unused)
{
    int fd = connect_to(load.port);

    (void)unused;
    for (;;) {
        const request_t *request = NULL;
        int status;

        pthread_mutex_lock(&load.mutex);
        if (load.next < load.count)
            request = &load.requests[load.next++];
        pthread_mutex_unlock(&load.mutex);
        if (request == NULL)
            break;
        while ((status = exchange(fd, request)) == 0) {
            close(fd);
            fd = connect_to(load.port);
            pthread_mutex_lock(&load.mutex);
            load.reconnected++;
            pthread_mutex_unlock(&load.mutex);
        }
        pthread_mutex_lock(&load.mutex);
        load.statuses[status > 0 && status < STATUS_MAX ? status : 0]++;
        pthread_mutex_unlock(&load.mutex);
    }
    close(fd);
    return NULL;
}

static void post(int port, const char *name, int connections)
{
    pthread_t threads[WORKERS_MAX];
    const char *separator = "";
    apr_time_t began;
    int i;

    if (connections < 1 || connections > WORKERS_MAX)
        die("connections");
    load.port = port;
    read_requests(name);
    began = apr_time_now();
    for (i = 0; i < connections; i++) {
        if (pthread_create(&threads[i], NULL, pour, NULL) != 0)
            die("thread");
    }
    for (i = 0; i < connections; i++)
        pthread_join(threads[i], NULL);
    printf("{\"requests\": %lu, \"seconds\": %.6f, \"reconnected\": %ld, \"statuses\": {", (unsigned long)load.count,
           (double)(apr_time_now() - began) / APR_USEC_PER_SEC, load.reconnected);
    for (i = 0; i < STATUS_MAX; i++) {
        if (load.statuses[i] > 0)
            printf("%s\"%d\": %ld", separator, i, load.statuses[i]), separator = ", ";
    }
    printf("}}\n");
}

static int number(const char *digits)
{
    return (int)strtol(digits, NULL, 10);
}

int main(int argc, char **argv)
{
    job_t job;

    memset(&job, 0, sizeof(job));
    apr_initialize();
    if (argc >= 4 && strcmp(argv[1], "post") == 0)
        post(number(argv[2]), argv[3], argc > 4 ? number(argv[4]) : 8);
    else if (argc >= 4 && strcmp(argv[1], "rsa") == 0) {
        job.seconds = strtod(argv[2], NULL);
        make_signature(&job);
        run_all(&job, number(argv[3]), verify_all);
    } else if (argc >= 6 && strcmp(argv[1], "insert") == 0) {
        job.seconds = strtod(argv[2], NULL);
        job.driver = argv[4];
        job.params = argv[5];
        run_all(&job, number(argv[3]), insert_all);
    } else {
        fprintf(stderr, "usage: launch rsa SECONDS WORKERS | insert SECONDS WORKERS DRIVER PARAMS | post PORT FILE CONNECTIONS\n");
        return 2;
    }
    return 0;
}
