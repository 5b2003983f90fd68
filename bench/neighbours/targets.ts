import { type Figures, figuresOf, type Results } from './results.ts';

/** A figure of one system to that of another: what it must be. */
interface Target {
  what: string;
  of: string;
  to: string;
  figure: keyof Figures;
  /** The difference of the two, not their ratio. */
  minus?: boolean;
  least?: number;
  most?: number;
}

/** A ratio that is measured by a run of its own, by its name in the results. */
interface OtherTarget {
  what: string;
  other: string;
  least?: number;
  most?: number;
}

const TARGETS: (Target | OtherTarget)[] = [
  { what: 'decisions/s to OPA, all cores to each', of: 'ours-workers', to: 'opa', figure: 'perSecond', least: 1 },
  { what: 'decisions/s of one process to OPA', of: 'ours', to: 'opa', figure: 'perSecond', least: 1 },
  { what: 'CPU for a decision to OPA', of: 'ours', to: 'opa', figure: 'cpuUs', most: 0.85 },
  { what: 'p99 to OPA', of: 'ours', to: 'opa', figure: 'p99Ms', most: 0.7 },
  { what: 'decisions/s to bare Hono, a process each', of: 'ours', to: 'hono', figure: 'perSecond', least: 0.85 },
  { what: 'decisions/s to Envoy ratelimit', of: 'ours', to: 'envoy-ratelimit', figure: 'perSecond', least: 1.2 },
  { what: 'batches of 50 to OPA’s single calls', of: 'ours-batch', to: 'opa', figure: 'perSecond', least: 3 },
  {
    what: 'over Upstash REST to Hono + @upstash/ratelimit: decisions/s',
    of: 'ours-upstash',
    to: 'hono-upstash-ratelimit',
    figure: 'perSecond',
    least: 6,
  },
  {
    what: 'over Upstash REST to Hono + @upstash/ratelimit: p99',
    of: 'ours-upstash',
    to: 'hono-upstash-ratelimit',
    figure: 'p99Ms',
    most: 0.2,
  },
  {
    what: 'over Upstash REST: HTTP requests for a decision',
    of: 'ours-upstash',
    to: '',
    figure: 'storeRequests',
    most: 0.2,
  },
  { what: 'two processes to one', of: 'ours-workers', to: 'ours', figure: 'perSecond', least: 1.5 },
  {
    what: 'two processes to one, as much of a core to each',
    of: 'ours-workers-share',
    to: 'ours-share',
    figure: 'perSecond',
    least: 1.5,
  },
  { what: 'embedded store to Redis', of: 'ours-embedded', to: 'ours', figure: 'perSecond', least: 1.2 },
  { what: 'p50 at one connection to Hono + EVALSHA', of: 'ours-1', to: 'hono-evalsha-1', figure: 'p50Ms', most: 1.25 },
  { what: '1,000,000 tenants to 1,000: decisions/s', of: 'ours-million', to: 'ours', figure: 'perSecond', least: 0.9 },
  {
    what: '1,000,000 tenants to 1,000: MiB of the sidecar more',
    of: 'ours-million',
    to: 'ours',
    figure: 'serverMiB',
    minus: true,
    most: 50,
  },
  { what: '100,000 overrides to 10 in the policy’s data: CPU of a plan', other: 'overrides', most: 1.1 },
  { what: 'billing worker: rows/s to a bare COPY', other: 'worker', least: 0.3 },
];

export interface Verdict {
  what: string;
  value: number;
  wanted: string;
  reached: boolean;
}

/** Of each target whose systems were measured: what it came to. */
export function verdicts(results: Results): Verdict[] {
  return TARGETS.flatMap((target) => {
    const value = measuredOf(target, results);
    if (value === undefined) return [];
    const { least, most, what } = target;
    const reached = (least === undefined || value >= least) && (most === undefined || value <= most);
    return [{ what, value, wanted: least === undefined ? `≤ ${most}` : `≥ ${least}`, reached }];
  });
}

function measuredOf(target: Target | OtherTarget, { others, systems }: Results): number | undefined {
  if ('other' in target) return others[target.other];
  const figure = (name: string) => {
    const system = systems.find((each) => each.name === name);
    return system && figuresOf(system)[target.figure];
  };
  const [value, base] = [figure(target.of), target.to ? figure(target.to) : 1];
  if (value === undefined || base === undefined) return undefined;
  return target.minus ? value - base : value / base;
}
