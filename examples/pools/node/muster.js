// The program's side of a muster pool: JSON lines on standard input and output.
//
//     const muster = require("./muster");
//     muster.serve({ "js.greet": async (job) => ({ hello: job.payload.name }) });
//
// What a handler returns (or its promise) is the job's result.  An exception
// fails the job, which runs again as its queue says; Dead ends it for good,
// Throttled says that the other side is busy.  A cancel is SIGTERM, which ends
// the program: process.on("SIGTERM", ...) where something is to be cleaned up.
// console.log() goes to standard error, and so into the worker's log.
// Node 12 or newer, no packages.
"use strict";
const fs = require("fs");
const readline = require("readline");

class Dead extends Error {}

class Throttled extends Error {
  constructor(message, retryAfter) {
    super(message);
    this.retryAfter = retryAfter; // seconds, if the other side named any
  }
}

console.log = console.info = console.debug = console.error;

// Whole, however little the pipe takes at a time.
function say(answer) {
  const bytes = Buffer.from(JSON.stringify(answer) + "\n");
  for (let at = 0; at < bytes.length; ) {
    try {
      at += fs.writeSync(1, bytes, at);
    } catch (error) {
      if (error.code !== "EAGAIN") throw error;
    }
  }
}

async function run(handlers, job) {
  try {
    if (!handlers[job.kind]) throw new Dead("no handler for " + job.kind);
    return { status: "ok", result: await handlers[job.kind](job) };
  } catch (error) {
    if (error instanceof Dead) return { status: "dead", message: error.message };
    if (error instanceof Throttled)
      return { status: "throttled", message: error.message,
               retry_after_s: error.retryAfter };
    console.error(error);
    return { status: "error", message: String(error) };
  }
}

async function serve(handlers) {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const job = JSON.parse(line);
    // part: 0 to 1.  cursor: where the next attempt is to begin.
    job.progress = (part, cursor) => say({ id: job.id, progress: part, cursor });
    say({ id: job.id, ...(await run(handlers, job)) });
  }
}

module.exports = { serve, Dead, Throttled };
