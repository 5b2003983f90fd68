import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from 'redis';
import { atTestEnd } from '../../helpers/test-end.ts';

const TRIES_MS = 15_000;
const AGAIN_MS = 20;

/** The test's own way to Redis, without a fault on it: a server that is just not there is asked again. */
export class PatientRedis {
  readonly #client: ReturnType<typeof createClient>;

  private constructor(url: string) {
    this.#client = createClient({
      url,
      disableOfflineQueue: true,
      socket: { reconnectStrategy: AGAIN_MS, connectTimeout: 2_000 },
    }).on('error', () => undefined) as ReturnType<typeof createClient>;
  }

  static async connect(url: string): Promise<PatientRedis> {
    const redis = new PatientRedis(url);
    await redis.#client.connect();
    atTestEnd(() => redis.#client.destroy());
    return redis;
  }

  /** Until there is an answer: only what may be done twice. An error that the server answers is thrown in the end. */
  async ask<Reply>(...command: string[]): Promise<Reply> {
    for (const end = performance.now() + TRIES_MS; ; ) {
      try {
        return (await this.#client.sendCommand(command)) as Reply;
      } catch (error) {
        if (performance.now() > end) throw error;
        await sleep(AGAIN_MS);
      }
    }
  }

  /** Once; undefined if it is not known whether it was done. */
  async attempt<Reply>(...command: string[]): Promise<Reply | undefined> {
    return (this.#client.sendCommand(command) as Promise<Reply>).catch(() => undefined);
  }
}
