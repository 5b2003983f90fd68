import type { Answer } from '../decision/answer.ts';
import type { Conflict } from '../decision/decide.ts';
import { readRequest } from '../decision/request.ts';
import { scratchDecider } from '../simulation/scratch-decider.ts';
import { createScratchStore } from '../simulation/scratch-store.ts';
import { SimulatedClock } from '../simulation/simulated-clock.ts';
import type { Workbench } from './open.ts';

export interface TrialsOptions extends Workbench {
  /** Asked one after the other, all of them so many times. */
  inputs: readonly unknown[];
  times: number;
  /** When the first is asked, in epoch milliseconds, and how many pass between two. */
  at: number;
  everyMs: number;
}

export interface Trial {
  input: unknown;
  at: number;
  answer: Answer | Conflict;
}

/**
 * What a sidecar would answer that has been asked nothing before: plan, take and decision, on counters of its own and a
 * clock that stands still in between. Throws `InputError` for an input that a sidecar would not take.
 */
export async function tryInTurn({ at, everyMs, inputs, pkg, policy, times }: TrialsOptions): Promise<Trial[]> {
  const clock = new SimulatedClock(at);
  const { store } = createScratchStore({ clock });
  const decider = scratchDecider({ policy, store, clock });
  const trials: Trial[] = [];
  for (let round = 0; round < times; round++) {
    for (const input of inputs) {
      clock.set(at + trials.length * everyMs);
      const answer = await decider.decide(readRequest(pkg, input, undefined));
      trials.push({ input, at: clock.now(), answer });
    }
  }
  return trials;
}

/** One trial for a program: what the sidecar keeps to itself is left out. */
export function trialJson({ answer, at, input }: Trial): object {
  const time = new Date(at).toISOString();
  if (answer === 'conflict') return { at: time, input, conflict: true };
  const { decision, failure, outcome, plan, replayed } = answer;
  return { at: time, input, plan, outcome, decision, replayed, ...(failure && { failure: failure.message }) };
}
