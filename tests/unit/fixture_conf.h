/*
 * fixture_conf: a configuration loaded in one line, or refused.
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/conf.h"
#include "tests/support/support.h"

#define UNUSED __attribute__((unused))

static UNUSED enum ms_err load(const char *yaml, const char *const *environment,
                               struct ms_conf **out_conf,
                               struct ms_error *error)
{
    struct ms_conf_flags flags = {.config = NULL};
    char *path = NULL;
    enum ms_err err;

    if (yaml != NULL) {
        path = ms_test_file("m.yaml", yaml, strlen(yaml));
        flags.config = path;
    }
    err = ms_conf_load(&flags, (char *const *)environment, out_conf, error);
    free(path);
    return err;
}

/* The file must load. */
static UNUSED struct ms_conf *good(const char *yaml,
                                   const char *const *environment)
{
    struct ms_conf *conf = NULL;
    struct ms_error error = {""};
    enum ms_err err = load(yaml, environment, &conf, &error);

    CHECK_STR(error.text, "");
    CHECK_INT(err, ==, MS_OK);
    return conf;
}

/* The file must be refused, with `place` ("m.yaml:3: worker.grace: ") and
 * `why` in the text. */
static UNUSED void bad(const char *yaml, const char *place, const char *why)
{
    struct ms_conf *conf = NULL;
    struct ms_error error = {""};
    enum ms_err err = load(yaml, NULL, &conf, &error);

    if (err != MS_EINVAL)
        print_error("%s\n", yaml);
    CHECK_INT(err, ==, MS_EINVAL);
    CHECK_CONTAINS(error.text, place);
    CHECK_CONTAINS(error.text, why);
    CHECK_CONTAINS(error.text, ms_test_dir()); /* the file's whole name */
    CHECK(conf == NULL);
}

static UNUSED void bad_variable(const char *variable, const char *place,
                                const char *why)
{
    const char *const environment[] = {"HOME=/", variable, NULL};
    struct ms_conf *conf = NULL;
    struct ms_error error = {""};

    if (load(NULL, environment, &conf, &error) != MS_EINVAL)
        print_error("%s\n", variable);
    CHECK_CONTAINS(error.text, place);
    CHECK_CONTAINS(error.text, why);
    CHECK(conf == NULL);
}
