/*
 * linesum: counts NDJSON by itself, as a second opinion on imports.
 *
 * Reads standard input and prints `docs=N bytes=N checksum=HEX`: the non-empty
 * lines, all bytes, and the sum modulo 2^64 of XXH3-64 of each such line
 * without its LF or CRLF (a byte order mark in front of the first is passed
 * over).  It takes every line for a document, and shares no code with muster.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

int main(void)
{
    uint64_t docs = 0, bytes = 0, checksum = 0;
    char *line = NULL;
    size_t cap = 0;
    ssize_t got;

    while ((got = getline(&line, &cap, stdin)) > 0) {
        size_t len = (size_t)got;
        const char *text = line;

        if (bytes == 0 && len >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) {
            text += 3;
            len -= 3;
        }
        bytes += (size_t)got;
        if (len >= 2 && text[len - 2] == '\r' && text[len - 1] == '\n')
            len -= 2;
        else if (len >= 1 && text[len - 1] == '\n')
            len -= 1;
        if (len == 0)
            continue;
        docs++;
        checksum += XXH3_64bits(text, len);
    }
    printf("docs=%" PRIu64 " bytes=%" PRIu64 " checksum=%016" PRIx64 "\n", docs,
           bytes, checksum);
    free(line);
    return ferror(stdin) ? 1 : 0;
}
