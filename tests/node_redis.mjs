// The few calls of ioredis and node-redis that the documents show, for tests without a registry:
// each sends its command to the server as it is, and resolves with the reply.
import net from "node:net";

class Wire {
  constructor(url) {
    const { hostname, port, username, password, pathname } = new URL(url);
    this.waiting = [];
    this.received = Buffer.alloc(0);
    this.socket = net.connect(Number(port || 6379), hostname);
    this.socket.on("data", (bytes) => this.receive(bytes));
    this.socket.on("error", (error) => this.waiting.splice(0).forEach(([, no]) => no(error)));
    if (password) this.send("AUTH", ...(username ? [username] : []), decodeURIComponent(password));
    this.send("SELECT", pathname.slice(1) || "0");
  }

  send(...words) {
    const parts = words.map((word) => `$${Buffer.byteLength(String(word))}\r\n${word}\r\n`);
    this.socket.write(`*${words.length}\r\n${parts.join("")}`);
    return new Promise((yes, no) => this.waiting.push([yes, no]));
  }

  receive(bytes) {
    this.received = Buffer.concat([this.received, bytes]);
    for (let end; (end = this.received.indexOf("\r\n")) >= 0; ) {
      const line = this.received.subarray(0, end).toString();
      let [value, next] = [line.slice(1), end + 2];
      if (line[0] === "$") {
        const length = Number(value);
        if (this.received.length < next + length + 2) return;
        value = this.received.subarray(next, next + length).toString();
        next += length + 2;
      }
      this.received = this.received.subarray(next);
      const [yes, no] = this.waiting.shift();
      line[0] === "-" ? no(new Error(value)) : yes(value);
    }
  }

  async end() {
    await this.send("PING");
    this.socket.end();
  }
}

export default class Redis {
  constructor(url) { this.wire = new Wire(url); }
  xadd(...words) { return this.wire.send("XADD", ...words); }
  rpush(...words) { return this.wire.send("RPUSH", ...words); }
  quit() { return this.wire.end(); }
}

export function createClient({ url }) {
  const client = {
    async connect() { client.wire = new Wire(url); return client; },
    xAdd(key, id, fields) { return client.wire.send("XADD", key, id, ...Object.entries(fields).flat()); },
    rPush(key, element) { return client.wire.send("RPUSH", key, element); },
    close() { return client.wire.end(); },
  };
  return client;
}
