#include "common/utf8.h"

#include <stdint.h>
#include <string.h>

static bool is_tail(unsigned char c)
{
    return (c & 0xc0) == 0x80;
}

/* What the second byte may be depends on the first: that rules out overlong
 * forms, surrogates and what lies beyond the last code point. */
static bool is_second(unsigned char first, unsigned char second)
{
    switch (first) {
    case 0xe0:
        return second >= 0xa0 && second <= 0xbf;
    case 0xed:
        return second >= 0x80 && second <= 0x9f;
    case 0xf0:
        return second >= 0x90 && second <= 0xbf;
    case 0xf4:
        return second >= 0x80 && second <= 0x8f;
    default:
        return is_tail(second);
    }
}

size_t ms_utf8_char(const char *text, size_t left)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t len;

    if (p[0] < 0x80)
        return 1;
    if (p[0] < 0xc2 || p[0] > 0xf4)
        return 0;
    len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (left < len || !is_second(p[0], p[1]))
        return 0;
    for (size_t i = 2; i < len; i++)
        if (!is_tail(p[i]))
            return 0;
    return len;
}

/* Which byte, in memory's order, is the first that is not zero. */
static size_t first_byte(uint64_t word)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return (size_t)__builtin_ctzll(word) / 8;
#else
    return (size_t)__builtin_clzll(word) / 8;
#endif
}

/* Plain ASCII, eight bytes a step: most of what is checked is that. */
static size_t ascii_span(const char *text, size_t len)
{
    size_t i = 0;
    uint64_t word;

    for (; i + sizeof(word) <= len; i += sizeof(word)) {
        memcpy(&word, text + i, sizeof(word));
        word &= UINT64_C(0x8080808080808080);
        if (word != 0)
            return i + first_byte(word);
    }
    return i;
}

size_t ms_utf8_span(const char *text, size_t len)
{
    size_t i = 0;

    while (i < len) {
        size_t step = ascii_span(text + i, len - i);

        if (step == 0)
            step = ms_utf8_char(text + i, len - i);
        if (step == 0)
            return i;
        i += step;
    }
    return len;
}

bool ms_utf8_is_valid(const char *text, size_t len)
{
    return ms_utf8_span(text, len) == len;
}
