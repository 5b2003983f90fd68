import { setTimeout as sleep } from 'node:timers/promises';
import { usageStreamKey } from '../../../schemas/usage-stream.ts';
import { atTestEnd } from '../../helpers/test-end.ts';
import { PatientRedis } from './patient-redis.ts';

const STREAM = usageStreamKey(0);
const EVERY_MS = 15;
const AT_ONCE = 1_000;

export interface ShadowEntry {
  streamId: string;
  /** Of the event; undefined if the entry is none. */
  eventId: string | undefined;
  tenantId: string | undefined;
  text: string;
}

type Raw = [id: string, fields: string[]];

/** A reader of the usage stream that takes nothing from it: it sees what comes before the worker trims it, most of the time. */
export class StreamShadow {
  readonly entries: ShadowEntry[] = [];
  readonly #redis: PatientRedis;
  readonly #byStreamId = new Map<string, ShadowEntry>();
  /** Where each event was first. */
  readonly #firstIds = new Map<string, string>();
  #last = '0-0';
  #stopped = false;

  private constructor(redis: PatientRedis) {
    this.#redis = redis;
  }

  static async follow(url: string): Promise<StreamShadow> {
    const shadow = new StreamShadow(await PatientRedis.connect(url));
    const following = shadow.#follow();
    atTestEnd(async () => {
      shadow.#stopped = true;
      await following;
    });
    return shadow;
  }

  /** Of an event that was written twice, its first entry; undefined if it was trimmed before it was seen. */
  firstId(eventId: string): string | undefined {
    return this.#firstIds.get(eventId);
  }

  /** What is in these entries, read anew where it was not seen yet. */
  async entriesOf(streamIds: string[]): Promise<ShadowEntry[]> {
    const found = await Promise.all(streamIds.map((id) => this.#byStreamId.get(id) ?? this.#read(id)));
    return found.filter((entry) => entry !== undefined);
  }

  async #read(id: string): Promise<ShadowEntry | undefined> {
    const reply = await this.#redis.attempt<Raw[]>('XRANGE', STREAM, id, id);
    return reply?.[0] && entryOf(reply[0]);
  }

  async #follow(): Promise<void> {
    while (!this.#stopped) {
      const reply = await this.#redis.attempt<Raw[]>('XRANGE', STREAM, `(${this.#last}`, '+', 'COUNT', String(AT_ONCE));
      for (const raw of reply ?? []) this.#see(entryOf(raw));
      if ((reply?.length ?? 0) < AT_ONCE) await sleep(EVERY_MS);
    }
  }

  #see(entry: ShadowEntry): void {
    this.#last = entry.streamId;
    this.entries.push(entry);
    this.#byStreamId.set(entry.streamId, entry);
    if (entry.eventId !== undefined && !this.#firstIds.has(entry.eventId)) {
      this.#firstIds.set(entry.eventId, entry.streamId);
    }
  }
}

function entryOf([streamId, fields]: Raw): ShadowEntry {
  const text = fields[fields.indexOf('e') + 1] ?? '';
  try {
    const { id, tenant_id, v } = JSON.parse(text);
    return { streamId, text, eventId: v === 1 ? id : undefined, tenantId: tenant_id };
  } catch {
    return { streamId, text, eventId: undefined, tenantId: undefined };
  }
}
