import pino from 'pino';
import type { Clock } from '../../runtime/clock.ts';
import type { CounterStore } from '../../sidecar/counters/contract.ts';
import { IssuedKeys } from '../../sidecar/keys/issued-keys.ts';

/** What `Identities` needs beside its configuration, where nobody looks at who was refused. */
export function identitiesOn({ clock, store }: { clock: Clock; store: CounterStore }) {
  const log = pino({ level: 'silent' });
  return { issued: new IssuedKeys({ store, clock, log }), onRefused: () => {}, clock, log };
}
