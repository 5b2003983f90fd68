import { type Plan, type PlanChange, type PlanChoice, planChanges } from './plans.ts';
import { outOfOrder } from './start.ts';

interface Planned {
  plan?: PlanChoice | undefined;
}

interface Problem {
  path: (string | number)[];
  message: string;
}

type Plans = Record<string, Plan>;

/** What is wrong between the plans of a file and the tenants that name them. */
export function wrongPlans(config: {
  defaults: Planned;
  plans?: Plans | undefined;
  tenants: Record<string, Planned | null>;
}): Problem[] {
  const { defaults, plans = {}, tenants } = config;
  const all: [string[], Planned | null][] = [
    [['defaults'], defaults],
    ...Object.entries(tenants).map(([id, tenant]): [string[], Planned | null] => [['tenants', id], tenant]),
  ];
  return all.flatMap(([path, of]) =>
    of?.plan === undefined
      ? []
      : wrongChoice(of.plan, plans).map((wrong) => ({ ...wrong, path: [...path, ...wrong.path] })),
  );
}

function wrongChoice(choice: PlanChoice, plans: Plans): Problem[] {
  const changes = planChanges(choice);
  const pathOf = (i: number, key: string) => (typeof choice === 'string' ? ['plan'] : ['plan', i, key]);
  const unknown = changes.flatMap(({ name }, i) =>
    Object.hasOwn(plans, name) ? [] : [{ path: pathOf(i, 'name'), message: unknownPlan(name, plans) }],
  );
  return [...unknown, ...wrongStarts(changes, pathOf), ...severalCurrencies(changes, plans)];
}

const unknownPlan = (name: string, plans: Plans) => {
  const known = Object.keys(plans);
  return `there is no plan ${JSON.stringify(name)}; there is ${known.length ? known.join(', ') : 'none under plans'}`;
};

function wrongStarts(changes: PlanChange[], pathOf: (i: number, key: string) => (string | number)[]): Problem[] {
  const [first, ...later] = changes;
  const path = (i: number) => pathOf(i, 'from');
  if (first?.from !== undefined)
    return [{ path: path(0), message: 'the first plan holds from the beginning, without from' }];
  const missing = later.flatMap(({ from }, i) =>
    from === undefined ? [{ path: path(i + 1), message: 'is missing: only the first plan has none' }] : [],
  );
  if (missing.length) return missing;
  const starts = later.map(({ from = '' }) => from);
  return outOfOrder(starts).map((i) => ({
    path: path(i + 1),
    message: `must be after ${starts[i - 1]}, as plans are in the order of time`,
  }));
}

/** One invoice is in one currency, and a cycle may have two plans. */
function severalCurrencies(changes: PlanChange[], plans: Plans): Problem[] {
  const currencies = new Set(
    changes.flatMap(({ name }) => (Object.hasOwn(plans, name) ? [plans[name]?.currency] : [])),
  );
  if (currencies.size < 2) return [];
  return [
    {
      path: ['plan'],
      message: `all plans of a tenant must be in one currency; these are in ${[...currencies].join(', ')}`,
    },
  ];
}
