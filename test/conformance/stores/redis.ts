import { pino } from 'pino';
import { Registry } from 'prom-client';
import { createClient } from 'redis';
import { openRedisStream } from '../../../billing-worker/stream/redis.ts';
import { type Clock, systemClock } from '../../../runtime/clock.ts';
import type { CounterSettings } from '../../../sidecar/counters/contract.ts';
import { type Connection, connectRedis } from '../../../sidecar/counters/redis/connection.ts';
import { loadScripts } from '../../../sidecar/counters/redis/scripts.ts';
import { RedisStore } from '../../../sidecar/counters/redis/store.ts';
import { SETTINGS } from '../../helpers/counter-settings.ts';
import { type RedisServer, startRedis } from '../../helpers/redis-server.ts';
import { atTestEnd } from '../../helpers/test-end.ts';
import type { OpenedStore } from '../workbench.ts';
import { redisClock, SET_CLOCK } from './redis-clock.ts';

const log = pino({ level: 'silent' });
const TIMEOUT_MS = 10_000;

type Control = Pick<ReturnType<typeof createClient>, 'close' | 'eval' | 'flushAll' | 'sendCommand'>;

/** Stores on one real Redis, which each of them finds empty: one at a time. */
export class RedisStores {
  readonly #redis: RedisServer;
  /** Connections of all of them: to connect anew for each was half of what a test took. */
  readonly #control: Control;
  readonly #connection: Connection;

  private constructor(redis: RedisServer, control: Control, connection: Connection) {
    this.#redis = redis;
    this.#control = control;
    this.#connection = connection;
  }

  /** The server ends with the test, or with the file that calls this in a `beforeAll`. */
  static async start(): Promise<RedisStores> {
    const redis = await startRedis();
    const control = createClient({ url: redis.url });
    // The server may end first.
    control.on('error', () => {});
    await control.connect();
    const connection = await connectRedis(redis.url, TIMEOUT_MS, log);
    atTestEnd(() => Promise.all([control.close(), connection.close()]));
    return new RedisStores(redis, control, connection);
  }

  open(settings: Partial<CounterSettings> = {}): Promise<OpenedStore> {
    return this.#open({}, systemClock, settings);
  }

  /** With a clock that a test sets. `caller` is the clock of the process that asks. */
  async openWithClock(caller: Clock = systemClock, settings: Partial<CounterSettings> = {}): Promise<OpenedStore> {
    const { control, ...opened } = await this.#open({ now: SET_CLOCK }, caller, settings);
    return { ...opened, clock: await redisClock(control) };
  }

  async #open(replace: Record<string, string>, caller: Clock, settings: Partial<CounterSettings>) {
    const { url } = this.#redis;
    const control = this.#control;
    await control.flushAll();
    const scripts = loadScripts(replace);
    const storeOn = (connection: Connection) =>
      new RedisStore(connection, scripts, caller, { ...SETTINGS, ...settings });
    const stores: RedisStore[] = [];
    const another = async () => {
      const store = storeOn(await connectRedis(url, TIMEOUT_MS, log));
      stores.push(store);
      return store;
    };
    const store = storeOn(this.#connection);
    const registry = new Registry();
    const stream = await openRedisStream({ url, key: 'ocr:{p0}:usage', consumer: 'test', registry, log });
    const close = async () => {
      await Promise.all([...stores, stream].map((each) => each.close()));
    };
    const send = (command: string[]) => control.sendCommand(command);
    const flushScripts = () => send(['SCRIPT', 'FLUSH']);
    return { store, stream, control, another, send, flushScripts, close };
  }
}
