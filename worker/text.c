#include "worker/text.h"

#include <string.h>

#include "common/utf8.h"

size_t ms_text_scrub(char *text, size_t len)
{
    size_t i = 0;

    while (i < len) {
        size_t n = ms_utf8_char(text + i, len - i);

        if (n == 0 || text[i] == '\0')
            text[i] = '?';
        i += n == 0 ? 1 : n;
    }
    return len;
}

void ms_tail_add(struct ms_tail *tail, const char *bytes, size_t len)
{
    const size_t most = sizeof(tail->bytes) - 1; /* room for a NUL */

    if (len >= most) {
        memcpy(tail->bytes, bytes + len - most, most);
        tail->len = most;
        return;
    }
    if (tail->len + len > most) {
        size_t drop = tail->len + len - most;

        memmove(tail->bytes, tail->bytes + drop, tail->len - drop);
        tail->len -= drop;
    }
    memcpy(tail->bytes + tail->len, bytes, len);
    tail->len += len;
}

const char *ms_tail_text(struct ms_tail *tail)
{
    size_t from, end = tail->len;

    while (end > 0 &&
           (tail->bytes[end - 1] == '\n' || tail->bytes[end - 1] == '\r'))
        end--;
    from = end > MS_TAIL_SHOWN ? end - MS_TAIL_SHOWN : 0;
    /* Not in the middle of a character. */
    for (int i = 0; from > 0 && i < 3 && from < end &&
                    ((unsigned char)tail->bytes[from] & 0xc0) == 0x80;
         i++)
        from++;
    ms_text_scrub(tail->bytes + from, end - from);
    tail->bytes[end] = '\0';
    return tail->bytes + from;
}
