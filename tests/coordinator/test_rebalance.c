/* The arithmetic of shares: examples by hand, then properties of many random
 * fleets. */
#include <stdlib.h>

#include "coordinator/rebalance.h"
#include "tests/support/support.h"

#define MANY 8

/* A fleet small enough to look at, with room to join. */
struct fleet {
    struct ms_rebalance in;
    int64_t max_workers[MANY], concurrency[MANY];
    bool declared[MANY * MANY];
    int64_t current[MANY * MANY], slots[MANY * MANY];
};

static void fleet_init(struct fleet *fleet, size_t n_queues, size_t n_pods)
{
    memset(fleet, 0, sizeof(*fleet));
    fleet->in = (struct ms_rebalance){.n_queues = n_queues,
                                      .n_pods = n_pods,
                                      .max_workers = fleet->max_workers,
                                      .concurrency = fleet->concurrency,
                                      .declared = fleet->declared,
                                      .current = fleet->current};
    for (size_t i = 0; i < MANY * MANY; i++) {
        fleet->declared[i] = true;
        fleet->current[i] = -1;
    }
    for (size_t p = 0; p < MANY; p++)
        fleet->concurrency[p] = 8;
}

/* Returns how many queues got nothing. */
static size_t share(struct fleet *fleet)
{
    return ms_rebalance(&fleet->in, fleet->slots);
}

/* The answer becomes what is assigned. */
static void adopt(struct fleet *fleet)
{
    memcpy(fleet->current, fleet->slots, sizeof(fleet->slots));
}

static int64_t slots(const struct fleet *fleet, size_t queue, size_t pod)
{
    return fleet->slots[queue * fleet->in.n_pods + pod];
}

static void check_row(const struct fleet *fleet, size_t queue, int64_t a,
                      int64_t b, int64_t c, int64_t d)
{
    const int64_t want[] = {a, b, c, d};

    for (size_t p = 0; p < fleet->in.n_pods; p++)
        CHECK_INT(slots(fleet, queue, p), ==, want[p]);
}

static TEST(test_remainder_goes_to_the_lowest_ids)
{
    struct fleet fleet;

    fleet_init(&fleet, 1, 4);
    fleet.max_workers[0] = 10;
    share(&fleet);
    check_row(&fleet, 0, 3, 3, 2, 2);
}

static TEST(test_fewer_workers_than_pods_leave_some_without)
{
    struct fleet fleet;

    fleet_init(&fleet, 1, 4);
    fleet.max_workers[0] = 2;
    share(&fleet);
    check_row(&fleet, 0, 1, 1, 0, 0);
}

static TEST(test_a_small_pod_leaves_its_part_to_the_others)
{
    struct fleet fleet;

    fleet_init(&fleet, 1, 3);
    fleet.max_workers[0] = 12;
    fleet.concurrency[1] = 1;
    share(&fleet);
    check_row(&fleet, 0, 6, 1, 5, 0);
}

static TEST(test_no_pod_gets_more_than_64_of_a_queue)
{
    struct fleet fleet;

    fleet_init(&fleet, 1, 2);
    fleet.max_workers[0] = 500;
    fleet.concurrency[0] = fleet.concurrency[1] = 200;
    share(&fleet);
    check_row(&fleet, 0, 64, 64, 0, 0);
}

static TEST(test_a_pod_that_did_not_declare_gets_nothing)
{
    struct fleet fleet;

    fleet_init(&fleet, 2, 3);
    fleet.max_workers[0] = 4;
    fleet.max_workers[1] = 4;
    fleet.declared[0 * 3 + 0] = false;
    share(&fleet);
    check_row(&fleet, 0, 0, 2, 2, 0);
    check_row(&fleet, 1, 2, 1, 1, 0);
}

static TEST(test_queues_take_turns_where_slots_are_scarce)
{
    struct fleet fleet;

    fleet_init(&fleet, 2, 1);
    fleet.max_workers[0] = 100;
    fleet.max_workers[1] = 4;
    share(&fleet);
    check_row(&fleet, 0, 4, 0, 0, 0);
    check_row(&fleet, 1, 4, 0, 0, 0);
}

