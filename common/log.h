/*
 * log: one line an event on standard error, logfmt or JSON.
 *
 *     ms_log(MS_WARN, "lease", "renew_failed", "err=%s retry_ms=%d", ...)
 *     ts=2026-01-02T03:04:05.678Z level=warn mod=lease event=renew_failed ...
 *
 * Fields are `key=value` pairs separated by one space in the format; a value
 * that may hold a space or a quote is written with ms_log_quote().  Secrets
 * never go into a log: a Redis URL is shown by ms_redis_url_redact().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum ms_log_level { MS_DEBUG, MS_INFO, MS_WARN, MS_ERROR };

/* `json` turns every line into one JSON object; every value is a string. */
void ms_log_configure(enum ms_log_level level, bool json);

/* Where lines go; standard error unless told otherwise. */
void ms_log_to(int fd);

/* False for an unknown word: "debug", "info", "warn", "error". */
bool ms_log_parse_level(const char *word, enum ms_log_level *out_level);

/* Is a line of this level written at all? */
bool ms_log_is_on(enum ms_log_level level);

/* `fields` is a printf format of key=value pairs, may be "". */
void ms_log(enum ms_log_level level, const char *mod, const char *event,
            const char *fields, ...) __attribute__((format(printf, 4, 5)));

/* Quotes `text` when it needs it ("two words"), with \" \\ and \n escaped, cut
 * to fit.  Returns `out`, for use as an argument of ms_log(). */
const char *ms_log_quote(const char *text, char *out, size_t size);
