/* SPDX-License-Identifier: Apache-2.0 */
/* lti_mailbox: one message at a time, whole, whoever writes, stops or dies meanwhile. */
#include "test.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include "lti_mailbox.h"

#define NOW apr_time_from_sec(1700000000)
#define SECONDS(n) apr_time_from_sec(n)

static lti_mailbox_t *make(void **block, apr_pool_t *p)
{
    lti_mailbox_t *box = NULL;
    lti_err_t err;

    *block = apr_palloc(p, lti_mailbox_size());
    memset(*block, 0xa5, lti_mailbox_size());
    assert_ok(lti_mailbox_format(&box, *block, lti_mailbox_size(), p, &err), err);
    return box;
}

static int put(lti_mailbox_t *box, const char *text, apr_time_t now)
{
    const char *const texts[LTI_MAILBOX_TEXTS] = {text, NULL, "", text};

    return lti_mailbox_put(box, texts, now);
}

static void test_message_comes_out_as_it_went_in(void **state)
{
    void *block;
    lti_mailbox_t *box = make(&block, *state);
    lti_message_t message;

    assert_false(lti_mailbox_take(&message, box));
    assert_true(put(box, "key-ü", NOW));
    assert_true(lti_mailbox_take(&message, box));
    assert_string_equal(message.texts[0], "key-ü");
    assert_string_equal(message.texts[1], "");
    assert_string_equal(message.texts[2], "");
    assert_string_equal(message.texts[3], "key-ü");
    assert_false(lti_mailbox_take(&message, box));
}

static void test_full_box_keeps_the_first_message(void **state)
{
    void *block;
    lti_mailbox_t *box = make(&block, *state);
    lti_message_t message;

    assert_true(put(box, "first", NOW));
    assert_false(put(box, "second", NOW));
    assert_false(put(box, "much later", NOW + SECONDS(3600)));
    assert_true(lti_mailbox_take(&message, box));
    assert_string_equal(message.texts[0], "first");
    assert_true(put(box, "third", NOW));
    assert_true(lti_mailbox_take(&message, box));
    assert_string_equal(message.texts[0], "third");
}

static void test_long_text_is_cut_at_a_character(void **state)
{
    apr_pool_t *p = *state;
    void *block;
    lti_mailbox_t *box = make(&block, p);
    lti_message_t message;
    int lead;

    for (lead = 0; lead < 4; lead++) {
        char *text = apr_pcalloc(p, 2000);
        apr_size_t length;

        memset(text, 'x', (apr_size_t)lead);
        while (strlen(text) < 1000)
            strcat(text, "\xF0\x9F\xA6\x89");
        assert_true(put(box, text, NOW));
        assert_true(lti_mailbox_take(&message, box));
        length = strlen(message.texts[0]);
        assert_in_range(length, LTI_MAILBOX_TEXT_MAX - 4, LTI_MAILBOX_TEXT_MAX - 1);
        assert_int_equal((length - (apr_size_t)lead) % 4, 0);
        assert_memory_equal(message.texts[0], text, length);
    }
}

static void test_text_of_just_the_limit_is_whole(void **state)
{
    apr_pool_t *p = *state;
    void *block;
    lti_mailbox_t *box = make(&block, p);
    lti_message_t message;
    char *text = apr_pcalloc(p, LTI_MAILBOX_TEXT_MAX);

    memset(text, 'x', LTI_MAILBOX_TEXT_MAX - 1);
    assert_true(put(box, text, NOW));
    assert_true(lti_mailbox_take(&message, box));
    assert_string_equal(message.texts[0], text);
}

/* A writer died after its claim: the first word of the block is the time of it. */
static void test_dead_writer_holds_the_box_for_seconds_only(void **state)
{
    void *block;
    lti_mailbox_t *box = make(&block, *state);
    lti_message_t message;
    uint64_t claim = (uint64_t)NOW;

    memcpy(block, &claim, sizeof(claim));
    assert_false(lti_mailbox_take(&message, box));
    assert_false(put(box, "too soon", NOW + SECONDS(1)));
    assert_true(put(box, "after it", NOW + SECONDS(6)));
    assert_true(lti_mailbox_take(&message, box));
    assert_string_equal(message.texts[0], "after it");

    memcpy(block, &claim, sizeof(claim));
    assert_true(put(box, "the clock was set back", NOW - SECONDS(3600)));
}

static void test_what_is_not_clean_is_not_handed_out(void **state)
{
    void *block;
    lti_mailbox_t *box = make(&block, *state);
    lti_message_t message;

    assert_true(put(box, "fine", NOW));
    /* Two writers at once: half a character, and no end. */
    memset((char *)block + sizeof(uint64_t), 'x', LTI_MAILBOX_TEXT_MAX);
    ((char *)block)[sizeof(uint64_t)] = '\xC3';
    assert_true(lti_mailbox_take(&message, box));
    assert_string_equal(message.texts[0], "");
    assert_string_equal(message.texts[3], "fine");
}

typedef struct crowd_t {
    lti_mailbox_t *box;
    atomic_int done;
    atomic_int put;
} crowd_t;

static void *write_often(void *data)
{
    crowd_t *crowd = data;
    char text[LTI_MAILBOX_TEXT_MAX];
    int i;

    for (i = 0; !atomic_load(&crowd->done); i++) {
        memset(text, 'a' + i % 26, sizeof(text) - 1);
        text[200 + i % 50] = '\0';
        if (put(crowd->box, text, NOW))
            atomic_fetch_add(&crowd->put, 1);
        else
            sched_yield();
    }
    return NULL;
}

static void test_many_writers_and_one_reader(void **state)
{
    void *block;
    crowd_t crowd = {.box = make(&block, *state)};
    lti_message_t message;
    pthread_t threads[4];
    int i, taken = 0;

    for (i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_often, &crowd), 0);
    while (taken < 2000) {
        if (!lti_mailbox_take(&message, crowd.box)) {
            sched_yield();
            continue;
        }
        taken++;
        assert_string_equal(message.texts[0], message.texts[3]);
        assert_int_equal(strspn(message.texts[0], (char[]){message.texts[0][0], '\0'}), strlen(message.texts[0]));
    }
    atomic_store(&crowd.done, 1);
    for (i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    taken += lti_mailbox_take(&message, crowd.box);
    assert_int_equal(taken, atomic_load(&crowd.put));
}

static void test_unfit_memory_is_refused(void **state)
{
    apr_pool_t *p = *state;
    char *block = apr_palloc(p, lti_mailbox_size() + 8);
    lti_mailbox_t *box = NULL;
    lti_err_t err;

    assert_code(lti_mailbox_format(&box, block, lti_mailbox_size() - 1, p, &err), err, LTI_E_INTERNAL);
    assert_code(lti_mailbox_format(&box, block + 4, lti_mailbox_size(), p, &err), err, LTI_E_INTERNAL);
    assert_null(box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_message_comes_out_as_it_went_in),
        POOL_TEST(test_full_box_keeps_the_first_message),
        POOL_TEST(test_long_text_is_cut_at_a_character),
        POOL_TEST(test_text_of_just_the_limit_is_whole),
        POOL_TEST(test_dead_writer_holds_the_box_for_seconds_only),
        POOL_TEST(test_what_is_not_clean_is_not_handed_out),
        POOL_TEST(test_many_writers_and_one_reader),
        POOL_TEST(test_unfit_memory_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
