import { jsonString } from '../../json-string.ts';
import type { Effect } from './effect.ts';
import type { Counter } from './state.ts';
import { streamEvent } from './stream-event.ts';

/**
 * An effect as the files have it: its event in it is the stream's own text, and the members that nearly every effect has are put
 * together one by one. Throws what `JSON.stringify` throws.
 */
export function effectJson(effect: Effect): string {
  const members: string[] = [];
  for (const name in effect) {
    const value = effect[name as keyof Effect];
    if (value !== undefined) members.push(`"${name}":${memberJson(effect, name, value)}`);
  }
  return `{${members.join()}}`;
}

function memberJson({ counters, event }: Effect, name: string, value: unknown): string {
  if (name === 'counters' && counters) return `[${counters.map(counterJson).join()}]`;
  if (name === 'event' && event) return `[${event[0]},${event[1].json}]`;
  return JSON.stringify(value);
}

function counterJson([key, counter]: [key: string, counter: Counter | null]): string {
  if (counter === null) return `[${jsonString(key)},null]`;
  return `[${jsonString(key)},{"state":${JSON.stringify(counter.state)},"emptyAt":${counter.emptyAt}}]`;
}

/** What was written by `effectJson`. */
export function readEffect(json: string): Effect {
  const { event, ...effect } = JSON.parse(json);
  return event ? { ...effect, event: [event[0], streamEvent(event[1])] } : effect;
}
