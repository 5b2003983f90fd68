import type { DecisionEvent } from './event.ts';

/** An event and its JSON text, masked: what may leave the process. */
export interface Line {
  event: DecisionEvent;
  json: string;
}

/** How it goes. Of a service's answer its status, never what it says. */
export interface SinkStatus {
  /** Why the last events that came were not kept, or others for them; undefined: nothing is lost. */
  lost: string | undefined;
  /** Why the last upload came to nothing: events wait. */
  upload?: { message: string; httpStatus: number | undefined } | undefined;
}

/** Where events go. */
export interface Sink {
  readonly status: SinkStatus;
  /** One call at a time. Does not throw: what cannot be written is counted by whom it fails. */
  write(lines: readonly Line[]): Promise<void>;
  close(): Promise<void>;
}
