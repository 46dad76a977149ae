/* What commands read of a fleet, also when others have written nonsense. */
#include "ctl/cancel.h"
#include "ctl/enqueue_one.h"
#include "ctl/kinds.h"
#include "ctl/view.h"
#include "tests/ctl/client_fixture.h"

#include <stdlib.h>

struct fix {
    struct ms_conf conf;
    struct ms_client *client;
    struct ms_buf out;
    struct ms_json json;
};

static void fix_open(struct fix *fix, struct ms_core *core)
{
    fix->conf = client_conf(core);
    fix->client = client_open(&fix->conf);
    fix->out = (struct ms_buf)MS_BUF_INIT;
    fix->json = ms_json_on(&fix->out);
}

static void fix_close(struct fix *fix)
{
    ms_client_close(fix->client);
    ms_buf_done(&fix->out);
}

static TEST(test_queue_names_are_sorted)
{
    struct ms_core *core = *state;
    struct ms_names names = {0};
    struct fix fix;

    fix_open(&fix, core);
    CHECK_INT(ms_view_queue_names(fix.client, &names, NULL), ==, MS_OK);
    CHECK_INT(names.n, ==, 0);
    ms_names_done(&names);
    ms_test_text(core->redis, "SADD " F("queues") " mail b a-1 a");
    CHECK_INT(ms_view_queue_names(fix.client, &names, NULL), ==, MS_OK);
    CHECK_INT(names.n, ==, 4);
    CHECK_STR(names.items[0], "a");
    CHECK_STR(names.items[1], "a-1");
    CHECK_STR(names.items[3], "mail");
    CHECK(ms_names_has(&names, "b"));
    CHECK(!ms_names_has(&names, "c"));
    ms_names_done(&names);
    fix_close(&fix);
    ms_test_text(core->redis, "DEL " F("queues"));
}

/* More queues than are asked for at once. */
static TEST(test_hundreds_of_queues_are_read_in_slices)
{
    struct ms_core *core = *state;
    struct ms_names names = {0};
    struct ms_val val;
    struct fix fix;

    fix_open(&fix, core);
    for (int i = 0; i < 250; i++)
        ms_test_text(core->redis, "SADD " F("queues") " q%03d", i);
    CHECK_INT(ms_view_queue_names(fix.client, &names, NULL), ==, MS_OK);
    ms_json_open(&fix.json, '[');
    CHECK_INT(ms_view_queues(fix.client, &names, &fix.json, NULL), ==, MS_OK);
    ms_json_close(&fix.json);
    CHECK_INT(ms_val_from_json(fix.out.data, fix.out.len, &val, NULL), ==,
              MS_OK);
    CHECK_INT(val.root.via.array.size, ==, 250);
    CHECK(ms_val_is_str(ms_val_get(&val.root.via.array.ptr[249], "name"),
                        "q249"));
    CHECK_INT(ms_val_int(&val.root.via.array.ptr[9], "max_workers", 0), ==, 1);
    ms_val_done(&val);
    ms_names_done(&names);
    fix_close(&fix);
    ms_test_text(core->redis, "DEL " F("queues"));
}

static void pod(struct ms_core *core, const char *id, int64_t ms_ago)
{
    ms_test_text(core->redis, "ZADD " F("pods") " %lld %s",
                 (long long)(ms_core_now(core) - ms_ago), id);
}

/* A record that has expired, one that was written by hand, one too old. */
static TEST(test_pods_with_broken_records_break_nothing)
{
    struct ms_core *core = *state;
    struct fix fix;

    fix_open(&fix, core);
    pod(core, "expired", 0);
    pod(core, "odd", 0);
    pod(core, "old", 31000);
    ms_test_text(core->redis, "HSET " F("pod:odd") " slots [1, pid x queues "
                                                   ",,a,,b, busy -");
    ms_test_text(core->redis, "HSET " F("pod:old") " pid 5");
    ms_json_open(&fix.json, '[');
    CHECK_INT(ms_view_pods(fix.client, NULL, &fix.json, NULL), ==, MS_OK);
    ms_json_close(&fix.json);
    CHECK_CONTAINS(ms_buf_str(&fix.out), "[{\"id\":\"odd\"");
    CHECK_CONTAINS(ms_buf_str(&fix.out), "\"queues\":[\"a\",\"b\"]");
    CHECK_CONTAINS(ms_buf_str(&fix.out), "\"slots\":null");
    CHECK_CONTAINS(ms_buf_str(&fix.out), "\"host\":null");
    CHECK(strstr(ms_buf_str(&fix.out), "expired") == NULL);
    CHECK(strstr(ms_buf_str(&fix.out), "old") == NULL);
    fix_close(&fix);
    ms_test_text(core->redis,
                 "DEL " F("pods") " " F("pod:odd") " " F("pod:old"));
}

static TEST(test_no_leader_is_null)
{
    struct ms_core *core = *state;
    struct fix fix;

    fix_open(&fix, core);
    CHECK_INT(ms_view_leader(fix.client, &fix.json, NULL), ==, MS_OK);
    CHECK_STR(ms_buf_str(&fix.out), "null");
    fix_close(&fix);
}

