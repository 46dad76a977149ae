#include "common/manifest.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/val.h"
#include "tests/support/support.h"

static struct ms_error error;

static int write_to_buf(void *buf, const char *bytes, size_t len)
{
    ms_buf_add(buf, bytes, len);
    return 0;
}

/* A file of three bytes and its manifest. */
static char *a_file(struct ms_manifest *out)
{
    char *path = ms_test_file("source", "abc", 3);

    CHECK_INT(ms_manifest_of_file(path, 4096, out, NULL), ==, MS_OK);
    return path;
}

/* Sets the time of change, as a write at another moment would. */
static void touch(const char *path, int64_t mtime_ns)
{
    struct timespec times[2] = {{0, UTIME_OMIT},
                                {mtime_ns / 1000000000, mtime_ns % 1000000000}};

    CHECK_INT(utimensat(AT_FDCWD, path, times, 0), ==, 0);
}

static TEST(test_manifest_tells_size_and_time)
{
    struct ms_manifest m;
    char *path = ms_test_file("source", "abc", 3);

    touch(path, 1234567890123456789);
    CHECK_INT(ms_manifest_of_file(path, 4096, &m, NULL), ==, MS_OK);
    CHECK_STR(m.path, path);
    CHECK_INT(m.size, ==, 3);
    CHECK_INT(m.mtime_ns, ==, 1234567890123456789);
    CHECK_INT(m.chunk_size, ==, 4096);
    ms_manifest_done(&m);
    free(path);
}

static TEST(test_missing_file_is_an_error_that_names_it)
{
    struct ms_manifest m;

    CHECK_INT(ms_manifest_of_file("/nowhere/x.ndjson", 4096, &m, &error), ==,
              MS_ENOENT);
    CHECK_STR(error.text,
              "cannot open '/nowhere/x.ndjson': No such file or directory");
}

static TEST(test_folder_and_fifo_are_no_sources)
{
    struct ms_manifest m;
    char *fifo = ms_xasprintf("%s/fifo", ms_test_dir());

    CHECK_INT(ms_manifest_of_file(ms_test_dir(), 4096, &m, &error), ==,
              MS_EINVAL);
    CHECK_CONTAINS(error.text, "is not a regular file");
    CHECK_INT(mkfifo(fifo, 0600), ==, 0);
    CHECK_INT(ms_manifest_of_file(fifo, 4096, &m, &error), ==, MS_EINVAL);
    free(fifo);
}

static TEST(test_chunk_size_below_one_is_refused)
{
    struct ms_manifest m;

    CHECK_INT(ms_manifest_of_file("/etc/passwd", 0, &m, NULL), ==, MS_EINVAL);
}

static TEST(test_unchanged_source_is_the_same)
{
    struct ms_manifest m, again;
    char *path = a_file(&m);
    int fd = -1;

    CHECK_INT(ms_manifest_of_file(path, 4096, &again, NULL), ==, MS_OK);
    CHECK_INT(ms_manifest_compare(&m, &again, NULL), ==, MS_OK);
    CHECK_INT(ms_manifest_open(&m, &fd, NULL), ==, MS_OK);
    CHECK_INT(ms_manifest_check(&m, fd, NULL), ==, MS_OK);
    close(fd);
    ms_manifest_done(&again);
    ms_manifest_done(&m);
    free(path);
}

/* Same size, but written to: the bytes may be others. */
static TEST(test_other_time_is_a_change)
{
    struct ms_manifest m, now;
    char *path = a_file(&m);
    int fd = -1;

    touch(path, m.mtime_ns + 1);
    CHECK_INT(ms_manifest_open(&m, &fd, &error), ==, MS_ESTALE);
    CHECK_CONTAINS(error.text, "the source changed");
    CHECK_INT(ms_manifest_of_file(path, 4096, &now, NULL), ==, MS_OK);
    CHECK_INT(ms_manifest_compare(&m, &now, NULL), ==, MS_ESTALE);
    ms_manifest_done(&now);
    ms_manifest_done(&m);
    free(path);
}

static TEST(test_other_size_is_a_change)
{
    struct ms_manifest m;
    char *path = a_file(&m);
    int fd = -1;

    CHECK_INT(truncate(path, 5), ==, 0);
    touch(path, m.mtime_ns);
    CHECK_INT(ms_manifest_open(&m, &fd, &error), ==, MS_ESTALE);
    CHECK_CONTAINS(error.text, "5 bytes, not 3");
    ms_manifest_done(&m);
    free(path);
}

