#include "worker/lane.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/mem.h"

/* A cell is the job's number and, in its low bits, its state. */
enum { POSTED = 0, BEGUN = 1, REVOKED = 2, STATE_BITS = 2 };

struct ms_lane_page {
    _Atomic uint64_t cells[MS_LANE_CELLS];
    _Atomic int32_t program;
    _Atomic int32_t standing[MS_LANE_STANDING];
};

static enum ms_err lane_map(int fd, struct ms_lane_page **out_page,
                            struct ms_error *error)
{
    void *page = mmap(NULL, sizeof(**out_page), PROT_READ | PROT_WRITE,
                      MAP_SHARED, fd, 0);

    if (page == MAP_FAILED)
        return ms_error_set(error, MS_EIO, "cannot map the lane: %s",
                            strerror(errno));
    *out_page = page;
    return MS_OK;
}

enum ms_err ms_lane_new(struct ms_lane *out_lane, struct ms_error *error)
{
    struct ms_lane lane = {NULL, memfd_create("muster-lane", MFD_CLOEXEC)};
    enum ms_err err = MS_EIO;

    if (lane.fd < 0 || ftruncate(lane.fd, sizeof(*lane.page)) != 0)
        ms_error_set(error, err, "cannot make a lane: %s", strerror(errno));
    else
        err = lane_map(lane.fd, &lane.page, error);
    if (err == MS_OK)
        *out_lane = lane;
    else
        ms_lane_done(&lane);
    return err;
}

enum ms_err ms_lane_map(int fd, struct ms_lane *out_lane,
                        struct ms_error *error)
{
    struct ms_lane lane = {NULL, -1};
    enum ms_err err = lane_map(fd, &lane.page, error);

    /* A handler that writes to stray descriptors cannot shrink the file under
     * its parent's feet. */
    close(fd);
    if (err == MS_OK)
        *out_lane = lane;
    return err;
}

void ms_lane_done(struct ms_lane *lane)
{
    if (lane->page != NULL)
        munmap(lane->page, sizeof(*lane->page));
    if (lane->fd >= 0)
        close(lane->fd);
    lane->page = NULL;
    lane->fd = -1;
}

static _Atomic uint64_t *cell_of(const struct ms_lane *lane, uint64_t number)
{
    return &lane->page->cells[number % MS_LANE_CELLS];
}

static bool advance(struct ms_lane *lane, uint64_t number, uint64_t state)
{
    uint64_t posted = number << STATE_BITS | POSTED;

    return atomic_compare_exchange_strong(cell_of(lane, number), &posted,
                                          number << STATE_BITS | state);
}

void ms_lane_post(struct ms_lane *lane, uint64_t number)
{
    atomic_store(cell_of(lane, number), number << STATE_BITS | POSTED);
}

bool ms_lane_revoke(struct ms_lane *lane, uint64_t number)
{
    return advance(lane, number, REVOKED);
}

bool ms_lane_begin(struct ms_lane *lane, uint64_t number)
{
    return advance(lane, number, BEGUN);
}

bool ms_lane_has_begun(const struct ms_lane *lane, uint64_t number)
{
    return atomic_load(cell_of(lane, number)) == (number << STATE_BITS | BEGUN);
}

void ms_lane_set_program(struct ms_lane *lane, pid_t group)
{
    atomic_store(&lane->page->program, group);
}

pid_t ms_lane_program(const struct ms_lane *lane)
{
    return lane->page == NULL ? 0 : atomic_load(&lane->page->program);
}

/* The child may write anything here: 0, 1 and -1 would mean ourselves, or
 * everybody. */
static void kill_group(pid_t group, int signal)
{
    if (group > 1)
        kill(-group, signal);
}

void ms_lane_kill_program(const struct ms_lane *lane, int signal)
{
    kill_group(ms_lane_program(lane), signal);
}

void ms_lane_set_standing(struct ms_lane *lane, int place, pid_t group)
{
    ms_assert(place >= 0 && place < MS_LANE_STANDING);
    atomic_store(&lane->page->standing[place], group);
}

void ms_lane_kill_all(const struct ms_lane *lane)
{
    if (lane->page == NULL)
        return;
    ms_lane_kill_program(lane, SIGKILL);
    for (int i = 0; i < MS_LANE_STANDING; i++)
        kill_group(atomic_load(&lane->page->standing[i]), SIGKILL);
}
