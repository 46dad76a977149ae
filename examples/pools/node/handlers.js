// Handlers of the kinds js.*, one for each way in which a job can go:
//
//     pools:
//       - { kinds: ["js."], argv: [node, examples/pools/node/handlers.js] }
"use strict";
const muster = require("./muster");

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

muster.serve({
  "js.hello": (job) => {
    console.log("greeting", job.payload.name); // into the worker's log
    return { hello: job.payload.name, attempt: job.attempt };
  },

  "js.fail": () => {
    throw new Error("this never works");
  },

  "js.refuse": () => {
    throw new muster.Dead("no such customer");
  },

  "js.busy": () => {
    throw new muster.Throttled("429 from the API", 30);
  },

  // Counts up to payload.to.  A first attempt may stop at fail_at: the next
  // one goes on where the cursor stands.
  "js.count": async (job) => {
    const start = job.cursor || 0;
    for (let n = start + 1; n <= job.payload.to; n++) {
      await sleep(job.payload.pause_ms || 0);
      job.progress(n / job.payload.to, n);
      if (n === job.payload.fail_at) throw new Error("stopped at " + n);
    }
    return { from: start, to: job.payload.to };
  },
});
