import type { Clock } from '../../runtime/clock.ts';
import { readRequest } from '../decision/request.ts';
import { createScratchStore } from '../simulation/scratch-store.ts';
import type { Workbench } from './open.ts';
import { table } from './table.ts';

/** As many callers as go into one message to the evaluation thread. */
const CALLERS = 64;
const ROUNDS = 5;

export interface MeasureOptions extends Workbench {
  /** Does nothing, and is measured in the same run: what any policy costs on this machine. */
  trivial: Workbench;
  inputs: readonly unknown[];
  clock: Clock;
  /** For each of the measurements. */
  milliseconds: number;
}

export interface Measured {
  document: string;
  /** Whether the input had been asked before: a pure policy's answer is remembered. */
  input: 'new' | 'known';
  per_second: number;
  microseconds: number;
  /** How many times as long as the trivial policy takes for a new input. */
  times_trivial: number;
}

/** Asks for a document once. */
type Ask = (number: number) => Promise<unknown>;

/**
 * How long plan and decision take, 64 callers at once as in a busy sidecar: evaluation, check of its shape, and memory.
 * The measurements take turns, so that a busy moment of the machine is in all of them.
 */
export async function measure(options: MeasureOptions): Promise<Measured[]> {
  const documents = await documentsOf(options);
  const totals = documents.map(() => ({ asked: 0, ms: 0 }));
  for (const { ask } of documents) await ask(0);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [index, { ask }] of documents.entries()) {
      const total = totals[index];
      if (total) await run(ask, options, total);
    }
  }
  const each = totals.map(({ asked, ms }) => (ms * 1000) / asked);
  return documents.map(({ document, input }, index) => {
    const microseconds = each[index] ?? Number.NaN;
    return {
      document,
      input,
      per_second: Math.round(1e6 / microseconds),
      microseconds: rounded(microseconds),
      times_trivial: rounded(microseconds / (each[0] ?? Number.NaN)),
    };
  });
}

const rounded = (value: number) => Number(value.toPrecision(3));

async function run(ask: Ask, { clock, milliseconds }: MeasureOptions, total: { asked: number; ms: number }) {
  const began = clock.monotonic();
  let ms = 0;
  while (ms < milliseconds / ROUNDS) {
    const first = total.asked;
    await Promise.all(Array.from({ length: CALLERS }, (_, caller) => ask(first + caller + 1)));
    total.asked += CALLERS;
    ms = clock.monotonic() - began;
  }
  total.ms += ms;
}

async function documentsOf(options: MeasureOptions) {
  const { inputs, pkg, policy, trivial } = options;
  const nothing = await asksOf(trivial, inputs);
  const own = await asksOf({ policy, pkg }, inputs);
  return [
    { document: 'trivial plan', input: 'new', ask: nothing.plan.new },
    { document: `${pkg}/plan`, input: 'new', ask: own.plan.new },
    { document: `${pkg}/plan`, input: 'known', ask: own.plan.known },
    { document: `${pkg}/decision`, input: 'new', ask: own.decision.new },
    { document: `${pkg}/decision`, input: 'known', ask: own.decision.known },
  ] as const;
}

async function asksOf({ pkg, policy }: Workbench, inputs: readonly unknown[]) {
  const { store } = createScratchStore({ clock: { now: () => 0, monotonic: () => 0 } });
  const prepared = await Promise.all(
    inputs.map(async (input) => {
      const { input: text, subject } = readRequest(pkg, input, undefined);
      const plan = await policy.plan(pkg, text);
      return { text, plan, outcome: (await store.peek(plan, subject.tenant_id)).outcome };
    }),
  );
  const at = (number: number) => prepared[number % prepared.length] as (typeof prepared)[number];
  const plan = async (text: string) => policy.plan(pkg, text);
  const decision = async (number: number, text: string) => {
    const { outcome, plan: made } = at(number);
    return policy.decide(pkg, text, outcome, made);
  };
  return {
    plan: { new: (n: number) => plan(unheard(at(n).text, n)), known: (n: number) => plan(at(n).text) },
    decision: {
      new: (n: number) => decision(n, unheard(at(n).text, n)),
      known: (n: number) => decision(n, at(n).text),
    },
  };
}

/** The same input but for a field that no policy looks at. */
const unheard = (text: string, number: number) => `${text.slice(0, -1)},"bench_number":${number}}`;

export const measuredTable = (measured: readonly Measured[]): string =>
  table(
    [
      { title: 'document' },
      { title: 'input' },
      { title: 'each second', align: 'right' },
      { title: 'µs each', align: 'right' },
      { title: 'x trivial', align: 'right' },
    ],
    measured.map(({ document, input, microseconds, per_second, times_trivial }) => [
      document,
      input,
      per_second,
      microseconds,
      times_trivial,
    ]),
  );
