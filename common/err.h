/*
 * err: how a function says that it failed.
 *
 * What can fail returns an enum ms_err.  A text for a human goes into an
 * optional last `struct ms_error *`; pass NULL where nobody will read it.
 */
#pragma once

#include <stddef.h>

enum ms_err {
    MS_OK = 0,
    MS_EINVAL,     /* the input is wrong: config, payload, name, argument */
    MS_EIO,        /* a file or a system call failed */
    MS_ENOENT,     /* no such job, queue, dataset, file */
    MS_EEXIST,     /* it is there already */
    MS_ESTATE,     /* not in this state: retry of a running job, say */
    MS_EBUSY,      /* somebody else is at it; try again */
    MS_ETIMEOUT,   /* no answer within the deadline */
    MS_EDOWN,      /* no connection to Redis, or it broke under way */
    MS_ELOADING,   /* Redis reads its data, or its master is away */
    MS_EREADONLY,  /* this Redis is a replica: connect anew */
    MS_EFULL,      /* Redis is at maxmemory, or a queue at max_length */
    MS_EAUTH,      /* wrong password, missing permission */
    MS_EMOVED,     /* the key lives on another node */
    MS_ESCRIPT,    /* Redis answered an error that is our mistake */
    MS_EPROTO,     /* a reply, frame or document of an unknown shape */
    MS_ESTALE,     /* an old fence, epoch or another pod: nothing changed */
    MS_ECRASHED,   /* the child died */
    MS_ECANCELLED, /* asked to stop */
    MS_ESCHEMA,    /* this fleet's key layout is one we do not know */
    MS_ENOTSUP     /* not built in, or not on this platform */
};

struct ms_error {
    char text[512];
};

/* A short stable word for logs: "down", "timeout". */
const char *ms_err_name(enum ms_err err);

/* Writes the text, cut to fit, unless `error` is NULL.  Returns `err`, so that
 * a failure is one statement. */
enum ms_err ms_error_set(struct ms_error *error, enum ms_err err,
                         const char *format, ...)
    __attribute__((format(printf, 3, 4)));