static TEST(test_a_job_is_found_in_its_queue)
{
    struct ms_core *core = *state;
    char *queue = NULL;
    struct ms_error error = {""};
    struct fix fix;

    fix_open(&fix, core);
    ENQUEUE(core, .id = "a", .own_id = true);
    ms_test_text(core->redis, "SADD " F("queues") " o p q r");
    CHECK_INT(ms_view_find_job(fix.client, NULL, "a", &queue, NULL), ==, MS_OK);
    CHECK_STR(queue, "q");
    free(queue);
    queue = NULL;
    CHECK_INT(ms_view_find_job(fix.client, NULL, "b", &queue, &error), ==,
              MS_ENOENT);
    CHECK_CONTAINS(error.text, "no job 'b'");
    CHECK_INT(ms_view_find_job(fix.client, NULL, "a*", &queue, NULL), ==,
              MS_EINVAL);
    CHECK_INT(ms_view_find_job(fix.client, "bad{", "a", &queue, NULL), ==,
              MS_EINVAL);
    CHECK(queue == NULL);
    fix_close(&fix);
    ms_test_text(core->redis, "DEL " F("queues"));
}

static TEST(test_a_record_that_is_no_job_is_an_error)
{
    struct ms_core *core = *state;
    struct ms_job *job = NULL;
    struct fix fix;

    fix_open(&fix, core);
    ms_test_text(core->redis, "HSET " K("job:odd") " colour red");
    CHECK_INT(ms_view_job(fix.client, "q", "odd", &job, NULL), ==, MS_EPROTO);
    CHECK_INT(ms_view_job(fix.client, "q", "none", &job, NULL), ==, MS_ENOENT);
    ms_test_text(core->redis, "DEL " K("job:odd"));
    ms_test_text(core->redis, "SET " K("job:odd") " text");
    CHECK_INT(ms_view_job(fix.client, "q", "odd", &job, NULL), ==, MS_ESCRIPT);
    ms_test_text(core->redis, "DEL " K("job:odd"));
    CHECK(job == NULL);
    fix_close(&fix);
}

/* A message is for those that live; one that is gone costs nothing. */
static TEST(test_only_live_pods_are_told)
{
    struct ms_core *core = *state;
    struct fix fix;

    fix_open(&fix, core);
    ms_test_text(core->redis, "ZADD " F("members:q") " %lld live %lld gone",
                 (long long)ms_core_now(core), (long long)ms_core_now(core));
    ms_test_text(core->redis, "HSET " F("pod:live") " pid 5");
    CHECK_INT(ms_view_tell_queue(fix.client, "q", "queue q", NULL), ==, MS_OK);
    CHECK_STR(ms_test_text(core->redis, "LPOP " F("pod:live:inbox")),
              "queue q");
    CHECK_INT(ms_test_num(core->redis, "EXISTS " F("pod:gone:inbox")), ==, 0);
    fix_close(&fix);
    ms_test_text(core->redis, "DEL " F("members:q") " " F("pod:live"));
}

static TEST(test_one_job_is_enqueued_and_its_queue_known)
{
    struct ms_core *core = *state;
    struct ms_new_job job = NEW_JOB(.id = "mine", .own_id = true);
    struct ms_enqueued done;
    struct ms_error error = {""};
    struct fix fix;

    fix_open(&fix, core);
    CHECK_INT(ms_enqueue_one(fix.client, "q", &job, 100, &done, NULL), ==,
              MS_OK);
    CHECK_STR(done.id, "mine");
    CHECK(!done.deduplicated);
    CHECK_INT(ms_test_num(core->redis, "SISMEMBER " F("queues") " q"), ==, 1);
    CHECK_INT(ms_enqueue_one(fix.client, "q", &job, 100, &done, NULL), ==,
              MS_OK);
    CHECK(done.deduplicated);
    CHECK_STR(done.id, "mine");
    job.kind = "bad kind";
    CHECK_INT(ms_enqueue_one(fix.client, "q", &job, 100, &done, &error), ==,
              MS_EINVAL);
    CHECK_CONTAINS(error.text, "bad kind");
    fix_close(&fix);
    ms_test_text(core->redis, "DEL " F("queues"));
}

static TEST(test_a_full_inbox_does_not_fail_a_cancel)
{
    struct ms_core *core = *state;
    enum ms_cancel_result result = MS_CANCEL_UNKNOWN;
    struct fix fix;

    fix_open(&fix, core);
    ENQUEUE(core, .id = "a", .own_id = true);
    ms_core_claim_one(core, "p", "a");
    ms_test_text(core->redis, "HSET " F("pod:p") " pid 5");
    for (int i = 0; i < MS_POD_INBOX_MAX; i++)
        ms_test_text(core->redis, "RPUSH " F("pod:p:inbox") " slots");
    CHECK_INT(ms_cancel_job(fix.client, "q", "a", &result, NULL), ==, MS_OK);
    CHECK_INT(result, ==, MS_CANCEL_REQUESTED);
    CHECK_INT(ms_test_num(core->redis, "LLEN " F("pod:p:inbox")), ==,
              MS_POD_INBOX_MAX);
    fix_close(&fix);
    ms_test_text(core->redis, "DEL " F("pod:p") " " F("pod:p:inbox"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE(test_queue_names_are_sorted),
        CORE(test_hundreds_of_queues_are_read_in_slices),
        CORE(test_pods_with_broken_records_break_nothing),
        CORE(test_no_leader_is_null),
        CORE(test_a_job_is_found_in_its_queue),
        CORE(test_a_record_that_is_no_job_is_an_error),
        CORE(test_only_live_pods_are_told),
        CORE(test_one_job_is_enqueued_and_its_queue_known),
        CORE(test_a_full_inbox_does_not_fail_a_cancel),
    };

    return RUN_CORE(tests);
}
