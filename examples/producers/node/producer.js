#!/usr/bin/env node
// A producer for muster in plain Node: producer.js REDIS_URL FLEET QUEUE.
'use strict';
const net = require('net');
const { randomUUID } = require('crypto');

// Redis starts, fails over or is busy: the same call may pass in a moment.
const PASSING = /^(LOADING|READONLY|MASTERDOWN|BUSY|TRYAGAIN)/;
const PAUSES_MS = [50, 200, 1000, 3000, 10000, 10000];
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

class Refused extends Error {} // Redis or muster said no, and would again

class Muster {
  constructor(url, fleet, queue) {
    this.url = new URL(url);
    this.key = `ms:{${fleet}/${queue}}:cfg`;
  }

  async connect() {
    const { protocol, hostname, port, pathname } = this.url;
    const where = protocol === 'unix:' ? { path: decodeURI(pathname) }
      : { host: hostname.replace(/[[\]]/g, ''), port: Number(port) || 6379 };
    const socket = net.connect(where);
    socket.on('error', () => socket.destroy());
    socket.setTimeout(5000, () => socket.destroy());
    this.socket = socket;
    if (this.url.password) {
      const secret = decodeURIComponent(this.url.password);
      await this.call('AUTH', this.url.username || 'default', secret);
    }
    if (protocol !== 'unix:' && pathname.length > 1)
      await this.call('SELECT', pathname.slice(1));
  }

  // One call at a time; resolves to the answer's text.
  call(...words) {
    const { socket } = this;
    let seen = Buffer.alloc(0);
    socket.write(`*${words.length}\r\n` + words.map((word) =>
      `$${Buffer.byteLength(String(word))}\r\n${word}\r\n`).join(''));
    return new Promise((resolve, reject) => {
      socket.removeAllListeners('data').removeAllListeners('close');
      socket.on('close', () => reject(new Error('the connection broke')));
      socket.on('data', (bytes) => {
        seen = Buffer.concat([seen, bytes]);
        const end = seen.indexOf('\r\n');
        if (end < 0) return;
        const line = seen.toString('utf8', 1, end);
        const size = Number(line);
        if (seen[0] === 0x2d)
          reject(PASSING.test(line) ? new Error(line) : new Refused(line));
        else if (seen[0] !== 0x24) resolve(line);
        else if (seen.length >= end + size + 4)
          resolve(seen.toString('utf8', end + 2, end + 2 + size));
      });
    });
  }

  async enqueue(kind, payload, options = {}) {
    // Whether a call that broke has arrived nobody knows.  Its token makes the
    // next try give the first one's answer, and no second job.
    const words = ['FCALL', 'muster_enqueue', 1, this.key, kind,
      JSON.stringify(payload),
      ...Object.entries({ token: randomUUID(), ...options }).flat()];
    for (let tries = 0; ; tries++) {
      try {
        if (!this.socket || this.socket.destroyed) await this.connect();
        return JSON.parse(await this.call(...words));
      } catch (why) {
        if (why instanceof Refused || tries === PAUSES_MS.length) throw why;
        this.socket?.destroy();
        await sleep(PAUSES_MS[tries]);
      }
    }
  }
}

async function main() {
  const muster = new Muster(...process.argv.slice(2, 5));
  const echo = (payload, options) =>
    muster.enqueue('noop.echo', payload, options);
  const show = (answer) => console.log(JSON.stringify(answer));
  show(await echo({ to: 7 }));
  show(await echo(['first'], { priority: 0, group: 'tenant-1' }));
  show(await echo('later', { delay_ms: 200 }));
  show(await echo({ invoice: 4711 }, { id: 'invoice:4711' }));
  show(await echo({}, { unique: 'report', delay_ms: 500 }));
  show(await echo({}, { unique: 'report' })); // deduplicated
  await echo({}, { priority: 10 }).catch((why) =>
    console.error('refused:', why.message));
  muster.socket.destroy();
}

main().catch((why) => {
  console.error(why.message);
  process.exitCode = 1;
});
