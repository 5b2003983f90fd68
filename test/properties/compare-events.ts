import type { UsageEvent } from '../../schemas/usage-event.ts';
import type { UsageStream } from '../../schemas/usage-stream.ts';
import { compare } from './compare.ts';

/** All that is in the stream against what must be, of each tenant in its order. */
export async function compareEvents(stream: UsageStream, expected: UsageEvent[]): Promise<void> {
  const events: UsageEvent[] = [];
  for (;;) {
    const entries = await stream.read(1_000, 1);
    if (entries.length === 0) break;
    events.push(...entries.map(({ event }) => JSON.parse(event ?? 'null') as UsageEvent));
    await stream.acknowledge(entries.map(({ id }) => id));
  }
  for (const tenant of new Set(expected.map(({ tenant_id }) => tenant_id))) {
    const [is, shouldBe] = [events, expected].map((all) => all.filter(({ tenant_id }) => tenant_id === tenant));
    for (const [index, event] of (shouldBe ?? []).entries()) compare(`event ${index} of ${tenant}`, is?.[index], event);
  }
  compare('the number of events', events.length, expected.length);
}
