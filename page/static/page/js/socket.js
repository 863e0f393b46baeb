// One WebSocket for all that is followed. It comes back by itself, and whoever follows is told, to read what was missed.

const PAUSES_MS = [0, 500, 1000, 2000, 4000, 8000];
const PING_MS = 15_000;
const SILENCE_MS = 10_000;

const ADDRESS = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/api/v1/ws`;

/** The connection that early.js began, once. @returns {WebSocket | null} */
function begun() {
  const { early } = /** @type {any} */ (window);
  const socket = early?.socket;
  if (early) early.socket = null;
  return socket && socket.readyState <= WebSocket.OPEN ? socket : null;
}

/**
 * @typedef {(event: string, data: any) => void} Listener
 * @typedef {"connecting" | "live" | "waiting"} State
 */

export class Socket extends EventTarget {
  /** @type {State} */ state = "connecting";
  /** @type {WebSocket | null} */ #socket = null;
  /** @type {Map<string, Listener>} */ #listeners = new Map();
  /** @type {Map<number, { done: (answer: any) => void, failed: (error: any) => void }>} */ #asked = new Map();
  /** @type {Set<string>} Channels to follow, or to leave. */ #changes = new Set();
  #number = 0;
  #failures = 0;
  #lastEventId = "";
  #heard = 0;
  #timer = 0;
  #token;

  /** @param {() => Promise<string | null>} token Signs the connection in; null: nobody is signed in. */
  constructor(token) {
    super();
    this.#token = token;
    setInterval(() => this.#check(), PING_MS);
    // A machine that slept, or a network that is back: no waiting for a timer.
    addEventListener("online", () => this.#hurry());
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.#hurry());
  }

  connect() {
    this.#enter("connecting");
    const socket = begun() ?? new WebSocket(ADDRESS);
    this.#socket = socket;
    if (socket.readyState === WebSocket.OPEN) this.#greet(socket);
    else socket.onopen = () => this.#greet(socket);
    socket.onmessage = (message) => this.#hear(JSON.parse(message.data));
    socket.onclose = () => socket === this.#socket && this.#lost();
  }

  /** Begins anew, as somebody else, or as nobody. */
  restart() {
    this.#lastEventId = "";
    this.#drop();
    this.connect();
  }

  /**
   * Follows a channel from now on, over all connections; null ends that. Its listener hears "subscribed" whenever it begins anew.
   * @param {string} channel
   * @param {Listener | null} listener
   */
  follow(channel, listener) {
    const isNew = !this.#listeners.has(channel);
    if (listener) this.#listeners.set(channel, listener);
    else this.#listeners.delete(channel);
    if (this.state !== "live" || (listener && !isNew)) return;
    // All that one moment asks for is one request.
    if (!this.#changes.size) queueMicrotask(() => this.#change());
    this.#changes.add(channel);
  }

  #change() {
    const channels = [...this.#changes];
    this.#changes.clear();
    if (this.state !== "live") return;
    const left = channels.filter((channel) => !this.#listeners.has(channel));
    if (left.length) this.ask({ op: "unsubscribe", channels: left }).catch(() => {});
    this.#subscribe(channels.filter((channel) => this.#listeners.has(channel)));
  }

  /** Signs the open connection in again, with a fresh token. */
  async refresh() {
    const [token, socket] = [await this.#token(), this.#socket];
    if (this.state !== "live" || !token) return;
    await this.ask({ op: "auth", token }).catch(() => socket === this.#socket && this.restart());
  }

  /** @param {any} request @returns {Promise<any>} The answer's data; it fails with the error's envelope. */
  ask(request) {
    const id = (this.#number += 1);
    return new Promise((done, failed) => {
      if (this.#socket?.readyState !== WebSocket.OPEN) return failed({ error: "UNREACHABLE" });
      this.#asked.set(id, { done, failed });
      this.#socket.send(JSON.stringify({ id, ...request }));
    });
  }

  async #greet(/** @type {WebSocket} */ socket) {
    try {
      const token = await this.#token();
      if (socket !== this.#socket) return;
      if (token) await this.ask({ op: "auth", token });
      this.#failures = 0;
      this.#heard = Date.now();
      this.#enter("live");
      await this.#subscribe([...this.#listeners.keys()].filter((channel) => channel !== "orders" || token));
    } catch {
      socket.close();
    }
  }

  async #subscribe(/** @type {string[]} */ channels) {
    if (!channels.length) return;
    const isResumed = channels.includes("orders") && this.#lastEventId;
    try {
      await this.ask({ op: "subscribe", channels, ...(isResumed ? { lastEventId: this.#lastEventId } : {}) });
      for (const channel of channels) this.#listeners.get(channel)?.("subscribed", null);
    } catch (/** @type {any} */ refusal) {
      // Too many requests, or too many channels of this address: later there may be room.
      setTimeout(() => this.#socket?.close(), refusal?.data?.retryAfterMs ?? 2000);
    }
  }

  #hear(/** @type {any} */ message) {
    this.#heard = Date.now();
    if (message.id !== undefined && message.code !== undefined) {
      const asked = this.#asked.get(message.id);
      this.#asked.delete(message.id);
      if (message.error) asked?.failed(message);
      else asked?.done(message.data);
    } else if (message.channel) {
      if (message.channel === "orders" && message.id) this.#lastEventId = message.id;
      if (message.event === "stream-reset" && message.channel === "orders") this.#lastEventId = "";
      this.#listeners.get(message.channel)?.(message.event, message.data);
    }
  }

  #lost() {
    this.#drop();
    const pause = PAUSES_MS[Math.min(this.#failures, PAUSES_MS.length - 1)];
    this.#failures += 1;
    this.#enter("waiting");
    this.#timer = setTimeout(() => this.connect(), pause + Math.random() * (pause ? 300 : 50));
  }

  #drop() {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
    for (const { failed } of this.#asked.values()) failed({ error: "UNREACHABLE" });
    this.#asked.clear();
  }

  #hurry() {
    if (this.state === "waiting") {
      clearTimeout(this.#timer);
      this.connect();
    } else {
      this.#check();
    }
  }

  /** A connection that says nothing for long, not even to a ping, is dead, whatever the browser believes. */
  #check() {
    if (this.state !== "live") return;
    const asked = Date.now();
    this.ask({ op: "ping" }).catch(() => {});
    setTimeout(() => this.state === "live" && this.#heard < asked && this.#lost(), SILENCE_MS);
  }

  #enter(/** @type {State} */ state) {
    this.state = state;
    this.dispatchEvent(new Event("state"));
  }
}