/* Four queues, one of them not served at all, and two slots for the others. */
static void fleet_init_short(struct fleet *fleet)
{
    fleet_init(fleet, 5, 1);
    fleet->concurrency[0] = 2;
    for (size_t q = 0; q < 5; q++)
        fleet->max_workers[q] = 4;
    fleet->declared[1] = false;
}

/* Else a queue whose name comes late would wait for ever beside idle slots. */
static TEST(test_every_queue_has_its_turn_where_slots_are_fewer_than_queues)
{
    int64_t had[5] = {0};
    struct fleet fleet;

    fleet_init_short(&fleet);
    for (fleet.in.turn = 7; fleet.in.turn < 7 + 4; fleet.in.turn++) {
        CHECK_INT(share(&fleet), ==, 2);
        for (size_t q = 0; q < 5; q++)
            had[q] += slots(&fleet, q, 0);
        adopt(&fleet);
    }
    for (size_t q = 0; q < 5; q++)
        CHECK_INT(had[q], ==, q == 1 ? 0 : 2);
}

static TEST(test_a_turn_moves_one_slot)
{
    struct fleet fleet;
    int64_t kept = 0;

    fleet_init_short(&fleet);
    share(&fleet);
    adopt(&fleet);
    fleet.in.turn++;
    share(&fleet);
    for (size_t q = 0; q < 5; q++)
        kept += slots(&fleet, q, 0) > 0 && fleet.current[q] > 0;
    CHECK_INT(kept, ==, 1);
}

static TEST(test_queues_that_run_nothing_are_not_counted_as_empty)
{
    struct fleet fleet;

    fleet_init(&fleet, 3, 1);
    fleet.max_workers[0] = 1;
    fleet.max_workers[2] = 1;
    fleet.declared[2] = false;
    CHECK_INT(share(&fleet), ==, 0);
}

/* Queue 1 can only live on pod 0, so queue 0 has to make room there although
 * it came first. */
static TEST(test_a_queue_gives_way_to_one_that_cannot_go_elsewhere)
{
    struct fleet fleet;

    fleet_init(&fleet, 2, 2);
    fleet.concurrency[0] = fleet.concurrency[1] = 2;
    fleet.max_workers[0] = 2;
    fleet.max_workers[1] = 2;
    fleet.declared[1 * 2 + 1] = false;
    share(&fleet);
    check_row(&fleet, 0, 0, 2, 0, 0);
    check_row(&fleet, 1, 2, 0, 0, 0);
}

static TEST(test_nothing_to_share_is_fine)
{
    struct fleet fleet;

    fleet_init(&fleet, 0, 3);
    share(&fleet);
    fleet_init(&fleet, 3, 0);
    share(&fleet);
    fleet_init(&fleet, 1, 2);
    share(&fleet);
    check_row(&fleet, 0, 0, 0, 0, 0);
}

/* A joining pod without work of others must not be left out just because all
 * slots have a place already. */
static TEST(test_a_joining_pod_takes_its_part_under_scarcity)
{
    struct fleet fleet;

    fleet_init(&fleet, 3, 2);
    fleet.max_workers[0] = fleet.max_workers[1] = fleet.max_workers[2] = 4;
    fleet.concurrency[0] = 4;
    share(&fleet);
    CHECK_INT(slots(&fleet, 0, 0) + slots(&fleet, 0, 1), ==, 4);
    {
        struct fleet more;

        fleet_init(&more, 3, 3);
        memcpy(more.max_workers, fleet.max_workers, sizeof(more.max_workers));
        more.concurrency[0] = 4;
        for (size_t q = 0; q < 3; q++)
            for (size_t p = 0; p < 2; p++)
                more.current[q * 3 + p] = slots(&fleet, q, p);
        share(&more);
        for (size_t q = 0; q < 3; q++)
            CHECK_INT(slots(&more, q, 2), >=, 1);
    }
}

/* ---- properties ---- */

static int64_t below(unsigned short seed[3], int64_t n)
{
    return (int64_t)(erand48(seed) * (double)n);
}

