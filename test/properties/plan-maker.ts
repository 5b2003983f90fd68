import { type Limit, type Plan, planSchema } from '../../schemas/policy-io.ts';
import type { Definition } from './definition.arbitrary.ts';
import type { Draw } from './program.arbitrary.ts';

const SUBJECTS = [
  { type: 'tenant', id: 'self' },
  { type: 'user', id: 'alice' },
  { type: 'user', id: 'bob' },
];

/** The plans of a program. Limits, gates and request ids have names, and another one when they are renamed. */
export class PlanMaker {
  readonly #definitions: Definition[];
  readonly #plans = new Map<string, Plan>();
  readonly #names = new Map<string, number>();

  constructor(definitions: Definition[]) {
    this.#definitions = structuredClone(definitions);
  }

  change(which: number, to: Partial<Definition>): void {
    const definition = this.#definitions[which];
    if (definition) Object.assign(definition, structuredClone(to));
  }

  named(what: 'limit' | 'gate' | 'request', tenant: number, which: number): string {
    const name = `${what} ${which}`;
    return `${name}~${this.#names.get(`${tenant} ${name}`) ?? 0}`;
  }

  /** `name` as it is called now. */
  rename(tenant: number, name: string): void {
    const key = `${tenant} ${name.split('~')[0]}`;
    this.#names.set(key, (this.#names.get(key) ?? 0) + 1);
  }

  plan({ candidates, common, cost, tenant }: Draw): Plan {
    const limit = (which: number) => this.#limit(which, cost, tenant);
    const given = {
      limits: common.map(limit),
      candidates: candidates.map(({ gates, limits, on }, index) => ({
        model: `model/${index}`,
        limits: limits.filter((which) => !common.includes(which)).map(limit),
        gates: gates.map((gate) => this.named('gate', tenant, gate)),
        ...(on && { on }),
      })),
      raw_counters: true,
    };
    // As a policy's plan is: the same object for the same input.
    const text = JSON.stringify(given);
    const plan = this.#plans.get(text) ?? planSchema.parse(given);
    this.#plans.set(text, plan);
    return plan;
  }

  #limit(which: number, costIndex: number, tenant: number): Limit {
    const { costs, rule, subject, unit, ...definition } = this.#definitions[which] as Definition;
    const common = {
      ...definition,
      id: this.named('limit', tenant, which),
      subject: SUBJECTS[subject % SUBJECTS.length] as Limit['subject'],
      scope: 'tenant' as const,
    };
    const cost = costs[costIndex] ?? 0;
    if (rule.kind !== 'concurrency') return { ...common, ...rule, unit, cost };
    return { ...common, ...rule, unit: 'concurrent', settles: false, cost: Math.min(2, cost) };
  }
}
