#include "tests/support/words.h"

#include <stdio.h>
#include <string.h>

#include "common/mem.h"

/* Behind "va_list *", for an array type as on x86-64 decays when passed. */
struct args {
    va_list list;
};

static long long take_signed(struct args *args, const char *size)
{
    if (strcmp(size, "ll") == 0)
        return va_arg(args->list, long long);
    if (strcmp(size, "l") == 0)
        return va_arg(args->list, long);
    if (strcmp(size, "z") == 0)
        return (long long)va_arg(args->list, ssize_t);
    if (strcmp(size, "j") == 0)
        return (long long)va_arg(args->list, intmax_t);
    return va_arg(args->list, int);
}

static unsigned long long take_unsigned(struct args *args, const char *size)
{
    return size[0] == '\0' || size[0] == 'h'
               ? va_arg(args->list, unsigned)
               : (unsigned long long)take_signed(args, size);
}

static void add_bytes(struct ms_buf *word, struct args *args)
{
    const void *bytes = va_arg(args->list, const void *);

    ms_buf_add(word, bytes, va_arg(args->list, size_t));
}

/* One conversion, `at` behind the '%'.  Returns where it ends. */
static const char *convert(struct ms_buf *word, const char *at,
                           struct args *args)
{
    char size[3] = "";
    char format[16];
    size_t flags = strspn(at, "0123456789.-+");
    size_t sizes = strspn(at + flags, "hlzj");
    char type = at[flags + sizes];

    ms_assert(flags < 8 && sizes < 3 && type != '\0');
    memcpy(size, at + flags, sizes);
    if (strchr("diuxX", type) != NULL)
        snprintf(format, sizeof(format), "%%%.*sll%c", (int)flags, at, type);
    else
        snprintf(format, sizeof(format), "%%%.*s%c", (int)flags, at, type);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    if (type == '%')
        ms_buf_addc(word, '%');
    else if (type == 'b')
        add_bytes(word, args);
    else if (type == 's')
        ms_buf_addf(word, format, va_arg(args->list, const char *));
    else if (type == 'c')
        ms_buf_addc(word, (char)va_arg(args->list, int));
    else if (type == 'd' || type == 'i')
        ms_buf_addf(word, format, take_signed(args, size));
    else if (type == 'u' || type == 'x' || type == 'X')
        ms_buf_addf(word, format, take_unsigned(args, size));
    else if (type == 'f' || type == 'g')
        ms_buf_addf(word, format, va_arg(args->list, double));
    else
        ms_assert(!"a conversion that ms_test_cmd() knows");
#pragma GCC diagnostic pop
    return at + flags + sizes + 1;
}

void ms_words_add(struct ms_cmd *cmd, const char *format, va_list list)
{
    struct ms_buf word = MS_BUF_INIT;
    struct args args;
    const char *at = format;

    va_copy(args.list, list);
    while (*at != '\0') {
        if (*at == ' ') {
            at++;
            continue;
        }
        ms_buf_clear(&word);
        while (*at != '\0' && *at != ' ') {
            if (*at == '%')
                at = convert(&word, at + 1, &args);
            else
                ms_buf_addc(&word, *at++);
        }
        ms_cmd_arg(cmd, word.data, word.len);
    }
    ms_buf_done(&word);
    va_end(args.list);
}