static void fleet_random(struct fleet *fleet, unsigned short seed[3],
                         int64_t concurrency)
{
    fleet_init(fleet, (size_t)(1 + below(seed, 5)),
               (size_t)(1 + below(seed, 6)));
    for (size_t q = 0; q < MANY; q++)
        fleet->max_workers[q] = below(seed, 20);
    for (size_t p = 0; p < MANY; p++)
        fleet->concurrency[p] = 1 + below(seed, concurrency);
    for (size_t i = 0; i < MANY * MANY; i++) {
        fleet->declared[i] = below(seed, 4) > 0;
        fleet->current[i] = below(seed, 6) - 1; /* any nonsense */
    }
}

static int64_t queue_total(const struct fleet *fleet, size_t queue)
{
    int64_t total = 0;

    for (size_t p = 0; p < fleet->in.n_pods; p++)
        total += slots(fleet, queue, p);
    return total;
}

/* By the theorem of maximal flows and minimal cuts, tried over every subset of
 * queues: the check shares nothing with the code. */
static int64_t most_possible(const struct fleet *fleet)
{
    size_t n_queues = fleet->in.n_queues, n_pods = fleet->in.n_pods;
    int64_t best = INT64_MAX;

    for (unsigned set = 0; set < 1u << n_queues; set++) {
        int64_t cut = 0;

        for (size_t q = 0; q < n_queues; q++)
            cut += (set >> q & 1) ? 0 : fleet->max_workers[q];
        for (size_t p = 0; p < n_pods; p++) {
            int64_t in = 0;

            for (size_t q = 0; q < n_queues; q++)
                if ((set >> q & 1) && fleet->declared[q * n_pods + p])
                    in += MS_QUEUE_SLOTS_MAX;
            cut += in < fleet->concurrency[p] ? in : fleet->concurrency[p];
        }
        best = cut < best ? cut : best;
    }
    return best;
}

static void check_limits(const struct fleet *fleet)
{
    for (size_t q = 0; q < fleet->in.n_queues; q++)
        CHECK_INT(queue_total(fleet, q), <=, fleet->max_workers[q]);
    for (size_t p = 0; p < fleet->in.n_pods; p++) {
        int64_t used = 0;

        for (size_t q = 0; q < fleet->in.n_queues; q++) {
            CHECK_INT(slots(fleet, q, p), >=, 0);
            CHECK_INT(slots(fleet, q, p), <=, MS_QUEUE_SLOTS_MAX);
            if (!fleet->declared[q * fleet->in.n_pods + p])
                CHECK_INT(slots(fleet, q, p), ==, 0);
            used += slots(fleet, q, p);
        }
        CHECK_INT(used, <=, fleet->concurrency[p]);
    }
}

/* Where a slot could simply be moved to a pod that has two fewer of the queue,
 * the split was not fair. */
static void check_fair(const struct fleet *fleet)
{
    for (size_t q = 0; q < fleet->in.n_queues; q++)
        for (size_t p = 0; p < fleet->in.n_pods; p++) {
            int64_t used = 0;

            for (size_t i = 0; i < fleet->in.n_queues; i++)
                used += slots(fleet, i, p);
            if (used >= fleet->concurrency[p] ||
                !fleet->declared[q * fleet->in.n_pods + p])
                continue;
            for (size_t o = 0; o < fleet->in.n_pods; o++)
                CHECK_INT(slots(fleet, q, o), <=, slots(fleet, q, p) + 1);
        }
}

static TEST(test_random_fleets_keep_all_limits_and_waste_nothing)
{
    uint64_t start = ms_test_seed();
    unsigned short seed[3];

    memcpy(seed, &start, sizeof(seed));
    for (int i = 0; i < 3000; i++) {
        struct fleet fleet;
        int64_t total = 0;

        fleet_random(&fleet, seed, i % 2 == 0 ? 6 : 60);
        share(&fleet);
        check_limits(&fleet);
        check_fair(&fleet);
        for (size_t q = 0; q < fleet.in.n_queues; q++)
            total += queue_total(&fleet, q);
        CHECK_INT(total, ==, most_possible(&fleet));
    }
}

static TEST(test_sharing_again_changes_nothing)
{
    uint64_t start = ms_test_seed();
    unsigned short seed[3];

    memcpy(seed, &start, sizeof(seed));
    for (int i = 0; i < 3000; i++) {
        struct fleet fleet;

        fleet_random(&fleet, seed, i % 2 == 0 ? 6 : 60);
        share(&fleet);
        adopt(&fleet);
        share(&fleet);
        CHECK(memcmp(fleet.slots, fleet.current, sizeof(fleet.slots)) == 0);
    }
}

