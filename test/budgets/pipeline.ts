import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { packageRoot } from '../../runtime/package-root.ts';
import type { LimitOutcome } from '../../schemas/policy-io.ts';
import type { Answer } from '../../sidecar/decision/answer.ts';
import { readRequest } from '../../sidecar/decision/request.ts';
import type { Policy } from '../../sidecar/policy/policy.ts';
import { scratchDecider } from '../../sidecar/simulation/scratch-decider.ts';
import { createScratchStore } from '../../sidecar/simulation/scratch-store.ts';
import { SimulatedClock } from '../../sidecar/simulation/simulated-clock.ts';
import { openPolicy } from '../../sidecar/workbench/open-policy.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { atTestEnd } from '../helpers/test-end.ts';

export interface Input {
  tenant_id: string;
  user_id?: string;
  role?: string;
  department_id?: string;
  project_id?: string;
  team_id?: string;
  model?: string;
  estimated_tokens?: number;
  [more: string]: unknown;
}

/** The shipped folder of configuration, with other files in place of some of its own: their text by name. */
export async function configFolder(files: Record<string, string>): Promise<string> {
  const folder = await tempDir('budgets');
  for (const name of ['tenants.yaml', 'models.yaml']) {
    await copyFile(join(packageRoot, 'config', name), join(folder, name));
  }
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  return folder;
}

/** The committed bundle on that configuration, as a sidecar opens it. */
export async function policyOn(files: Record<string, string>): Promise<Policy> {
  const bytes = await readFile(join(packageRoot, 'policies/dist/bundle.tar.gz'));
  const policy = await openPolicy({ bytes, name: 'bundle', configDir: await configFolder(files), variables: {} });
  atTestEnd(() => policy.close());
  return policy;
}

/** A sidecar's decisions on empty counters, at a time that the test sets. */
export class Desk {
  readonly #clock: SimulatedClock;
  readonly #scratch: ReturnType<typeof createScratchStore>;
  readonly #decider: ReturnType<typeof scratchDecider>;

  /** `at`: RFC 3339. */
  constructor(policy: Policy, at: string) {
    this.#clock = new SimulatedClock(Date.parse(at));
    this.#scratch = createScratchStore({ clock: this.#clock });
    this.#decider = scratchDecider({ policy, store: this.#scratch.store, clock: this.#clock });
  }

  /** RFC 3339, or epoch milliseconds. */
  set(at: string | number): void {
    this.#clock.set(typeof at === 'number' ? at : Date.parse(at));
  }

  async ask(input: Input): Promise<Answer> {
    const answer = await this.#decider.decide(readRequest('openclaw/rate_limit', input, undefined));
    if (answer === 'conflict') throw new Error('a request without an id cannot conflict');
    if (answer.failure) throw answer.failure;
    return answer;
  }

  /** What was really used of what a decision took. */
  async settle({ decisionId }: Answer, tokens: number) {
    const report = { decisionId, actual: { tokens }, fingerprint: `${tokens}` };
    const result = await this.#scratch.store.settle({ ...report, kind: 'settle' });
    if (result.kind !== 'settled') throw new Error(`not settled but ${result.kind}`);
    return result.changes;
  }
}

/** One budget of an answer. */
export function budgetOf({ outcome }: Answer, id: string): LimitOutcome {
  const limit = outcome?.limits.find((each) => each.id === id);
  if (!limit) throw new Error(`no budget ${id} in ${outcome?.limits.map((each) => each.id)}`);
  return limit;
}

/** What the answer tells the caller. */
export const told = ({ decision }: Answer) => decision;

const THE_DAY_BEFORE = '2026-05-14T23:00:00Z';
const THAT_NIGHT = '2026-05-15T01:00:00Z';

/** Noon of a day in the middle of a month, on which `use` has counted. */
export const NOON = '2026-05-15T12:00:00Z';

/**
 * Brings the budgets of `who` to what is used by noon of May 15, part of it on the day before, by reports of calls that were
 * let in while there was room: so it can also be more than there is. `day` is a part of `month`.
 */
export async function use(desk: Desk, who: Input, { day, month }: { day: number; month: number }): Promise<void> {
  desk.set(THE_DAY_BEFORE);
  const before = await desk.ask({ ...who, estimated_tokens: 1 });
  desk.set(THAT_NIGHT);
  const night = await desk.ask({ ...who, estimated_tokens: 1 });
  await desk.settle(night, day);
  await desk.settle(before, month - day);
  desk.set(NOON);
}
