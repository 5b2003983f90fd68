import { pino } from 'pino';
import { Registry } from 'prom-client';
import { createClient } from 'redis';
import { openRedisStream } from '../../../billing-worker/stream/redis.ts';
import { type Clock, systemClock } from '../../../runtime/clock.ts';
import type { CounterSettings } from '../../../sidecar/counters/contract.ts';
import { connectRedis } from '../../../sidecar/counters/redis/connection.ts';
import { loadScripts } from '../../../sidecar/counters/redis/scripts.ts';
import { RedisStore } from '../../../sidecar/counters/redis/store.ts';
import { SETTINGS } from '../../helpers/counter-settings.ts';
import { type RedisServer, startRedis } from '../../helpers/redis-server.ts';
import type { OpenedStore } from '../workbench.ts';
import { redisClock, SET_CLOCK } from './redis-clock.ts';

const log = pino({ level: 'silent' });
const TIMEOUT_MS = 10_000;

/** Stores on one real Redis, which each of them finds empty: one at a time. */
export class RedisStores {
  readonly #redis: RedisServer;

  private constructor(redis: RedisServer) {
    this.#redis = redis;
  }

  /** The server ends with the test, or with the file that calls this in a `beforeAll`. */
  static async start(): Promise<RedisStores> {
    return new RedisStores(await startRedis());
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
    const control = await createClient({ url }).connect();
    await control.flushAll();
    const stores: RedisStore[] = [];
    const another = async () => {
      const connection = await connectRedis(url, TIMEOUT_MS, log);
      const store = new RedisStore(connection, loadScripts(replace), caller, { ...SETTINGS, ...settings });
      stores.push(store);
      return store;
    };
    const store = await another();
    const registry = new Registry();
    const stream = await openRedisStream({ url, key: 'ocr:{p0}:usage', consumer: 'test', registry, log });
    const close = async () => {
      await Promise.all([...stores, stream, control].map((each) => each.close()));
    };
    const send = (command: string[]) => control.sendCommand(command);
    const flushScripts = () => send(['SCRIPT', 'FLUSH']);
    return { store, stream, control, another, send, flushScripts, close };
  }
}