/* `more` is `fleet` with one pod added at `at`, everything else the same. */
static void fleet_join(const struct fleet *fleet, size_t at, struct fleet *more)
{
    size_t n = fleet->in.n_pods;

    fleet_init(more, fleet->in.n_queues, n + 1);
    memcpy(more->max_workers, fleet->max_workers, sizeof(more->max_workers));
    for (size_t p = 0, to = 0; p < n; p++, to++) {
        to += p == at;
        more->concurrency[to] = fleet->concurrency[p];
        for (size_t q = 0; q < fleet->in.n_queues; q++) {
            more->declared[q * (n + 1) + to] = fleet->declared[q * n + p];
            more->current[q * (n + 1) + to] = fleet->slots[q * n + p];
        }
    }
}

/* With room for all, a join only takes from the others, what the newcomer gets;
 * read backwards, a leave only gives. */
static TEST(test_a_join_or_leave_moves_no_slot_without_need)
{
    uint64_t start = ms_test_seed();
    unsigned short seed[3];

    memcpy(seed, &start, sizeof(seed));
    for (int i = 0; i < 2000; i++) {
        struct fleet fleet, more;
        size_t at;

        fleet_random(&fleet, seed, 2);
        for (size_t p = 0; p < MANY; p++)
            fleet.concurrency[p] = 200;
        share(&fleet);
        at = (size_t)below(seed, (int64_t)fleet.in.n_pods + 1);
        fleet_join(&fleet, at, &more);
        more.concurrency[at] = 200;
        share(&more);
        for (size_t q = 0; q < more.in.n_queues; q++)
            for (size_t p = 0; p < more.in.n_pods; p++)
                if (p != at && queue_total(&fleet, q) == queue_total(&more, q))
                    CHECK_INT(slots(&more, q, p), <=,
                              more.current[q * more.in.n_pods + p]);
    }
}

/* Under scarcity too: a newcomer that changes nothing for others (it declares
 * nothing) moves nothing. */
static TEST(test_a_stranger_moves_nothing)
{
    uint64_t start = ms_test_seed();
    unsigned short seed[3];

    memcpy(seed, &start, sizeof(seed));
    for (int i = 0; i < 1000; i++) {
        struct fleet fleet, more;
        size_t at;

        fleet_random(&fleet, seed, 6);
        share(&fleet);
        at = (size_t)below(seed, (int64_t)fleet.in.n_pods + 1);
        fleet_join(&fleet, at, &more);
        for (size_t q = 0; q < more.in.n_queues; q++)
            more.declared[q * more.in.n_pods + at] = false;
        share(&more);
        for (size_t q = 0; q < more.in.n_queues; q++)
            for (size_t p = 0; p < more.in.n_pods; p++)
                if (p != at)
                    CHECK_INT(slots(&more, q, p), ==,
                              more.current[q * more.in.n_pods + p]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(test_remainder_goes_to_the_lowest_ids),
        RUN(test_fewer_workers_than_pods_leave_some_without),
        RUN(test_a_small_pod_leaves_its_part_to_the_others),
        RUN(test_no_pod_gets_more_than_64_of_a_queue),
        RUN(test_a_pod_that_did_not_declare_gets_nothing),
        RUN(test_queues_take_turns_where_slots_are_scarce),
        RUN(test_every_queue_has_its_turn_where_slots_are_fewer_than_queues),
        RUN(test_a_turn_moves_one_slot),
        RUN(test_queues_that_run_nothing_are_not_counted_as_empty),
        RUN(test_a_queue_gives_way_to_one_that_cannot_go_elsewhere),
        RUN(test_nothing_to_share_is_fine),
        RUN(test_a_joining_pod_takes_its_part_under_scarcity),
        RUN(test_random_fleets_keep_all_limits_and_waste_nothing),
        RUN(test_sharing_again_changes_nothing),
        RUN(test_a_join_or_leave_moves_no_slot_without_need),
        RUN(test_a_stranger_moves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
