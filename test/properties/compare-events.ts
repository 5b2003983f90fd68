import type { UsageEvent } from '../../schemas/usage-event.ts';
import type { UsageStream } from '../../schemas/usage-stream.ts';
import { compare } from './compare.ts';

/** An event that is missing is looked for so often, each time for as long as a read waits. */
const [READS, WAIT_MS] = [20, 50];

/** All that is in the stream against what must be, of each tenant in its order. */
export async function compareEvents(stream: UsageStream, expected: UsageEvent[]): Promise<void> {
  const events: UsageEvent[] = [];
  for (let empty = 0; empty === 0 || (empty < READS && events.length < expected.length); ) {
    const entries = await stream.read(1_000, empty === 0 ? 1 : WAIT_MS);
    empty = entries.length === 0 ? empty + 1 : 0;
    events.push(...entries.map(({ event }) => JSON.parse(event ?? 'null') as UsageEvent));
    if (entries.length > 0) await stream.acknowledge(entries.map(({ id }) => id));
  }
  for (const tenant of new Set(expected.map(({ tenant_id }) => tenant_id))) {
    const [is, shouldBe] = [events, expected].map((all) => all.filter(({ tenant_id }) => tenant_id === tenant));
    for (const [index, event] of (shouldBe ?? []).entries()) compare(`event ${index} of ${tenant}`, is?.[index], event);
  }
  compare('the number of events', events.length, expected.length);
}
