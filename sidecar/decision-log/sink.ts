import type { DecisionEvent } from './event.ts';

/** An event and its JSON text, masked: what may leave the process. */
export interface Line {
  event: DecisionEvent;
  json: string;
}

/** Where events go. */
export interface Sink {
  /** One call at a time. Does not throw: what cannot be written is counted by whom it fails. */
  write(lines: readonly Line[]): Promise<void>;
  close(): Promise<void>;
}
