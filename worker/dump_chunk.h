/*
 * dump_chunk: the handler of "dump.chunk": reads one chunk of a source, judges
 * its lines, and writes the documents to a dataset in Redis.
 *
 * It reads on while steps are under way (dump_writer has them), and moves the
 * job's cursor after each step that was acknowledged, in order.  Whatever goes
 * wrong between it and Redis has one remedy: forget what was not acknowledged,
 * wait, and read it again from there.  Upserts under the same fence may be
 * repeated.
 *
 *              .----- room, and not at the end -----.
 *              v                                    |
 *     (start) READ --step full--> SEND --> WAIT --acked--> CHECKPOINT
 *              ^                            |
 *              '--- rewind <-- down, full, moved
 *
 * Ends: DONE; RELEASED (drain; the source is not as the manifest has it);
 * CANCELLED (cancelled, lease lost, fence refused); DEAD (payload is wrong, the
 * dataset is gone); FAILED (what Redis says is our mistake).
 */
#pragma once

#include "worker/handler.h"

enum ms_outcome ms_handle_dump_chunk(struct ms_ctx *ctx);
