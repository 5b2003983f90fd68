import { pino } from 'pino';
import { Registry } from 'prom-client';
import { createClient } from 'redis';
import { openUpstashStream } from '../../../billing-worker/stream/upstash.ts';
import { type Clock, systemClock } from '../../../runtime/clock.ts';
import type { CounterSettings } from '../../../sidecar/counters/contract.ts';
import { loadScripts } from '../../../sidecar/counters/redis/scripts.ts';
import { RedisStore } from '../../../sidecar/counters/redis/store.ts';
import { connectUpstash } from '../../../sidecar/counters/upstash/connection.ts';
import { SETTINGS } from '../../helpers/counter-settings.ts';
import { startRedis } from '../../helpers/redis-server.ts';
import { atTestEnd } from '../../helpers/test-end.ts';
import { startUpstash, type UpstashServer } from '../../helpers/upstash-server.ts';
import type { OpenedStore } from '../workbench.ts';
import { redisClock, SET_CLOCK } from './redis-clock.ts';

const log = pino({ level: 'silent' });
const TIMEOUT_MS = 10_000;

type Control = Pick<ReturnType<typeof createClient>, 'close' | 'eval' | 'flushAll' | 'sendCommand'>;

/** Stores on one Upstash, which each of them finds empty: one at a time. */
export class UpstashStores {
  /** To the Redis behind it. */
  readonly #control: Control;
  readonly server: UpstashServer;

  private constructor(control: Control, server: UpstashServer) {
    this.#control = control;
    this.server = server;
  }

  /** The servers end with the test, or with the file that calls this in a `beforeAll`. */
  static async start(): Promise<UpstashStores> {
    const redis = await startRedis();
    const control = createClient({ url: redis.url });
    // The server may end first.
    control.on('error', () => {});
    await control.connect();
    atTestEnd(() => control.close());
    return new UpstashStores(control, await startUpstash(redis));
  }

  /** `control` talks to the Redis behind it. */
  open(settings: Partial<CounterSettings> = {}) {
    return this.#open({}, systemClock, settings);
  }

  /** With a clock that a test sets. `caller` is the clock of the process that asks. */
  async openWithClock(caller: Clock = systemClock, settings: Partial<CounterSettings> = {}): Promise<OpenedStore> {
    const { control, ...opened } = await this.#open({ now: SET_CLOCK }, caller, settings);
    return { ...opened, clock: await redisClock(control) };
  }

  async #open(replace: Record<string, string>, caller: Clock, settings: Partial<CounterSettings>) {
    const control = this.#control;
    await control.flushAll();
    const access = { url: this.server.url, token: this.server.token };
    // There is nothing to close in a store on Upstash.
    const another = async () => {
      const connection = await connectUpstash({ ...access, timeoutMs: TIMEOUT_MS, log });
      return new RedisStore(connection, loadScripts(replace), caller, { ...SETTINGS, ...settings });
    };
    const store = await another();
    const reader = { key: 'ocr:{p0}:usage', consumer: 'test', registry: new Registry(), log };
    const stream = openUpstashStream({ ...access, ...reader });
    const close = async () => {
      await Promise.all([store.close(), stream.close()]);
    };
    const send = (command: string[]) => control.sendCommand(command);
    const flushScripts = () => send(['SCRIPT', 'FLUSH']);
    return { store, stream, control, another, send, flushScripts, close };
  }
}
