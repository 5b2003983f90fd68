import type { Context } from 'hono';

/** What the caller asks for beside the answer: https://www.openpolicyagent.org/docs/rest-api#query-parameters */
export interface Options {
  pretty: boolean;
  metrics: boolean;
  provenance: boolean;
  explain: 'notes' | 'fails' | 'full' | 'debug' | undefined;
  strictBuiltinErrors: boolean;
  /** Ours: a POST to a metered package says what would come of it, and takes nothing. */
  dryRun: boolean;
}

/** Of who asks for nothing but the answer. */
export const NO_OPTIONS: Options = {
  pretty: false,
  metrics: false,
  provenance: false,
  explain: undefined,
  strictBuiltinErrors: false,
  dryRun: false,
};

const MODES = ['notes', 'fails', 'full', 'debug'] as const;

/** Parameters that mean nothing here are passed over, as OPA does. */
export function readOptions(c: Context): Options {
  if (!c.req.url.includes('?')) return NO_OPTIONS;
  const given = c.req.queries();
  const has = (name: string) => isTrue(Object.hasOwn(given, name) ? given[name] : undefined);
  const explain = given.explain?.map((mode) => MODES.find((known) => known === mode)).find(Boolean);
  return {
    pretty: has('pretty'),
    metrics: has('metrics') || has('instrument'),
    provenance: has('provenance'),
    explain,
    strictBuiltinErrors: has('strict-builtin-errors'),
    dryRun: has('dry_run'),
  };
}

/** As OPA reads a flag: `?pretty` and `?pretty=true` set it, `?pretty=1` does not. */
const isTrue = (values: string[] | undefined) =>
  values !== undefined && ((values.length === 1 && values[0] === '') || values.some((v) => v.toLowerCase() === 'true'));

/** Whether OPA's flag of this name is set. */
export const flag = (c: Context, name: string): boolean => isTrue(c.req.queries(name));