static TEST(test_change_of_an_open_source_is_seen)
{
    struct ms_manifest m;
    char *path = a_file(&m);
    int fd = -1;

    CHECK_INT(ms_manifest_open(&m, &fd, NULL), ==, MS_OK);
    CHECK_INT(truncate(path, 2), ==, 0);
    CHECK_INT(ms_manifest_check(&m, fd, NULL), ==, MS_ESTALE);
    close(fd);
    ms_manifest_done(&m);
    free(path);
}

/* Behind our descriptor a replaced or deleted file stays as it was. */
static TEST(test_replaced_and_deleted_source_is_seen)
{
    struct ms_manifest m;
    char *path = a_file(&m), *other = ms_test_file("other", "xy", 2);
    int fd = -1;

    CHECK_INT(ms_manifest_open(&m, &fd, NULL), ==, MS_OK);
    CHECK_INT(rename(other, path), ==, 0);
    CHECK_INT(ms_manifest_check(&m, fd, NULL), ==, MS_ESTALE);
    CHECK_INT(unlink(path), ==, 0);
    CHECK_INT(ms_manifest_check(&m, fd, &error), ==, MS_ESTALE);
    CHECK_CONTAINS(error.text, "No such file");
    CHECK_INT(ms_manifest_open(&m, &fd, NULL), ==, MS_ENOENT);
    close(fd);
    ms_manifest_done(&m);
    free(path);
    free(other);
}

static TEST(test_manifest_survives_msgpack)
{
    struct ms_manifest m = {.path = ms_xstrdup("/a b/\xC3\xA4"),
                            .size = (int64_t)1 << 50,
                            .mtime_ns = -5,
                            .chunk_size = 4096},
                       back;
    struct ms_buf buf = MS_BUF_INIT;
    struct ms_val val;
    msgpack_packer pk;

    msgpack_packer_init(&pk, &buf, write_to_buf);
    ms_manifest_pack(&m, &pk);
    CHECK_INT(ms_val_from_msgpack(buf.data, buf.len, &val, NULL), ==, MS_OK);
    CHECK_INT(ms_manifest_unpack(&val.root, &back, NULL), ==, MS_OK);
    CHECK_STR(back.path, m.path);
    CHECK_INT(back.size, ==, m.size);
    CHECK_INT(back.mtime_ns, ==, m.mtime_ns);
    CHECK_INT(back.chunk_size, ==, m.chunk_size);
    ms_manifest_done(&back);
    ms_manifest_done(&m);
    ms_val_done(&val);
    ms_buf_done(&buf);
}

static TEST(test_what_is_no_manifest_is_an_error)
{
    static const char *const texts[] = {
        "{}",
        "[]",
        "{\"path\":1,\"size\":1,\"mtime_ns\":1,\"chunk_size\":1}",
        "{\"path\":\"x\",\"size\":-1,\"mtime_ns\":1,\"chunk_size\":1}",
        "{\"path\":\"x\",\"size\":1,\"chunk_size\":1}",
        "{\"path\":\"x\",\"size\":1,\"mtime_ns\":1,\"chunk_size\":0}"};
    struct ms_manifest m;
    size_t i;

    for (i = 0; i < MS_COUNT_OF(texts); i++) {
        struct ms_val val;

        CHECK_INT(ms_val_from_json(texts[i], strlen(texts[i]), &val, NULL), ==,
                  MS_OK);
        CHECK_INT(ms_manifest_unpack(&val.root, &m, NULL), ==, MS_EPROTO);
        ms_val_done(&val);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_manifest_tells_size_and_time),
        RUN(test_missing_file_is_an_error_that_names_it),
        RUN(test_folder_and_fifo_are_no_sources),
        RUN(test_chunk_size_below_one_is_refused),
        RUN(test_unchanged_source_is_the_same),
        RUN(test_other_time_is_a_change),
        RUN(test_other_size_is_a_change),
        RUN(test_change_of_an_open_source_is_seen),
        RUN(test_replaced_and_deleted_source_is_seen),
        RUN(test_manifest_survives_msgpack),
        RUN(test_what_is_no_manifest_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
