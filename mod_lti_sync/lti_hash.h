/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lti_hash: the keyed hash of the house's tables, SipHash-1-3. Ids come from outside; whoever does not know the key cannot choose
 * ids that fall into one place. Results hold for one machine and one key: never store them. Header only, any thread.
 */
#ifndef LTI_HASH_H
#define LTI_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct lti_hash_key_t {
    uint64_t a, b;
} lti_hash_key_t;

typedef struct lti_hash_state_t {
    uint64_t v0, v1, v2, v3;
} lti_hash_state_t;

static inline uint64_t lti_hash_rotate(uint64_t x, int bits)
{
    return (x << bits) | (x >> (64 - bits));
}

static inline void lti_hash_round(lti_hash_state_t *s)
{
    s->v0 += s->v1;
    s->v2 += s->v3;
    s->v1 = lti_hash_rotate(s->v1, 13) ^ s->v0;
    s->v3 = lti_hash_rotate(s->v3, 16) ^ s->v2;
    s->v0 = lti_hash_rotate(s->v0, 32);
    s->v2 += s->v1;
    s->v0 += s->v3;
    s->v1 = lti_hash_rotate(s->v1, 17) ^ s->v2;
    s->v3 = lti_hash_rotate(s->v3, 21) ^ s->v0;
    s->v2 = lti_hash_rotate(s->v2, 32);
}

static inline void lti_hash_word(lti_hash_state_t *s, uint64_t word)
{
    s->v3 ^= word;
    lti_hash_round(s);
    s->v0 ^= word;
}

static inline uint64_t lti_hash(const lti_hash_key_t *key, const void *data, size_t length)
{
    const unsigned char *at = data;
    size_t left = length;
    uint64_t word;
    lti_hash_state_t s = {
        .v0 = key->a ^ UINT64_C(0x736f6d6570736575),
        .v1 = key->b ^ UINT64_C(0x646f72616e646f6d),
        .v2 = key->a ^ UINT64_C(0x6c7967656e657261),
        .v3 = key->b ^ UINT64_C(0x7465646279746573),
    };

    for (; left >= sizeof(word); left -= sizeof(word), at += sizeof(word)) {
        memcpy(&word, at, sizeof(word));
        lti_hash_word(&s, word);
    }
    word = (uint64_t)length << 56;
    for (; left > 0; left--)
        word |= (uint64_t)at[left - 1] << (8 * (left - 1));
    lti_hash_word(&s, word);
    s.v2 ^= 0xff;
    lti_hash_round(&s);
    lti_hash_round(&s);
    lti_hash_round(&s);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

#endif
