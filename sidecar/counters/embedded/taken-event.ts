import { jsonString } from '../../json-string.ts';
import { periodStart } from '../counter.ts';
import { encodeEvent, modelMember, type Said } from '../event-text.ts';
import type { NewRecord } from './grant.ts';
import type { View } from './look.ts';
import type { StreamEvent } from './state.ts';

interface Taken {
  views: View[];
  now: number;
  degraded: boolean | undefined;
  /** Of the last event of the same plan. */
  said: Said | undefined;
}

/**
 * The usage event of a grant: the one that every allowed request makes, so its text is put together member by member. Joined, it is one
 * piece: a sum of texts is kept as all its parts until it is read, and takes twice the time.
 */
export function takenEvent(record: NewRecord, { degraded, now, said, views }: Taken): StreamEvent {
  const { decidedAt, decisionId, event, outcome, state } = record;
  const { candidate } = outcome;
  const json = [
    encodeEvent(decisionId, event, said),
    modelMember(event),
    candidate === null ? '' : `,"candidate":${jsonString(candidate)}`,
    degraded ? ',"degraded":true' : '',
    `,"id":${jsonString(`${decisionId}:${state}`)},"type":"${state}","limits":[`,
    views.map(takenLimit).join(),
    `],"outcome":{"granted":true,"reason":"ok"},"count":1,"decided_at":${decidedAt},"at":${now}}`,
  ].join('');
  return { json, at: now };
}

const takenLimit = ({ charged: { after }, counter, limit: { billed, cost, id, kind, unit } }: View) =>
  `{"id":${jsonString(id)},"kind":"${kind}","unit":"${unit}"${billed ? ',"billed":true' : ''}` +
  `,"amount":${cost},"before":${counter.used},"after":${after.used},"period_start":${periodStart(after)}}`;
