/*
 * build: which build of the program this is.
 *
 * A worker and its children are one program.  When the file was replaced
 * under a running worker, a child may be another: their frames would not fit,
 * so the first one carries this text, and a difference is an error.
 */
#pragma once

/* "0.1.0+3f2a..." : the version and the linker's build id (a hash of the
 * program's contents).  Worked out once, good for ever. */
const char *ms_build_id(void);
